import {expect, test} from 'vitest';
import {freshFigure, type HostFigure} from '../../../../coordinator/health/figure.ts';
import {heldAgainstPeers, naturalOf, type Shown} from '../../../../coordinator/health/peers.ts';

const LEAST = Math.log(1.3);
const SPREAD = {deviation: 0.06, freedom: 50};
const FARM = {center: 0, level: 6, middle: 6, shock: 0, spread: SPREAD};
/** A host that shows so much, and always showed `own`; chance of one reading 20 %. */
const shownBy = (difference: number, isRisen = false): Shown => {
  return {recent: difference, mean: difference, recentChance: 0.055, meanChance: 0.02, count: 500, scatter: 0.2, isRisen};
};
const known = (own: number, count = 1_000): HostFigure => ({...freshFigure(0), own, count, recentCount: 500});
const standing = (own: number, difference: number, isRisen = false, count = 1_000): ReturnType<typeof heldAgainstPeers> =>
  heldAgainstPeers(known(own, count), shownBy(difference, isRisen), FARM, naturalOf(SPREAD), LEAST);

test('what hosts that are well differ by is wider where few tell it, never wider than it is believed to be', () => {
  expect(naturalOf({deviation: 0.06, freedom: Number.POSITIVE_INFINITY})).toBeCloseTo(0.06, 9);
  expect(naturalOf({deviation: 0.06, freedom: 50})).toBeCloseTo(0.067, 3);
  expect(naturalOf({deviation: 0.06, freedom: 20})).toBeCloseTo(0.0804, 3);
  expect(naturalOf({deviation: 0.1, freedom: 6})).toBe(0.12);
  expect(naturalOf({deviation: 0.2, freedom: 6})).toBe(0.2);
});

test('the slowest by nature is no worse for a noisy minute; the same difference is a proof where it was not there before', () => {
  // A third slower; 4.9 deviations if chance and nature added up as squares, 4.6 of nature alone.
  expect(standing(0.26, 0.31)).toMatchObject({isLately: false, isAlways: false});
  // All the same it is no control.
  expect(standing(0.26, 0.31).score).toBeCloseTo(4.9, 1);
  expect(standing(0, 0.29, true)).toMatchObject({isLately: true, isBehindMiddle: true});
  // What it does not owe to itself, or what is no more than chance, is no rise.
  expect(standing(0, 0.29).isLately).toBe(false);
  expect(standing(0.2, 0.29, true).isLately).toBe(false);
  // Nor is it known without a past.
  expect(standing(0, 0.29, true, 10).isLately).toBe(false);
});

test('by far slower it is proved whatever it was, soon where it is much', () => {
  expect(standing(0.5, 0.5)).toMatchObject({isLately: true, isAlways: true, isBehindMiddle: true});
  const born = (recent: number, mean: number): boolean =>
    heldAgainstPeers(freshFigure(0), {...shownBy(mean), recent, count: 30}, FARM, naturalOf(SPREAD), LEAST).isLately;
  // The last hundred readings still say little, the last dozen all.
  expect(born(1.2, 0.3)).toBe(true);
  expect(born(0.4, 0.3)).toBe(false);
});
