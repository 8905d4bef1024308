import {describe, expect, test} from 'vitest';
import {type Rng, seededRng} from '../../../base/random.ts';
import {blame, type Incident, scoreIncidents} from '../../../bench/outside/elements.ts';
import type {Labels} from '../../../wire/schema.ts';

const VALUES = {cdn: ['a', 'b', 'c', 'd'], bitrate: ['low', 'mid', 'high', 'top'], p2p: ['0', '1'], device: ['x', 'y', 'z']};
const MINUTES = 8;

/** A table whose rows are large and small and scatter from minute to minute; in the last one the causes strike, one row more than another. */
function incident(truth: Labels[], rng: Rng, fixed: Labels = {}, rise = 0.25): Incident {
  const kinds = Object.entries(VALUES).reduce<Labels[]>(
    (all, [key, values]) => {
      const own = fixed[key];
      return all.flatMap(labels => (own === undefined ? values : [own]).map(value => ({...labels, [key]: value})));
    },
    [{}],
  );
  const rows = kinds.flatMap(labels => {
    const size = 5 + 400 * rng.unit() ** 3;
    const usual = 0.005 + 0.03 * rng.unit();
    return Array.from({length: MINUTES}, (_, minute) => {
      const isStruck = minute === MINUTES - 1 && truth.some(cause => Object.entries(cause).every(([key, value]) => labels[key] === value));
      const share = usual * (0.6 + 0.8 * rng.unit()) + (isStruck ? rise * (0.3 + 1.4 * rng.unit()) : 0);
      const all = Math.round(size * (0.8 + 0.4 * rng.unit()));
      const bad = Array.from({length: all}, () => (rng.unit() < share ? 1 : 0) as number).reduce((sum, one) => sum + one, 0);
      return {atMs: minute * 60_000, labels, bad, all};
    });
  });
  return {name: JSON.stringify(truth), atMs: (MINUTES - 1) * 60_000, rows, truth};
}

function f1(truth: Labels[], seed: number): number {
  const rng = seededRng(seed);
  return scoreIncidents(Array.from({length: 25}, () => incident(truth, rng))).f1;
}

describe('elements at fault (25 tables each)', () => {
  test('one label, two and three together are named as what they are', () => {
    expect(f1([{bitrate: 'high'}], 1)).toBeGreaterThan(0.95);
    expect(f1([{bitrate: 'high', p2p: '1'}], 2)).toBeGreaterThan(0.9);
    // Three rows at most, some of a few events.
    expect(f1([{bitrate: 'high', cdn: 'b', p2p: '1'}], 3)).toBeGreaterThan(0.75);
  });

  test('two values of one label are two causes', () => {
    expect(f1([{bitrate: 'high'}, {bitrate: 'low'}], 4)).toBeGreaterThan(0.9);
  });

  test('what has less of it to multiply has the same cause', () => {
    const rng = seededRng(8);
    const tables = Array.from({length: 25}, () => {
      const table = incident([{bitrate: 'high'}], rng, {}, 0);
      // Where p2p is 1 a tenth is bad as a rule, and the odds are five times what they were; elsewhere five times little.
      const rows = table.rows.map(row => {
        const usual = row.labels.p2p === '1' ? 0.1 : 0.01;
        const isStruck = row.atMs === table.atMs && row.labels.bitrate === 'high';
        const share = isStruck ? (5 * usual) / (1 - usual + 5 * usual) : usual;
        return {...row, bad: Math.round(row.all * share * (0.8 + 0.4 * rng.unit()))};
      });
      return {...table, rows};
    });
    expect(scoreIncidents(tables).f1).toBeGreaterThan(0.9);
  });

  test('a second cause a third as large as the first is one, a row or two that rose a little are none', () => {
    const rng = seededRng(9);
    const tables = Array.from({length: 25}, () => {
      const [large, small] = [incident([{bitrate: 'high'}], rng), incident([{bitrate: 'low'}], rng, {}, 0.1)];
      const isLow = ({labels}: {labels: Labels}): boolean => labels.bitrate === 'low';
      return {
        ...large,
        rows: [...large.rows.filter(row => !isLow(row)), ...small.rows.filter(isLow)],
        truth: [...large.truth, ...small.truth],
      };
    });
    expect(scoreIncidents(tables).f1).toBeGreaterThan(0.9);
  });

  test('three labels are found though none of them explains anything alone: of each most is as usual', () => {
    const rng = seededRng(10);
    const truth = {bitrate: 'high', cdn: 'b', p2p: '1'};
    const tables = Array.from({length: 25}, () => incident([truth], rng, {}, 0.6));
    expect(scoreIncidents(tables).f1).toBeGreaterThan(0.95);
  });

  test('two values of one label are two causes, though a value of another holds nearly all of it', () => {
    const rng = seededRng(11);
    const tables = Array.from({length: 25}, () => {
      const {rows, ...table} = incident([{bitrate: 'high'}, {bitrate: 'low'}], rng, {}, 0.3);
      const isRare = ({bitrate, p2p}: Labels): boolean => (bitrate === 'high' || bitrate === 'low') && p2p === '0';
      return {
        ...table,
        rows: rows.map(row => (isRare(row.labels) ? {...row, bad: Math.round(row.bad / 20), all: Math.round(row.all / 20)} : row)),
      };
    });
    expect(scoreIncidents(tables).f1).toBeGreaterThan(0.95);
  });

  test('parts of a cause rise by different measure: half as much is the same cause, next to nothing is none', () => {
    const rng = seededRng(12);
    const parted = (less: number, truth: Labels): Incident[] =>
      Array.from({length: 25}, () => {
        const [large, small] = [incident([{bitrate: 'high'}], rng), incident([{bitrate: 'high'}], rng, {}, 0.25 * less)];
        const isOn = ({labels}: {labels: Labels}): boolean => labels.p2p === '1';
        return {...large, truth: [truth], rows: [...large.rows.filter(isOn), ...small.rows.filter(row => !isOn(row))]};
      });
    expect(scoreIncidents(parted(0.25, {bitrate: 'high'})).f1).toBeGreaterThan(0.95);
    expect(scoreIncidents(parted(0.02, {bitrate: 'high', p2p: '1'})).f1).toBeGreaterThan(0.9);
  });

  test('what all rows of a cause have in common is named, also what all rows have', () => {
    const table = incident([{bitrate: 'high', cdn: 'b', p2p: '1'}], seededRng(5), {p2p: '1'});
    expect(blame(table)).toEqual([{bitrate: 'high', cdn: 'b', p2p: '1'}]);
  });

  test('one row that goes wild for a reason of its own hides no cause', () => {
    const table = incident([{bitrate: 'high', p2p: '1'}], seededRng(6));
    const rows = table.rows.map(row => {
      const isOdd =
        row.atMs === table.atMs && JSON.stringify(row.labels) === JSON.stringify({cdn: 'a', bitrate: 'low', p2p: '0', device: 'x'});
      return isOdd ? {...row, bad: 300, all: 400} : row;
    });
    expect(blame({...table, rows})).toEqual([{bitrate: 'high', p2p: '1'}]);
  });

  test('nothing rose: nothing is named', () => {
    const {rows, atMs} = incident([], seededRng(7));
    expect(blame({rows: rows.map(row => ({...row, bad: 0})), atMs})).toEqual([]);
  });
});
