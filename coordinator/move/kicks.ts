import {type Millis, SECOND_MS} from '../../base/units.ts';
import type {KickPolicy} from '../../wire/policy.ts';

/** What may be ended at once after a quiet time: as much as in this span. */
const BURST_MS: Millis = SECOND_MS;
/** No host is named that. */
const FARM = '';

interface Level {
  /** Sessions that may still be ended now; below 0 they were more than expected, and time makes up for them. */
  left: number;
  atMs: Millis;
}

/**
 * Sessions that a hold ends come back at once, each as a login at an edge and at the move's target, the dearest thing a mail program asks
 * for. So holds are spread: two token buckets (RFC 2697), one for the farm and one for each target. How many sessions a user has is known
 * only when they are ended; until then a hold counts as one, and what it was more delays those after it.
 */
export class KickRate {
  readonly #levels = new Map<string, Level>();

  /** @returns 0: the hold may begin, and is counted; else how long to wait before asking again. */
  take(target: string, {perSecondMax, perTargetPerSecondMax}: KickPolicy, nowMs: Millis): Millis {
    const farm = this.#level(FARM, perSecondMax, nowMs);
    const own = this.#level(target, perTargetPerSecondMax, nowMs);
    const waitMs = Math.max(waitOf(farm, perSecondMax), waitOf(own, perTargetPerSecondMax));
    if (waitMs > 0) return waitMs;
    farm.left--;
    own.left--;
    return 0;
  }

  /** A hold that was counted has ended so many sessions. */
  ended(target: string, sessions: number): void {
    for (const key of [FARM, target]) {
      const level = this.#levels.get(key);
      if (level !== undefined) level.left -= sessions - 1;
    }
  }

  #level(key: string, perSecond: number, nowMs: Millis): Level {
    // A rate below one a second still lets one go.
    const most = Math.max(1, (perSecond * BURST_MS) / SECOND_MS);
    const before = this.#levels.get(key) ?? {left: most, atMs: nowMs};
    const level = {left: Math.min(most, before.left + ((nowMs - before.atMs) * perSecond) / SECOND_MS), atMs: nowMs};
    this.#levels.set(key, level);
    return level;
  }
}

function waitOf({left}: Level, perSecond: number): Millis {
  return left >= 1 ? 0 : Math.ceil(((1 - left) * SECOND_MS) / perSecond);
}
