/** Three significant digits keep a report small; no figure of an interval is worth more. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(3));
}
