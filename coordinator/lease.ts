import type {Instant, Millis} from '../base/units.ts';
import type {Lease} from '../wire/lease.ts';

/**
 * The leader's lease: one KV entry that its holder rewrites every few seconds. No two clocks are compared: a taker waits until it
 * has itself seen the entry unchanged for the whole lease time; a holder stops that long, less a margin, after the start of its
 * last renewal that came through. A holder that stalls beyond it does no harm: hosts refuse its token once a newer one has spoken.
 */
export interface LeaseTimes {
  leaseMs: Millis;
  renewMs: Millis;
  /** The holder stops this much earlier than others may take over: rates of two clocks differ, and aborting takes a moment. */
  marginMs: Millis;
}
export const LEASE_TIMES: LeaseTimes = {leaseMs: 10_000, renewMs: 2_500, marginMs: 2_000};

/** The entry as a candidate saw it; `sinceMs` is its own monotonic time when this revision first came to its eyes. */
export interface Sighting {
  revision: number;
  lease: Lease;
  sinceMs: Millis;
}

/** Keeps the time at which the present revision was first seen. */
export function sight(before: Sighting | null, entry: {revision: number; value: Lease} | null, monotonicMs: Millis): Sighting | null {
  if (entry === null) return null;
  if (before !== null && before.revision === entry.revision) return before;
  return {revision: entry.revision, lease: entry.value, sinceMs: monotonicMs};
}

/** True when the lease may be taken: nobody ever had it, it was given back, or its holder is silent for the lease time. */
export function mayTake(seen: Sighting | null, monotonicMs: Millis, times: LeaseTimes): boolean {
  if (seen === null || seen.lease.holder === '') return true;
  return monotonicMs - seen.sinceMs >= times.leaseMs;
}

/** Milliseconds the holder may still act; <= 0 means stop now. @param renewedAtMs monotonic start of the last renewal that came through. */
export function leftToActMs(renewedAtMs: Millis, monotonicMs: Millis, times: LeaseTimes): Millis {
  return renewedAtMs + times.leaseMs - times.marginMs - monotonicMs;
}

/** True when an entry is a renewal of this very term, e.g. one whose answer got lost on the way. */
export function isOurTerm(lease: Lease, holder: string, token: number): boolean {
  return lease.holder === holder && lease.token === token;
}

/** Fencing token of the term that an entry belongs to. */
export function tokenOf({lease, revision}: Sighting): number {
  // An older release took the lease without a token of its own: the revision was it.
  return lease.token === 0 ? revision : lease.token;
}

/**
 * Fencing token of a new term: greater than that of the term before. And since it is the time, greater than those of terms that the store has
 * forgotten, with its disk or because an older one was brought back: hosts remember them, and would refuse every command for ever.
 */
export function nextToken(seen: Sighting | null, nowMs: Instant): number {
  return Math.max(nowMs, seen === null ? 0 : tokenOf(seen) + 1);
}

/** What a holder writes to take, renew and give back. */
export function leaseEntry(holder: string, token: number, beat: number): Lease {
  return {v: 1, holder, token, beat};
}
