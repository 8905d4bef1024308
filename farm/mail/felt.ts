import type {Instant, Millis} from '../../base/units.ts';
import type {LedgerEntry} from './ledger.ts';

/** When a mail reached its mailbox, as the mailbox itself says (INTERNALDATE, whole seconds). */
export interface Arrival {
  user: string;
  messageId: string;
  arrivedAtMs: Instant;
}

/** What users felt in one span of time. null = nothing of the kind happened, never "fine". */
export interface Felt {
  fromMs: Instant;
  accepted: number;
  /** From the 250 of the edge to the mailbox; whole seconds, as mailboxes count them. */
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

/** What users felt over time, in buckets by when the mail was accepted or the thing happened; gaps are given too. */
export function felt(entries: readonly LedgerEntry[], arrivals: readonly Arrival[], options: FeltOptions): Felt[] {
  const arrivedAt = new Map(arrivals.map(each => [`${each.user}\n${each.messageId}`, each.arrivedAtMs]));
  const buckets = new Map<number, {entries: LedgerEntry[]; delays: Millis[]; hurt: Set<string>}>();
  for (const entry of entries) {
    const from = Math.floor(entry.atMs / options.bucketMs) * options.bucketMs;
    let bucket = buckets.get(from);
    if (bucket === undefined) {
      bucket = {entries: [], delays: [], hurt: new Set()};
      buckets.set(from, bucket);
    }
    bucket.entries.push(entry);
    if (entry.kind === 'loginFailed' || (entry.kind === 'dropped' && !entry.isOrderly)) bucket.hurt.add(entry.user);
    if (entry.kind !== 'accepted') continue;
    const arrived = arrivedAt.get(`${entry.user}\n${entry.messageId}`);
    if (arrived === undefined) continue;
    const delayMs = Math.max(0, arrived - Math.floor(entry.atMs / 1_000) * 1_000);
    bucket.delays.push(delayMs);
    if (delayMs > options.lateMs) bucket.hurt.add(entry.user);
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
