import {expect, test} from 'vitest';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {Farm, NEW, OLD, type ReportChange, recordOf, SICK, type Weather} from '../fleet-builder.ts';

const HOSTS = 20;
const bad = (count: number, change: ReportChange): Weather =>
  Object.fromEntries(Array.from({length: count}, (_, index) => [`be${index}`, change]));
const stopped = ({decisions}: FlowOutcome): string[] =>
  decisions.flatMap(({kind, vetoes}) => (kind === 'evacuate' ? vetoes.map(({code}) => code) : []));

/** A release that is bad is installed on one host after the other, until all but one have it. */
function upgraded(): Farm {
  const farm = new Farm();
  for (let index = 0; index < HOSTS; index++) farm.add(recordOf(`be${index}`, index < 12 ? NEW : OLD), 5);
  farm.pass(420);
  expect(farm.pass(150, bad(12, SICK)).cohorts).toMatchObject([{labels: {os: 'debian-13'}, explained: true}]);
  for (let index = 12; index < 19; index++) farm.change(`be${index}`, {labels: NEW});
  return farm;
}

test('a cause that has come to be what most hosts show is held against its controls: it is as bad as ever, and moving pays', () => {
  const outcome = upgraded().pass(300, bad(19, SICK));
  const [cohort] = outcome.cohorts;
  expect(cohort).toMatchObject({labels: {os: 'debian-13'}, explained: true, controls: ['be19']});
  expect(cohort?.effect).toBeGreaterThan(100);
  expect(cohort?.effectLow).toBeGreaterThan(100);
  for (const host of cohort?.sick ?? []) {
    const verdict = outcome.verdicts.find(each => each.host === host);
    expect(verdict).toMatchObject({kind: 'sick', because: 'SLI_WORSE_THAN_PEERS'});
    const queue = verdict?.evidence.find(({sli}) => sli === 'queueAgeMsP95');
    expect(queue).toMatchObject({baseline: 300, note: 'floor 30000 ms; 1 controls'});
  }
  expect(stopped(outcome)).not.toContain('CURE_WORSE');
});

test('once the controls feel it as well they are no measure: what all feel is not left behind by moving', () => {
  const outcome = upgraded().pass(300, bad(HOSTS, SICK));
  expect(stopped(outcome)).toContain('CURE_WORSE');
});
