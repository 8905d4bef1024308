import {addTo} from '../../base/groups.ts';
import type {Division, Evidence} from '../../coordinator/health/explain.ts';
import type {Labels} from '../../wire/schema.ts';

/** Bad ones among all, and the share of bad that is usual there. */
export interface Count {
  labels: Labels;
  bad: number;
  all: number;
  /** Within 0..1, neither of them. */
  usual: number;
}

/** How far shares scatter around what is expected (correlation of the events of one row), in a cause and outside. */
const SCATTERS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3];
/** All shares may have risen a little. */
const DRIFTS = [1, 1.3];
/** What a cause does: of what is usually good so much becomes bad, ... */
const RISES = [0.01, 0.02, 0.04, 0.07, 0.11, 0.17, 0.25, 0.35, 0.5, 0.7];
/** ... or the odds of bad are so many times the usual ones: where more is bad already, more becomes so. */
const ODDS = [1.5, 2, 3, 4, 6, 10, 20, 50];
/** A row is what it is for reasons of its own, now and then, so that no single one decides. */
const ODD = 0.001;
const ODD_RISE = 0.25;
const ODD_SCATTER = 0.4;

/** Parts of a cause rise by different measure, but not by any: so many steps of the grid (factors of 1.5, about) are one deviation. */
const PART_STEPS = 0.8;
/** Which label it is that parts them is one more thing to fit. */
const PARTS_COST = 1;
const NEAR = [RISES, ODDS].map(grid => grid.map((_, common) => near(common, grid.length)));

/** What divisions gain. */
export interface Gains {
  /** As if all of a cause rose alike: for a search. */
  alike: Evidence;
  /** Where the values of one further label may rise by different measure: what is the best of a search. */
  apart: (division: Pick<Division, 'labels' | 'members'>) => number;
}

/**
 * Counts of events are no independent witnesses: within a row they go together. So each row is a beta-binomial draw (J. G. Skellam 1948),
 * outside of the cause around its usual share, inside around one that rose; rises and scatters are those that fit best, on either
 * side of the division by themselves.
 * @param gainLeft what is left of a gain with so many labels, 0..1.
 */
export function risenCounts(counts: readonly Count[], gainLeft: (labels: number) => number): Gains {
  const usual = counts.map(usualLogs);
  const risen = counts.map((count, index) => risenLogs(count, usual[index] ?? []));
  const whole = summed(usual, counts.keys());
  const undivided = Math.max(...whole);
  const gain = (inside: number, {labels, members}: Pick<Division, 'labels' | 'members'>): number => {
    const own = summed(usual, members);
    const outside = Math.max(...whole.map((log, index) => log - (own[index] ?? 0)));
    const all = inside + outside - undivided;
    return all > 0 ? all * gainLeft(Object.keys(labels).length) : all;
  };
  const together = (members: readonly number[]): number => Math.max(...summed(risen, members));
  const parted = (members: readonly number[]): number[] =>
    partings(counts, members).map(parts => partedLog(parts.map(part => summed(risen, part))) - PARTS_COST);
  return {
    alike: {
      gain: division => gain(together(division.members), division),
      // A label of which most is as usual may be half of what is not.
      least: Number.NEGATIVE_INFINITY,
      most: () => Number.POSITIVE_INFINITY,
    },
    apart: division => gain(Math.max(together(division.members), ...parted(division.members)), division),
  };
}

/** Members by the values of each label that divides them. */
function partings(counts: readonly Count[], members: readonly number[]): number[][][] {
  return Object.keys(counts[members[0] ?? 0]?.labels ?? {})
    .map(key => [...grouped(members, index => counts[index]?.labels[key]).values()])
    .filter(parts => parts.length > 1);
}

/** In the order in which they come. */
export function grouped<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Map<string | undefined, T[]> {
  const groups = new Map<string | undefined, T[]>();
  for (const item of items) addTo(groups, keyOf(item), item);
  return groups;
}

/** All parts with the same scatter, and each with a rise of its own around one that they have in common. */
function partedLog(parts: readonly number[][]): number {
  let [best, from] = [Number.NEGATIVE_INFINITY, 0];
  for (const _ of SCATTERS) {
    for (const grid of NEAR) {
      for (const weights of grid) best = Math.max(best, partsAround(weights, parts, from));
      from += grid.length;
    }
  }
  return best;
}

function partsAround(weights: readonly number[], parts: readonly number[][], from: number): number {
  let sum = 0;
  for (const part of parts) {
    let [most, rest] = [Number.NEGATIVE_INFINITY, 0];
    for (let at = 0; at < weights.length; at++) most = Math.max(most, (weights[at] ?? 0) + (part[from + at] ?? 0));
    for (let at = 0; at < weights.length; at++) rest += Math.exp((weights[at] ?? 0) + (part[from + at] ?? 0) - most);
    sum += most + Math.log(rest);
  }
  return sum;
}

/** Logs of a normal distribution over the steps of a grid. */
function near(common: number, steps: number): number[] {
  const logs = Array.from({length: steps}, (_, at) => -0.5 * ((at - common) / PART_STEPS) ** 2);
  const whole = Math.log(logs.reduce((sum, log) => sum + Math.exp(log), 0));
  return logs.map(log => log - whole);
}

function usualLogs(count: Count): number[] {
  const odd = chance(count, share(count, ODD_RISE), ODD_SCATTER);
  return SCATTERS.flatMap(scatter => DRIFTS.map(drift => mixed(chance(count, Math.min(0.9, count.usual * drift), scatter), odd)));
}

function risenLogs(count: Count, usual: readonly number[]): number[] {
  const odd = usual.reduce((sum, log) => sum + log, 0) / usual.length;
  const means = [...RISES.map(rise => share(count, rise)), ...ODDS.map(odds => atOdds(count, odds))];
  return SCATTERS.flatMap(scatter => means.map(mean => mixed(chance(count, mean, scatter), odd)));
}

function atOdds({usual}: Count, odds: number): number {
  return (odds * usual) / (1 - usual + odds * usual);
}

function share({usual}: Count, rise: number): number {
  return usual + rise * (1 - usual);
}

/** Log of a mixture of what is said and, rarely, of something odd. */
function mixed(log: number, odd: number): number {
  const [a, b] = [log + Math.log(1 - ODD), odd + Math.log(ODD)];
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

function summed(rows: readonly number[][], members: Iterable<number>): number[] {
  const sums = new Array<number>(rows[0]?.length ?? 0).fill(0);
  for (const member of members) {
    const row = rows[member] ?? [];
    for (let at = 0; at < sums.length; at++) sums[at] = (sums[at] ?? 0) + (row[at] ?? 0);
  }
  return sums;
}

/** Log of the beta-binomial chance of so many bad, but for a term that is the same whatever the share and scatter. */
function chance({bad, all}: Count, mean: number, scatter: number): number {
  const size = 1 / scatter - 1;
  const [a, b] = [mean * size, (1 - mean) * size];
  return lnGamma(bad + a) - lnGamma(a) + lnGamma(all - bad + b) - lnGamma(b) + lnGamma(size) - lnGamma(all + size);
}

/** Stirling's series, after the argument is made 8 or more; to 1e-10. */
function lnGamma(positive: number): number {
  let [x, shift] = [positive, 0];
  for (; x < 8; x++) shift += Math.log(x);
  const square = 1 / (x * x);
  const series = (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}
