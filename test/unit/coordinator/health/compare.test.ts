import {expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {compare, forget} from '../../../../coordinator/health/compare.ts';
import {type FigureMemory, figureOf, type Mark, markAt, NO_FIGURE, type Reading} from '../../../../coordinator/health/figure.ts';
import {normalQuantile} from '../../../../coordinator/health/statistics.ts';
import {chance, firstProof, hosts, type Play, played, proved, YARDSTICK} from './rounds.ts';

test('chance alone proves nothing (5 seeds, 20 hosts, two hours)', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rounds = played({seed, rounds: 720});
    expect({seed, proofs: rounds.flat().filter(({proof}) => proof !== null).length}).toEqual({seed, proofs: 0});
  }
});

test('nor does chance that remembers, while it is not yet known what a host usually shows (8 seeds, 60 hosts)', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const rng = seededRng(seed).fork('wander');
    const state = new Map<number, number>();
    const factor = (host: number): number => {
      const next = 0.67 * (state.get(host) ?? 0) + 0.74 * 0.22 * chance(rng);
      state.set(host, next);
      return Math.exp(next);
    };
    const rounds = played({seed, count: 60, rounds: 200, factor});
    expect({seed, proofs: rounds.flat().filter(({proof}) => proof === 'past').length}).toEqual({seed, proofs: 0});
  }
});

test('a host that gets three times slower is proved against its past within a minute', () => {
  const rounds = played({rounds: 120, factor: (host, round) => (host === 3 && round >= 100 ? 3 : 1)});
  expect(firstProof(rounds, 3)).toBeGreaterThanOrEqual(102);
  expect(firstProof(rounds, 3)).toBeLessThanOrEqual(106);
  expect(proved(rounds)).toEqual([[3, 'past']]);
  const mark = rounds.at(-1)?.[3];
  expect(mark?.sinceMs).toBe(1_000_000);
  expect(mark?.expected).toBeGreaterThan(430);
  expect(mark?.expected).toBeLessThan(580);
});

test('one that gets ten times slower is proved by four or five readings', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const rounds = played({seed, rounds: 110, factor: (host, round) => (host === 3 && round >= 100 ? 10 : 1)});
    const readings = firstProof(rounds, 3) - 99;
    expect({seed, readings, isSoon: readings === 4 || readings === 5}).toEqual({seed, readings, isSoon: true});
  }
});

test('a third slower takes longer, and one wild reading proves nothing', () => {
  const slower = played({rounds: 200, factor: (host, round) => (host === 3 && round >= 100 ? 1.4 : 1)});
  expect(proved(slower)).toEqual([[3, 'past']]);
  const wild = played({rounds: 120, factor: (host, round) => (host === 3 && round === 100 ? 1e6 : 1)});
  expect(wild.flat().some(({proof}) => proof !== null)).toBe(false);
});

test('half as slow again among noise of a quarter: mostly proved within a quarter of an hour, since it is not learnt meanwhile (10 seeds)', () => {
  let found = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const rng = seededRng(seed).fork('noise');
    const factor = (host: number, round: number): number => Math.exp(0.2 * chance(rng)) * (host === 3 && round >= 180 ? 1.5 : 1);
    const rounds = played({seed, rounds: 180 + 90, factor});
    if (firstProof(rounds, 3) >= 180) found++;
  }
  expect(found).toBeGreaterThanOrEqual(6);
});

test('the slowest host of a farm whose better hosts happen to lie close together is slow by nature; what it gets slower by is not', () => {
  // Better half within 6 %, the others within 10 %, the slowest a third slower.
  const nature = Array.from({length: 60}, (_, host) => normalQuantile((host + 0.5) / 60)).map(z => z * (z < 0 ? 0.06 : 0.1));
  nature[59] = 0.31;
  const [slowest, other] = [59, 30];
  const factor = (host: number, round: number): number =>
    Math.exp((nature[host] ?? 0) + (host === other && round >= 600 ? 0.35 : 0)) * (host === slowest && round % 200 < 12 ? 1.15 : 1);
  const rounds = played({count: 60, rounds: 900, factor});
  expect(firstProof(rounds, slowest)).toBe(-1);
  expect(proved(rounds)).toEqual([[other, 'past']]);
});

test('what stood for three intervals in one report counts for as long; one alone, however long and wild, proves nothing', () => {
  const proofs = (intervals: number, wild: (round: number) => boolean): number => {
    let memory: FigureMemory = NO_FIGURE;
    const rng = seededRng(1);
    for (let round = 0; round < 120; round++) {
      const isBad = round >= 100 && wild(round);
      const readings = hosts(12).map((host, index): Reading => {
        const value = 500 * (index === 3 && isBad ? 1e3 : 1) * Math.exp(0.15 * chance(rng));
        return {host, load: 2, value, isNew: true, isBurdened: false, like: null, ...(index === 3 && round >= 100 ? {intervals} : {})};
      });
      const compared = compare(readings, memory, YARDSTICK, round * 10_000);
      memory = compared.memory;
      if (compared.marks.get('h3')?.proof !== null) return round - 99;
    }
    return Number.POSITIVE_INFINITY;
  };
  expect(proofs(1, () => true)).toBeGreaterThanOrEqual(4);
  expect(proofs(3, () => true)).toBe(2);
  expect(proofs(1_000, () => true)).toBe(2);
  expect(proofs(1_000, round => round === 100)).toBe(Number.POSITIVE_INFINITY);
});

test('what load does is told by hosts of the same hardware: that the busy ones are of another make is no influence of load', () => {
  const isOld = (host: number): boolean => host < 10;
  const factor = (host: number): number => (isOld(host) ? 4 : 1);
  // The old ones are the busy ones, two of them busier than any.
  const load = (host: number): number => (host < 2 ? 9 : isOld(host) ? 5 + host / 10 : 1 + host / 10);
  const ratios = (like: NonNullable<Play['like']>): number[] =>
    (played({rounds: 600, factor, load, like}).at(-1) ?? []).map(({ratio}) => ratio);
  const told = ratios(host => (isOld(host) ? 'old' : 'new'));
  expect(Math.max(...told.slice(0, 10)) / Math.min(...told.slice(0, 10))).toBeLessThan(1.4);
  const untold = ratios(() => null);
  expect(Math.max(...untold.slice(0, 10)) / Math.min(...untold.slice(0, 10))).toBeGreaterThan(1.4);
});

test('however the curve of load is learnt, a host at usual load shows what it shows', () => {
  const shown = (b1: number, b2: number): number => {
    // So much seen that the ridge counts for nothing.
    const slope = {xx: 1e9, xq: 0, qq: 1e9, xy: b1 * 1e9, qy: b2 * 1e9};
    const readings = hosts(5).map((host, index) => ({host, load: index + 1, value: 500, isNew: true, isBurdened: false, like: null}));
    const {memory} = compare(readings, {...NO_FIGURE, slope, load: Math.log(4), rounds: 100}, YARDSTICK, 0);
    return figureOf(memory.hosts, 'h2')?.lately ?? 0;
  };
  expect(shown(0, 0)).toBeCloseTo(Math.log(510), 3);
  expect(shown(1, 0)).toBeCloseTo(Math.log(510), 3);
  expect(shown(-1.5, 0.7)).toBeCloseTo(Math.log(510), 3);
});

test('of two hosts one is being filled: that the other gets slower is proved all the same', () => {
  const rng = seededRng(2);
  let memory = NO_FIGURE;
  const proofs = Array.from({length: 330}, (_, round) => {
    const [old, fresh] = [round >= 300 ? 1.67 : 1, 1].map(factor => 500 * factor * Math.exp(0.15 * chance(rng)));
    const readings: Reading[] = [{host: 'h0', load: 2, value: old ?? 0, isNew: true, isBurdened: false, like: null}];
    if (round >= 280) readings.push({host: 'h1', load: 2, value: fresh ?? 0, isNew: true, isBurdened: true, like: null});
    const compared = compare(readings, memory, YARDSTICK, round * 10_000);
    memory = compared.memory;
    return compared.marks.get('h0')?.proof ?? null;
  });
  expect(proofs.slice(0, 300).filter(proof => proof !== null)).toEqual([]);
  expect(proofs.slice(320)).toContain('past');
});

test('bad from birth: proved against the others, and never taken for usual', () => {
  expect(proved(played({rounds: 400, factor: host => (host === 5 ? 3 : 1)}))).toEqual([[5, 'peers']]);
  const majority = proved(played({rounds: 400, factor: host => (host < 12 ? 8 : 1)}));
  expect(majority).toEqual(Array.from({length: 12}, (_, index) => [index, 'peers']));
});

test('a new host has no past, the farm has: it is held against the others', () => {
  const rng = seededRng(4);
  let memory: FigureMemory = NO_FIGURE;
  let mark: Mark | undefined;
  for (let round = 0; round < 120; round++) {
    const readings = hosts(round < 100 ? 9 : 10).map((host, index): Reading => {
      return {host, load: 2, value: 500 * (index === 9 ? 6 : 1) * Math.exp(0.15 * chance(rng)), isNew: true, isBurdened: false, like: null};
    });
    const compared = compare(readings, memory, YARDSTICK, round);
    memory = compared.memory;
    mark = compared.marks.get('h9');
  }
  expect(mark?.proof).toBe('peers');
});

test('busy hosts are as slow as load makes them; the same time on a quiet host is a proof', () => {
  const load = (host: number, round: number): number => (host % 4) * 3 + 1 + Math.sin(round / 9 + host);
  const usual = played({rounds: 300, load, exponent: 1});
  expect(usual.flat().some(({proof}) => proof !== null)).toBe(false);
  const slow = played({rounds: 340, load, exponent: 1, factor: (host, round) => (host === 4 && round >= 300 ? 4 : 1)});
  expect(proved(slow)).toEqual([[4, 'past']]);
});

test('a surge of load, or more than anybody has, is overload and no proof', () => {
  const surge = played({
    rounds: 130,
    load: (host, round) => (host === 2 && round >= 100 ? 30 : 2),
    factor: (host, round) => (host === 2 && round >= 100 ? 15 : 1),
  });
  expect(proved(surge)).toEqual([]);
  expect(
    surge
      .at(-1)
      ?.map(({isOverloaded}) => isOverloaded)
      .indexOf(true),
  ).toBe(2);
  const always = played({rounds: 130, load: host => (host === 2 ? 30 : 2), factor: host => (host === 2 ? 15 : 1)});
  expect(proved(always)).toEqual([]);
  // It always had that much to do, and did it well.
  const fallen = played({rounds: 130, load: host => (host === 2 ? 30 : 2), factor: (host, round) => (host === 2 && round >= 100 ? 15 : 1)});
  expect(proved(fallen)).toEqual([[2, 'past']]);
});

test('alone in the farm nothing can be proved; of two the slower one is', () => {
  expect(proved(played({count: 1, rounds: 130, factor: (_host, round) => (round >= 100 ? 50 : 1)}))).toEqual([]);
  expect(proved(played({count: 2, rounds: 130, factor: (host, round) => (host === 1 && round >= 100 ? 50 : 1)}))).toEqual([[1, 'past']]);
});

test('nothing is learnt of a host that we burden ourselves', () => {
  const memory = (isBurdened: boolean): FigureMemory => {
    const readings = hosts(5).map(host => ({host, load: 2, value: 700, isNew: true, isBurdened, like: null}));
    return compare(readings, NO_FIGURE, YARDSTICK, 0).memory;
  };
  expect(figureOf(memory(false).hosts, 'h1')?.count).toBe(1);
  expect(figureOf(memory(true).hosts, 'h1')?.count).toBe(0);
});

test('a reading that was seen before changes nothing', () => {
  const reading = (value: number, isNew: boolean): Reading[] =>
    hosts(5).map(host => ({host, load: 2, value, isNew, isBurdened: false, like: null}));
  const once = compare(reading(500, true), NO_FIGURE, YARDSTICK, 0);
  expect(compare(reading(500, false), once.memory, YARDSTICK, 5).memory.hosts).toEqual(once.memory.hosts);
});

test('another leader goes on from the memory as JSON with the same marks; hosts that come, go and change places keep their own past', () => {
  const rng = seededRng(5);
  let [here, there]: [FigureMemory, FigureMemory] = [NO_FIGURE, NO_FIGURE];
  for (let round = 0; round < 200; round++) {
    const readings = hosts(9).flatMap((host, index): Reading[] => {
      const isThere = (index !== 4 || round >= 50) && rng.unit() > 0.1;
      const value = 500 * (index === 2 && round >= 120 ? 3 : 1 + index / 4) * Math.exp(0.1 * chance(rng));
      return isThere ? [{host, load: 2, value, isNew: rng.unit() > 0.1, isBurdened: false, like: null}] : [];
    });
    const compared = compare(readings, here, YARDSTICK, round * 10_000);
    const elsewhere = compare(readings.toReversed(), JSON.parse(JSON.stringify(there)) as FigureMemory, YARDSTICK, round * 10_000);
    [here, there] = [compared.memory, elsewhere.memory];
    expect([...elsewhere.marks.keys()].sort()).toEqual([...compared.marks.keys()].sort());
    for (const [host, {ratio, proof}] of compared.marks) {
      expect({host, round, proof: elsewhere.marks.get(host)?.proof}).toEqual({host, round, proof});
      // Decaying sums of the same numbers in another order.
      expect(elsewhere.marks.get(host)?.ratio).toBeCloseTo(ratio, 4);
    }
  }
  expect(markAt(here.hosts, here.hosts.names.indexOf('h2'))?.proof).toBe('past');
  const without = forget(here, 'h2').hosts;
  expect([figureOf(without, 'h2'), figureOf(without, 'h3')]).toEqual([undefined, figureOf(here.hosts, 'h3')]);
});

test('it gets well again: no proof is left some minutes later', () => {
  const rounds = played({rounds: 260, factor: (host, round) => (host === 3 && round >= 100 && round < 160 ? 10 : 1)});
  expect(rounds[150]?.[3]?.proof).toBe('past');
  expect(proved(rounds)).toEqual([]);
});

test('always a little worse: proved once it is known for long, where hosts lie close together', () => {
  const rng = seededRng(9);
  let memory: FigureMemory = NO_FIGURE;
  const proofs: (string | null)[] = [];
  for (let round = 0; round < 1_500; round++) {
    const readings = hosts(12).map((host, index): Reading => {
      return {
        host,
        load: 2,
        value: 500 * (index === 4 ? 1.1 : 1) * Math.exp(0.1 * chance(rng)),
        isNew: true,
        isBurdened: false,
        like: null,
      };
    });
    const compared = compare(readings, memory, {scale: 1, ratioMin: 1.04, spread: 0.01}, round * 60_000);
    memory = compared.memory;
    proofs.push(compared.marks.get('h4')?.proof ?? null);
    expect([...compared.marks].filter(([host, {proof}]) => host !== 'h4' && proof !== null)).toEqual([]);
  }
  expect(proofs[100]).toBeNull();
  expect(proofs.at(-1)).toBe('peers');
});

test("bursts that pass by themselves are the host's own way: they surprise less the next time", () => {
  const burst = (round: number): boolean => round >= 100 && round % 60 < 8;
  const rounds = played({rounds: 900, factor: (host, round) => (host === 3 && burst(round) ? 3 : 1)});
  const proofsIn = (from: number, to: number): number => rounds.slice(from, to).filter(marks => marks[3]?.proof !== null).length;
  expect(proofsIn(100, 180)).toBeGreaterThan(0);
  expect(proofsIn(780, 900)).toBeLessThan(proofsIn(100, 220));
});

test('what was proved is an illness and not the way of those that had it: when they fall ill again it is proved as soon', () => {
  const onsets = [100, 160, 220];
  const factor = (host: number, round: number): number => {
    const onset = onsets.find(from => host >= 2 && round >= from && round < from + 15);
    return onset === undefined ? 1 : 11 + 10 * (round - onset);
  };
  const rounds = played({count: 5, rounds: 240, factor});
  const proofs = onsets.map(onset => rounds.slice(onset, onset + 15).findIndex(marks => marks.slice(2).every(({proof}) => proof !== null)));
  expect(proofs.filter(each => each < 0 || each > 5)).toEqual([]);
});
