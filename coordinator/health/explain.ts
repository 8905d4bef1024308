import {count} from '../../base/counts.ts';
import type {Labels} from '../../wire/schema.ts';

/** What is to be explained: something with labels that is bad, good, or some of both. */
export interface Cell {
  labels: Labels;
  /** Weights, >= 0. */
  bad: number;
  good: number;
}

/** Labels, and how well they divide bad from good. */
export interface Candidate {
  labels: Labels;
  /** Cells that carry all the labels. */
  members: number[];
  bad: number;
  good: number;
  othersBad: number;
  othersGood: number;
  /** Log of how much likelier the division makes what is seen than no division. */
  gain: number;
}

export interface Search {
  /** Best first; those without gain are left out. */
  candidates: Candidate[];
  /** Every single label that was tried, and how many combinations of two and three. */
  singles: Candidate[];
  combinations: number;
}

/** Combinations of more labels explain nothing that anybody could act on. */
const LABELS_MAX = 3;
/** Only the best so many go on to combinations with one label more. */
const BEAM = [0, 40, 15];
/** Each label more must make what is seen so much likelier, or chance found it among many. */
const LABEL_COST = 3;
/** So much less gain is as good. */
const SLACK_MAX = 0.5;
const SLACK_SHARE = 0.02;

/**
 * Looks for the labels that divide bad from good, alone and in twos and threes. Cells with neither weight are members but say nothing.
 * Labels by which (almost) every cell differs are names, not kinds, and tell nothing.
 * Gain: likelihood ratio of two binomial proportions (S. S. Wilks 1938) less a cost for each label beyond the first.
 */
export function search(cells: readonly Cell[], labelsMax: number = LABELS_MAX): Search {
  const singles = singlesOf(cells);
  const all = {bad: 0, good: 0};
  for (const {bad, good} of cells) {
    all.bad += bad;
    all.good += good;
  }
  const found: Candidate[] = [];
  let combinations = 0;
  let level: {keys: string[]; candidate: Candidate}[] = singles.map(({labels, members}) => {
    return {keys: Object.keys(labels), candidate: candidateOf(labels, members, cells, all)};
  });
  const tried = level.map(({candidate}) => candidate);
  for (let size = 1; size <= Math.min(labelsMax, LABELS_MAX); size++) {
    if (size > 1) combinations += level.length;
    level = level.filter(({candidate}) => candidate.gain > 0).sort((a, b) => b.candidate.gain - a.candidate.gain);
    found.push(...level.map(({candidate}) => candidate));
    // A division that is (nearly) perfect is not beaten by one that costs more.
    const isPerfect = (level[0]?.candidate.gain ?? 0) >= -likelihood(all.bad, all.good) - LABEL_COST * size;
    level = isPerfect ? [] : extended(level.slice(0, BEAM[size]), singles, cells, all);
  }
  return {candidates: found.sort((a, b) => b.gain - a.gain), singles: tried, combinations};
}

/**
 * The simplest explanation that is as good as the best, and those that cannot be told apart from it.
 * @param isBetter orders explanations of equal worth.
 */
export function simplest(
  {candidates}: Search,
  isBetter: (a: Candidate, b: Candidate) => number,
): {best: Candidate; alternatives: Candidate[]} | null {
  const [first] = candidates;
  if (first === undefined) return null;
  const enough = first.gain - Math.min(SLACK_MAX, SLACK_SHARE * first.gain);
  const close = candidates.filter(({gain}) => gain >= enough);
  const fewest = Math.min(...close.map(({labels}) => Object.keys(labels).length));
  const [best, ...rest] = close.filter(({labels}) => Object.keys(labels).length === fewest).sort(isBetter);
  if (best === undefined) return null;
  const same = rest.filter(other => other.bad === best.bad && other.good === best.good && Math.abs(other.gain - best.gain) < 1e-9);
  return {best, alternatives: same};
}

function singlesOf(cells: readonly Cell[]): {labels: Labels; key: string; members: number[]}[] {
  const singles: {labels: Labels; key: string; members: number[]}[] = [];
  const byKey = new Map<string, Map<string, number[]>>();
  const carriers = new Map<string, number>();
  for (const [index, {labels}] of cells.entries()) {
    for (const [key, value] of Object.entries(labels)) {
      count(carriers, key);
      const byValue = byKey.get(key) ?? new Map<string, number[]>();
      if (byValue.size === 0) byKey.set(key, byValue);
      const known = byValue.get(value);
      if (known !== undefined) {
        known.push(index);
        continue;
      }
      const members = [index];
      byValue.set(value, members);
      singles.push({labels: {[key]: value}, key, members});
    }
  }
  return singles.filter(({key, members}) => {
    const values = byKey.get(key)?.size ?? 0;
    const isName = values > 2 && values > (carriers.get(key) ?? 0) / 2;
    return !isName && members.length < cells.length && members.some(index => (cells[index]?.bad ?? 0) > 0);
  });
}

function extended(
  level: readonly {keys: string[]; candidate: Candidate}[],
  singles: readonly {labels: Labels; key: string; members: number[]}[],
  cells: readonly Cell[],
  all: {bad: number; good: number},
): {keys: string[]; candidate: Candidate}[] {
  const seen = new Set<string>();
  const next: {keys: string[]; candidate: Candidate}[] = [];
  const isIn = new Uint8Array(cells.length);
  for (const {keys, candidate} of level) {
    isIn.fill(0);
    for (const index of candidate.members) isIn[index] = 1;
    for (const single of singles) {
      if (keys.includes(single.key)) continue;
      const members: number[] = [];
      for (const index of single.members) if (isIn[index] === 1) members.push(index);
      // No smaller than what it is made of: the added label says nothing.
      if (members.length === 0 || members.length === candidate.members.length || members.length === single.members.length) continue;
      const labels = Object.fromEntries(Object.entries({...candidate.labels, ...single.labels}).sort(([a], [b]) => (a < b ? -1 : 1)));
      const name = JSON.stringify(labels);
      if (seen.has(name)) continue;
      seen.add(name);
      next.push({keys: Object.keys(labels), candidate: candidateOf(labels, members, cells, all)});
    }
  }
  return next;
}

function candidateOf(labels: Labels, members: number[], cells: readonly Cell[], all: {bad: number; good: number}): Candidate {
  let [bad, good] = [0, 0];
  for (const index of members) {
    bad += cells[index]?.bad ?? 0;
    good += cells[index]?.good ?? 0;
  }
  const [othersBad, othersGood] = [Math.max(0, all.bad - bad), Math.max(0, all.good - good)];
  const isWorse = bad * (othersBad + othersGood) > othersBad * (bad + good);
  const gain = isWorse ? likelihood(bad, good) + likelihood(othersBad, othersGood) - likelihood(all.bad, all.good) - costOf(labels) : 0;
  return {labels, members, bad, good, othersBad, othersGood, gain};
}

/** What labels beyond the first cost of the gain. */
export function costOf(labels: Labels): number {
  return LABEL_COST * (Object.keys(labels).length - 1);
}

/** How labels divide the cells, whether a search would come to them or not. */
export function divided(labels: Labels, cells: readonly Cell[]): Candidate {
  const members: number[] = [];
  const all = {bad: 0, good: 0};
  for (const [index, cell] of cells.entries()) {
    all.bad += cell.bad;
    all.good += cell.good;
    if (Object.entries(labels).every(([key, value]) => cell.labels[key] === value)) members.push(index);
  }
  return candidateOf(labels, members, cells, all);
}

/** Log-likelihood of so many bad and good at their own share. */
function likelihood(bad: number, good: number): number {
  const all = bad + good;
  return (bad === 0 ? 0 : bad * Math.log(bad / all)) + (good === 0 ? 0 : good * Math.log(good / all));
}

/** How many different divisions candidates make of the cells that say something; a set and its rest are one division. */
export function divisions(candidates: readonly Candidate[], cells: readonly Cell[]): number {
  const telling = cells.flatMap(({bad, good}, index) => (bad + good > 0 ? [index] : []));
  const seen = new Set<string>();
  for (const {members} of candidates) {
    const own = new Set(members);
    const sides = telling.map(index => own.has(index));
    const [first] = sides;
    seen.add(sides.map(side => (side === first ? '1' : '0')).join(''));
  }
  return seen.size;
}
