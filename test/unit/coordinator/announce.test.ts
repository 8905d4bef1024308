import {expect, test} from 'vitest';
import {announce} from '../../../coordinator/announce.ts';
import {emptyMemory, type FlowOutcome, flow} from '../../../coordinator/flow.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import {Farm} from './fleet-builder.ts';
import {cohort, T0} from './incident/story.ts';

const QUIET = flow(new Farm().fleet, emptyMemory(), DEFAULT_POLICY, T0);
const madeOn = (...hosts: string[]): FlowOutcome => ({...QUIET, cohorts: [{...cohort, experiment: {change: 'os', hosts}}]});

test('a cohort is told again when its experiment is made on other hosts, and not when nothing has changed', () => {
  const told = (before: FlowOutcome, after: FlowOutcome): string[] => {
    const types: string[] = [];
    announce(before, after, type => types.push(type));
    return types;
  };
  expect(told(madeOn('be4', 'be5'), madeOn('be4', 'be5'))).toEqual([]);
  expect(told(madeOn('be4', 'be5'), madeOn('be8', 'be9'))).toEqual(['cohortJudged']);
});
