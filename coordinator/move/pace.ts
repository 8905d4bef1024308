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
/** The same where a host is emptied because it is sick: there no hold is short, but more of them at once must not come near their end. */
const SICK_HOLD_SHARE = 1 / 3;
/** How a move ends whose hold took too long. */
const BROKEN_HOLDS: ReadonlySet<string> = new Set(['SESSIONS_LINGER', 'HOLD_LOST', 'FLIP_TOO_LATE']);

/**
 * Slows moves where they hurt and speeds them again: additive increase, multiplicative decrease (Chiu and Jain, 1989), for each host
 * from or to which a move may go. A host that is emptied because it is sick is spared only where holds get long: relief is what its users
 * need, and how it fares says nothing of its moves. One that is well, whoever empties it, is spared like any other. Where slower moves are
 * still too much for a host no further one begins.
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
  const sick = new Set(verdicts.flatMap(({host, kind}) => (kind === 'sick' ? [host] : [])));
  const fled = new Set(hosts.flatMap(({host, isLeaving}) => (isLeaving && sick.has(host) ? [host] : [])));
  const stopped = new Set(verdicts.flatMap(({host, because}) => (because === MOVES_STOPPED ? [host] : [])));
  const held = heldLong(moves, fled, move.holdMs);
  const max = Math.max(move.perSourceMax, move.perTargetMax);
  return Object.fromEntries(
    hosts
      .filter(({role}) => role === 'backend')
      .map(own => {
        const isFled = fled.has(own.host);
        if ((sick.has(own.host) && !isFled) || stopped.has(own.host)) return [own.host, {limit: 0, changedAtMs: nowMs}];
        const known = pace[own.host] ?? {limit: max, changedAtMs: 0};
        // Nothing was to go to it while it was sick and stayed.
        const before = isFled && known.limit === 0 ? {limit: max, changedAtMs: known.changedAtMs} : known;
        if (nowMs - before.changedAtMs < STEP_MS) return [own.host, before];
        const isTooMuch = (!isFled && isStrained(own, judge)) || (held.get(own.host) ?? 0) > before.changedAtMs;
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
function heldLong(moves: readonly MoveRecord[], fled: ReadonlySet<string>, holdMs: Millis): Map<string, Instant> {
  const lastMs = new Map<string, Instant>();
  for (const {source, target, pauseMs, refusal, updatedAtMs} of moves) {
    const isFled = fled.has(source);
    const longMs = holdMs * (isFled ? SICK_HOLD_SHARE : LONG_HOLD_SHARE);
    const isLong = pauseMs === null ? BROKEN_HOLDS.has(refusal?.code ?? '') : pauseMs >= longMs;
    if (!isLong) continue;
    for (const host of isFled ? [source] : [source, target]) lastMs.set(host, Math.max(updatedAtMs, lastMs.get(host) ?? 0));
  }
  return lastMs;
}

/** Moves that may run from or to the host at once by its pace. */
export function paceOf(pace: Pace, host: string): number {
  return Math.floor(pace[host]?.limit ?? Number.POSITIVE_INFINITY);
}
