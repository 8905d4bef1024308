import {describe, expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {decide} from '../../../../coordinator/decision/decide.ts';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {Verdict, Veto} from '../../../../wire/record.ts';
import {Farm, GIB, NEW, OLD, type ReportChange, recordOf, SICK, type Weather} from '../fleet-builder.ts';

const vetoesOf = ({decisions}: FlowOutcome, host: string): string[] | undefined =>
  decisions.find(each => each.kind === 'evacuate' && each.host === host)?.vetoes.map(({code}) => code);

/** Hosts whose deliveries take four seconds, more or less. */
function farmOf(hosts: number, users: number): {farm: Farm; pass: (seconds: number, bad?: Weather) => FlowOutcome} {
  const farm = new Farm();
  for (let index = 0; index < hosts; index++) farm.add(recordOf(`be${index}`, OLD), users);
  const rng = seededRng(1);
  const around = (ms: number): number => Math.round(ms * Math.exp(0.2 * (rng.unit() + rng.unit() + rng.unit() - 1.5)));
  const pass = (seconds: number, bad: Weather = {}): FlowOutcome => {
    let outcome: FlowOutcome | null = null;
    for (let passed = 0; passed < seconds; passed += 10) {
      const weather: Weather = {};
      for (const host of farm.fleet.hosts.keys()) {
        const own = bad[host] ?? {};
        weather[host] = {...own, slis: {...own.slis, deliveryMsP95: around(own.slis?.deliveryMsP95 ?? 4_000)}};
      }
      outcome = farm.pass(10, weather);
    }
    if (outcome === null) throw new Error('no round');
    return outcome;
  };
  return {farm, pass};
}

test.each([2, 100])('what only explains makes no cure better: deliveries 1.75 times as slow, a disk flush takes %i ms', diskFlushMs => {
  const {pass} = farmOf(8, 5);
  pass(1_800);
  const outcome = pass(600, {be3: {slis: {deliveryMsP95: 7_000}, kernel: {diskFlushMs}}});
  expect(outcome.verdicts[3]).toMatchObject({kind: 'sick'});
  expect(vetoesOf(outcome, 'be3')).toEqual(['CURE_WORSE']);
});

describe('room', () => {
  const evidence = (ratio: number): Verdict['evidence'] => [
    {sli: 'deliveryMsP95', unit: 'ms', value: 90_000, baseline: 90_000 / ratio, ratio, note: ''},
  ];
  const room = (freeGiB: number): ReportChange => ({mailStore: {totalBytes: 100 * GIB, freeBytes: (15 + freeGiB) * GIB, freeInodes: null}});
  /** Ten hosts with 10 GiB each that may be sick, and two that have room. */
  function sickFarm(freeGiB: number): Farm {
    const farm = new Farm();
    for (let index = 0; index < 12; index++) farm.add(recordOf(`be${index}`, OLD), index < 10 ? 10 : 0);
    farm.pass(10, Object.fromEntries([...farm.fleet.hosts.keys()].map((host, at) => [host, room(at < 10 ? 0 : freeGiB / 2)])));
    return farm;
  }
  function evacuated(farm: Farm, ratios: Record<string, number>, hurtOn: Record<string, number> = {}): Record<string, Veto[]> {
    const verdicts = [...farm.fleet.hosts.keys()].map((host): Verdict => {
      const ratio = ratios[host];
      if (ratio === undefined) return {host, sinceMs: 0, kind: 'healthy', because: 'WITHIN_BOUNDS', evidence: []};
      return {host, sinceMs: 0, kind: 'sick', because: 'SLI_WORSE_THAN_PEERS', evidence: evidence(ratio)};
    });
    const sick = Object.keys(ratios);
    const controls = [...farm.fleet.hosts.keys()].filter(host => ratios[host] === undefined);
    const cohort = {labels: {os: 'x'}, confounded: [], sick, members: sick, controls, controlsSick: 0, effect: 9, chance: 0.01};
    const cohorts = [{...cohort, explained: true, sinceMs: 0, evidence: []}];
    const policy = {...DEFAULT_POLICY, budget: {outShareMax: 1, changedShareMax: 1, windowMs: 1_000}};
    const decisions = decide(farm.fleet, verdicts, cohorts, policy, farm.nowMs, 0, undefined, hurtOn);
    return Object.fromEntries(decisions.flatMap(({kind, host, vetoes}) => (kind === 'evacuate' ? [[host, vetoes]] : [])));
  }
  const codes = (found: Record<string, Veto[]>): Record<string, string[]> =>
    Object.fromEntries(Object.entries(found).map(([host, vetoes]) => [host, vetoes.map(({code}) => code)]));

  test('as many as fit are emptied, those first where most customers are hurt; the others say what is missing', () => {
    const sick = Object.fromEntries(Array.from({length: 10}, (_, index) => [`be${index}`, 20]));
    const found = evacuated(sickFarm(80), sick, {be9: 10, be3: 9, be0: 1, be1: 1, be2: 1, be4: 2, be5: 2, be6: 2, be7: 2, be8: 2});
    const stopped = Object.entries(found).filter(([, vetoes]) => vetoes.length > 0);
    expect(stopped.map(([host]) => host)).toEqual(['be1', 'be2']);
    const detail = {neededBytes: 100 * GIB, freeBytes: 80 * GIB, missingBytes: 20 * GIB};
    expect(stopped[0]?.[1]).toMatchObject([{code: 'DOES_NOT_FIT', detail}]);
    expect(Object.keys(found).slice(0, 2)).toEqual(['be9', 'be3']);
  });

  test('what fits goes though something larger stands before it', () => {
    const farm = sickFarm(80);
    farm.fleet.mailboxes.set('u000@be0.example', {bytes: 60 * GIB, messages: 1});
    expect(codes(evacuated(farm, {be0: 20, be1: 20}, {be0: 10}))).toEqual({be0: ['DOES_NOT_FIT'], be1: []});
  });

  test('a host that is not emptied for another reason takes no room', () => {
    const farm = sickFarm(20);
    farm.change('be3', {kept: {by: 'ada', atMs: 0}});
    const found = codes(evacuated(farm, {be0: 20, be1: 20, be2: 1.7, be3: 20}, {be2: 10, be3: 10}));
    expect(found).toEqual({be0: [], be1: [], be2: ['CURE_WORSE'], be3: ['KEPT_BY_PERSON']});
  });

  test('nowhere to go at all: each of them says so', () => {
    const found = codes(evacuated(sickFarm(0), {be0: 20, be1: 20}));
    expect(found).toEqual({be0: ['NO_HEALTHY_TARGET'], be1: ['NO_HEALTHY_TARGET']});
  });
});

test('a bad release on most hosts: the sick take the capacity that may be out, where most customers are hurt first; the well get what is left', () => {
  const farm = new Farm();
  const name = (index: number): string => `be${String(index).padStart(2, '0')}`;
  for (let index = 0; index < 40; index++) farm.add(recordOf(name(index), index < 8 ? OLD : NEW), index === 39 ? 12 : 6, 1e8);
  farm.policy = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, cordon: 'on', evacuate: 'on'}};
  farm.pass(200);
  const sick = Array.from({length: 23}, (_, at) => name(17 + at));
  const {cohorts, decisions} = farm.pass(100, Object.fromEntries(sick.map(host => [host, SICK])));
  expect(cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, explained: true});
  const free = (kind: string): (string | null)[] =>
    decisions.flatMap(each => (each.kind === kind && each.vetoes.length === 0 ? [each.host] : []));
  expect(free('evacuate').toSorted()).toEqual(sick);
  expect(free('evacuate')[0]).toBe('be39');
  expect(free('cordon').slice(0, 1)).toEqual(['be39']);
  // 0.67 of the capacity may be out, which is 26 hosts.
  expect(free('cordon').toSorted()).toEqual(['be08', 'be09', 'be10', ...sick]);
});
