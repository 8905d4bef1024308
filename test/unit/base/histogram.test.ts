import {expect, test} from 'vitest';
import {bucketFrom, bucketOf, Histogram, octavePercentile} from '../../../base/histogram.ts';

test('every value lies in its bucket, which is no wider than a quarter of its beginning', () => {
  for (let value = 0; value < 5e12; value = value < 8 ? value + 1 : value * 1.07) {
    const bucket = bucketOf(value);
    expect(bucketFrom(bucket)).toBeLessThanOrEqual(value);
    expect(bucketFrom(bucket + 1)).toBeGreaterThan(value);
    if (value >= 4) expect(bucketFrom(bucket + 1) / bucketFrom(bucket)).toBeLessThanOrEqual(1.25);
  }
});

test('buckets follow each other without a gap', () => {
  for (let bucket = 0; bucket < 200; bucket++) expect(bucketOf(bucketFrom(bucket))).toBe(bucket);
});

test('what is beyond any span has a bucket too', () => {
  expect(bucketOf(Number.MAX_VALUE)).toBe(bucketOf(2 ** 53));
  expect(() => bucketOf(-1)).toThrow();
});

test('packed, merged and unpacked it is the sum', () => {
  const [a, b, sum] = [new Histogram(), new Histogram(), new Histogram()];
  for (const value of [0, 1, 1, 900, 1_000_000]) a.add(value);
  for (const value of [1, 950, 4e11]) b.add(value);
  sum.merge(a.pack());
  sum.merge(b.pack());
  expect(sum.count).toBe(8);
  expect(sum.pack().filter((_, at) => at % 2 === 1)).toEqual([1, 3, 2, 1, 1]);
  expect(new Histogram().pack()).toEqual([]);
});

test('percentiles are within an eighth', () => {
  const histogram = new Histogram();
  for (let value = 1; value <= 10_000; value++) histogram.add(value);
  for (const share of [0.5, 0.95, 0.99]) {
    const found = histogram.percentile(share) ?? 0;
    expect(Math.abs(found - share * 10_000)).toBeLessThanOrEqual(share * 10_000 * 0.125);
  }
  expect(new Histogram().percentile(0.5)).toBeNull();
});

test('a percentile by octaves lies where its rank says, and does not jump', () => {
  const [fine, coarse] = [new Histogram(), new Histogram()];
  for (let step = 0; step < 4000; step++) {
    const value = 1024 * 2 ** (step / 1000);
    fine.add(value);
    // As Dovecot counts: each in the middle of its octave.
    coarse.add(2 ** (Math.floor(Math.log2(value)) + 0.5));
  }
  for (const share of [0.5, 0.8, 0.95]) {
    const right = 1024 * 2 ** (4 * share);
    for (const each of [fine, coarse]) expect((octavePercentile([each.pack()], () => share) ?? 0) / right).toBeCloseTo(1, 1);
  }
  const [below, above] = [new Histogram(), new Histogram()];
  below.add(900, 100);
  above.add(1100, 1);
  const [before, after] = [[below.pack()], [below.pack(), above.pack()]].map(rows => octavePercentile(rows, () => 0.95) ?? 0);
  expect((after ?? 0) / (before ?? 1)).toBeLessThan(1.02);
  expect(octavePercentile([], () => 0.95)).toBeNull();
  expect(octavePercentile([new Histogram().pack()], count => 1 - 3 / count)).toBeNull();
});
