import {type FigureMemory, type HostFigure, lasting, NOISE_PRIOR, PAST_MIN, RECENT_MIN, type Reading, type Yardstick} from './figure.ts';
import {coefficients, learn, type Point, type Slope} from './slope.ts';
import {normalQuantile, quantile} from './statistics.ts';

/** Deviation of lasting differences between hosts before anything is learnt, 12 %, and how many hosts that prior is worth. */
const SPREAD_PRIOR = 0.12;
const PRIOR_HOSTS = 8;
/** However unlike hosts are, more than this is not likeness. */
const SPREAD_MAX = 0.35;
/** The level of the farm is told by its better quarter: a bad release on three quarters does not raise it. */
const LEVEL_QUANTILE = 0.25;
const CORRELATION_MAX = 0.9;

/** One round of one figure on all hosts; arrays by reading. */
export interface Farm {
  x: number[];
  /** log(value + scale) without the influence of load. */
  level: number;
  /** What lasting differences have in common: the level is told by one order statistic of unlike hosts. */
  center: number;
  middle: number;
  rest: number[];
  curve: number[];
  slope: Slope;
  spread: number;
  /** Of one reading of a usual host. */
  noise: number;
  /** How much wider than independent readings the mean of autocorrelated ones scatters. */
  widening: number;
  loadMax: number[];
  /** How much more than usual all hosts have to do, in the middle. */
  loadChange: number;
}

/** What all hosts of a round have in common: the level, the influence of load, how far they lie apart. */
export function farmOf(readings: readonly Reading[], memory: FigureMemory, {scale, spread: yardstickSpread}: Yardstick): Farm {
  const logs = readings.map(({load}) => (load === null ? null : Math.log(1 + load)));
  const loads = sortedOf(logs);
  const middleLoad = quantile(loads, 0.5) ?? 0;
  // Beyond what others show the curve is not known.
  const [low, high] = [quantile(loads, 0.05) ?? 0, quantile(loads, 0.95) ?? 0];
  const x = logs.map(load => Math.max(low, Math.min(high, load ?? middleLoad)));
  const y = readings.map(({value}) => Math.log(value + scale));
  const [b1, b2] = coefficients(memory.slope);
  const curve = x.map(load => b1 * load + b2 * load * load);
  const rest = y.map((value, index) => value - (curve[index] ?? 0));
  const known = readings.map(({host}) => memory.hosts.get(host));
  const deviations = rest.map((value, index) => value - lasting(known[index]));
  const noise = noiseOf(known);
  const own = ownOf(known);
  const spread = yardstickSpread ?? spreadOf(own);
  const young = known.filter(isYoung).length / Math.max(1, known.length);
  const width = Math.sqrt(noise ** 2 + young * spread ** 2);
  const sorted = sortedOf(deviations);
  const level = locate(sorted, LEVEL_QUANTILE, width);
  const points: Point[] = readings.flatMap(({isNew, load, isBurdened}, index) => {
    if (!isNew || load === null || isBurdened) return [];
    return [{x: x[index] ?? 0, y: y[index] ?? 0, weight: bisquare(((deviations[index] ?? 0) - level) / (5 * width))}];
  });
  const correlation = Math.max(0, Math.min(CORRELATION_MAX, memory.product / memory.square));
  return {
    x: logs.map(load => load ?? middleLoad),
    level,
    center: centerOf(own, spread),
    middle: quantile(sorted, 0.5) ?? 0,
    rest,
    curve,
    slope: learn(memory.slope, points),
    spread,
    noise,
    widening: Math.sqrt((1 + correlation) / (1 - correlation)),
    loadMax: highestOthers(logs, loads),
    loadChange: quantile(sortedOf(logs.map((load, index) => (load === null ? null : load - (known[index]?.load ?? load)))), 0.5) ?? 0,
  };
}

function isYoung(figure: HostFigure | undefined): boolean {
  return figure === undefined || figure.count < PAST_MIN;
}

function sortedOf(values: readonly (number | null)[]): Float64Array {
  const sorted = new Float64Array(values.length);
  let count = 0;
  for (const value of values) if (value !== null) sorted[count++] = value;
  return sorted.subarray(0, count).sort();
}

/** Of one reading of a usual host. */
function noiseOf(known: readonly (HostFigure | undefined)[]): number {
  const variances = sortedOf(known.map(figure => (figure === undefined || isYoung(figure) ? null : figure.variance)));
  return Math.sqrt(pooled(quantile(variances, 0.5), variances.length, NOISE_PRIOR ** 2));
}

/** For each host the 90th percentile of the others' load, nearly: of all, but for the host itself if it is the highest of few. */
function highestOthers(logs: readonly (number | null)[], sorted: Float64Array): number[] {
  return logs.map(load => {
    const others = sorted.length - 1;
    if (load === null || others < 1) return Number.POSITIVE_INFINITY;
    const at = Math.floor(0.9 * (others - 1));
    // Without the host itself the ranks above it move down by one.
    return sorted[(sorted[at] ?? 0) >= load ? at + 1 : at] ?? Number.POSITIVE_INFINITY;
  });
}

function ownOf(known: readonly (HostFigure | undefined)[]): Float64Array {
  return sortedOf(known.map(figure => (figure === undefined || figure.count < RECENT_MIN ? null : figure.own)));
}

/** Deviation between hosts that are well: of the better part, since the worse part may be sick. */
function spreadOf(own: Float64Array): number {
  if (own.length < 5) return SPREAD_PRIOR;
  const width = ((quantile(own, 0.4) ?? 0) - (quantile(own, 0.1) ?? 0)) / (normalQuantile(0.9) - normalQuantile(0.6));
  return Math.min(SPREAD_MAX, Math.sqrt(pooled(width ** 2, own.length, SPREAD_PRIOR ** 2)));
}

function centerOf(own: Float64Array, spread: number): number {
  return own.length < 5 ? 0 : locate(own, LEVEL_QUANTILE, spread);
}

function pooled(seen: number | null, count: number, prior: number): number {
  return seen === null ? prior : (count * seen + PRIOR_HOSTS * prior) / (count + PRIOR_HOSTS);
}

/** Middle of a sample, told by one of its lower order statistics and its known width. @param sorted ascending. */
function locate(sorted: ArrayLike<number>, share: number, width: number): number {
  if (sorted.length === 0) return 0;
  const at = Math.floor(share * (sorted.length - 1));
  // Blom's expectation of the order statistic.
  const place = (at + 0.625) / (sorted.length + 0.25);
  return (sorted[at] ?? 0) - normalQuantile(place) * width;
}

/** Tukey's weight: 1 in the middle, 0 beyond 1. */
function bisquare(distance: number): number {
  return Math.abs(distance) >= 1 ? 0 : (1 - distance ** 2) ** 2;
}
