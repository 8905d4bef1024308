import type {Instant} from '../../base/units.ts';
import {
  type FigureMemory,
  freshFigure,
  type HostFigure,
  keepHosts,
  lasting,
  type Mark,
  markAt,
  PAST_MIN,
  pastOf,
  placesOf,
  putFigure,
  RECENT_MIN,
  type Reading,
  readFigure,
  type Yardstick,
} from './figure.ts';
import {type Farm, farmOf} from './level.ts';
import {added, heldAgainstPeers, naturalOf, PEERS_Z_MIN, type Shown} from './peers.ts';

/** The mean of the last dozen, and of the last hundred. */
const RECENT_RATE = 0.15;
const MEAN_RATE = 0.02;
/** Noise that remembers is wider than its lag-one correlation tells. */
const WIDENING_MIN = 1.5;
/** A past of about six hours at ten seconds. */
const OWN_RATE = 1 / 2000;
/** The farm's level follows the day. */
const LEVEL_RATE = 1 / 100;
const VARIANCE_RATE = 0.02;
const LOAD_RATE = 1 / 500;
const DOUBT_WEIGHT_MAX = 0.3;
/** One reading counts for no more deviations than this, however wild; one of several usual intervals for so many times that. */
const Z_MAX = 5.5;
/** Nothing is learnt while the cumulative sum is above this share of what proves: soon, once it is known how much the host scatters. */
const LEARN_SHARE_MAX = 1 / 6;
const LEARN_SHARE_YOUNG = 1 / 3;
const KNOWN_MIN = 100;
/** However long it took: no reading proves anything alone. */
const STEP_SHARE_MAX = 0.5;
/** Log of the mean number of readings between two false alarms of one host's figure. */
const LOG_ARL = Math.log(1e9);
/** What a host usually shows is known to within its scatter over the root of its readings; so many times that speaks for it. */
const PAST_DOUBT = 1.5;
/** Share of a difference that a host must have got worse by itself. */
const RISE_SHARE = 2 / 3;
/** Share of how far it lies from the others that a host must have come itself for it to be its own doing. */
const OWN_SHARE = 1 / 2;
const OVERLOAD = Math.log(2);
const USUAL_LOAD = Math.log(1.5);

/**
 * Holds each host's reading against the others at equal load and against its own past. Logarithm of the value = level of all hosts now +
 * influence of load + lasting difference of the host + chance. The level is told by the better quarter; the influence of load is a
 * robust regression pooled over rounds; a change against the own past is proved by a cumulative sum (Page 1954) with bounded steps,
 * widened for autocorrelation; a lasting difference by its deviation from the pooled spread between hosts.
 */
export function compare(
  readings: readonly Reading[],
  memory: FigureMemory,
  yardstick: Yardstick,
  nowMs: Instant,
): {memory: FigureMemory; marks: Map<string, Mark>} {
  const places = placesOf(readings, memory.hosts);
  const farm = farmOf(readings, pastOf(memory.hosts, places), memory, yardstick);
  const natural = naturalOf(farm.spread);
  const marks = new Map<string, Mark>();
  const names = [...memory.hosts.names];
  const rows = memory.hosts.rows.slice();
  const one = freshFigure(0);
  let {product, square} = memory;
  for (let index = 0; index < readings.length; index++) {
    const reading = readings[index] as Reading;
    const place = places[index] ?? -1;
    const isKnown = place >= 0;
    const seen = reading.isNew ? null : markAt(memory.hosts, place);
    if (seen !== null) {
      marks.set(reading.host, seen);
      continue;
    }
    const known = isKnown ? one : freshFigure(farm.x[index] ?? 0);
    if (isKnown) readFigure(memory.hosts.rows, place, known);
    const {count, last} = known;
    const mark = step(index, reading, known, farm, natural, yardstick, nowMs);
    putFigure(rows, isKnown ? place : names.push(reading.host) - 1, known, mark);
    marks.set(reading.host, mark);
    if (count > 0 && known.sum < 3) {
      product = product * 0.9999 + known.last * last;
      square = square * 0.9999 + last ** 2;
    }
  }
  const rounds = memory.rounds + 1;
  const level = followed(memory.level, farm.level);
  const center = followed(memory.center, farm.center);
  const load = followed(memory.load, farm.middleLoad, Math.max(OWN_RATE, 1 / rounds));
  const accustomed = followed(memory.accustomed, farm.common, OWN_RATE);
  return {memory: {slope: farm.slope, product, square, level, center, load, accustomed, rounds, hosts: {names, rows}}, marks};
}

function followed(usual: number | null, now: number, rate: number = LEVEL_RATE): number {
  return usual === null ? now : usual + rate * (now - usual);
}

/** Forgets a host: it comes back as another one. */
export function forget(memory: FigureMemory, host: string): FigureMemory {
  return memory.hosts.names.includes(host) ? {...memory, hosts: keepHosts(memory.hosts, name => name !== host)} : memory;
}

/** How comparable a host's load is. */
interface Comparable {
  /** Has far more to do than any other, or suddenly much more than all others: no measure fits. */
  isBeyond: boolean;
  isSurge: boolean;
  /** Has what it usually has to do. */
  isUsual: boolean;
  hasPast: boolean;
}

function comparable({load}: Reading, known: HostFigure, x: number, loadMax: number, loadChange: number): Comparable {
  const isOld = known.count >= PAST_MIN;
  const isSurge = load !== null && isOld && x - known.load > loadChange + OVERLOAD;
  const isBeyond = load !== null && (isSurge || x > loadMax + OVERLOAD);
  const isUsual = isOld && Math.abs(x - known.load) < USUAL_LOAD;
  return {isBeyond, isSurge, isUsual, hasPast: isOld && (!isBeyond || isUsual)};
}

/** @param known changes to what is known with this reading. */
function step(
  index: number,
  reading: Reading,
  known: HostFigure,
  farm: Farm,
  natural: number,
  {scale, ratioMin}: Yardstick,
  nowMs: Instant,
): Mark {
  const rest = farm.rest[index] ?? 0;
  const difference = rest - farm.level;
  const x = farm.x[index] ?? 0;
  const load = comparable(reading, known, x, farm.loadMax[index] ?? Number.POSITIVE_INFINITY, farm.loadChange);
  const chance = Math.sqrt(Math.max(farm.noise ** 2 / 2, Math.min(known.variance, 9 * farm.noise ** 2)));
  const deviation = difference - lasting(known);
  const scatter = chance * Math.max(WIDENING_MIN, farm.widening);
  const width = scatter * Math.sqrt(1 + 1 / Math.max(1, known.count));
  const least = Math.log(ratioMin);
  const drift = Math.max(0.5, least / (2 * width));
  const unsure = PAST_DOUBT / Math.sqrt(Math.max(1, known.count));
  const limit = LOG_ARL / (2 * drift);
  const z = boundedZ(Math.min(deviation - farm.shock, ownRise(known, rest, farm) / RISE_SHARE) / width, reading);
  const grown = Math.max(0, Math.min(1.5 * limit, known.sum + Math.min(STEP_SHARE_MAX * limit, z - drift - unsure)));
  const sum = !load.hasPast ? 0 : reading.isBurdened ? known.sum : grown;
  const recentCount = known.recentCount + 1;
  const relative = difference - farm.center;
  const recent = towards(known.recent, relative, Math.max(RECENT_RATE, 1 / recentCount));
  const meanRate = Math.max(MEAN_RATE, 1 / recentCount);
  const mean = towards(known.mean, relative, meanRate);
  const {lately, change, isRisen, isLeftBehind} = changeOf(known, rest, farm, recent + farm.center, least);
  const chanceOf = (rate: number): number => scatter * Math.sqrt(Math.max(rate / 2, 1 / recentCount));
  const shown = {recent, mean, recentChance: chanceOf(RECENT_RATE), meanChance: chanceOf(meanRate), count: recentCount, scatter, isRisen};
  const {score, isLately, isAlways, isBehindMiddle, error} = heldAgainstPeers(known, shown, farm, natural, least);
  const byPeers = !load.isBeyond && (isLately || isAlways);
  const byPast = sum >= limit && isRisen && change >= least / 2 && deviation > 0;
  const peers = farm.rest.length - 1;
  const proof = peers === 0 ? null : byPast ? 'past' : byPeers ? 'peers' : null;
  const hasRisen = isRisen && isClear(change, known, shown, least);
  const sumSinceMs = known.sum > 0 ? known.sumSinceMs : nowMs;
  const mark: Mark = {
    expected: Math.max(0, Math.exp(farm.level + farm.center + (farm.curve[index] ?? 0)) - scale),
    ratio: Math.exp(recent),
    score: Math.max(score, (PEERS_Z_MIN * sum) / limit),
    proof,
    isBehindMiddle: byPast || (!isLeftBehind && isBehindMiddle),
    isOwnDoing: proof !== null && (byPast || hasRisen || isBornWorse(known, farm.likeLevel, index, lately - PEERS_Z_MIN * error)),
    isOverloaded: load.isBeyond && !load.isUsual,
    sinceMs: byPast ? sumSinceMs : (known.provedMs ?? nowMs),
    peers,
  };
  move(known, lately, recent, mean, sum, sumSinceMs);
  if (reading.isBurdened) return mark;
  // What is accused is not taken for usual; what it always was goes on to be learnt.
  const isAccused = proof !== null && (byPast || isLately);
  const isLearning = !load.isSurge && !isAccused && (sum < learntUpTo(known) * limit || !load.hasPast);
  if (isLearning) learn(known, difference, rest - shareOf(farm, known), x, chance, width, farm.shock > 0);
  else if (isAccused) undoubt(known);
  else doubt(known, deviation);
  return mark;
}

function learntUpTo({count}: HostFigure): number {
  return count < KNOWN_MIN ? LEARN_SHARE_YOUNG : LEARN_SHARE_MAX;
}

function boundedZ(z: number, {intervals = 1}: Reading): number {
  return clamp(z, 0, Z_MAX * Math.max(1, intervals));
}

/** It is no chance, and half of how far the host lies from the others. */
function isClear(change: number, {count}: HostFigure, {recent, recentChance, scatter}: Shown, least: number): boolean {
  const chance = added(recentChance, scatter / Math.sqrt(Math.max(1, count)));
  return count >= RECENT_MIN && change >= Math.max(least, OWN_SHARE * recent, PEERS_Z_MIN * chance);
}

/** From the first reading on, and worse than others of its hardware. @param least what it shows at least. */
function isBornWorse({count}: HostFigure, likeLevel: Farm['likeLevel'], index: number, least: number): boolean {
  const level = count < PAST_MIN ? likeLevel(index) : null;
  return level !== null && least >= level;
}

/** How it changed: against the others, and by itself. Where others got better it is worse than they are, but did not get worse. */
function changeOf(
  known: HostFigure,
  rest: number,
  farm: Farm,
  differenceNow: number,
  least: number,
): {lately: number; change: number; isRisen: boolean; isLeftBehind: boolean} {
  const rate = Math.max(RECENT_RATE, 1 / (known.recentCount + 1));
  const lately = towards(known.recentCount === 0 ? rest : known.lately, rest, rate);
  const change = differenceNow - lasting(known);
  const rise = ownRise(known, lately, farm);
  const isLeftBehind = known.count >= PAST_MIN && change >= least && rise < (1 - RISE_SHARE) * change;
  return {lately, change, isRisen: rise >= Math.max(least / 2, RISE_SHARE * change), isLeftBehind};
}

/** How far it shows more than it usually does, by itself: what all of them rose by is no rise of its own. */
function ownRise({usual}: HostFigure, shown: number, {common}: Farm): number {
  return shown - usual - common;
}

/** What looked like a change for the worse and passed by itself is the host's own way: the next time it is less of a surprise. */
function varianceOf({variance, doubted, doubtedSquares}: HostFigure): number {
  if (doubted === 0) return variance;
  const weight = Math.min(DOUBT_WEIGHT_MAX, VARIANCE_RATE * doubted);
  return variance + weight * Math.max(0, doubtedSquares / doubted - variance);
}

/** What moves with every reading, learnt from or not. */
function move(known: HostFigure, lately: number, recent: number, mean: number, sum: number, sumSinceMs: Instant): void {
  known.lately = lately;
  known.recent = recent;
  known.mean = mean;
  known.recentCount++;
  known.last = 0;
  known.sum = sum;
  known.sumSinceMs = sumSinceMs;
}

function doubt(known: HostFigure, deviation: number): void {
  known.doubted++;
  known.doubtedSquares += deviation ** 2;
}

/** What is proved is an illness, and not the host's way: when it comes again it is as much of a surprise. */
function undoubt(known: HostFigure): void {
  known.doubted = 0;
  known.doubtedSquares = 0;
}

/** Of what all of them rose by no more than the host itself did: what does not feel the day is not taken for better than it is. */
function shareOf({common}: Farm, {lately, usual}: HostFigure): number {
  return Math.min(common, Math.max(0, lately - usual));
}

/**
 * Takes a reading for usual; a wild one counts as a bounded one. What all suffer at once becomes usual within hours only, and is never what a host
 * usually shows by itself: after a slow day of all of them it is held against what it was before.
 * @param alone what it shows, without what all of them rose by.
 */
function learn(known: HostFigure, difference: number, alone: number, x: number, chance: number, width: number, isShock: boolean): void {
  const count = known.count + 1;
  const rate = isShock && known.count >= PAST_MIN ? OWN_RATE : Math.max(OWN_RATE, 1 / count);
  const bounded = clamp(difference - lasting(known), 0, 3 * chance);
  const variance = varianceOf(known);
  const change = known.count === 0 ? difference : clamp(difference - known.own, 0, 3 * width);
  const rise = known.count === 0 ? alone : clamp(alone - known.usual, 0, 3 * width);
  known.own += rate * change;
  known.usual += rate * rise;
  known.count = count;
  known.variance = variance + VARIANCE_RATE * (bounded ** 2 - variance);
  undoubt(known);
  // What all suffer at once stays as it is for long, which is no noise that remembers.
  known.last = isShock ? 0 : bounded;
  known.load += Math.max(LOAD_RATE, 1 / count) * (x - known.load);
}

/** A moving mean's next value; one reading moves it by no more than a factor of twenty would. */
function towards(mean: number, value: number, rate: number): number {
  return mean + rate * (clamp(value, mean, 3) - mean);
}

function clamp(value: number, around: number, width: number): number {
  return Math.max(around - width, Math.min(around + width, value));
}
