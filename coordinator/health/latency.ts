import {octavePercentile} from '../../base/histogram.ts';
import {DAY_MS} from '../../base/units.ts';

/** So many deliveries or logins must be slow: one alone is that user's own. */
const SLOW_MIN = 3;
const US_PER_MS = 1000;
/** Longer times are no measurement, whatever a report says. */
const MS_MAX = 30 * DAY_MS;

/**
 * What is counted by size, several intervals together, as one time in milliseconds: at least three are that slow, of few the middle counts.
 * @param rows in microseconds, as of `Histogram.pack`. @returns null of nothing.
 */
export function slowMs(rows: readonly (readonly number[])[]): number | null {
  const us = octavePercentile(rows, count => Math.max(0.5, Math.min(0.95, 1 - SLOW_MIN / count)));
  return plausible(us === null ? null : us / US_PER_MS);
}

/** @returns null for a time that no host can have. */
export function plausible(ms: number | null): number | null {
  return ms !== null && ms <= MS_MAX ? ms : null;
}
