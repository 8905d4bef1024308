import {expect, test} from 'vitest';
import {emptyMemory, type FlowOutcome} from '../../../../coordinator/flow.ts';
import {NO_INCIDENTS} from '../../../../coordinator/incident/fold.ts';
import {Picture} from '../../../../coordinator/picture.ts';
import {fold} from '../../../../coordinator/report/fold.ts';
import {Farm, NEW, OLD, type ReportChange, recordOf, reportOf, SICK, START_MS} from '../fleet-builder.ts';

const GEN9 = {...OLD, hardware: 'gen9'};
const GEN11 = {...NEW, hardware: 'gen11'};
const decided = ({decisions}: FlowOutcome, kind: string): string[] =>
  decisions.flatMap(each => (each.kind === kind && each.host !== null ? [each.host] : []));

/** The first of the hosts run another release on other hardware. */
function mixed(bad: number, all: number): {farm: Farm; on: (change: ReportChange) => Record<string, ReportChange>; names: string[]} {
  const farm = new Farm();
  for (let index = 0; index < all; index++) farm.add(recordOf(`be${index}`, index < bad ? GEN11 : GEN9), 2);
  const names = Array.from({length: bad}, (_, index) => `be${index}`);
  return {farm, names, on: change => Object.fromEntries(names.map(name => [name, change]))};
}

test('thirty of fifty are sick from birth, their release is their hardware: a cause, with an experiment on two', () => {
  const {farm, on} = mixed(30, 50);
  const outcome = farm.pass(400, on(SICK));
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick')).toHaveLength(30);
  expect(outcome.cohorts).toMatchObject([{labels: {os: 'debian-13'}, explained: true, experiment: {change: 'os', hosts: ['be0', 'be1']}}]);
  expect(outcome.cohorts[0]?.confounded).toContain('hardware');
  expect(outcome.decisions.some(({kind, because}) => kind === 'page' && because === 'TOO_MANY_UNEXPLAINED')).toBe(false);
});

test('and after a coordinator that knows nothing has taken over', () => {
  const {farm, names, on} = mixed(6, 10);
  farm.pass(900);
  farm.pass(200, on(SICK));
  farm.memory = emptyMemory();
  expect(decided(farm.pass(300, on(SICK)), 'evacuate')).toEqual(names);
});

test('slower hardware on most hosts makes nobody sick', () => {
  const {farm, on} = mixed(6, 10);
  const outcome = farm.pass(900, on({slis: {deliveryMsP95: 3_800}}));
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick')).toEqual([]);
});

test('a coordinator that starts amid trouble goes on from the incident that lasts', () => {
  const {farm, names, on} = mixed(6, 10);
  const picture = new Picture();
  const ill = Object.fromEntries(names.map(name => [name, 'sick' as const]));
  picture.incidents.apply({key: 'state', value: {...NO_INCIDENTS, ill}, revision: 1, storedAtMs: START_MS});
  for (const [key, {record}] of farm.fleet.hosts) picture.applyHost({key, value: record, revision: 1, storedAtMs: START_MS});
  // Back from its reinstall: another host.
  const back = {...recordOf('be0', GEN11), stage: 'probation' as const};
  picture.applyHost({key: 'be0', value: back, revision: 2, storedAtMs: START_MS});
  const mild = {...on({slis: {deliveryMsP95: 12_000}}), be0: {}};
  const weather: Record<string, ReportChange> = Object.fromEntries(
    [...farm.fleet.hosts.keys()].map(name => [name, {slis: {deliveryMsP95: 3_000}}]),
  );
  let outcome: FlowOutcome | null = null;
  for (let round = 1; round <= 20; round++) {
    const nowMs = START_MS + round * 10_000;
    for (const [name, {record}] of picture.fleet.hosts)
      fold(picture.fleet, reportOf(record, round, nowMs, {...weather, ...mild}[name]), nowMs);
    outcome = picture.judge([], [], nowMs);
  }
  const kinds = Object.fromEntries(outcome?.verdicts.map(({host, kind}) => [host, kind]) ?? []);
  expect(kinds).toMatchObject({be0: 'healthy', be1: 'sick', be5: 'sick', be6: 'healthy'});
});
