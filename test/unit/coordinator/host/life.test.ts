import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {MailherdError} from '../../../../base/errors.ts';
import {MAILHERD} from '../../../../coordinator/host/cordon.ts';
import {isPaused} from '../../../../coordinator/host/emptying.ts';
import type {HostFacts} from '../../../../coordinator/host/facts.ts';
import {assertWipeToken, type HostEffect, type HostHappening, live, newHost} from '../../../../coordinator/host/life.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {HostRecord, HostStage} from '../../../../wire/record.ts';

const POLICY: Policy = {
  ...DEFAULT_POLICY,
  move: {...DEFAULT_POLICY.move, retainMs: 60_000, quietMs: 5_000},
  host: {probationMs: 30_000, wipeTokenMs: 20_000, reinstallTimeoutMs: 300_000, reinstallMax: 1},
};
const EMPTY_ANSWER = {users: 0, queued: 0, copies: []};

function facts(over: Partial<HostFacts> = {}): HostFacts {
  return {
    report: {generation: 4, labels: {os: 'debian-13'}},
    verdict: 'healthy',
    wellSinceMs: 0,
    blamelessSinceMs: 0,
    users: 0,
    moves: 0,
    waiting: 0,
    retained: [],
    driver: 'none',
    ...over,
  };
}

/** A host with its clock; notes every effect. */
class Host {
  record: HostRecord;
  nowMs = 1_000_000;
  effects: HostEffect[] = [];

  constructor(stage: HostStage = 'active', over: Partial<HostRecord> = {}) {
    this.record = {
      ...newHost('be07', 'backend', '10.0.0.7', 'ada', 1_000_000),
      stage,
      agentGeneration: 4,
      labels: {os: 'debian-13'},
      ...over,
    };
  }

  happens(happening: HostHappening, laterMs = 1_000): HostEffect[] {
    this.nowMs += laterMs;
    const turn = live(this.record, happening, POLICY, this.nowMs);
    this.record = turn.record;
    this.effects.push(...turn.effects);
    return turn.effects;
  }

  sees(over: Partial<HostFacts> = {}, laterMs = 1_000): HostEffect[] {
    return this.happens({type: 'observed', facts: facts(over)}, laterMs);
  }

  checked(over: Partial<Extract<HostHappening, {type: 'wipeChecked'}>> = {}): HostEffect[] {
    return this.happens({
      type: 'wipeChecked',
      facts: facts(),
      retained: [],
      answer: EMPTY_ANSWER,
      token: 'be07:secret',
      mayReinstall: true,
      ...over,
    });
  }
}

describe('the way of a new host', () => {
  test('arrived, provisioning, probation, active; every stage timed', () => {
    const host = new Host('arrived', {agentGeneration: null, labels: {}});
    host.sees({report: null, verdict: null, wellSinceMs: null});
    host.sees({report: null, verdict: null, wellSinceMs: null});
    expect(host.record.stage).toBe('provisioning');
    host.sees({verdict: 'unknown', wellSinceMs: null}, 5_000);
    expect(host.record).toMatchObject({stage: 'probation', agentGeneration: 4, labels: {os: 'debian-13'}});
    const beganMs = host.nowMs;
    host.sees({verdict: 'unknown', wellSinceMs: beganMs + 1_000}, 30_000);
    expect(host.record.stage).toBe('probation');
    host.sees({verdict: 'unknown', wellSinceMs: beganMs + 1_000}, 1_000);
    expect(host.record.stage).toBe('active');
    expect(host.effects.filter(effect => effect.kind === 'staged').map(effect => [effect.to, effect.tookMs])).toEqual([
      ['provisioning', 1_000],
      ['probation', 6_000],
      ['active', 31_000],
    ]);
  });

  test('a host that is not well for the whole probation does not become active, and at last a person is called', () => {
    const host = new Host('probation');
    for (let minute = 0; minute < 5; minute++) host.sees({verdict: 'sick', wellSinceMs: null}, 60_000);
    expect(host.record.stage).toBe('probation');
    host.sees({verdict: 'sick', wellSinceMs: null}, 60_000);
    expect(host.record.history.at(-1)).toMatchObject({stage: 'failed', reason: 'PROBATION_OVERDUE'});
  });
});

describe('evacuation to return', () => {
  test('a person who evacuates what Mailherd has cordoned leaves it the way back; what nobody asked to reinstall stays drained', () => {
    const host = new Host('suspect', {cordon: {by: MAILHERD, reason: 'SICK', atMs: 1}});
    host.happens({type: 'evacuated', by: 'ada', reason: 'yes, do', release: 'debian-12', asksReinstall: false});
    expect(host.record).toMatchObject({stage: 'draining', cordon: {by: MAILHERD}, reinstallTo: 'debian-12', reinstallAskedBy: null});
    host.sees();
    expect(host.sees()).toEqual([]);
    expect(host.record.stage).toBe('drained');
    const own = new Host('active');
    own.happens({type: 'evacuated', by: 'ada', reason: 'mine', release: null, asksReinstall: false});
    expect(own.record).toMatchObject({cordon: {by: 'ada', reason: 'mine'}, reinstallTo: null});
  });

  test('the whole circle, with the cordon lifted at the end because it was ours', () => {
    const host = new Host('suspect');
    host.happens({type: 'evacuated', by: MAILHERD, reason: 'COHORT_SICK', release: 'debian-12', asksReinstall: true});
    expect(host.record).toMatchObject({stage: 'draining', reinstallTo: 'debian-12', cordon: {by: MAILHERD}});
    host.sees({users: 3, moves: 2, waiting: 1});
    host.sees({users: 0, moves: 1});
    expect(host.record.stage).toBe('draining');
    host.sees();
    expect(host.record.stage).toBe('drained');
    const young = {retained: [{moveId: 'move-0001', sinceMs: host.nowMs}]};
    expect(host.sees(young)).toEqual([]);
    expect(host.sees(young, 60_000)).toEqual([{kind: 'checkWipe', retained: ['move-0001']}]);
    host.checked({facts: facts(young), retained: ['move-0001']});
    expect(host.record).toMatchObject({stage: 'safeToWipe', wipe: {token: 'be07:secret', expiresAtMs: host.nowMs + 20_000}});
    expect(host.checked({facts: facts(young), retained: ['move-0001']})).toContainEqual({
      kind: 'reinstall',
      release: 'debian-12',
      token: 'be07:secret',
    });
    expect(host.record.stage).toBe('reinstalling');
    host.sees({report: {generation: 5, labels: {os: 'debian-12'}}, driver: 'running'});
    expect(host.record.stage).toBe('reinstalling');
    host.happens({type: 'driverEnded', ok: true, reason: ''});
    expect(host.sees({report: {generation: 1, labels: {os: 'debian-12'}}, driver: 'ended'})).toContainEqual({kind: 'markWiped'});
    expect(host.record).toMatchObject({
      stage: 'probation',
      wipe: null,
      labels: {os: 'debian-12'},
      agentGeneration: 1,
      cordon: {by: MAILHERD},
    });
    host.sees({report: {generation: 1, labels: {os: 'debian-12'}}, wellSinceMs: host.nowMs}, 30_000);
    expect(host.record).toMatchObject({stage: 'active', cordon: null, reinstallTo: null, reinstallAskedBy: null});
  });

  test("a person's cordon outlives the return", () => {
    const host = new Host('suspect', {cordon: {by: 'ada', reason: 'mine', atMs: 1}});
    host.happens({type: 'evacuated', by: MAILHERD, reason: 'COHORT_SICK', release: 'debian-12', asksReinstall: true});
    host.record = {...host.record, stage: 'probation', sinceMs: host.nowMs};
    host.sees({wellSinceMs: 0}, 60_000);
    expect(host.record).toMatchObject({stage: 'active', cordon: {by: 'ada'}});
  });

  test('the old system that comes back instead of the wanted release is not taken in', () => {
    const host = new Host('reinstalling', {
      reinstallTo: 'debian-12',
      reinstallAskedBy: MAILHERD,
      wipe: {token: 'be07:x', expiresAtMs: 9e12},
    });
    host.sees({report: {generation: 5, labels: {os: 'debian-13'}}, driver: 'ended'});
    expect(host.record.history.at(-1)).toMatchObject({stage: 'failed', reason: 'REINSTALL_OTHER_RELEASE'});
  });

  test('an agent that starts anew is not taken for a system installed anew with the same release', () => {
    const labels = {os: 'debian-13'};
    const host = new Host('reinstalling', {
      reinstallTo: 'debian-13',
      reinstallAskedBy: 'ada',
      labels,
      agentGeneration: 4,
      installation: 2,
      wipe: {token: 'be07:x', expiresAtMs: 9e12},
    });
    expect(host.sees({report: {generation: 5, installation: 2, labels}})).toEqual([]);
    expect(host.record.stage).toBe('reinstalling');
    expect(host.sees({report: {generation: 6, installation: 6, labels}})).toContainEqual({kind: 'markWiped'});
    expect(host.record).toMatchObject({stage: 'probation', agentGeneration: 6, installation: 6});
    const before = host.record;
    host.sees({report: {generation: 6, labels}, wellSinceMs: null});
    expect(host.record).toBe(before);
  });

  test('a failed driver and a silent host end in failed; the wanted release, when it reports after all, is taken in', () => {
    const host = new Host('reinstalling', {
      reinstallTo: 'debian-12',
      reinstallAskedBy: MAILHERD,
      wipe: {token: 'be07:x', expiresAtMs: 9e12},
    });
    host.happens({type: 'driverEnded', ok: false, reason: 'exit 3'});
    expect(host.record.stage).toBe('failed');
    host.sees({report: {generation: 4, labels: {os: 'debian-13'}}});
    expect(host.record.stage).toBe('failed');
    host.sees({report: {generation: 1, labels: {os: 'debian-12'}}});
    expect(host.record.stage).toBe('probation');
    const overdue = new Host('reinstalling', {reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
    overdue.sees({}, 300_001);
    expect(overdue.record.history.at(-1)).toMatchObject({stage: 'failed', reason: 'REINSTALL_OVERDUE'});
  });

  test('emptying is paused and resumed while it lasts, noted once, and forgotten with its end', () => {
    const host = new Host('active');
    const pause = {type: 'emptyingPaused', by: 'ada', reason: 'switch'} as const;
    expect(() => host.happens(pause)).toThrow(/HOST_STATE/);
    host.happens({type: 'evacuated', by: 'ada', reason: 'disk', release: null, asksReinstall: false, isLow: true});
    expect(host.record.emptying).toEqual({isLow: true, paused: null});
    expect(host.happens(pause)).toEqual([{kind: 'emptyingPaused', by: 'ada', reason: 'switch'}]);
    expect(host.record.emptying).toEqual({isLow: true, paused: {by: 'ada', reason: 'switch', atMs: host.nowMs}});
    expect([isPaused(host.record), host.happens({...pause, by: 'eve'})]).toEqual([true, []]);
    expect(host.record.emptying?.paused?.by).toBe('ada');
    expect(host.happens({type: 'emptyingResumed', by: 'eve'})).toEqual([{kind: 'emptyingResumed', by: 'eve'}]);
    expect([isPaused(host.record), host.happens({type: 'emptyingResumed', by: 'eve'})]).toEqual([false, []]);
    host.happens(pause);
    host.sees({users: 0, moves: 0, waiting: 0});
    expect([host.record.stage, host.record.emptying]).toEqual(['drained', undefined]);
  });

  test('who asks for more haste gets it, and what was paused stays so', () => {
    const host = new Host('active');
    const evacuated = {type: 'evacuated', by: 'ada', reason: 'disk', release: null, asksReinstall: false} as const;
    host.happens({...evacuated, isLow: true});
    host.happens({type: 'emptyingPaused', by: 'ada', reason: 'switch'});
    host.happens(evacuated);
    expect(host.record.emptying).toMatchObject({isLow: false, paused: {by: 'ada'}});
  });

  test('uncordon keeps a draining host and drops what waits; a host being reinstalled refuses', () => {
    const host = new Host('draining', {cordon: {by: MAILHERD, reason: 'x', atMs: 1}, reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
    expect(host.happens({type: 'uncordoned', by: 'ada'})).toContainEqual({kind: 'dropWaiting'});
    expect(host.record).toMatchObject({stage: 'active', cordon: null, reinstallTo: null, reinstallAskedBy: null});
    expect(() => new Host('reinstalling').happens({type: 'uncordoned', by: 'ada'})).toThrow(MailherdError);
    expect(() =>
      new Host('active', {role: 'edge'}).happens({type: 'evacuated', by: 'ada', reason: '', release: null, asksReinstall: false}),
    ).toThrow(/HOST_STATE/);
  });

  test('a person who takes a host back from us is remembered until it is well, or until a person decides again', () => {
    const ours = {cordon: {by: MAILHERD, reason: 'x', atMs: 1}};
    const host = new Host('draining', ours);
    host.happens({type: 'uncordoned', by: 'ada'});
    expect(host.record.kept).toMatchObject({by: 'ada'});
    host.sees({verdict: 'sick'});
    expect(host.record).toMatchObject({stage: 'suspect', kept: {by: 'ada'}});
    host.sees({verdict: 'healthy'});
    expect(host.record).not.toHaveProperty('kept');
    const other = new Host('suspect', ours);
    other.happens({type: 'uncordoned', by: 'ada'});
    other.happens({type: 'cordoned', by: 'ben', reason: 'r'});
    expect(other.record).not.toHaveProperty('kept');
    const own = new Host('suspect', {cordon: {by: 'ada', reason: 'x', atMs: 1}});
    own.happens({type: 'uncordoned', by: 'ada'});
    expect(own.record).not.toHaveProperty('kept');
  });

  test.each([
    [MAILHERD, 'ada'],
    ['ada', undefined],
  ])('of what %s began to empty under the cordon of a person, who ends it keeps it from us: %s', (by, keeper) => {
    const host = new Host('suspect', {cordon: {by: 'ada', reason: 'x', atMs: 1}});
    host.happens({type: 'evacuated', by, reason: 'r', release: null, asksReinstall: false});
    host.sees();
    expect(host.record).toMatchObject({stage: 'drained', cordon: {by: 'ada'}, emptiedBy: by});
    host.happens({type: 'uncordoned', by: 'ada'});
    expect([host.record.stage, host.record.kept?.by, host.record.emptiedBy]).toEqual(['active', keeper, undefined]);
  });

  test.each([
    ['silent', {verdict: 'silent'}],
    ['without a report', {report: null}],
    ['with a verdict not known', {verdict: null}],
  ] as const)('a host %s is never asked whether it may be wiped', (_name, over) => {
    const host = new Host('drained', {reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
    expect(host.sees(over)).toEqual([]);
    expect(host.record.stage).toBe('drained');
  });

  test.each([
    ['a routed user', {facts: facts({users: 1})}],
    ['users not known', {facts: facts({users: null})}],
    ['a move', {facts: facts({moves: 1})}],
    ['queued mail', {answer: {...EMPTY_ANSWER, queued: 1}}],
    ['a user by its own table', {answer: {...EMPTY_ANSWER, users: 1}}],
    ['a copy of unknown origin', {answer: {...EMPTY_ANSWER, copies: [{user: 'a', moveId: 'm', kind: 'incoming'}]}}],
    ['a copy that is not due', {retained: ['move-0009']}],
  ])('%s forbids the wipe', (_name, over) => {
    const drained = new Host('drained', {reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
    drained.checked(over);
    expect(drained.record).toMatchObject({stage: 'drained', wipe: null});
    const allowed = new Host('safeToWipe', {
      reinstallTo: 'debian-12',
      reinstallAskedBy: MAILHERD,
      wipe: {token: 'be07:t', expiresAtMs: 9e12},
    });
    expect(allowed.checked(over).map(effect => effect.kind)).not.toContain('reinstall');
    expect(allowed.record).toMatchObject({stage: 'drained', wipe: null});
  });
});

test('the token is of this host, this one, and not expired', () => {
  const {record} = new Host('reinstalling', {wipe: {token: 'be07:good', expiresAtMs: 5_000}});
  expect(() => assertWipeToken(record, 'be07:good', 4_999)).not.toThrow();
  expect(() => assertWipeToken(record, 'be07:good', 5_000)).toThrow(/WIPE_TOKEN/);
  expect(() => assertWipeToken(record, 'be07:bad', 1)).toThrow(/WIPE_TOKEN/);
  expect(() => assertWipeToken({...record, wipe: null}, 'be07:good', 1)).toThrow(/WIPE_TOKEN/);
  expect(() => assertWipeToken({...record, host: 'be08'}, 'be07:good', 1)).toThrow(/WIPE_TOKEN/);
});

const anyFacts: fc.Arbitrary<HostFacts> = fc.record({
  report: fc.constantFrom(null, {generation: 4, labels: {os: 'debian-13'}}, {generation: 5, labels: {os: 'debian-12'}}),
  verdict: fc.constantFrom(null, 'healthy', 'healthy', 'sick', 'silent', 'unknown'),
  wellSinceMs: fc.constantFrom(null, 0),
  blamelessSinceMs: fc.constant(null),
  users: fc.constantFrom(0, 0, 0, 2, null),
  moves: fc.constantFrom(0, 0, 0, 1, null),
  waiting: fc.constantFrom(0, 0, 0, 1),
  retained: fc.constantFrom([], [], [{moveId: 'move-0001', sinceMs: 1_000_000}]),
  driver: fc.constantFrom('none', 'running', 'ended'),
});
const someFacts = fc.oneof({weight: 3, arbitrary: fc.constant(facts())}, {weight: 2, arbitrary: anyFacts});
const someHappening: fc.Arbitrary<HostHappening> = fc.oneof(
  {weight: 4, arbitrary: someFacts.map(seen => ({type: 'observed' as const, facts: seen}))},
  fc.constantFrom<HostHappening>(
    {type: 'cordoned', by: 'ada', reason: 'r'},
    {type: 'uncordoned', by: 'ada'},
    {type: 'reinstallAsked', by: 'ada', release: 'debian-12'},
    {type: 'retired', by: 'ada', reason: 'r', facts: facts({report: null})},
    {type: 'driverEnded', ok: true, reason: ''},
    {type: 'driverEnded', ok: false, reason: 'r'},
  ),
  fc.constantFrom<HostHappening>(
    {type: 'evacuated', by: MAILHERD, reason: 'r', release: 'debian-12', asksReinstall: true},
    {type: 'evacuated', by: 'ada', reason: 'r', release: null, asksReinstall: false},
  ),
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('wipeChecked' as const),
      facts: someFacts,
      retained: fc.constantFrom([], ['move-0001']),
      answer: fc.constantFrom(EMPTY_ANSWER, EMPTY_ANSWER, EMPTY_ANSWER, {...EMPTY_ANSWER, queued: 1}, {...EMPTY_ANSWER, users: 1}),
      token: fc.constant('be07:fresh'),
      mayReinstall: fc.boolean(),
    }),
  },
);

test('no sequence reaches reinstalling without a valid token, no user, no move, an empty queue and retention met', () => {
  let reached = 0;
  const run = fc.array(fc.tuple(someHappening, fc.integer({min: 0, max: 15_000})), {minLength: 10, maxLength: 60});
  const begin = fc.constantFrom<HostStage>('arrived', 'active', 'draining', 'drained');
  fc.assert(
    fc.property(begin, run, (first, steps) => {
      const host = new Host(first, {reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
      for (const [happening, laterMs] of steps) {
        const before = host.record;
        let effects: HostEffect[];
        try {
          effects = host.happens(happening, laterMs);
        } catch (error) {
          expect(error).toMatchObject({code: 'HOST_STATE'});
          expect(host.record).toBe(before);
          continue;
        }
        const isWiping = effects.some(effect => effect.kind === 'reinstall');
        expect(isWiping).toBe(host.record.stage === 'reinstalling' && before.stage !== 'reinstalling');
        if (!isWiping) continue;
        reached++;
        expect(before.wipe?.expiresAtMs).toBeGreaterThan(host.nowMs);
        expect(() => assertWipeToken(host.record, before.wipe?.token ?? '', host.nowMs)).not.toThrow();
        expect(happening).toMatchObject({
          type: 'wipeChecked',
          mayReinstall: true,
          answer: EMPTY_ANSWER,
          facts: {users: 0, moves: 0, waiting: 0},
        });
        if (happening.type !== 'wipeChecked') continue;
        for (const copy of happening.facts.retained) expect(host.nowMs - copy.sinceMs).toBeGreaterThanOrEqual(60_000);
      }
    }),
    {numRuns: 3_000, seed: 7},
  );
  expect(reached).toBeGreaterThan(20);
});

test('what does not change gives back the very same record, so that nothing is written each round', () => {
  const host = new Host('active', {cordon: null});
  const before = host.record;
  host.sees({verdict: 'healthy', users: 12});
  expect(host.record).toBe(before);
});
