import type {Instant, Millis} from '../../base/units.ts';
import type {Entry, LedgerEntry} from './ledger.ts';

/** When a mail reached its mailbox, as the mailbox itself says (INTERNALDATE): whole seconds, and taken before it is safe on disk. */
export interface Arrival {
  user: string;
  messageId: string;
  arrivedAtMs: Instant;
}

/** What users felt in one span of time. null = nothing of the kind happened, never "fine". */
export interface Felt {
  fromMs: Instant;
  accepted: number;
  /** From the 250 of the edge until a mail program that waits for mail was told of it; of users who have one. */
  delayMsP50: Millis | null;
  delayMsP95: Millis | null;
  delayMsMax: Millis | null;
  logins: number;
  loginErrors: number;
  dropped: number;
  /** Dropped after the server had said BYE. */
  droppedOrderly: number;
  /** Users with a late mail, a dropped session or a failed login, as a share of all users. */
  hurtShare: number;
}

export interface FeltOptions {
  bucketMs: Millis;
  /** A mail later than this hurts. */
  lateMs: Millis;
  users: number;
}

/** Delays of accepted mails: the exact ones that waiting mail programs saw, and at least what the mailboxes say. */
export function delaysOf(
  entries: readonly LedgerEntry[],
  arrivals: readonly Arrival[],
): {entry: Entry<'accepted'>; seenMs: Millis | null; storedMs: Millis | null}[] {
  const key = (each: {user: string; messageId: string}): string => `${each.user}\n${each.messageId}`;
  const storedAt = new Map(arrivals.map(each => [key(each), each.arrivedAtMs]));
  const seenAt = new Map<string, Instant>();
  for (const entry of entries) if (entry.kind === 'seen' && !seenAt.has(key(entry))) seenAt.set(key(entry), entry.atMs);
  return entries
    .filter(entry => entry.kind === 'accepted')
    .map(entry => {
      const stored = storedAt.get(key(entry));
      const seen = seenAt.get(key(entry));
      return {
        entry,
        // A waiting program may be told before our own sender has read its 250.
        seenMs: seen === undefined ? null : Math.max(0, seen - entry.atMs),
        storedMs: stored === undefined ? null : Math.max(0, stored - Math.floor(entry.atMs / 1_000) * 1_000),
      };
    });
}

interface Bucket {
  entries: LedgerEntry[];
  delays: Millis[];
  hurt: Set<string>;
}

/** What users felt over time, in buckets by when the mail was accepted or the thing happened; gaps are given too. */
export function felt(entries: readonly LedgerEntry[], arrivals: readonly Arrival[], options: FeltOptions): Felt[] {
  const buckets = new Map<number, Bucket>();
  const bucketOf = (atMs: Instant): Bucket => {
    const from = Math.floor(atMs / options.bucketMs) * options.bucketMs;
    const bucket = buckets.get(from) ?? {entries: [], delays: [], hurt: new Set()};
    buckets.set(from, bucket);
    return bucket;
  };
  for (const entry of entries) {
    const bucket = bucketOf(entry.atMs);
    bucket.entries.push(entry);
    if (entry.kind === 'loginFailed' || (entry.kind === 'dropped' && !entry.isOrderly)) bucket.hurt.add(entry.user);
  }
  for (const {entry, seenMs, storedMs} of delaysOf(entries, arrivals)) {
    const bucket = bucketOf(entry.atMs);
    if (seenMs !== null) bucket.delays.push(seenMs);
    if (Math.max(seenMs ?? 0, storedMs ?? 0) > options.lateMs) bucket.hurt.add(entry.user);
  }
  const first = Math.min(...buckets.keys());
  const last = Math.max(...buckets.keys());
  const line: Felt[] = [];
  for (let from = first; from <= last; from += options.bucketMs) {
    const bucket = buckets.get(from) ?? {entries: [], delays: [], hurt: new Set<string>()};
    const count = (wanted: (entry: LedgerEntry) => boolean): number => bucket.entries.filter(wanted).length;
    line.push({
      fromMs: from,
      accepted: count(entry => entry.kind === 'accepted'),
      delayMsP50: quantile(bucket.delays, 0.5),
      delayMsP95: quantile(bucket.delays, 0.95),
      delayMsMax: quantile(bucket.delays, 1),
      logins: count(entry => entry.kind === 'login'),
      loginErrors: count(entry => entry.kind === 'loginFailed'),
      dropped: count(entry => entry.kind === 'dropped'),
      droppedOrderly: count(entry => entry.kind === 'dropped' && entry.isOrderly),
      hurtShare: options.users === 0 ? 0 : bucket.hurt.size / options.users,
    });
  }
  return line;
}

/** The value that a share of all values does not exceed (nearest rank); null of none. */
export function quantile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
