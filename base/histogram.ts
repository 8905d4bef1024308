import {assert} from './assert.ts';

/** Buckets of one octave: a value is known to within an eighth. */
const PER_OCTAVE = 4;
const OCTAVE_MAX = 52;

/**
 * Number of the bucket of a value, log-linear: each octave (1..2, 2..4, 4..8, ...) has four buckets of equal width, and values up to 4
 * have one each. The method of HdrHistogram with two significant bits.
 * @param value >= 0; everything below 1 is one bucket, everything above 2^53 another.
 */
export function bucketOf(value: number): number {
  assert(value >= 0, 'a histogram is of values >= 0');
  if (value < PER_OCTAVE) return Math.floor(value);
  const octave = Math.min(Math.floor(Math.log2(value)), OCTAVE_MAX);
  const part = Math.min(Math.floor((value / 2 ** octave - 1) * PER_OCTAVE), PER_OCTAVE - 1);
  return (octave - 1) * PER_OCTAVE + part;
}

/** Where bucket `bucket` begins; it ends where the next one begins. */
export function bucketFrom(bucket: number): number {
  if (bucket < PER_OCTAVE) return bucket;
  return 2 ** (Math.floor(bucket / PER_OCTAVE) + 1) * (1 + (bucket % PER_OCTAVE) / PER_OCTAVE);
}

/**
 * A percentile of what was counted by octaves, whatever part of its octave a count stands in: a value lies in its octave where its rank
 * says, evenly by ratio, so that the figure does not jump by an octave's width.
 * @param rows as of `Histogram.pack`, added up. @param shareOf the percentile 0..1 that so many values are good for.
 * @returns null of nothing.
 */
export function octavePercentile(rows: readonly (readonly number[])[], shareOf: (count: number) => number): number | null {
  const counts: number[] = [];
  let all = 0;
  const add = (bucket: number, times: number): void => {
    const octave = Math.min(bucket < PER_OCTAVE ? bucket >> 1 : Math.floor(bucket / PER_OCTAVE) + 1, OCTAVE_MAX);
    while (counts.length <= octave) counts.push(0);
    counts[octave] = (counts[octave] ?? 0) + times;
    all += times;
  };
  for (const row of rows) unpack(row, add);
  const rank = shareOf(all) * all;
  let below = 0;
  for (let octave = 0; octave < counts.length; octave++) {
    const times = counts[octave] ?? 0;
    if (times > 0 && below + times >= rank) return 2 ** (octave + (rank - below) / times);
    below += times;
  }
  return null;
}

/** @param packed as of `Histogram.pack`. @param found told of each bucket and how many values are in it. */
function unpack(packed: readonly number[], found: (bucket: number, times: number) => void): void {
  let bucket = 0;
  for (let at = 0; at + 1 < packed.length; at += 2) {
    bucket += packed[at] ?? 0;
    found(bucket, packed[at + 1] ?? 0);
  }
}

/** Counts of values by size, of bounded length whatever is added; those of several hosts or intervals can be added up. */
export class Histogram {
  readonly #counts = new Map<number, number>();

  add(value: number, times = 1): void {
    if (times > 0) this.#add(bucketOf(value), times);
  }

  get count(): number {
    let sum = 0;
    for (const times of this.#counts.values()) sum += times;
    return sum;
  }

  merge(packed: readonly number[]): void {
    unpack(packed, (bucket, times) => this.#add(bucket, times));
  }

  /** Pairs of (buckets further than the one before, values in it), in one row: what `merge` takes. */
  pack(): number[] {
    let before = 0;
    return [...this.#counts]
      .sort(([a], [b]) => a - b)
      .flatMap(([bucket, times]) => {
        const step = bucket - before;
        before = bucket;
        return [step, times];
      });
  }

  /** The middle of the bucket in which the value of that rank lies; null for none. @param share 0..1 */
  percentile(share: number): number | null {
    const rank = Math.max(Math.ceil(share * this.count), 1);
    let seen = 0;
    for (const [bucket, times] of [...this.#counts].sort(([a], [b]) => a - b)) {
      seen += times;
      if (seen >= rank) return bucket < PER_OCTAVE ? bucket : (bucketFrom(bucket) + bucketFrom(bucket + 1)) / 2;
    }
    return null;
  }

  #add(bucket: number, times: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + times);
  }
}
