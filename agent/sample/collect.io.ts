import {systemClock} from '../../base/clock.io.ts';
import {toRefusal} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';

/** What one collector gave in one interval: a value of now, or the reason why there is none. */
export type Collected<T> = {ok: true; value: T; tookMs: Millis} | {ok: false; reason: string};

/**
 * One source of figures, isolated: it has a deadline, it is never started again while an earlier call has not ended, and
 * whatever it does, the others go on. A value that comes after the deadline is thrown away: it is of another interval.
 */
export class Collector<T> {
  readonly name: string;
  readonly #read: () => Promise<T>;
  readonly #deadlineMs: Millis;
  #startedAtMs: Millis | null = null;

  constructor(name: string, deadlineMs: Millis, read: () => Promise<T>) {
    this.name = name;
    this.#deadlineMs = deadlineMs;
    this.#read = read;
  }

  /** Never rejects; resolves by the deadline. */
  async collect(): Promise<Collected<T>> {
    const now = systemClock.monotonic();
    if (this.#startedAtMs !== null) return {ok: false, reason: `hangs since ${Math.round((now - this.#startedAtMs) / 1000)} s`};
    this.#startedAtMs = now;
    const stop = new AbortController();
    const work = this.#run(now);
    const late = systemClock
      .sleep(this.#deadlineMs, stop.signal)
      .then((): Collected<T> => ({ok: false, reason: `no answer within ${this.#deadlineMs} ms`}));
    const first = await Promise.race([work, late]);
    stop.abort();
    return first;
  }

  async #run(startedAtMs: Millis): Promise<Collected<T>> {
    try {
      const value = await this.#read();
      return {ok: true, value, tookMs: systemClock.monotonic() - startedAtMs};
    } catch (error) {
      return {ok: false, reason: reasonOf(error)};
    } finally {
      this.#startedAtMs = null;
    }
  }
}

/** One line for the report: the code and what distinguishes it. */
export function reasonOf(error: unknown): string {
  const {code, detail} = toRefusal(error);
  const text = Object.values(detail).filter(value => typeof value === 'string' || typeof value === 'number');
  return `${code} ${text.join(' ')}`.trim().slice(0, 200);
}
