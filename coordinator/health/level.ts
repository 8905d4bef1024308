import {type FigureMemory, lasting, NOISE_PRIOR, PAST_MIN, type Past, RECENT_MIN, type Reading, type Yardstick} from './figure.ts';
import {coefficients, learn, type Slope} from './slope.ts';
import {normalQuantile, Sample} from './statistics.ts';

/** Deviation of lasting differences between hosts before anything is learnt, 12 %, and how many hosts that prior is worth. */
export const SPREAD_PRIOR = 0.12;
const PRIOR_HOSTS = 8;
/** However unlike hosts are, more than this is not likeness. */
const SPREAD_MAX = 0.35;
/** Variance of a deviation told by the 10th and the 40th percentile of normal values, for each value, against its square. */
const SPREAD_DOUBT = 2.61;
/** The level of the farm is told by its better quarter: a bad release on three quarters does not raise it. */
const LEVEL_QUANTILE = 0.25;
/** So many hosts tell what all have in common. */
const TELLING_MIN = 2;
const CORRELATION_MAX = 0.9;
/** So many deviations of one host are no chance in the better quarter of all. */
const JUMP = 2;
/** Hosts whose load changed by so much more than that of others do not have the day in common with them. */
const LOAD_APART = Math.log(1.5);
/** All got worse at once when even the better quarter is so much worse than it was. */
const SHOCK_MIN = Math.log(2);

/** Of lasting differences between hosts that are well: their deviation, and by how many degrees of freedom it is known. */
export interface Spread {
  deviation: number;
  freedom: number;
}

/** One round of one figure on all hosts; arrays by reading. */
export interface Farm {
  x: Float64Array;
  middleLoad: number;
  /** log(value + scale) without the influence of load. */
  level: number;
  /** What lasting differences have in common: the level is told by one order statistic of unlike hosts. */
  center: number;
  /** Median of `rest`. */
  middle: number;
  /** What the better ones of a host's hardware show; null where no two others are known to be alike. */
  likeLevel: (index: number) => number | null;
  rest: Float64Array;
  curve: Float64Array;
  slope: Slope;
  spread: Spread;
  /** Of one reading of a usual host. */
  noise: number;
  /** How much worse all are than they usually are by themselves, told by those that tell the level. */
  common: number;
  /**
   * How much worse all have got at once, 0 below twice: what reaches everybody reaches some more than others, so that so much of a
   * difference tells nothing of a host.
   */
  shock: number;
  /** How much wider than independent readings the mean of autocorrelated ones scatters. */
  widening: number;
  loadMax: Float64Array;
  /** How much more than usual all hosts have to do, in the middle; where a quarter has clearly less more to do, what that has. */
  loadChange: number;
}

/**
 * What all hosts of a round have in common: the level, the influence of load, how far they lie apart.
 * @param past what is known of each reading's host.
 */
export function farmOf(
  readings: readonly Reading[],
  past: Past,
  memory: Omit<FigureMemory, 'hosts'>,
  {scale, spread: yardstickSpread}: Yardstick,
): Farm {
  const count = readings.length;
  const {logs, loads, y} = columnsOf(readings, scale);
  const [own, x, rest] = [column(count), column(count), column(count)];
  const middleLoad = loads.quantile(0.5) ?? 0;
  // Beyond what others show the curve is not known.
  const [low, high] = [loads.quantile(0.05) ?? 0, loads.quantile(0.95) ?? 0];
  for (let index = 0; index < count; index++) {
    const log = logs[index] ?? 0;
    own[index] = Number.isNaN(log) ? middleLoad : log;
    x[index] = Math.max(low, Math.min(high, own[index] ?? 0));
  }
  const curve = curveOf(memory.slope, x, low, high, memory.load ?? middleLoad);
  const [unproved, deviations, all] = [new Sample(count), new Sample(count), new Sample(count)];
  const weights = column(count);
  for (let index = 0; index < count; index++) {
    rest[index] = (y[index] ?? 0) - (curve[index] ?? 0);
    weights[index] = (rest[index] ?? 0) - lastingAt(past, index);
    deviations.add(weights[index] ?? 0);
    const isProved = (past.proved[index] ?? 0) > 0;
    if (!isProved) unproved.add(weights[index] ?? 0);
    all.add(rest[index] ?? 0);
  }
  const {young, noise, differences, loadChanges} = pooledPast(past, logs);
  const spread = yardstickSpread === undefined ? spreadOf(differences) : {deviation: yardstickSpread, freedom: Number.POSITIVE_INFINITY};
  const width = Math.sqrt(noise ** 2 + young * spread.deviation ** 2);
  const level = levelOf(unproved.length >= TELLING_MIN ? unproved : deviations, memory.level, width);
  for (let index = 0; index < count; index++) {
    const {isNew, load, isBurdened} = readings[index] as Reading;
    const isLearnt = isNew && load !== null && !isBurdened;
    weights[index] = isLearnt ? bisquare(((weights[index] ?? 0) - level) / (5 * width)) : 0;
  }
  const common = commonOf(rest, past, noise);
  const sudden = Math.max(0, common - memory.accustomed);
  const correlation = Math.max(0, Math.min(CORRELATION_MAX, memory.product / memory.square));
  return {
    x: own,
    middleLoad,
    level,
    center: centerOf(differences, spread.deviation, memory.center),
    middle: all.quantile(0.5) ?? 0,
    likeLevel: index => likeLevelOf(index, readings, past, rest),
    rest,
    curve,
    slope: learn(memory.slope, x, y, weights, alikeOf(readings)),
    spread,
    noise,
    common,
    // All twice as slow is a busy day; from there on it soon counts in full.
    shock: Math.max(0, Math.min(sudden, 2 * (sudden - SHOCK_MIN))),
    widening: Math.sqrt((1 + correlation) / (1 - correlation)),
    loadMax: highestOthers(logs, loads),
    loadChange: commonLoadChange(loadChanges),
  };
}

/**
 * What all have in common: the middle, unless at least a quarter of the hosts is spared. Then those that have far more to do surge, many as
 * they may be, and are overloaded. That some have less to do, as those that are sick, is no rise of the others.
 */
function commonLoadChange(changes: Sample): number {
  const [middle, low] = [changes.quantile(0.5) ?? 0, changes.quantile(LEVEL_QUANTILE) ?? 0];
  return middle - low > LOAD_APART ? Math.max(Math.min(0, middle), low) : middle;
}

/** Logarithms of the loads, NaN where not known, and of the values. */
function columnsOf(readings: readonly Reading[], scale: number): {logs: Float64Array; loads: Sample; y: Float64Array} {
  const [logs, y, loads] = [column(readings.length), column(readings.length), new Sample(readings.length)];
  for (let index = 0; index < logs.length; index++) {
    const {load, value} = readings[index] as Reading;
    logs[index] = load === null ? Number.NaN : Math.log(1 + load);
    if (load !== null) loads.add(logs[index] ?? 0);
    y[index] = Math.log(value + scale);
  }
  return {logs, loads, y};
}

/** `map` and `filter` of such arrays are slow: they are filled by loops. */
function column(count: number): Float64Array {
  return new Float64Array(count);
}

function lastingAt({own, count}: Past, index: number): number {
  const readings = count[index] ?? Number.NaN;
  return Number.isNaN(readings) ? 0 : lasting({own: own[index] ?? 0, count: readings});
}

/** What hosts were until now: share of young ones, noise of one reading, lasting differences, and how their load changed. */
function pooledPast(
  {own, count, variance, load}: Past,
  logs: Float64Array,
): {young: number; noise: number; differences: Sample; loadChanges: Sample} {
  const hosts = logs.length;
  const [variances, differences, loadChanges] = [new Sample(hosts), new Sample(hosts), new Sample(hosts)];
  let young = 0;
  for (let index = 0; index < hosts; index++) {
    const readings = count[index] ?? Number.NaN;
    // Of a new host all are NaN.
    if (!(readings >= PAST_MIN)) young++;
    else variances.add(variance[index] ?? 0);
    if (readings >= RECENT_MIN) differences.add(own[index] ?? 0);
    const log = logs[index] ?? Number.NaN;
    if (!Number.isNaN(log)) loadChanges.add(Number.isNaN(readings) ? 0 : log - (load[index] ?? 0));
  }
  const noise = Math.sqrt(pooled(variances.quantile(0.5), variances.length, NOISE_PRIOR ** 2));
  return {young: young / Math.max(1, hosts), noise, differences, loadChanges};
}

/**
 * What load makes of a figure, against what it is at the farm's usual load: only differences are known, and a curve that is learnt
 * better must not move what hosts show. More to do makes no host faster: where the busy ones are the faster ones, that is not the
 * load's doing.
 */
function curveOf(slope: Slope, x: Float64Array, low: number, high: number, usual: number): Float64Array {
  const [b1, b2] = coefficients(slope);
  const at = (load: number): number => b1 * load + b2 * load * load;
  const atUsual = at(Math.max(low, Math.min(high, usual)));
  const curve = column(x.length);
  if (at(high) < at(low)) return curve;
  for (let index = 0; index < curve.length; index++) curve[index] = at(x[index] ?? 0) - atUsual;
  return curve;
}

/** By reading the group of its hardware; all of which no other is known to be alike are one. */
function alikeOf(readings: readonly Reading[]): Int32Array {
  const counts = new Map<string, number>();
  for (const {like} of readings) if (like !== null) counts.set(like, (counts.get(like) ?? 0) + 1);
  const groups = new Map<string, number>();
  for (const [like, count] of counts) if (count > 1) groups.set(like, groups.size + 1);
  return Int32Array.from(readings, ({like}) => (like === null ? 0 : (groups.get(like) ?? 0)));
}

/** Two others of the same hardware that are faster show that it can be; one may be a freak. */
function likeLevelOf(index: number, readings: readonly Reading[], {lately}: Past, rest: Float64Array): number | null {
  const like = readings[index]?.like ?? null;
  let [first, second] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const [other, reading] of readings.entries()) {
    const known = lately[other] ?? Number.NaN;
    const value = (Number.isNaN(known) ? rest[other] : known) ?? Number.POSITIVE_INFINITY;
    if (like === null || other === index || reading.like !== like || value >= second) continue;
    [first, second] = value < first ? [value, first] : [first, value];
  }
  return Number.isFinite(second) ? second : null;
}

/**
 * The rise of the better quarter against their own past, of those that are not proved to be worse if there are any. Where that got better the
 * middle tells, for the others still have the day in common: the more the clearer it is. Never a fall, since nobody is worse for what others
 * gained; and of one host alone nothing is common.
 */
function commonOf(rest: Float64Array, {usual, count, proved}: Past, noise: number): number {
  const [unproved, all] = [new Sample(rest.length), new Sample(rest.length)];
  for (let index = 0; index < rest.length; index++) {
    if (!((count[index] ?? 0) >= PAST_MIN)) continue;
    const rise = (rest[index] ?? 0) - (usual[index] ?? 0);
    if (!((proved[index] ?? 0) > 0)) unproved.add(rise);
    all.add(rise);
  }
  const rises = unproved.length >= TELLING_MIN ? unproved : all;
  if (rises.length < TELLING_MIN) return 0;
  const better = locate(rises, LEVEL_QUANTILE, noise);
  const clear = Math.max(0, Math.min(1, -better / noise));
  return Math.max(0, better, clear * (rises.quantile(0.5) ?? 0));
}

/** For each host the 90th percentile of the others' load, nearly: of all, but for the host itself if it is the highest of few. */
function highestOthers(logs: Float64Array, loads: Sample): Float64Array {
  const others = loads.length - 1;
  const at = Math.floor(0.9 * (others - 1));
  const highest = loads.at(at) ?? 0;
  // Without the host itself the ranks above it move down by one.
  const next = loads.at(at + 1) ?? Number.POSITIVE_INFINITY;
  const most = column(logs.length);
  for (let index = 0; index < most.length; index++) {
    const load = logs[index] ?? Number.NaN;
    most[index] = Number.isNaN(load) || others < 1 ? Number.POSITIVE_INFINITY : highest >= load ? next : highest;
  }
  return most;
}

/**
 * Deviation between hosts that are well: of the better part, since the worse part may be sick. An estimate from these hosts and a prior are
 * pooled; degrees of freedom after Satterthwaite (1946), the prior taken as certain.
 */
function spreadOf(own: Sample): Spread {
  const hosts = own.length;
  if (hosts < 5) return {deviation: SPREAD_PRIOR, freedom: Number.POSITIVE_INFINITY};
  const width = ((own.quantile(0.4) ?? 0) - (own.quantile(0.1) ?? 0)) / (normalQuantile(0.9) - normalQuantile(0.6));
  const square = pooled(width ** 2, hosts, SPREAD_PRIOR ** 2);
  const freedom = ((hosts + PRIOR_HOSTS) * square) ** 2 / (2 * SPREAD_DOUBT * hosts * width ** 4);
  return {deviation: Math.min(SPREAD_MAX, Math.sqrt(square)), freedom};
}

/** @param hosts those that are not proved to be worse, if there are any: else the others would seem to get better, and worse when those are mended. */
function levelOf(hosts: Sample, usual: number | null, width: number): number {
  return nearer(locate(hosts, LEVEL_QUANTILE, width), hosts.quantile(0.5) ?? 0, usual, width);
}

function centerOf(own: Sample, spread: number, usual: number | null): number {
  return own.length < 5 ? 0 : nearer(locate(own, LEVEL_QUANTILE, spread), own.quantile(0.5) ?? 0, usual, SPREAD_PRIOR);
}

/** The better quarter tells, unless it is what moved: where some hosts got better the others did not get worse. */
function nearer(better: number, middle: number, usual: number | null, width: number): number {
  return usual !== null && usual - better > Math.max(JUMP * width, middle - usual) ? middle : better;
}

function pooled(seen: number | null, count: number, prior: number): number {
  return seen === null ? prior : (count * seen + PRIOR_HOSTS * prior) / (count + PRIOR_HOSTS);
}

/** Middle of a sample, told by one of its lower order statistics and its known width. */
function locate(sample: Sample, share: number, width: number): number {
  if (sample.length === 0) return 0;
  const at = Math.floor(share * (sample.length - 1));
  // Blom's expectation of the order statistic.
  const place = (at + 0.625) / (sample.length + 0.25);
  return (sample.at(at) ?? 0) - normalQuantile(place) * width;
}

/** Tukey's weight: 1 in the middle, 0 beyond 1. */
function bisquare(distance: number): number {
  return Math.abs(distance) >= 1 ? 0 : (1 - distance ** 2) ** 2;
}
