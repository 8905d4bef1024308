import {describe, expect, test} from 'vitest';
import {rollout, type TunedHost} from '../../../../coordinator/tune/rollout.ts';
import type {TunePolicy} from '../../../../wire/policy.ts';
import type {Advice, Change, EndedChange, TuneReport} from '../../../../wire/tune.ts';

const NOW = 1_800_000_000_000;
const POLICY: TunePolicy = {canaryMs: 3_600_000, concurrentMax: 2, restMs: 86_400_000};
const KNOB = 'fs.file-max';

const advice = (knob = KNOB, to = '200', over: Partial<Advice> = {}): Advice => {
  return {
    id: `${knob}=${to}`,
    level: 'automatic',
    knob,
    from: '100',
    to,
    because: 'LIMIT_NEAR',
    evidence: '90 of 100',
    sinceMs: NOW - 1_000,
    ...over,
  };
};
const change = (stage: Change['stage'], ageMs: number, over: Partial<Change> = {}): Change => {
  return {
    knob: KNOB,
    old: '100',
    value: '200',
    adviceId: `${KNOB}=200`,
    by: 'mailherd',
    reason: 'r',
    stage,
    atMs: NOW - ageMs,
    effect: null,
    ...over,
  };
};
const ended = (outcome: EndedChange['outcome'], ageMs: number): EndedChange => {
  return {knob: KNOB, value: '200', adviceId: `${KNOB}=200`, outcome, because: 'b', atMs: NOW - ageMs};
};

function host(name: string, tune: Partial<TuneReport> = {}, over: Partial<TunedHost> = {}): TunedHost {
  const report: TuneReport = {mode: 'on', writer: null, values: {}, advice: [], inert: {}, changes: [], ended: [], retired: [], ...tune};
  return {host: name, role: 'backend', os: 'debian-12', isActive: true, verdict: {kind: 'healthy', sinceMs: 0}, tune: report, ...over};
}

const steps = (hosts: TunedHost[], policy = POLICY): string[] =>
  rollout(hosts, policy, NOW).apply.map(({host: name, adviceId, because}) => `${because} ${name} ${adviceId}`);
const waits = (hosts: TunedHost[]): string[] =>
  rollout(hosts, POLICY, NOW).waiting.map(({knob, kind, code, host: name}) => `${knob} ${kind} ${code} ${name}`);
const wanting = (name: string, over: Partial<TunedHost> = {}): TunedHost => host(name, {advice: [advice()]}, over);

test('one host first', () => {
  expect(steps([wanting('be03'), wanting('be01'), wanting('be02')])).toEqual([`CANARY be01 ${KNOB}=200`]);
});

test('while it is judged, and until it has done well for long enough, nobody follows', () => {
  for (const stage of ['guarded', 'measured'] as const) {
    expect(waits([host('be01', {changes: [change(stage, 9e6)]}), wanting('be02')])).toEqual([`${KNOB} backend debian-12 CANARY_RUNS null`]);
  }
  const young = [host('be01', {changes: [change('kept', 3_599_000)]}), wanting('be02')];
  expect([steps(young), waits(young)]).toEqual([[], [`${KNOB} backend debian-12 CANARY_YOUNG null`]]);
});

test('then the others, a few at a time', () => {
  const proved = host('be01', {changes: [change('kept', 3_600_000)]});
  expect(steps([proved, wanting('be02'), wanting('be03')])).toEqual([`FOLLOWS be02 ${KNOB}=200`]);
  const running = [host('be02', {changes: [change('measured', 1)]}), host('be03', {changes: [change('guarded', 1)]})];
  expect(waits([proved, ...running, wanting('be04')])).toEqual([`${KNOB} backend debian-12 FULL null`]);
});

test('another release, and another role, have first hosts of their own; disks may be called otherwise', () => {
  const hosts = [wanting('be01'), wanting('be02', {os: 'debian-13'}), wanting('ed01', {role: 'edge'})];
  expect(steps(hosts, {...POLICY, concurrentMax: 9})).toEqual([
    `CANARY be01 ${KNOB}=200`,
    `CANARY be02 ${KNOB}=200`,
    `CANARY ed01 ${KNOB}=200`,
  ]);
  const disk = (name: string, knob: string): TunedHost => host(name, {advice: [advice(knob, '32')]});
  expect(steps([disk('be01', 'block.read_ahead_kb/sda'), disk('be02', 'block.read_ahead_kb/vdb')])).toEqual([
    'CANARY be01 block.read_ahead_kb/sda=32',
  ]);
});

describe('nothing where it went wrong', () => {
  test('undone on one host: rests on all of them for a day', () => {
    const hosts = (ageMs: number): TunedHost[] => [host('be01', {ended: [ended('undone', ageMs)], advice: [advice()]}), wanting('be02')];
    expect([steps(hosts(1_000)), waits(hosts(1_000))]).toEqual([[], [`${KNOB} backend debian-12 UNDONE_ELSEWHERE be01`]]);
    expect(steps(hosts(86_400_000))).toEqual([`CANARY be01 ${KNOB}=200`]);
  });

  test.each(['reverted', 'released', 'lost'] as const)('%s is no judgement of the value', outcome => {
    expect(steps([host('be01', {ended: [ended(outcome, 1)]}), wanting('be02')])).toEqual([`CANARY be02 ${KNOB}=200`]);
  });

  test.each(['sick', 'suspect'] as const)('a host that is %s since its change gives it back, and nobody follows', kind => {
    const unwell = host('be01', {changes: [change('kept', 4_000_000)]}, {verdict: {kind, sinceMs: NOW - 1_000}});
    const {apply, revert, waiting} = rollout([unwell, wanting('be02')], POLICY, NOW);
    expect([apply, revert]).toEqual([[], [{host: 'be01', knob: KNOB, because: `${kind} since the change`}]]);
    expect(waiting).toMatchObject([{code: 'TUNED_HOST_UNWELL', host: 'be01'}]);
  });

  test("unwell before the change, or changed on a person's word: it stays", () => {
    const before = host('be01', {changes: [change('kept', 4_000_000)]}, {verdict: {kind: 'sick', sinceMs: NOW - 5_000_000}});
    const byAda = host('be01', {changes: [change('kept', 4_000_000, {by: 'ada'})]}, {verdict: {kind: 'sick', sinceMs: NOW - 1_000}});
    expect([rollout([before], POLICY, NOW).revert, rollout([byAda], POLICY, NOW).revert]).toEqual([[], []]);
  });
});

test.each<[string, TunedHost]>([
  ['mode advise', host('be01', {mode: 'advise', advice: [advice()]})],
  ['no writer', host('be01', {writer: 'ENOENT', advice: [advice()]})],
  ['retired', host('be01', {retired: [KNOB], advice: [advice()]})],
  ['suspect', wanting('be01', {verdict: {kind: 'suspect', sinceMs: 0}})],
  ['silent', wanting('be01', {verdict: {kind: 'silent', sinceMs: 0}})],
  ['not judged yet', wanting('be01', {verdict: null})],
  ['not in service', wanting('be01', {isActive: false})],
  [
    'judging something else',
    host('be01', {advice: [advice()], changes: [change('guarded', 1, {knob: 'vm.dirty', adviceId: 'vm.dirty=1'})]}),
  ],
])('no host for it: %s', (_, one) => {
  expect(steps([one])).toEqual([]);
  expect(waits([one])).toContain(`${KNOB} backend debian-12 NOBODY_FIT null`);
});

test('what a person must do is nobody else’s, and a farm without advice is quiet', () => {
  const hosts = [host('be01', {advice: [advice('vm.swappiness', '10', {level: 'person'})]}), host('be02', {changes: [change('kept', 1)]})];
  expect(rollout(hosts, POLICY, NOW)).toEqual({apply: [], revert: [], waiting: []});
});
