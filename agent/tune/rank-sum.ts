/**
 * Chance that values as much larger than `before` as `after` are come from the same source: one-sided Mann-Whitney test, normal
 * approximation with correction for ties and continuity (H. B. Mann, D. R. Whitney 1947). 1 when either is empty or all are equal.
 */
export function chanceOfLarger(before: readonly number[], after: readonly number[]): number {
  const all = [...before.map(value => ({value, isAfter: false})), ...after.map(value => ({value, isAfter: true}))].sort(
    (a, b) => a.value - b.value,
  );
  let rankSum = 0;
  let ties = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (all[to]?.value === all[from]?.value && to < all.length) to++;
    const count = to - from;
    const rank = (from + 1 + to) / 2;
    ties += count ** 3 - count;
    rankSum += rank * all.slice(from, to).filter(({isAfter}) => isAfter).length;
    from = to;
  }
  const n = all.length;
  const pairs = before.length * after.length;
  const larger = rankSum - (after.length * (after.length + 1)) / 2;
  const variance = (pairs / 12) * (n + 1 - ties / (n * (n - 1)));
  if (pairs === 0 || !(variance > 0)) return 1;
  return upperTail((larger - pairs / 2 - 0.5) / Math.sqrt(variance));
}

/** P(Z > z) of the normal distribution, to 1e-7. Source: Abramowitz and Stegun 26.2.17. */
function upperTail(z: number): number {
  if (z < 0) return 1 - upperTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (poly * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
}
