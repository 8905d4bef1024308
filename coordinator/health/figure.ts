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
  /** What it usually shows at equal load, and over the last dozen readings, not held against anybody: log(value + scale). */
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
  mark: Mark | null;
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
  /** Rounds it was learnt in. */
  rounds: number;
  hosts: ReadonlyMap<string, HostFigure>;
}

export const NO_FIGURE: FigureMemory = {
  slope: NO_SLOPE,
  product: 0.3,
  square: 1,
  level: null,
  center: null,
  load: null,
  rounds: 0,
  hosts: new Map(),
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
    mark: null,
  };
}

/** A host's lasting difference to the others, believed the more the longer it is known. */
export function lasting(figure: HostFigure | undefined): number {
  return figure === undefined ? 0 : (figure.own * figure.count) / (figure.count + 3);
}
