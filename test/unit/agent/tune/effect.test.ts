import {describe, expect, test} from 'vitest';
import {effectOf, type Sight} from '../../../../agent/tune/effect.ts';
import {brake, type GuardLook, guardLookOf} from '../../../../agent/tune/guard.ts';
import {chanceOfLarger} from '../../../../agent/tune/rank-sum.ts';
import {seededRng} from '../../../../base/random.ts';

const LIMIT = 'fs.file-max';
const FLUSH = 'vm.dirty_background';

function sights(count: number, over: {delay?: number; aim?: number | null; load?: number; wait?: number} = {}, seed = 1): Sight[] {
  const rng = seededRng(seed);
  const {delay = 400, aim = 30, load = 5, wait = 20} = over;
  return Array.from({length: count}, () => ({
    felt: {
      deliveryMsP95: delay * rng.between(0.6, 1.6),
      queueAgeMsP95: null,
      probeDeliveryMs: 90,
      probeLoginMs: 40,
      probeFailureShare: 0,
      imapDroppedShare: 0,
    },
    aim,
    deliveriesPerSecond: load,
    runQueueWaitMsPerSecond: wait,
  }));
}

describe('effect', () => {
  test.each<[string, string, Sight[], Sight[], boolean, string, string]>([
    ['nothing to say yet', LIMIT, sights(30), sights(5), false, 'wait', '5 reports'],
    ['a limit that harms nobody stays', LIMIT, sights(30), sights(60), true, 'keep', 'no harm'],
    ['users feel it: at once', LIMIT, sights(30), sights(14, {delay: 20_000}), false, 'undo', 'deliveryMsP95 rose'],
    ['slower, and nobody feels it', LIMIT, sights(30), sights(60, {delay: 1_500}), true, 'keep', 'no harm'],
    ['one bad report is no harm', LIMIT, sights(30), [...sights(50), ...sights(1, {delay: 90_000})], true, 'keep', 'no harm'],
    ['too few to judge harm, and over', LIMIT, sights(3), sights(9, {delay: 90_000}), true, 'keep', 'no harm'],
    ['worse at twice the load waits', LIMIT, sights(30), sights(14, {delay: 20_000, load: 11}), false, 'wait', ''],
    ['worse at twice the load to the end', LIMIT, sights(30), sights(60, {delay: 20_000, load: 11}), true, 'undo', '2.2 times the load'],
    ['what was aimed at got better', FLUSH, sights(30, {aim: 40}), sights(60, {aim: 20}), true, 'keep', '0.50 times'],
    ['what was aimed at stayed', FLUSH, sights(30, {aim: 40}), sights(60, {aim: 38}), true, 'undo', '0.95 times'],
    ['what was aimed at is not known', FLUSH, sights(30, {aim: null}), sights(60, {aim: 38}), true, 'undo', 'not measured'],
    [
      'better for the network, worse for all others',
      'net.core.netdev_budget',
      sights(30, {aim: 40, wait: 20}),
      sights(60, {aim: 1, wait: 30}),
      true,
      'undo',
      'waiting for a processor 1.50 times',
    ],
  ])('%s', (_, knob, before, after, isOver, verdict, text) => {
    expect(effectOf(knob, before, after, isOver)).toEqual({verdict, text: expect.stringContaining(text)});
  });

  test('a change without effect is rarely blamed, looked at with every report', () => {
    const seed = 20_261_124;
    const rng = seededRng(seed);
    let blamed = 0;
    for (let run = 0; run < 200; run++) {
      const before = sights(60, {delay: 9_000}, rng.below(1e9));
      const after = sights(60, {delay: 9_000}, rng.below(1e9));
      if (after.some((_, at) => effectOf(LIMIT, before, after.slice(0, at + 1), false).verdict === 'undo')) blamed++;
    }
    expect(blamed, `seed ${seed}`).toBeLessThanOrEqual(4);
  });
});

test('rank sum', () => {
  // Exactly 1/20; the approximation is near even for so few.
  expect(chanceOfLarger([1, 2, 3], [4, 5, 6])).toBeCloseTo(0.0404, 3);
  expect(chanceOfLarger([4, 5, 6], [1, 2, 3])).toBeGreaterThan(0.95);
  expect(chanceOfLarger([1, 1, 1], [1, 1, 1])).toBe(1);
  expect(chanceOfLarger([], [1])).toBe(1);
});

describe('guard', () => {
  const base: GuardLook = {atMs: 0, ioFull: 4, memoryFull: 0, allocStalls: 0};
  const looks = (seconds: number, over: (at: number) => Partial<GuardLook>): GuardLook[] =>
    Array.from({length: seconds}, (_, at) => ({...base, atMs: (at + 1) * 1_000, ...over(at)}));

  test.each<[string, GuardLook[], string | null]>([
    ['quiet', looks(120, () => ({})), null],
    ['I/O pressure for 16 s', looks(17, () => ({ioFull: 30})), 'I/O pressure too high for 15 s'],
    ['for 14 s', looks(15, () => ({ioFull: 30})), null],
    ['with a break', looks(30, at => ({ioFull: at === 14 ? 20 : 30})), null],
    ['and after it', looks(31, at => ({ioFull: at === 14 ? 20 : 30})), 'I/O pressure too high for 15 s'],
    ['below the limit', looks(60, () => ({ioFull: 24})), null],
    ['over for now', [...looks(60, () => ({ioFull: 30})), ...looks(61, () => ({})).slice(60)], null],
    ['memory pressure', looks(12, () => ({memoryFull: 11})), 'memory pressure too high for 10 s'],
    ['reclaim', looks(14, at => ({allocStalls: at * 600})), 'direct reclaim too high for 10 s'],
    ['little reclaim', looks(60, at => ({allocStalls: at * 100})), null],
    ['a kernel that does not tell', looks(60, () => ({ioFull: null, memoryFull: null, allocStalls: null})), null],
    ['no look', [], null],
  ])('%s', (_, seen, expected) => {
    expect(brake(base, seen)).toBe(expected);
  });

  test('a host under pressure already is allowed more', () => {
    const pressed = {...base, ioFull: 20};
    expect(
      brake(
        pressed,
        looks(60, () => ({ioFull: 45})),
      ),
    ).toBe(null);
    expect(
      brake(
        pressed,
        looks(60, () => ({ioFull: 51})),
      ),
    ).toBe('I/O pressure too high for 15 s');
  });

  test('takes what the kernel said; what it did not say is absent', () => {
    const values = new Map([
      ['psiIoFullHundredths', 75n],
      ['allocStalls', 41n],
    ]);
    expect(guardLookOf(values, 7)).toEqual({atMs: 7, ioFull: 0.75, memoryFull: null, allocStalls: 41});
    expect(guardLookOf(new Map(), 7)).toEqual({atMs: 7, ioFull: null, memoryFull: null, allocStalls: null});
  });
});
