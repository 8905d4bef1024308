import {HOUR_MS, type Millis, SECOND_MS} from '../../base/units.ts';

/** After a call that is no part of a move: nothing that it has brought into memory is of use to another one. */
const PASSING_MS: Millis = 1 * SECOND_MS;
/** Texts that were read ahead are kept for longer, since moves wait for each other; beyond that they are read again. */
const TEXTS_MS: Millis = HOUR_MS;

/** When a mover that serves nobody ends. */
export class Leisure {
  readonly #idleMs: Millis;
  #open = 0;
  #endMs: Millis;
  #usedMs: Millis;

  constructor(idleMs: Millis, nowMs: Millis) {
    this.#idleMs = idleMs;
    this.#usedMs = nowMs;
    this.#endMs = nowMs + PASSING_MS;
  }

  opened(): void {
    this.#open++;
  }

  /** @param isOfMove it was about somebody's mailbox, of which more will be asked soon. */
  closed(isOfMove: boolean, nowMs: Millis): void {
    this.#open--;
    this.#usedMs = nowMs;
    this.#endMs = Math.max(this.#endMs, nowMs + (isOfMove ? this.#idleMs : PASSING_MS));
  }

  /** @param remembers texts that were read ahead are known. */
  isOver(nowMs: Millis, remembers: boolean): boolean {
    return this.#open === 0 && nowMs >= (remembers ? Math.max(this.#endMs, this.#usedMs + TEXTS_MS) : this.#endMs);
  }
}
