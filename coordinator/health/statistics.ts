/** Values of which a few order statistics are wanted: they are put in order only as far as that needs. */
export class Sample {
  readonly #values: Float64Array;
  #length = 0;

  /** @param most as many values as it may take. */
  constructor(most: number) {
    this.#values = new Float64Array(most);
  }

  static of(values: Float64Array | readonly number[]): Sample {
    const sample = new Sample(values.length);
    for (const value of values) sample.add(value);
    return sample;
  }

  get length(): number {
    return this.#length;
  }

  /** @param value no NaN. */
  add(value: number): void {
    this.#values[this.#length++] = value;
  }

  /** The value with so many below it; undefined beyond the last. Hoare's selection (1961), the middle one as pivot. */
  at(rank: number): number | undefined {
    const values = this.#values;
    let [from, to] = [0, this.#length - 1];
    while (from < to && rank <= to) {
      const pivot = values[(from + to) >> 1] ?? 0;
      let [low, high] = [from, to];
      while (low <= high) {
        while ((values[low] ?? pivot) < pivot) low++;
        while ((values[high] ?? pivot) > pivot) high--;
        if (low > high) break;
        const swapped = values[low] ?? 0;
        values[low++] = values[high] ?? 0;
        values[high--] = swapped;
      }
      if (rank > high && rank < low) break;
      if (rank <= high) to = high;
      else from = low;
    }
    return rank < this.#length ? values[rank] : undefined;
  }

  /** Linear interpolation between order statistics. @param share 0..1. @returns null of nothing. */
  quantile(share: number): number | null {
    const place = share * (this.#length - 1);
    const low = this.at(Math.floor(place));
    const high = this.at(Math.ceil(place));
    return low === undefined || high === undefined ? null : low + (high - low) * (place - Math.floor(place));
  }
}

/**
 * So many deviations of Student's t have the same chance beyond them as `z` of a normal distribution: what is known of a deviation by few
 * degrees of freedom may be less than it is. Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5, four terms.
 * @param freedom degrees of freedom, from about 7 on; infinite: `z`.
 */
export function studentOf(z: number, freedom: number): number {
  const terms = [
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92_160,
  ];
  return terms.reduce((sum, term, index) => sum + term / freedom ** (index + 1), z);
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
