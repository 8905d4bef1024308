import type {Clock} from '../../base/clock.ts';
import type {Millis} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {retainedAtMs} from './budget.ts';

/**
 * The time in which a delivery that was under way during the hold may still be written into the retained copy. By the wall clock, and by the
 * time that this process has seen pass: no clock that is set meanwhile, or that was another leader's, makes it shorter.
 */
export class QuietTimes {
  readonly #clock: Clock;
  /** Move id -> since when, in monotonic time, this process knows its copy as retained. */
  readonly #sinceMs = new Map<string, Millis>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take({id, step, isRetainDue}: MoveRecord): void {
    if (step === 'retained' && isRetainDue !== true && !this.#sinceMs.has(id)) this.#sinceMs.set(id, this.#clock.monotonic());
    if (step === 'purged') this.#sinceMs.delete(id);
  }

  /** @param quietMs of the policy. */
  isQuieting(record: MoveRecord, quietMs: Millis): boolean {
    const retained = retainedAtMs(record);
    if (retained === null) return false;
    if (record.isRetainDue === true) return true;
    const seen = this.#clock.monotonic() - (this.#sinceMs.get(record.id) ?? Number.NEGATIVE_INFINITY);
    return this.#clock.now() - retained < quietMs || seen < quietMs;
  }
}
