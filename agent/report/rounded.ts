/** Four significant digits keep a report small and say more than any of the figures is worth. */
export function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}
