import {DAY_MS, type Instant, type Millis} from '../../base/units.ts';

/**
 * A working week has two days that say nothing of the other five. After three days Monday morning still remembers more than half of
 * Friday (after one day a sixth), and a mailbox that became busy counts with a quarter of its new rate within 30 hours.
 */
const HALF_LIFE_MS = 3 * DAY_MS;
/** Every hour of the day once: before, a rate a day says more about the hours than about the user. */
const KNOWN_AFTER_MS = DAY_MS;
/** Several times what a host has; about 20 MB. */
const USERS_MAX = 100_000;

/** Sums of what a user did, each thing halved in a half-life; as of `atMs`. */
interface Sums {
  deliveries: number;
  sessions: number;
  atMs: Instant;
  /** Watched since; before, the mailbox was elsewhere or nobody looked. */
  sinceMs: Instant;
}

/** How it is kept over restarts. */
export type KeptActivity = [user: string, deliveries: number, sessions: number, atMs: Instant, sinceMs: Instant][];

/** How busy each mailbox of this host is: deliveries and sessions a day, the last days counting most. */
export class Activity {
  readonly #users: Map<string, Sums>;

  /** @param kept as `keep` gave it before a restart. */
  constructor(kept: KeptActivity = []) {
    this.#users = new Map(kept.map(([user, deliveries, sessions, atMs, sinceMs]) => [user, {deliveries, sessions, atMs, sinceMs}]));
  }

  add(user: string, what: 'deliveries' | 'sessions', atMs: Instant): void {
    const sums = this.#users.get(user) ?? this.#begin(user, atMs);
    if (sums === null) return;
    // A clock that was set back makes nobody busier.
    const share = halved(atMs - sums.atMs, HALF_LIFE_MS);
    sums.deliveries *= share;
    sums.sessions *= share;
    sums.atMs = atMs;
    sums[what]++;
  }

  /** From now on these live here and nobody else: who left is forgotten, who is new is watched. */
  live(here: ReadonlySet<string>, nowMs: Instant): void {
    for (const user of this.#users.keys()) if (!here.has(user)) this.#users.delete(user);
    for (const user of here) if (!this.#users.has(user)) this.#begin(user, nowMs);
  }

  /** When the user last did something that is known of; null: nothing is. */
  lastMs(user: string): Instant | null {
    const sums = this.#users.get(user);
    return sums === undefined || sums.deliveries + sums.sessions === 0 ? null : sums.atMs;
  }

  /** @returns a day's worth of each; null while the user was not watched for long enough. */
  perDay(user: string, nowMs: Instant): {deliveries: number; sessions: number} | null {
    const sums = this.#users.get(user);
    if (sums === undefined || nowMs - sums.sinceMs < KNOWN_AFTER_MS) return null;
    // At a steady rate a sum grows to rate * half-life / ln 2, by the half of what is missing in each half-life.
    const full = (HALF_LIFE_MS / DAY_MS / Math.LN2) * (1 - halved(nowMs - sums.sinceMs, HALF_LIFE_MS));
    const faded = halved(nowMs - sums.atMs, HALF_LIFE_MS);
    const rate = (sum: number): number => Number(((sum * faded) / full).toPrecision(3));
    return {deliveries: rate(sums.deliveries), sessions: rate(sums.sessions)};
  }

  keep(): KeptActivity {
    const short = (sum: number): number => Number(sum.toPrecision(4));
    return [...this.#users].map(([user, {deliveries, sessions, atMs, sinceMs}]) => [
      user,
      short(deliveries),
      short(sessions),
      atMs,
      sinceMs,
    ]);
  }

  #begin(user: string, nowMs: Instant): Sums | null {
    if (this.#users.size >= USERS_MAX) return null;
    const sums = {deliveries: 0, sessions: 0, atMs: nowMs, sinceMs: nowMs};
    this.#users.set(user, sums);
    return sums;
  }
}

/** What is left of one after so long; a clock that was set back makes nothing more. */
export function halved(ms: Millis, halfLifeMs: Millis): number {
  return 2 ** -(Math.max(ms, 0) / halfLifeMs);
}
