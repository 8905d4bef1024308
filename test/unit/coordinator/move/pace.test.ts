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

test('a long hold slows both ends once, and not because of a source that is being emptied', () => {
  const move = {source: 's', target: 't', pauseMs: 4_000, updatedAtMs: 99_000} as unknown as MoveRecord;
  const pace = (hosts: HostSlis[], moves: MoveRecord[], from: Pace = {}, nowMs = 100_000): Pace =>
    adjustPace(from, hosts, [], moves, POLICY, nowMs);
  const both = [host('s'), host('t')];
  const slowed = pace(both, [move]);
  expect([paceOf(slowed, 's'), paceOf(slowed, 't')]).toEqual([2, 2]);
  expect(paceOf(pace(both, [move], slowed, 130_000), 't')).toBe(2);
  expect(paceOf(pace(both, [{...move, pauseMs: 900}]), 't')).toBe(4);
  expect(paceOf(pace([host('s', {isLeaving: true}), host('t')], [move]), 't')).toBe(4);
});

test('nothing goes to a sick target at once, whatever it bore; a host that is emptied is not spared', () => {
  const sick = [verdict('t', 'sick')];
  expect(paceOf(adjustPace(after(1, [host('t')]), [host('t')], sick, [], POLICY, 100_001), 't')).toBe(0);
  expect(paceOf(after(3, [host('t', {...LATE, isLeaving: true})], sick), 't')).toBe(Number.POSITIVE_INFINITY);
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
