import type {Instant, Millis} from '../../base/units.ts';
import {SECOND_MS} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {MoveRecord, Verdict} from '../../wire/record.ts';
import {MOVES_STOPPED} from '../health/judge.ts';
import {type HostSlis, SLI_TABLE} from '../health/sli.ts';

/** How many moves each host may bear at once, as a fraction that grows and shrinks; a host that is missing bears what the policy says. */
export type Pace = Readonly<Record<string, {limit: number; changedAtMs: Instant}>>;

/** Reports come every 10 s: sooner a change cannot be seen. */
const STEP_MS: Millis = 10 * SECOND_MS;
const INCREASE = 0.5;
const DECREASE = 0.5;
/** Users feel something well before a floor of the policy is reached; moves must not bring a host that far. */
const STRAIN_SHARE = 0.5;
const BUSY_MAX = 0.9;
const STALLED_MAX = 30;
/** Of what a hold may last at most; usual ones take a fraction of that. */
const LONG_HOLD_SHARE = 0.1;

/**
 * Slows moves where they hurt and speeds them again: additive increase, multiplicative decrease (Chiu and Jain, 1989), for each host
 * from or to which a move may go. A host that is being emptied because it is sick is not spared: relief is what its users need.
 * Where slower moves are still too much for a host no further one begins.
 * @returns the pace from now on.
 */
export function adjustPace(
  pace: Pace,
  hosts: readonly HostSlis[],
  verdicts: readonly Verdict[],
  moves: readonly MoveRecord[],
  {judge, move}: Pick<Policy, 'judge' | 'move'>,
  nowMs: Instant,
): Pace {
  const held = heldLong(moves, new Set(hosts.flatMap(({host, isLeaving}) => (isLeaving ? [host] : []))), move.holdMs);
  const stopped = new Set(verdicts.flatMap(({host, kind, because}) => (kind === 'sick' || because === MOVES_STOPPED ? [host] : [])));
  const max = Math.max(move.perSourceMax, move.perTargetMax);
  return Object.fromEntries(
    hosts
      .filter(({role, isLeaving}) => role === 'backend' && !isLeaving)
      .map(own => {
        const before = pace[own.host] ?? {limit: max, changedAtMs: 0};
        if (stopped.has(own.host)) return [own.host, {limit: 0, changedAtMs: nowMs}];
        if (nowMs - before.changedAtMs < STEP_MS) return [own.host, before];
        const isTooMuch = isStrained(own, judge) || (held.get(own.host) ?? 0) > before.changedAtMs;
        const limit = isTooMuch ? Math.max(1, before.limit * DECREASE) : Math.min(max, before.limit + INCREASE);
        return [own.host, limit === before.limit ? before : {limit, changedAtMs: nowMs}];
      }),
  );
}

function isStrained({values, kernel}: HostSlis, judge: Policy['judge']): boolean {
  if (SLI_TABLE.some(({sli}) => (values[sli] ?? 0) > floorOf(judge, sli) * STRAIN_SHARE)) return true;
  const {diskBusyShare = 0, psiIoFull10 = 0} = kernel();
  return diskBusyShare > BUSY_MAX || psiIoFull10 > STALLED_MAX;
}

/** When each host last had a part in a long hold; a source that is emptied because it is slow says nothing of its targets. */
function heldLong(moves: readonly MoveRecord[], leaving: ReadonlySet<string>, holdMs: Millis): Map<string, Instant> {
  const lastMs = new Map<string, Instant>();
  for (const {source, target, pauseMs, updatedAtMs} of moves) {
    if (pauseMs === null || pauseMs < holdMs * LONG_HOLD_SHARE || leaving.has(source)) continue;
    for (const host of [source, target]) lastMs.set(host, Math.max(updatedAtMs, lastMs.get(host) ?? 0));
  }
  return lastMs;
}

/** Moves that may run from or to the host at once by its pace. */
export function paceOf(pace: Pace, host: string): number {
  return Math.floor(pace[host]?.limit ?? Number.POSITIVE_INFINITY);
}
