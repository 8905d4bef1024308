import {DAY_MS, HOUR_MS, type Instant, type Millis} from '../../base/units.ts';

const HALF_LIFE_MS = DAY_MS;
/** Before, a rate a day says more about the hour than about the user. */
const KNOWN_AFTER_MS = 6 * HOUR_MS;
/** More mailboxes than a host has. */
const USERS_MAX = 200_000;
/** Sums below are as good as nothing. */
const FAINT = 0.05;

/** Sums of what a user did, each thing halved in a day; as of `atMs`. */
interface Sums {
  deliveries: number;
  sessions: number;
  atMs: Instant;
}

/** How it is kept over restarts. */
export interface KeptActivity {
  sinceMs: Instant;
  users: [user: string, deliveries: number, sessions: number, atMs: Instant][];
}

/** How busy each mailbox is: deliveries and sessions a day, the last days counting most. */
export class Activity {
  readonly #sinceMs: Instant;
  readonly #users: Map<string, Sums>;

  /** @param kept as `keep` gave it before a restart; null: nothing is known. */
  constructor(kept: KeptActivity | null, nowMs: Instant) {
    this.#sinceMs = kept === null ? nowMs : Math.min(kept.sinceMs, nowMs);
    this.#users = new Map((kept?.users ?? []).map(([user, deliveries, sessions, atMs]) => [user, {deliveries, sessions, atMs}]));
  }

  add(user: string, what: 'deliveries' | 'sessions', nowMs: Instant): void {
    const sums = this.#users.get(user);
    if (sums === undefined) {
      if (this.#users.size >= USERS_MAX) return;
      this.#users.set(user, {deliveries: 0, sessions: 0, atMs: nowMs, [what]: 1});
      return;
    }
    this.#age(sums, nowMs);
    sums[what]++;
  }

  /** When the user last did something that is known of; null: nothing is. */
  lastMs(user: string): Instant | null {
    return this.#users.get(user)?.atMs ?? null;
  }

  /** @returns a day's worth of each; null while this has not watched for long enough. */
  perDay(user: string, nowMs: Instant): {deliveries: number; sessions: number} | null {
    const watchedMs = nowMs - this.#sinceMs;
    if (watchedMs < KNOWN_AFTER_MS) return null;
    const sums = this.#users.get(user);
    if (sums === undefined) return {deliveries: 0, sessions: 0};
    // At a steady rate a sum grows to rate * half-life / ln 2, by the half of what is missing in each half-life.
    const full = (HALF_LIFE_MS / DAY_MS / Math.LN2) * (1 - halved(watchedMs));
    const faded = halved(nowMs - sums.atMs);
    const rate = (sum: number): number => Number(((sum * faded) / full).toPrecision(3));
    return {deliveries: rate(sums.deliveries), sessions: rate(sums.sessions)};
  }

  /** What to keep; users who have done nothing for long are forgotten. */
  keep(nowMs: Instant): KeptActivity {
    for (const [user, {deliveries, sessions, atMs}] of this.#users) {
      if ((deliveries + sessions) * halved(nowMs - atMs) < FAINT) this.#users.delete(user);
    }
    const users = [...this.#users].map(([user, sums]): KeptActivity['users'][number] => [
      user,
      Number(sums.deliveries.toPrecision(4)),
      Number(sums.sessions.toPrecision(4)),
      sums.atMs,
    ]);
    return {sinceMs: this.#sinceMs, users};
  }

  #age(sums: Sums, nowMs: Instant): void {
    // A clock that was set back makes nobody busier.
    const share = halved(Math.max(nowMs - sums.atMs, 0));
    sums.deliveries *= share;
    sums.sessions *= share;
    sums.atMs = nowMs;
  }
}

function halved(ms: Millis): number {
  return 2 ** -(Math.max(ms, 0) / HALF_LIFE_MS);
}
