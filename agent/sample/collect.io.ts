import {systemClock} from '../../base/clock.io.ts';
import {toRefusal} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';

/** What one collector gave in one interval: a value of now, or the reason why there is none. */
export type Collected<T> = {ok: true; value: T; tookMs: Millis} | {ok: false; reason: string};

/** What became of one collector's calls since the start. */
export interface CollectorFigures {
  /** Calls that gave a value, that failed, and that had no answer by their deadline or found an earlier one still hanging. */
  gave: number;
  failed: number;
  missed: number;
  /** Time of all calls that gave a value, and of the last of them; null before the first. */
  totalMs: Millis;
  lastMs: Millis | null;
}

/**
 * One source of figures, isolated: it has a deadline, it is never started again while an earlier call has not ended, and
 * whatever it does, the others go on. A value that comes after the deadline is thrown away: it is of another interval.
 */
export class Collector<T> {
  readonly name: string;
  readonly figures: CollectorFigures = {gave: 0, failed: 0, missed: 0, totalMs: 0, lastMs: null};
  /** It runs in each n-th round only: how an agent over its CPU budget makes its dearest sources cheaper. */
  every = 1;
  readonly #read: () => Promise<T>;
  readonly #deadlineMs: Millis;
  #startedAtMs: Millis | null = null;
  #restedRounds = 0;

  constructor(name: string, deadlineMs: Millis, read: () => Promise<T>) {
    this.name = name;
    this.#deadlineMs = deadlineMs;
    this.#read = read;
  }

  /** True when the last `collect` was left out because of `every`. */
  get rests(): boolean {
    return this.#restedRounds > 0;
  }

  /** Never rejects; resolves by the deadline. */
  async collect(): Promise<Collected<T>> {
    this.#restedRounds = this.#restedRounds + 1 < this.every ? this.#restedRounds + 1 : 0;
    if (this.rests) return {ok: false, reason: `left out: over the CPU budget, 1 interval of ${this.every} only`};
    const now = systemClock.monotonic();
    if (this.#startedAtMs !== null) {
      this.figures.missed++;
      return {ok: false, reason: `hangs since ${Math.round((now - this.#startedAtMs) / 1000)} s`};
    }
    this.#startedAtMs = now;
    // Not by a signal: in each interval, for each source, it would cost more than most readings.
    let deadline: NodeJS.Timeout | undefined;
    const late = new Promise<null>(resolve => {
      deadline = setTimeout(resolve, this.#deadlineMs, null);
    });
    const first = await Promise.race([this.#run(now), late]);
    clearTimeout(deadline);
    return this.#count(first);
  }

  #count(collected: Collected<T> | null): Collected<T> {
    const {figures} = this;
    if (collected === null) {
      figures.missed++;
      return {ok: false, reason: `no answer within ${this.#deadlineMs} ms`};
    }
    if (!collected.ok) {
      figures.failed++;
      return collected;
    }
    figures.gave++;
    figures.totalMs += collected.tookMs;
    figures.lastMs = collected.tookMs;
    return collected;
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
