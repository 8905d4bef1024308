import {expect, test} from 'vitest';
import type {Cell} from '../../../../coordinator/health/explain.ts';
import {rivals} from '../../../../coordinator/health/rivals.ts';

/** Twelve hosts, the first two bad: three of each model, four of each disk, six of each release. */
const cells = Array.from({length: 12}, (_, index): Cell => {
  const labels = {model: `m${Math.floor(index / 3)}`, disk: `d${index % 3}`, os: index < 6 ? 'a' : 'b'};
  return {labels, bad: index < 2 ? 1 : 0, good: index < 2 ? 0 : 1};
});
const any = (): boolean => true;

// Both bad ones among three, four, six members: 3/66, 6/66, 15/66.
test.each([
  [1, 3 / 66, 4],
  [1, 6 / 66, 7],
  [1, 15 / 66, 9],
  [1, 1 / 66, 0],
])('%i label, chance %f: as many divisions may be as unlikely (%i)', (labels, chance, count) => {
  expect(rivals(cells, labels, any, chance, 8.5)).toBe(count);
});

test('pairs: those that divide as one of their labels does are not counted, nor are labels that are not asked for', () => {
  // Disk and release: two hosts of each pair, and both may be the bad ones. Model and disk: one host each, which never is as unlikely.
  expect(rivals(cells, 2, any, 1 / 66, 6.5)).toBe(6);
  expect(rivals(cells, 2, key => key !== 'os', 1 / 66, 6.5)).toBe(0);
});

test('hosts that say nothing are in no division', () => {
  const silent: Cell = {labels: {model: 'm9', disk: 'd9', os: 'c'}, bad: 0, good: 0};
  expect(rivals([...cells, silent, silent], 1, any, 6 / 66, 8.5)).toBe(7);
});
