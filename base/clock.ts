import type {Instant, Millis} from './units.ts';

/**
 * Time as an argument. The real one lives in clock.io.ts; the simulator has its own.
 * `now` is the wall clock and may jump; `monotonic` never goes back and has an arbitrary zero: measure spans with it.
 */
export interface Clock {
  now(): Instant;
  monotonic(): Millis;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: Millis, signal?: AbortSignal): Promise<void>;
}
