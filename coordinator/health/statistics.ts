/** Linear interpolation between order statistics. @param sorted ascending; @param share 0..1. @returns null of nothing. */
export function quantile(sorted: ArrayLike<number>, share: number): number | null {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)];
  const high = sorted[Math.ceil(at)];
  return low === undefined || high === undefined ? null : low + (high - low) * (at - Math.floor(at));
}

/**
 * Quantile of the standard normal distribution, absolute error below 4.5e-4.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23.
 * @param share in (0, 1).
 */
export function normalQuantile(share: number): number {
  const isUpper = share > 0.5;
  const t = Math.sqrt(-2 * Math.log(isUpper ? 1 - share : share));
  const z = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3);
  return isUpper ? z : -z;
}
