import {expect, test} from 'vitest';
import type {HostSlis} from '../../../../coordinator/health/sli.ts';
import {RunningMoves} from '../../../../coordinator/move/budget.ts';
import {adjustPace, type Pace, paceOf} from '../../../../coordinator/move/pace.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {MoveRecord, PlannedMove, Verdict, VerdictKind} from '../../../../wire/record.ts';

const POLICY: Policy = {...DEFAULT_POLICY, move: {...DEFAULT_POLICY.move, perSourceMax: 4, perTargetMax: 4, concurrentMax: 100}};
const CALM = {values: {}, kernel: () => ({}), role: 'backend', isLeaving: false, isMoving: true, state: 'measured'};
const host = (name: string, over: object = {}): HostSlis => ({...CALM, host: name, ...over}) as unknown as HostSlis;
const LATE = {values: {deliveryMsP95: DEFAULT_POLICY.judge.floors.deliveryMsP95 * 0.6}};
const verdict = (name: string, kind: VerdictKind): Verdict => ({host: name, kind, sinceMs: 0, because: '', evidence: []});

/** The pace after so many rounds, one every 10 s. */
function after(rounds: number, hosts: HostSlis[], verdicts: Verdict[] = [], start: Pace = {}, fromMs = 100_000): Pace {
  let pace = start;
  for (let round = 0; round < rounds; round++) pace = adjustPace(pace, hosts, verdicts, [], POLICY, fromMs + round * 10_000);
  return pace;
}

test('a strained target bears half as many each time, never none, and one more every 20 s when it is calm again', () => {
  expect(paceOf(after(1, [host('t')]), 't')).toBe(4);
  expect(paceOf(after(1, [host('t', LATE)]), 't')).toBe(2);
  const slow = after(5, [host('t', LATE)]);
  expect(paceOf(slow, 't')).toBe(1);
  const again = after(2, [host('t')], [], slow, 200_000);
  expect(paceOf(again, 't')).toBe(2);
  expect(paceOf(after(20, [host('t')], [], slow, 200_000), 't')).toBe(4);
});

test('between two reports nothing changes', () => {
  const once = adjustPace({}, [host('t', LATE)], [], [], POLICY, 100_000);
  expect(adjustPace(once, [host('t', LATE)], [], [], POLICY, 105_000)).toEqual(once);
});

test('a busy or stalled disk strains as well', () => {
  expect(paceOf(after(1, [host('t', {kernel: () => ({diskBusyShare: 0.95})})]), 't')).toBe(2);
  expect(paceOf(after(1, [host('t', {kernel: () => ({psiIoFull10: 40})})]), 't')).toBe(2);
});

const MOVE = {source: 's', target: 't', pauseMs: 4_000, refusal: null, updatedAtMs: 99_000} as unknown as MoveRecord;
const LEAVING = host('s', {isLeaving: true});

function held(hosts: HostSlis[], moves: MoveRecord[], verdicts: Verdict[] = [], from: Pace = {}, nowMs = 100_000): [number, number] {
  const pace = adjustPace(from, hosts, verdicts, moves, POLICY, nowMs);
  return [paceOf(pace, 's'), paceOf(pace, 't')];
}

test('a long hold, or one that broke, slows both ends once', () => {
  const both = [host('s'), host('t')];
  expect(held(both, [MOVE])).toEqual([2, 2]);
  expect(held(both, [MOVE], [], adjustPace({}, both, [], [MOVE], POLICY, 100_000), 130_000)).toEqual([2, 2]);
  expect(held(both, [{...MOVE, pauseMs: 900}])).toEqual([4, 4]);
  expect(held(both, [{...MOVE, pauseMs: null}])).toEqual([4, 4]);
  expect(held(both, [{...MOVE, pauseMs: null, refusal: {code: 'SESSIONS_LINGER', detail: {}}}])).toEqual([2, 2]);
});

test('a host that is well and is emptied is spared like any other', () => {
  expect(held([LEAVING, host('t')], [MOVE])).toEqual([2, 2]);
  expect(paceOf(after(1, [host('s', {...LATE, isLeaving: true})]), 's')).toBe(2);
  expect(paceOf(after(1, [host('s', {...LATE, isLeaving: true})], [verdict('s', 'suspect')]), 's')).toBe(2);
});

test('one that is emptied because it is sick is spared only where holds come near their end, and says nothing of targets', () => {
  const sick = [verdict('s', 'sick')];
  expect(paceOf(after(3, [host('s', {...LATE, isLeaving: true})], sick), 's')).toBe(4);
  expect(held([LEAVING, host('t')], [MOVE], sick)).toEqual([4, 4]);
  expect(held([LEAVING, host('t')], [{...MOVE, pauseMs: 11_000}], sick)).toEqual([2, 4]);
});

test('nothing goes to or from a sick host that stays, whatever it bore; at once it is emptied as fast as the policy allows', () => {
  const sick = [verdict('s', 'sick')];
  const stays = adjustPace(after(1, [host('s')]), [host('s')], sick, [], POLICY, 100_001);
  expect(paceOf(stays, 's')).toBe(0);
  expect(paceOf(adjustPace(stays, [LEAVING], sick, [], POLICY, 100_002), 's')).toBe(4);
});

test('where slower moves are still too much none begins', () => {
  const stopped = {...verdict('t', 'suspect'), because: 'MOVES_STOPPED'};
  expect(paceOf(after(1, [host('t')], [stopped]), 't')).toBe(0);
  expect(paceOf(after(1, [host('t')], [{...stopped, because: 'BUSY_WITH_MOVES'}]), 't')).toBe(4);
});

test('a move waits for the pace of either end and says so', () => {
  const planned = {user: 'u', source: 's', target: 't', bytes: 1, why: 'x'} as unknown as PlannedMove;
  const ask = (pace: Pace): string | null => new RunningMoves([], () => false).why(planned, POLICY.move, pace);
  expect(ask({})).toBeNull();
  expect(ask({t: {limit: 0.5, changedAtMs: 0}})).toBe('TARGET_STRAINED');
  expect(ask({s: {limit: 0, changedAtMs: 0}})).toBe('SOURCE_STRAINED');
});
