import {expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {compare} from '../../../../coordinator/health/compare.ts';
import {figureOf, NO_FIGURE, type Reading} from '../../../../coordinator/health/figure.ts';
import {chance, firstProof, hosts, played, proved, YARDSTICK} from './rounds.ts';

test('what all hosts feel at once is nobody in particular', () => {
  expect(proved(played({rounds: 130, factor: (_host, round) => (round >= 100 ? 20 : 1)}))).toEqual([]);
});

test('what all hosts feel at once, each in its own measure, is nobody in particular; on a farm of five as on one of twenty', () => {
  const measure = [8, 12, 20, 14, 6];
  const all = (host: number, round: number): number => (round >= 100 ? (measure[host % 5] ?? 1) : 1);
  for (const count of [5, 20]) {
    const rounds = played({count, rounds: 200, factor: all});
    expect({count, proofs: rounds.flat().filter(({proof}) => proof !== null).length}).toEqual({count, proofs: 0});
  }
  const beside = played({count: 5, rounds: 130, factor: (host, round) => (host === 3 && round >= 100 ? 14 : 1)});
  expect(proved(beside)).toEqual([[3, 'past']]);
  const more = played({count: 5, rounds: 130, factor: (host, round) => (round >= 100 ? (host === 3 ? 400 : 4) : 1)});
  expect(proved(more)).toEqual([[3, 'past']]);
});

test('a third gets faster while the day makes all a little slower: nobody got worse', () => {
  const day = (round: number): number => Math.exp(0.3 * Math.min(1, Math.max(0, (round - 100) / 60)));
  const rounds = played({rounds: 300, factor: (host, round) => day(round) * (host < 7 && round >= 100 ? 1 / 3 : 1)});
  expect(rounds.flat().filter(({proof}) => proof !== null)).toEqual([]);
});

test("half get faster while the day makes all a little slower: it is proved against nobody's own past (5 seeds)", () => {
  const day = (round: number): number => Math.exp(0.3 * Math.min(1, Math.max(0, (round - 150) / 200)));
  for (const part of [1 / 1.6, 1 / 3]) {
    const plays = [1, 2, 3, 4, 5].map(seed => {
      return played({seed, rounds: 500, factor: (host, round) => day(round) * (host < 10 && round >= 150 ? part : 1)});
    });
    expect({part, proofs: plays.flat(2).filter(({proof}) => proof === 'past').length}).toEqual({part, proofs: 0});
  }
});

test('an hour after hours in which all were slow, two thirds more on one host are proved as soon as ever, and nobody else (5 seeds)', () => {
  const [slow, well, ill] = [200, 2_400, 2_760];
  const plays = [1, 2, 3, 4, 5].map(seed => {
    const factor = (host: number, round: number): number =>
      (round >= slow && round < well ? 1.9 : 1) * (host === 7 && round >= ill ? 1.67 : 1);
    return played({seed, rounds: ill + 60, factor});
  });
  expect(plays.flatMap(rounds => rounds.flat().filter(({proof}, at) => proof !== null && at % 20 !== 7))).toEqual([]);
  expect(plays.map(rounds => firstProof(rounds, 7) - ill).filter(readings => readings < 0 || readings > 45)).toEqual([]);
});

test('what all suffer at once is learnt within hours, not within minutes, however young the farm is', () => {
  const rounds = played({count: 5, rounds: 400, factor: (host, round) => (round >= 100 ? (host === 3 ? 100 : 20) : 1)});
  expect(rounds.flat().filter(({proof}) => proof !== null)).toEqual([]);
});

test('but it is learnt: hours later one that gets twice as slow is proved as on any other farm', () => {
  const rounds = played({rounds: 2_460, factor: (host, round) => (round >= 100 ? 3 : 1) * (host === 3 && round >= 2_400 ? 2 : 1)});
  expect(proved(rounds)).toEqual([[3, 'past']]);
});

test('seven of ten fall sick: they are found, the others are not', () => {
  const rounds = played({rounds: 130, factor: (host, round) => (host < 14 && round >= 100 ? 20 : 1)});
  expect(proved(rounds).map(([host]) => host)).toEqual(Array.from({length: 14}, (_, index) => index));
});

test.each([
  [20, 14, 1.67],
  [20, 14, 2],
  [5, 3, 1.67],
  [100, 60, 1.67],
])('of %i hosts %i fall sick and are %d times as slow: they stay proved', (count, ill, slower) => {
  const rounds = played({count, rounds: 400, factor: (host, round) => (host < ill && round >= 100 ? slower : 1)});
  const settled = rounds.slice(200).flatMap(marks => marks.slice(0, ill));
  expect(settled.filter(({proof, isBehindMiddle}) => proof !== null && isBehindMiddle).length / settled.length).toBeGreaterThan(0.9);
});

test('what does not feel what most others suffer for hours is not taken for better than it is: nobody is proved once these are mended', () => {
  const rounds = played({rounds: 3_000, factor: (host, round) => (host < 16 && round >= 200 && round < 2_600 ? 3 : 1)});
  expect(rounds.slice(200).flatMap(marks => marks.slice(16).filter(({proof}) => proof !== null)).length).toBe(0);
});

test('on a calm farm what a host usually shows stays what it shows (a day)', () => {
  const rng = seededRng(1);
  let memory = NO_FIGURE;
  for (let round = 0; round < 8_640; round++) {
    const readings = hosts(12).map((host): Reading => {
      return {host, load: 2, value: 500 * Math.exp(0.02 * chance(rng)), isNew: true, isBurdened: false, like: null};
    });
    memory = compare(readings, memory, YARDSTICK, round * 10_000).memory;
  }
  const off = hosts(12).map(host => {
    const {usual = 0, lately = 0} = figureOf(memory.hosts, host) ?? {};
    return Math.abs(usual - lately);
  });
  expect(Math.max(...off)).toBeLessThan(0.05);
});

/** Three seeds: `ill` of `count` hosts are ten times as slow for some rounds, well for as many as that, then the last host gets slower. */
function afterwards(count: number, ill: number, rounds: number, slower: number): {readings: number[]; falsely: number} {
  const [onset, mended, again] = [60, 60 + rounds, 60 + 2 * rounds];
  const plays = [1, 2, 3].map(seed => {
    const factor = (host: number, round: number): number => {
      if (host < ill && round >= onset && round < mended) return 10;
      return host === count - 1 && round >= again ? slower : 1;
    };
    return played({count, seed, rounds: again + 60, factor});
  });
  return {
    readings: plays.map(each => each.slice(again).findIndex(marks => marks[count - 1]?.proof != null)),
    falsely: plays.flatMap(each => each.slice(mended, again).flatMap(marks => marks.slice(ill).filter(({proof}) => proof !== null))).length,
  };
}

/** While most are proved ill the others do not come to be taken for better than they are, and what nearly all have leaves no noise behind. */
test.each([
  [20, 14, 1_000, 2],
  [5, 3, 1_000, 2],
  [20, 16, 360, 3],
  [5, 4, 360, 3],
])(
  'of %d hosts %d are ill for %d rounds: another that gets %d times slower afterwards is proved as soon as ever',
  (count, ill, rounds, slower) => {
    const {readings, falsely} = afterwards(count, ill, rounds, slower);
    expect({late: readings.filter(each => each < 0 || each > 10), falsely}).toEqual({late: [], falsely: 0});
  },
);
