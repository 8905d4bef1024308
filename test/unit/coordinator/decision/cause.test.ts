import {describe, expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {DAY_MS} from '../../../../base/units.ts';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import type {Experiment} from '../../../../wire/incident.ts';
import type {Labels} from '../../../../wire/schema.ts';
import {decisionWords, experimentWish} from '../../../../wire/words.ts';
import {Farm, IDLE, OLD, type ReportChange, recordOf, SICK, START_MS, type Weather} from '../fleet-builder.ts';

const vetoesOf = ({decisions}: FlowOutcome, host: string): string[] | undefined =>
  decisions.find(decision => decision.kind === 'evacuate' && decision.host === host)?.vetoes.map(({code}) => code);
const decided = ({decisions}: FlowOutcome, kind: string): (string | null)[] => decisions.filter(d => d.kind === kind).map(({host}) => host);

/** Twelve hosts in three racks, that are new. */
function newRacks(): Farm {
  const farm = new Farm();
  for (let index = 0; index < 12; index++) farm.add(recordOf(`be${index}`, {...OLD, rack: `r${Math.floor(index / 4)}`}), 5);
  return farm;
}

function racks(): Farm {
  const farm = newRacks();
  farm.pass(400);
  return farm;
}

/** The newest release on the newest hardware. */
function confounded(): Farm {
  const farm = new Farm();
  for (let index = 0; index < 12; index++) {
    const isNew = index >= 8;
    farm.add(recordOf(`be${index}`, {...OLD, os: isNew ? 'debian-13' : 'debian-12', hardware: isNew ? 'gen11' : 'gen9'}), 5);
  }
  farm.policy = {...farm.policy, modes: {...farm.policy.modes, reinstall: 'on'}};
  farm.pass(400);
  return farm;
}

const sick = (hosts: readonly number[]): Weather => Object.fromEntries(hosts.map(index => [`be${index}`, SICK]));

test('a rack whose network loses packets: its hosts are sick, a person is called, nobody is moved', () => {
  const farm = racks();
  const lossy = {...SICK, kernel: {retransmitsPerSecond: 90}};
  const outcome = farm.pass(200, {be0: lossy, be1: lossy, be2: lossy, be3: lossy});
  expect(outcome.cohorts[0]).toMatchObject({labels: {rack: 'r0'}, explained: true, notHosts: 'network'});
  for (const host of ['be0', 'be1', 'be2', 'be3']) expect(vetoesOf(outcome, host)).toEqual(['NOT_THE_HOSTS']);
  expect(outcome.decisions.find(({kind}) => kind === 'page')?.because).toBe('NOT_THE_HOSTS');
  const disk = racks().pass(200, sick([0, 1, 2, 3]));
  expect(vetoesOf(disk, 'be0')).toEqual([]);
});

test('while hosts still fall sick, what they share is awaited before they are moved', () => {
  const farm = racks();
  farm.pass(60, sick([0]));
  const open = farm.pass(60, sick([0, 5]));
  expect(vetoesOf(open, 'be0')).toEqual(['CAUSE_OPEN']);
  expect(vetoesOf(farm.pass(60, sick([0, 5])), 'be0')).toEqual([]);
});

test('the slower they follow each other the longer, so that nobody is moved before a cause could be named', () => {
  const farm = racks();
  farm.pass(200, sick([0]));
  farm.pass(60, sick([0, 5]));
  expect(vetoesOf(farm.pass(60, sick([0, 5])), 'be0')).toEqual(['CAUSE_OPEN']);
  expect(vetoesOf(farm.pass(100, sick([0, 5])), 'be0')).toEqual([]);
});

test('who feels it more than others do is no control, though it is not proved', () => {
  const controls = (factor: number): string[] | undefined => {
    const late = (index: number): ReportChange => ({slis: {deliveryMsP95: 4_900 * (index === 0 ? 10 : index > 8 ? factor : 1)}});
    const weather = Object.fromEntries(Array.from({length: 12}, (_, index) => [`be${index}`, late(index)]));
    return newRacks().pass(400, weather).cohorts[0]?.controls;
  };
  expect(controls(1.4)).not.toContain('be9');
  expect(controls(1.05)).toContain('be9');
});

test('who felt something a moment ago and was never proved to is a control again', () => {
  const farm = newRacks();
  const weather = (factor: number): Record<string, ReportChange> => {
    const late = (index: number): ReportChange => ({slis: {deliveryMsP95: index === 0 ? 49_000 : index === 9 ? 4_200 * factor : 4_200}});
    return Object.fromEntries(Array.from({length: 12}, (_, index) => [`be${index}`, late(index)]));
  };
  farm.pass(300, weather(1));
  const reasons: string[] = [];
  const seen = (factor: number): void => {
    const {verdicts, cohorts} = farm.pass(10, weather(factor));
    const {because = ''} = verdicts.find(({host}) => host === 'be9') ?? {};
    reasons.push(`${because} ${cohorts[0]?.controls.includes('be9')}`);
  };
  for (let round = 0; round < 5; round++) seen(1.5);
  for (let round = 0; round < 8; round++) seen(1);
  expect(reasons).toContain('RECOVERING true');
  expect(reasons).not.toContain('RECOVERING false');
});

test('labels that cannot be told apart: two hosts at a time are reinstalled, those that the verdict names', () => {
  const farm = confounded();
  farm.pass(200, sick([8, 9, 10, 11]));
  for (const index of [8, 9, 10, 11]) {
    farm.change(`be${index}`, {stage: 'drained', cordon: {by: 'mailherd', reason: 'x', atMs: 0}});
  }
  const outcome = farm.pass(20, sick([8, 9, 10, 11]));
  expect(outcome.cohorts[0]?.experiment).toEqual({change: 'os', hosts: ['be10', 'be11']});
  expect(decided(outcome, 'reinstall')).toEqual(['be10', 'be11']);
  // Whoever is asked for first is one of the two from then on.
  farm.change('be9', {reinstallAskedBy: 'mailherd', reinstallTo: 'debian-12'});
  const second = farm.pass(10, sick([8, 10, 11]));
  expect(second.cohorts[0]?.experiment?.hosts).toEqual(['be9', 'be10']);
  expect(decided(second, 'reinstall')).toEqual(['be10']);
  farm.change('be10', {reinstallAskedBy: 'mailherd', reinstallTo: 'debian-12'});
  expect(decided(farm.pass(10, sick([8, 11])), 'reinstall')).toEqual([]);
});

describe('two hosts that came back with another release', () => {
  const CORDON = {by: 'mailherd', reason: 'x', atMs: 0};
  const empty: ReportChange = {...IDLE, generation: 2};

  /** The four of the newest hardware were emptied, two of them were reinstalled, proved well on probation, and are still empty. */
  function tried(outcome: Experiment['outcome'] = null, agoMs = 0): {farm: Farm; asked: () => (string | null)[]} {
    const farm = confounded();
    farm.pass(200, sick([8, 9, 10, 11]));
    for (const index of [8, 9, 10, 11]) {
      farm.change(`be${index}`, {stage: 'drained', cordon: CORDON});
      for (const [user, route] of farm.fleet.routes)
        if (route.host === `be${index}`) farm.fleet.routes.set(user, {...route, host: `be${index - 8}`});
    }
    const {labels, alternatives = []} = farm.pass(20, sick([8, 9, 10, 11])).cohorts[0] ?? {labels: {}};
    for (const host of ['be10', 'be11']) farm.change(host, {stage: 'reinstalling'});
    farm.pass(60, {...sick([8, 9]), be10: null, be11: null});
    const hosts = ['be8', 'be9', 'be10', 'be11'];
    farm.fleet.experiments = [{labels, alternatives, change: 'os', from: 'debian-13', hosts, sinceMs: farm.nowMs - agoMs, outcome}];
    const history = [{stage: 'probation' as const, atMs: farm.nowMs - agoMs, reason: 'reports as debian-12'}];
    for (const host of ['be10', 'be11']) farm.change(host, {stage: 'active', labels: {...OLD, hardware: 'gen11'}, history});
    const asked = (): (string | null)[] => decided(farm.pass(300, {...sick([8, 9]), be10: empty, be11: empty}), 'reinstall');
    return {farm, asked};
  }

  test('past probation and still empty they have not told anything: no other is reinstalled, but for so long only, or until one is gone', () => {
    const {farm, asked} = tried();
    expect(asked()).toEqual([]);
    farm.change('be11', {stage: 'retired'});
    expect(asked()).toHaveLength(1);
    expect(tried(null, DAY_MS - 3_600_000).asked()).toEqual([]);
    expect(tried(null, DAY_MS).asked()).toEqual(['be8', 'be9']);
  });

  test('what they told: another label is to blame, and no other is reinstalled; they do not agree, and the next two are', () => {
    const outcome = (blamed: Labels[], cleared: Labels[]): Experiment['outcome'] => ({atMs: START_MS, blamed, cleared, hosts: []});
    expect(tried(outcome([{hardware: 'gen11'}], [{os: 'debian-13'}])).asked()).toEqual([]);
    const {farm} = tried(outcome([{hardware: 'gen11'}], [{os: 'debian-13'}]));
    for (const host of ['be10', 'be11']) farm.change(host, {stage: 'retired'});
    const {decisions} = farm.pass(300, {...sick([8, 9]), be10: null, be11: null});
    expect(decisions.filter(({kind}) => kind === 'reinstall')).toEqual([]);
    expect(decisions.some(({kind, because}) => kind === 'page' && because.startsWith('BY_HAND'))).toBe(true);
    expect(tried(outcome([], [])).asked()).toEqual(['be8', 'be9']);
    expect(tried(outcome([{os: 'debian-13'}], [{hardware: 'gen11'}])).asked()).toEqual(['be8', 'be9']);
  });
});

test('not twice as slow is sick where users feel it, and no reason to move them', () => {
  /** All are near the floor, as ever; be3 becomes so many times slower than they. */
  const played = (factor: number): FlowOutcome => {
    const rng = seededRng(3);
    const farm = newRacks();
    const round = (slow: number): FlowOutcome => {
      const change = (index: number): ReportChange => ({slis: {deliveryMsP95: 3_500 * (index === 3 ? slow : 1) * rng.between(0.8, 1.25)}});
      return farm.pass(10, Object.fromEntries(Array.from({length: 12}, (_, index) => [`be${index}`, change(index)])));
    };
    for (let quiet = 0; quiet < 100; quiet++) round(1);
    for (let slow = 0; slow < 59; slow++) round(factor);
    return round(factor);
  };
  const mild = played(1.7);
  expect(mild.verdicts.find(({host}) => host === 'be3')?.kind).toBe('sick');
  expect(vetoesOf(mild, 'be3')).toEqual(['CURE_WORSE']);
  expect(vetoesOf(played(4), 'be3')).toEqual([]);
});

test('most hosts are slower than the newest few: that is the new hardware, unless some of the old do as well', () => {
  const slower = (factor: number, fast: number): FlowOutcome => {
    const farm = new Farm();
    for (let index = 0; index < 12; index++)
      farm.add(recordOf(`be${index}`, {...OLD, hardware: index >= 8 && fast === 8 ? 'new' : 'old'}), 5);
    const weather = Object.fromEntries(
      Array.from({length: 12}, (_, index) => [`be${index}`, {slis: {deliveryMsP95: 3_000 * (index >= fast ? 1 : factor)}}]),
    );
    return farm.pass(900, weather);
  };
  for (const factor of [2, 10]) expect(slower(factor, 8).verdicts.some(({kind}) => kind === 'sick')).toBe(false);
  expect(slower(10, 9).verdicts.filter(({kind}) => kind === 'sick')).toHaveLength(9);
});

test('when most hosts get faster, those left behind are neither sick nor suspect; one that gets slower by itself is', () => {
  const left = (factor: number): string[] => {
    const rng = seededRng(5);
    const farm = newRacks();
    const round = (fast: number, slow: number): FlowOutcome => {
      const change = (index: number): ReportChange => ({
        slis: {deliveryMsP95: 5_200 * (index < 7 ? fast : index === 9 ? slow : 1) * rng.between(0.9, 1.1)},
      });
      return farm.pass(10, Object.fromEntries(Array.from({length: 12}, (_, index) => [`be${index}`, change(index)])));
    };
    for (let quiet = 0; quiet < 100; quiet++) round(1, 1);
    const outcomes = Array.from({length: 100}, () => round(1 / 3, factor));
    const slow = outcomes.flatMap(({verdicts}) => verdicts.filter(({kind, because}) => kind === 'sick' || because === 'WORSE_NOT_FELT'));
    return [...new Set(slow.map(({host}) => host))];
  };
  expect(left(1)).toEqual([]);
  expect(left(4)).toEqual(['be9']);
});

test('a cause that no release takes away calls a person, who is told what to do', () => {
  const farm = new Farm();
  for (let index = 0; index < 10; index++) {
    farm.add(recordOf(`be${index}`, {...OLD, kernel: index < 4 ? '6.12-bad' : '6.1', rack: `r${index % 3}`}), 5);
  }
  farm.pass(400);
  const outcome = farm.pass(200, sick([0, 1, 2, 3]));
  expect(decided(outcome, 'reinstall')).toEqual([]);
  const pages = outcome.decisions.filter(({kind}) => kind === 'page');
  expect(pages.map(decision => decisionWords(decision))).toEqual([
    'page the farm (BY_HAND kernel=6.12-bad): install another kernel on be0, be1, be2, be3 once they are empty, then: mailherd uncordon HOST',
  ]);
});

test('an experiment with what only a person can change says so', () => {
  const farm = new Farm();
  for (let index = 0; index < 12; index++) {
    farm.add(recordOf(`be${index}`, {...OLD, kernel: index < 4 ? '6.12' : '6.1', hardware: index < 4 ? 'gen11' : 'gen9'}), 5);
  }
  farm.pass(400);
  const outcome = farm.pass(200, sick([0, 1, 2, 3]));
  const experiment = outcome.cohorts[0]?.experiment;
  expect(experiment === undefined ? '' : experimentWish(experiment)).toBe('change kernel on be0, be1 first, by hand');
  const pages = outcome.decisions.filter(({kind}) => kind === 'page');
  expect(pages.map(decision => decisionWords(decision))).toEqual([
    'page the farm (BY_HAND kernel=6.12): install another kernel on be0, be1 once they are empty, and on no other before these have shown what it is, then: mailherd uncordon HOST',
  ]);
});

test('a host that is sick alone and was emptied waits for a person, who is called once it is empty', () => {
  const farm = new Farm();
  for (let index = 0; index < 6; index++) farm.add(recordOf(`be${index}`, OLD), index === 1 ? 0 : 5);
  farm.pass(400);
  const calls = (): string[] =>
    farm
      .pass(100, sick([1]))
      .decisions.filter(({kind}) => kind === 'page')
      .map(decision => decisionWords(decision));
  // It has just fallen sick, and takes new mailboxes.
  expect(calls()).toEqual([]);
  farm.change('be1', {stage: 'drained', cordon: {by: 'mailherd', reason: 'SICK_ALONE', atMs: 0}});
  expect(calls()).toEqual([
    'page be1 (BY_HAND): nothing explains it and it is empty: repair it, then mailherd uncordon HOST, or mailherd reinstall or retire HOST',
  ]);
  farm.change('be1', {reinstallAskedBy: 'ada', reinstallTo: 'debian-12'});
  expect(calls()).toEqual([]);
});
