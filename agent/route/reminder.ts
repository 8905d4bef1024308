import type {Millis} from '../../base/units.ts';

/** For what goes wrong again and again: to be said at once, and then at most every `everyMs` while it lasts. */
export class Reminder {
  readonly #everyMs: Millis;
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(everyMs: Millis) {
    this.#everyMs = everyMs;
  }

  /** @param nowMs by a clock that never goes back. @returns true when it is to be said now; it is taken as said then. */
  isDue(nowMs: Millis): boolean {
    if (nowMs < this.#dueMs) return false;
    this.#dueMs = nowMs + this.#everyMs;
    return true;
  }
}
