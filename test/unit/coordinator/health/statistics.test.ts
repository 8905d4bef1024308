import {expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {Sample, studentOf} from '../../../../coordinator/health/statistics.ts';

test('every order statistic is that of the sorted values, in whatever order they are asked for (200 seeds)', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const rng = seededRng(seed);
    // Many equal ones, and sorted ones either way, are where selections go wrong.
    const values = Array.from({length: 1 + Math.floor(60 * rng.unit())}, () => Math.floor(2 ** (1 + (seed % 12)) * rng.unit()) - 3);
    if (seed % 5 === 1) values.sort((a, b) => a - b);
    if (seed % 5 === 2) values.sort((a, b) => b - a);
    const sorted = values.toSorted((a, b) => a - b);
    const sample = Sample.of(values);
    const asked = Array.from({length: 20}, () => Math.floor(values.length * rng.unit()));
    expect({seed, at: asked.map(rank => sample.at(rank))}).toEqual({seed, at: asked.map(rank => sorted[rank])});
    expect(sample.at(values.length)).toBeUndefined();
  }
});

test('a quantile lies between its neighbours; there is none of nothing', () => {
  const sample = Sample.of([40, 10, 30, 20]);
  expect([0, 0.5, 0.25, 0.9, 1].map(share => sample.quantile(share))).toEqual([10, 25, 17.5, 37, 40]);
  expect(new Sample(3).quantile(0.5)).toBeNull();
  expect(new Sample(3).at(0)).toBeUndefined();
});

test("Student's t is wider than the normal distribution the fewer degrees of freedom it has, as in its tables", () => {
  const normal = [1.959964, 3.090232, 4.5];
  const rounded = (freedom: number): number[] => normal.map(z => Math.round(100 * studentOf(z, freedom)) / 100);
  expect(rounded(10).slice(0, 2)).toEqual([2.23, 4.14]);
  expect(rounded(20)).toEqual([2.09, 3.55, 6.03]);
  expect(rounded(100)).toEqual([1.98, 3.17, 4.75]);
  expect(studentOf(4.5, Number.POSITIVE_INFINITY)).toBe(4.5);
});
