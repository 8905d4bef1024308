import type {Millis} from '../../base/units.ts';

/** Of the kernel's counters, whatever the disk and the processor have. */
export const SECTOR_BYTES = 512;
export const PAGE_BYTES = 4_096;

/** Counters and levels of one moment by name; absent = the kernel did not say. */
export interface Counters {
  get(name: string): bigint | undefined;
}

export interface Moment {
  values: Counters;
  /** By the monotonic clock. */
  atMs: Millis;
}

/**
 * What happened between two moments, and the levels of the later one. A change is null when either end is absent, when a
 * counter went backwards (a reset), or when the moments lie further apart than `gapMsMax` (the mean of a gap says nothing).
 */
export class Span {
  /** 0 before the second moment. */
  readonly ms: Millis;
  readonly #before: Counters | null;
  readonly #after: Counters;

  /** @param before null for the first moment: levels only. */
  constructor(before: Moment | null, after: Moment, gapMsMax: Millis) {
    this.ms = before === null ? 0 : after.atMs - before.atMs;
    this.#before = before !== null && this.ms > 0 && this.ms <= gapMsMax ? before.values : null;
    this.#after = after.values;
  }

  level(name: string): number | null {
    const value = this.#after.get(name);
    return value === undefined ? null : Number(value);
  }

  change(name: string): number | null {
    const from = this.#before?.get(name);
    const to = this.#after.get(name);
    return from === undefined || to === undefined || to < from ? null : Number(to - from);
  }

  perSecond(name: string): number | null {
    return ratio(this.change(name), this.ms / 1000);
  }
}

/** null when either is absent or nothing happened that could be divided by. */
export function ratio(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : part / whole;
}

/** null when one of them is. */
export function sum(parts: readonly (number | null)[]): number | null {
  return parts.reduce((total, part) => (total === null || part === null ? null : total + part), 0);
}

/** Times a factor; null stays null. */
export function times(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
}

/** A share of our time by another clock: it may come out a little over 1. */
export function atMostOne(share: number | null): number | null {
  return share === null ? null : Math.min(share, 1);
}

/** What the kernel said, as it is behind a report. */
export interface KernelSpans {
  /** Of this interval. */
  host: Span;
  /** Of the last turn of what the kernel sums over its CPUs: a longer one. */
  summed: Span | null;
  /** Of their last turn. */
  limits: Counters;
}
