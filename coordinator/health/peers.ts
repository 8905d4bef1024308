import {type HostFigure, lasting, PAST_MIN, RECENT_MIN} from './figure.ts';
import {type Farm, SPREAD_PRIOR, type Spread} from './level.ts';
import {studentOf} from './statistics.ts';

/** So many deviations of what hosts that are well differ by for good are no chance: once in 300,000 hosts, each drawn once. */
export const PEERS_Z_MIN = 4.5;
/** Deviations of a moving mean which that reaches sooner or later, being looked at every round. */
const CHANCE_Z = 3;
/** Readings before what a host always was is held against the others. */
const LASTING_MIN = 200;

/** What a host shows against the others at equal load, over two spans that end now; logarithms. */
export interface Shown {
  /** Over the last dozen readings, and over the last hundred, and how far chance moves these: one deviation. */
  recent: number;
  mean: number;
  recentChance: number;
  meanChance: number;
  /** How many readings these are made of. */
  count: number;
  /** Of one reading, as its mean scatters. */
  scatter: number;
  isRisen: boolean;
}

/** What the others show. */
type Level = Pick<Farm, 'center' | 'level' | 'middle' | 'shock' | 'spread'>;

/** How it stands against the others. */
export interface Standing {
  /** Deviations of what hosts that are well differ by, as far as that is known: how like the others it is, proved or not. */
  score: number;
  /** Proved by what it showed lately; by what it always was. */
  isLately: boolean;
  isAlways: boolean;
  isBehindMiddle: boolean;
  /** How far a host that is well may lie from the others, over 4.5. */
  error: number;
}

/**
 * How much slower than the others a host that is well may be for good, over 4.5: Student's t, since the spread is told by few hosts and may be
 * more, as far as hosts that are well are believed to differ at all.
 */
export function naturalOf({deviation, freedom}: Spread): number {
  return Math.max(deviation, Math.min(SPREAD_PRIOR, (deviation * studentOf(PEERS_Z_MIN, freedom)) / PEERS_Z_MIN));
}

/**
 * Holds a host against the others. What it differs by for good is drawn once, chance is drawn anew all the time: sooner or later chance is
 * far off on the host that is slowest by nature, so that both bounds are added. Where it has provably risen from what it always was, nature
 * is no explanation, and they add up as deviations do.
 * @param known of the host before this reading.
 * @param natural see `naturalOf`. @param least the least difference that counts.
 */
export function heldAgainstPeers(known: HostFigure, shown: Shown, farm: Level, natural: number, least: number): Standing {
  const {recent, mean, recentChance, meanChance, count, scatter, isRisen} = shown;
  const {center, level, middle, shock, spread} = farm;
  const pastChance = scatter / Math.sqrt(Math.max(1, known.count));
  const rise = mean + center - lasting(known);
  const isChanged = known.count >= PAST_MIN && isRisen && rise >= PEERS_Z_MIN * added(meanChance, pastChance);
  const errorWith = (chance: number): number => natural + (CHANCE_Z / PEERS_Z_MIN) * chance;
  const error = isChanged ? added(spread.deviation, meanChance) : errorWith(meanChance);
  const zOf = (off: number): number => Math.max((mean - off) / error, (recent - off) / errorWith(recentChance));
  const always = lasting(known) - center - shock;
  const isKnown = known.count >= LASTING_MIN;
  const z = zOf(shock);
  const isAlways = isKnown && always / errorWith(pastChance) >= PEERS_Z_MIN && always >= least && mean >= least / 2;
  return {
    score: Math.max((mean - shock) / added(spread.deviation, meanChance), isKnown ? always / added(spread.deviation, pastChance) : 0),
    isLately: count >= RECENT_MIN && z >= PEERS_Z_MIN && Math.min(mean, recent) - shock >= least,
    isAlways,
    isBehindMiddle: zOf(middle - center - level) >= PEERS_Z_MIN,
    error,
  };
}

/** Two deviations of what is independent; `Math.hypot` is many times slower. */
export function added(one: number, other: number): number {
  return Math.sqrt(one * one + other * other);
}
