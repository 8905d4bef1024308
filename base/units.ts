/** Milliseconds since 1970-01-01 UTC, by the clock of whoever wrote the value. */
export type Instant = number;
/** A span in milliseconds, >= 0. */
export type Millis = number;
/** Bytes, a non-negative integer below 2^53. */
export type Bytes = number;
/** A share, 0..1. */
export type Ratio = number;

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export const MIB = 1_048_576;
