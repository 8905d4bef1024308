import {type Instant, MINUTE_MS} from '../../base/units.ts';
import {fits} from '../../wire/codec.ts';
import type {Load} from '../../wire/report.ts';
import {UserName} from '../../wire/schema.ts';
import {halved} from './activity.ts';

/** A storm for one user shows within a minute or two, and is forgotten in ten. */
const HALF_LIFE_MS = 2 * MINUTE_MS;
/** Of less nothing is said: on a host that rests anybody is the busiest. Twenty deliveries a minute, held on. */
const WORK_MIN = 60;
const SHARE_MIN = 0.5;
/** Once nobody is looked for among them; most did one thing and are gone by then. */
const USERS_MAX = 20_000;
/** As placing counts them, `coordinator/plan/load.ts`. */
const WORK = {deliveries: 1, sessions: 0.5};

interface Sum {
  work: number;
  atMs: Instant;
}

/** Whether one user makes most of what a host has to do now; what he does in days is in `Activity`. */
export class Busiest {
  readonly #users = new Map<string, Sum>();
  #all: Sum = {work: 0, atMs: 0};

  /** @param atMs when it was done; what is older than what is known of the user counts as if done then. */
  add(user: string, what: keyof typeof WORK, atMs: Instant): void {
    this.#all = added(this.#all, WORK[what], atMs);
    const known = this.#users.get(user);
    if (known === undefined && this.#users.size >= USERS_MAX) this.#forget(atMs);
    this.#users.set(user, added(known ?? {work: 0, atMs}, WORK[what], atMs));
  }

  /** @returns who makes half of the host's work of the last minutes or more, and his share in (0, 1]; null: nobody. */
  take(nowMs: Instant): NonNullable<Load['busiest']> | null {
    const all = faded(this.#all, nowMs);
    if (all < WORK_MIN) return null;
    for (const [user, sum] of this.#users) {
      const share = Math.min(faded(sum, nowMs) / all, 1);
      if (share >= SHARE_MIN) return fits(UserName, user) ? {user, share: Number(share.toPrecision(3))} : null;
    }
    return null;
  }

  /** Whoever has less than one thing left of what he did cannot be the busiest before he does more. */
  #forget(nowMs: Instant): void {
    for (const [user, sum] of this.#users) if (faded(sum, nowMs) < WORK.sessions) this.#users.delete(user);
    if (this.#users.size >= USERS_MAX) this.#users.clear();
  }
}

function added(sum: Sum, work: number, atMs: Instant): Sum {
  return {work: faded(sum, atMs) + work, atMs: Math.max(sum.atMs, atMs)};
}

function faded({work, atMs}: Sum, nowMs: Instant): number {
  return work * halved(nowMs - atMs, HALF_LIFE_MS);
}
