import type {Instant} from '../../base/units.ts';
import {NO_SLOPE, type Slope} from './slope.ts';

/** One host's newest figure. */
export interface Reading {
  host: string;
  /** How much it had to do, >= 0; null when not known. */
  load: number | null;
  /** >= 0; greater is worse. */
  value: number;
  /** Not looked at before. */
  isNew: boolean;
  /** How many usual intervals it covers: what stood for longer may count for more. Absent: one. */
  intervals?: number;
  /** Nothing is learnt of a host that we burden ourselves. */
  isBurdened: boolean;
  /** Its hardware: only what is alike can show that a host could be faster. null when not known. */
  like: string | null;
}

/** How a figure is measured. */
export interface Yardstick {
  /** Differences far below this do not matter; same unit as the value. */
  scale: number;
  /** The least ratio to what is expected that counts. */
  ratioMin: number;
  /** How far hosts that are well lie apart for good, as a logarithm, where that is known from elsewhere. */
  spread?: number;
}

/** What is known of one host's figure; logarithms. */
export interface HostFigure {
  /** Lasting difference to the other hosts at equal load. */
  own: number;
  /**
   * What it usually shows at equal load without what all rose by, and what it shows over the last dozen readings, neither held against anybody:
   * log(value + scale).
   */
  usual: number;
  lately: number;
  /** Readings learnt from. */
  count: number;
  /** The same difference over the last dozen readings, and over the last hundred. */
  recent: number;
  mean: number;
  recentCount: number;
  /** Of what one reading deviates from expectation. */
  variance: number;
  /** Of readings that looked like a change for the worse: how many in a row, and their squared deviations. */
  doubted: number;
  doubtedSquares: number;
  /** Deviation of the reading before. */
  last: number;
  /** Usual load. */
  load: number;
  /** Cumulative sum of what is worse than expected; since when it is above zero. */
  sum: number;
  sumSinceMs: Instant;
  /** Since when it is proved to be worse, as its mark says; null where it is not. */
  provedMs: Instant | null;
}

/** What is known of one figure on all hosts of a role. */
export interface FigureMemory {
  slope: Slope;
  /** Lag-one autocorrelation of deviations, as two decaying sums. */
  product: number;
  square: number;
  /** What the level, and its bias, were of late; null before the first round. */
  level: number | null;
  center: number | null;
  /** Logarithm of 1 + the load in the middle of all hosts, over the same hours as what hosts usually show; null before the first round. */
  load: number | null;
  /** What all of them rose by, as far as that has come to be usual. */
  accustomed: number;
  /** Rounds it was learnt in. */
  rounds: number;
  hosts: Figures;
}

/**
 * What is known of one figure on each host: a row of numbers a host, in the order of the names. One array, because ten thousands of
 * objects that live for a round cost more to keep than to judge; plain data.
 */
export interface Figures {
  names: readonly string[];
  rows: readonly number[];
}

export const NO_FIGURE: FigureMemory = {
  slope: NO_SLOPE,
  product: 0.3,
  square: 1,
  level: null,
  center: null,
  load: null,
  accustomed: 0,
  rounds: 0,
  hosts: {names: [], rows: []},
};

/** One host's figure held against the others' and against its own past. */
export interface Mark {
  /** What hosts with this load show now. */
  expected: number;
  /** (value + scale) / (expected + scale) over the last readings. */
  ratio: number;
  /** Deviations from the other hosts, and the cumulative sum's share of what proves. */
  score: number;
  proof: 'past' | 'peers' | null;
  /** Changed for the worse, or worse than the middle of all hosts, not only than the better quarter, and not left behind by faster ones. */
  isBehindMiddle: boolean;
  /** Worse than it was, or from its birth worse than others of the same hardware: neither its hardware nor that others got better. */
  isOwnDoing: boolean;
  /** Has far more to do than any other, and more than it is used to or always had: not comparable. */
  isOverloaded: boolean;
  sinceMs: Instant;
  /** Hosts it was held against. */
  peers: number;
}

/** Deviation of one reading of a healthy host before anything is learnt: 15 %. */
export const NOISE_PRIOR = 0.15;
/** Readings before a host has a past, and before it is held against others. */
export const PAST_MIN = 30;
export const RECENT_MIN = 6;

/** A host of which nothing is known. @param x logarithm of 1 + its load now. */
export function freshFigure(x: number): HostFigure {
  return {
    own: 0,
    usual: 0,
    lately: 0,
    count: 0,
    recent: 0,
    mean: 0,
    recentCount: 0,
    variance: NOISE_PRIOR ** 2,
    doubted: 0,
    doubtedSquares: 0,
    last: 0,
    load: x,
    sum: 0,
    sumSinceMs: 0,
    provedMs: null,
  };
}

/** A host's lasting difference to the others, believed the more the longer it is known. */
export function lasting({own, count}: Pick<HostFigure, 'own' | 'count'>): number {
  return (own * count) / (count + 3);
}

/** Numbers of a row: a figure's own, then those of its mark. */
const ROW = 23;
const PROOFS: readonly Mark['proof'][] = [null, 'past', 'peers'];

/** Where each host's row stands, -1 where it has none. Fast where both are in the same order. */
export function placesOf(hosts: readonly {host: string}[], {names}: Figures): number[] {
  let byName: Map<string, number> | null = null;
  let last = -1;
  return hosts.map(({host}) => {
    last++;
    if (names[last] !== host) {
      byName ??= new Map(names.map((name, place) => [name, place]));
      last = byName.get(host) ?? -1;
    }
    return last;
  });
}

/** What is known of the hosts of a round's readings, by reading; NaN of a host that is new. */
export interface Past {
  own: Float64Array;
  usual: Float64Array;
  lately: Float64Array;
  count: Float64Array;
  variance: Float64Array;
  load: Float64Array;
  /** Above 0 where it was proved to be worse in the round before. */
  proved: Float64Array;
}

/** @param places of the rows, -1 for none. */
export function pastOf({rows}: Figures, places: readonly number[]): Past {
  const column = (): Float64Array => new Float64Array(places.length).fill(Number.NaN);
  const past = {own: column(), usual: column(), lately: column(), count: column(), variance: column(), load: column(), proved: column()};
  for (let index = 0; index < places.length; index++) {
    const at = (places[index] ?? -1) * ROW;
    if (at < 0) continue;
    past.own[index] = rows[at] ?? 0;
    past.usual[index] = rows[at + 1] ?? 0;
    past.lately[index] = rows[at + 2] ?? 0;
    past.count[index] = rows[at + 3] ?? 0;
    past.variance[index] = rows[at + 7] ?? 0;
    past.load[index] = rows[at + 11] ?? 0;
    past.proved[index] = rows[at + 14] ?? 0;
  }
  return past;
}

/** @param place of the row. */
export function figureAt(figures: Figures, place: number): HostFigure {
  const figure = freshFigure(0);
  readFigure(figures.rows, place, figure);
  return figure;
}

/** Reads a host's row into a figure: one serves for all hosts of a round. */
export function readFigure(rows: readonly number[], place: number, figure: HostFigure): void {
  let at = place * ROW;
  figure.own = rows[at++] ?? 0;
  figure.usual = rows[at++] ?? 0;
  figure.lately = rows[at++] ?? 0;
  figure.count = rows[at++] ?? 0;
  figure.recent = rows[at++] ?? 0;
  figure.mean = rows[at++] ?? 0;
  figure.recentCount = rows[at++] ?? 0;
  figure.variance = rows[at++] ?? 0;
  figure.doubted = rows[at++] ?? 0;
  figure.doubtedSquares = rows[at++] ?? 0;
  figure.last = rows[at++] ?? 0;
  figure.load = rows[at++] ?? 0;
  figure.sum = rows[at++] ?? 0;
  figure.sumSinceMs = rows[at++] ?? 0;
  figure.provedMs = (rows[at++] ?? 0) > 0 ? (rows[place * ROW + 21] ?? 0) : null;
}

/** @param place of the row, -1 for none. */
export function markAt({rows}: Figures, place: number): Mark | null {
  if (place < 0) return null;
  const at = place * ROW;
  return {
    expected: rows[at + 15] ?? 0,
    ratio: rows[at + 16] ?? 0,
    score: rows[at + 17] ?? 0,
    proof: PROOFS[rows[at + 14] ?? 0] ?? null,
    isBehindMiddle: rows[at + 18] === 1,
    isOwnDoing: rows[at + 19] === 1,
    isOverloaded: rows[at + 20] === 1,
    sinceMs: rows[at + 21] ?? 0,
    peers: rows[at + 22] ?? 0,
  };
}

/** Writes a host's row. */
export function putFigure(rows: number[], place: number, figure: HostFigure, mark: Mark): void {
  let at = place * ROW;
  rows[at++] = figure.own;
  rows[at++] = figure.usual;
  rows[at++] = figure.lately;
  rows[at++] = figure.count;
  rows[at++] = figure.recent;
  rows[at++] = figure.mean;
  rows[at++] = figure.recentCount;
  rows[at++] = figure.variance;
  rows[at++] = figure.doubted;
  rows[at++] = figure.doubtedSquares;
  rows[at++] = figure.last;
  rows[at++] = figure.load;
  rows[at++] = figure.sum;
  rows[at++] = figure.sumSinceMs;
  rows[at++] = PROOFS.indexOf(mark.proof);
  rows[at++] = mark.expected;
  rows[at++] = mark.ratio;
  rows[at++] = mark.score;
  rows[at++] = mark.isBehindMiddle ? 1 : 0;
  rows[at++] = mark.isOwnDoing ? 1 : 0;
  rows[at++] = mark.isOverloaded ? 1 : 0;
  rows[at++] = mark.sinceMs;
  rows[at++] = mark.peers;
}

/** Only those hosts. */
export function keepHosts({names, rows}: Figures, isKept: (host: string) => boolean): Figures {
  const kept = names.flatMap((name, place) => (isKept(name) ? [place] : []));
  return {names: kept.map(place => names[place] ?? ''), rows: kept.flatMap(place => rows.slice(place * ROW, (place + 1) * ROW))};
}

/** What is known of a host; undefined of a new one. */
export function figureOf(figures: Figures, host: string): HostFigure | undefined {
  const place = figures.names.indexOf(host);
  return place < 0 ? undefined : figureAt(figures, place);
}
