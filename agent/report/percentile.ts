/**
 * Nearest-rank percentile: a value that really occurred (Hyndman and Fan 1996, type 1).
 * @param share 0..1.
 * @returns null for no values.
 */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? null;
}
