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
/** So many deviations of one host are no chance in the better quarter of all. */
const JUMP = 2;
/** All got worse at once when even the better quarter is so much worse than it was. */
const SHOCK_MIN = Math.log(2);

/** One round of one figure on all hosts; arrays by reading. */
export interface Farm {
  x: number[];
  middleLoad: number;
  /** log(value + scale) without the influence of load. */
  level: number;
  /** What lasting differences have in common: the level is told by one order statistic of unlike hosts. */
  center: number;
  /** Median of `rest`. */
  middle: number;
  /** What the better ones of a host's hardware show; null where no two others are known to be alike. */
  likeLevel: (index: number) => number | null;
  rest: number[];
  curve: number[];
  slope: Slope;
  spread: number;
  /** Of one reading of a usual host. */
  noise: number;
  /** How much worse all have got against their own past, told by those that tell the level. */
  common: number;
  /**
   * How much worse all have got at once, 0 below twice: what reaches everybody reaches some more than others, so that so much of a
   * difference tells nothing of a host.
   */
  shock: number;
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
  const curve = curveOf(memory.slope, x, low, high, memory.load ?? middleLoad);
  const rest = y.map((value, index) => value - (curve[index] ?? 0));
  const known = readings.map(({host}) => memory.hosts.get(host));
  const deviations = rest.map((value, index) => value - lasting(known[index]));
  const noise = noiseOf(known);
  const own = ownOf(known);
  const spread = yardstickSpread ?? spreadOf(own);
  const young = known.filter(isYoung).length / Math.max(1, known.length);
  const width = Math.sqrt(noise ** 2 + young * spread ** 2);
  const sorted = sortedOf(deviations);
  const level = nearer(locate(sorted, LEVEL_QUANTILE, width), quantile(sorted, 0.5) ?? 0, memory.level, width);
  const points: Point[] = readings.flatMap(({isNew, load, isBurdened}, index) => {
    if (!isNew || load === null || isBurdened) return [];
    return [{x: x[index] ?? 0, y: y[index] ?? 0, weight: bisquare(((deviations[index] ?? 0) - level) / (5 * width))}];
  });
  const common = commonOf(rest, known, width);
  const correlation = Math.max(0, Math.min(CORRELATION_MAX, memory.product / memory.square));
  return {
    x: logs.map(load => load ?? middleLoad),
    middleLoad,
    level,
    center: centerOf(own, spread, memory.center),
    middle: quantile(sortedOf(rest), 0.5) ?? 0,
    likeLevel: index => likeLevelOf(index, readings, rest),
    rest,
    curve,
    slope: learn(memory.slope, points),
    spread,
    noise,
    common,
    // All twice as slow is a busy day; from there on it soon counts in full.
    shock: Math.max(0, Math.min(common, 2 * (common - SHOCK_MIN))),
    widening: Math.sqrt((1 + correlation) / (1 - correlation)),
    loadMax: highestOthers(logs, loads),
    loadChange: quantile(sortedOf(logs.map((load, index) => (load === null ? null : load - (known[index]?.load ?? load)))), 0.5) ?? 0,
  };
}

/**
 * What load makes of a figure, against what it is at the farm's usual load: only differences are known, and a curve that is learnt
 * better must not move what hosts show. More to do makes no host faster: where the busy ones are the faster ones, that is not the
 * load's doing.
 */
function curveOf(slope: Slope, x: readonly number[], low: number, high: number, usual: number): number[] {
  const [b1, b2] = coefficients(slope);
  const at = (load: number): number => b1 * load + b2 * load * load;
  const atUsual = at(Math.max(low, Math.min(high, usual)));
  return at(high) < at(low) ? x.map(() => 0) : x.map(load => at(load) - atUsual);
}

/** Two others of the same hardware that are faster show that it can be; one may be a freak. */
function likeLevelOf(index: number, readings: readonly Reading[], rest: readonly number[]): number | null {
  const like = readings[index]?.like ?? null;
  let [first, second] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const [other, reading] of readings.entries()) {
    const value = rest[other] ?? Number.POSITIVE_INFINITY;
    if (like === null || other === index || reading.like !== like || value >= second) continue;
    [first, second] = value < first ? [value, first] : [first, value];
  }
  return Number.isFinite(second) ? second : null;
}

/**
 * The rise of the better quarter against their own past. Where that got better the middle tells, for the others still have the day in
 * common: the more the clearer it is. Never a fall, since nobody is worse for what others gained.
 */
function commonOf(rest: readonly number[], known: readonly (HostFigure | undefined)[], width: number): number {
  const rises = sortedOf(
    known.map((figure, index) => (figure === undefined || isYoung(figure) ? null : (rest[index] ?? 0) - figure.usual)),
  );
  const better = rises[Math.floor(LEVEL_QUANTILE * (rises.length - 1))] ?? 0;
  const clear = Math.max(0, Math.min(1, -better / width));
  return Math.max(0, better, clear * (quantile(rises, 0.5) ?? 0));
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

function centerOf(own: Float64Array, spread: number, usual: number | null): number {
  return own.length < 5 ? 0 : nearer(locate(own, LEVEL_QUANTILE, spread), quantile(own, 0.5) ?? 0, usual, SPREAD_PRIOR);
}

/** The better quarter tells, unless it is what moved: where some hosts got better the others did not get worse. */
function nearer(better: number, middle: number, usual: number | null, width: number): number {
  return usual !== null && usual - better > Math.max(JUMP * width, middle - usual) ? middle : better;
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
