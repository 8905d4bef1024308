import {expect, test} from 'vitest';
import {announce, toldByOther} from '../../../coordinator/announce.ts';
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

test('what a leader may have died before it told is told by its successor, and nothing older', () => {
  const at = (seconds: number): FlowOutcome => ({...QUIET, memory: {...QUIET.memory, atMs: T0 + seconds * 1_000}});
  let told: FlowOutcome[] = [];
  for (let seconds = 0; seconds <= 60; seconds++) told = toldByOther(told, at(seconds));
  expect([told[0], told.at(-1)]).toEqual([at(45), at(60)]);
});
