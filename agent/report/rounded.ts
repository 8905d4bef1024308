/** Three significant digits keep a report small; no figure of an interval is worth more. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(3));
}

/** A whole number of what is known. */
export function orRounded(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Math.round(value);
}
