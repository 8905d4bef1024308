import type {Clock} from '../../base/clock.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';

/** What was not used for a while may be caught up, but no more than this. */
const BURST_MS: Millis = SECOND_MS / 2;

/** A limit on bytes a second (a token bucket of half a second): who has sent some waits until they may have gone. */
export class Rate {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #dueMs = Number.NEGATIVE_INFINITY;

  /** @param bytesPerSecond more than 0. */
  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  async passed(bytes: number): Promise<void> {
    const nowMs = this.#clock.monotonic();
    this.#dueMs = Math.max(this.#dueMs, nowMs - BURST_MS) + (bytes / this.#bytesPerSecond) * SECOND_MS;
    if (this.#dueMs > nowMs) await this.#clock.sleep(this.#dueMs - nowMs);
  }
}
