import {count} from '../../base/counts.ts';
import type {Labels} from '../../wire/schema.ts';

/** What is to be explained: something with labels that is bad, good, or some of both. */
export interface Cell {
  labels: Labels;
  /** Weights, >= 0. */
  bad: number;
  good: number;
}

/** Cells that carry all the labels, and the others. */
export interface Division {
  labels: Labels;
  members: number[];
  bad: number;
  good: number;
  othersBad: number;
  othersGood: number;
}

/** Labels, and how well they divide bad from good. */
export interface Candidate extends Division {
  /** Log of how much likelier the division makes what is seen than no division. */
  gain: number;
}

/** By what a division is told: hosts are bad or good, other things have other kinds of chance. */
export interface Evidence {
  /** Log of how much likelier what is seen is when the members are worse than the others, less the cost of the labels; below 0: less likely. */
  gain: (division: Division) => number;
  /** What gains no more than this gains nothing with a further label either. */
  least: number;
  /** No division of so many labels gains more than this. */
  most: (labels: number) => number;
}

/** Combinations of more labels explain nothing that anybody could act on. */
const LABELS_MAX = 3;
/** Only the best so many go on to combinations with one label more. */
const BEAM = [0, 40, 15];
/** Each label more must make what is seen so much likelier, or chance found it among many. */
const LABEL_COST = 3;
/** So much less gain is as good: what is simpler is preferred. */
const SLACK_MAX = 0.5;
const SLACK_SHARE = 0.02;
/** Up to a ratio of e what is likelier is "not worth more than a bare mention" (R. E. Kass, A. E. Raftery, Bayes factors, 1995). */
const BARE_MENTION = 1;

/**
 * Looks for the labels that divide bad from good, alone and in twos and threes. Cells with neither weight are members but say nothing.
 * What `bad` and `good` are is the evidence's: without one cells are hosts, and these are told by proportions.
 * Labels by which (almost) every cell differs are names, not kinds, and tell nothing.
 * @returns best first; those without gain are left out.
 */
export function search(cells: readonly Cell[], evidence: Evidence = proportions(cells)): Candidate[] {
  const singles = singlesOf(cells);
  const all = sumOf(cells);
  const {gain, least, most} = evidence;
  const candidateOf = (labels: Labels, members: number[]): Candidate => {
    const division = divisionOf(labels, members, cells, all);
    return {...division, gain: gain(division)};
  };
  const found: Candidate[] = [];
  let level: {keys: string[]; candidate: Candidate}[] = singles.map(({labels, members}) => {
    return {keys: Object.keys(labels), candidate: candidateOf(labels, members)};
  });
  for (let size = 1; size <= LABELS_MAX; size++) {
    level = level.filter(({candidate}) => candidate.gain > least).sort((a, b) => b.candidate.gain - a.candidate.gain);
    found.push(...level.map(({candidate}) => candidate).filter(candidate => candidate.gain > 0));
    // A division that is (nearly) perfect is not beaten by one that costs more.
    const isPerfect = (level[0]?.candidate.gain ?? 0) >= most(size + 1);
    level = isPerfect ? [] : extended(level.slice(0, BEAM[size]), singles, cells.length, candidateOf);
  }
  return found.sort((a, b) => b.gain - a.gain);
}

/**
 * The simplest explanation that is as good as the best, and those that cannot be told apart from it: all others that are as good, those that divide
 * the same way first.
 * @param candidates best first.
 * @param isBetter orders explanations of equal worth.
 */
export function simplest(
  candidates: readonly Candidate[],
  isBetter: (a: Candidate, b: Candidate) => number,
): {best: Candidate; alternatives: Candidate[]} | null {
  const [first] = candidates;
  if (first === undefined) return null;
  const enough = first.gain - Math.min(SLACK_MAX, SLACK_SHARE * first.gain);
  const close = candidates.filter(({gain}) => gain >= enough);
  const fewest = Math.min(...close.map(({labels}) => Object.keys(labels).length));
  const [best] = close.filter(({labels}) => Object.keys(labels).length === fewest).sort(isBetter);
  if (best === undefined) return null;
  const own = new Set(best.members);
  // What explains other cells as well as this one explains these is another cause.
  const isOfThese = ({members}: Candidate): boolean => 2 * members.filter(index => own.has(index)).length >= own.size;
  const alternatives = candidates.filter(other => other !== best && isAsGood(other, best) && isOfThese(other));
  const isSame = ({bad, good}: Candidate): number => Number(bad === best.bad && good === best.good);
  return {best, alternatives: alternatives.sort((a, b) => isSame(b) - isSame(a) || isBetter(a, b))};
}

/** What is seen hardly speaks against it. */
export function isAsGood({gain}: Candidate, best: Candidate): boolean {
  return gain >= best.gain - BARE_MENTION;
}

/** Cells with one label in common. */
interface Kind {
  labels: Labels;
  key: string;
  /** In ascending order. */
  members: number[];
}

function singlesOf(cells: readonly Cell[]): Kind[] {
  return kindsOf(cells).filter(({members}) => members.some(index => (cells[index]?.bad ?? 0) > 0));
}

/** Cells by each label; labels that are names, or that all have, divide nothing. */
export function kindsOf(cells: readonly Cell[]): Kind[] {
  const singles: Kind[] = [];
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
    return !isName && members.length < cells.length;
  });
}

function extended(
  level: readonly {keys: string[]; candidate: Candidate}[],
  singles: readonly Kind[],
  cells: number,
  candidateOf: (labels: Labels, members: number[]) => Candidate,
): {keys: string[]; candidate: Candidate}[] {
  const seen = new Set<string>();
  const next: {keys: string[]; candidate: Candidate}[] = [];
  const isIn = new Uint8Array(cells);
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
      next.push({keys: Object.keys(labels), candidate: candidateOf(labels, members)});
    }
  }
  return next;
}

function sumOf(cells: readonly Cell[]): {bad: number; good: number} {
  const all = {bad: 0, good: 0};
  for (const {bad, good} of cells) {
    all.bad += bad;
    all.good += good;
  }
  return all;
}

function divisionOf(labels: Labels, members: number[], cells: readonly Cell[], all: {bad: number; good: number}): Division {
  let [bad, good] = [0, 0];
  for (const index of members) {
    bad += cells[index]?.bad ?? 0;
    good += cells[index]?.good ?? 0;
  }
  return {labels, members, bad, good, othersBad: Math.max(0, all.bad - bad), othersGood: Math.max(0, all.good - good)};
}

/** Hosts: likelihood ratio of two binomial proportions (S. S. Wilks 1938) less a cost for each label beyond the first. */
export function proportions(cells: readonly Cell[]): Evidence {
  const all = sumOf(cells);
  const undivided = likelihood(all.bad, all.good);
  return {
    gain: ({labels, bad, good, othersBad, othersGood}) => {
      const isWorse = bad * (othersBad + othersGood) > othersBad * (bad + good);
      return isWorse ? likelihood(bad, good) + likelihood(othersBad, othersGood) - undivided - costOf(Object.keys(labels).length) : 0;
    },
    least: 0,
    most: labels => -undivided - costOf(labels),
  };
}

/** What labels beyond the first cost of the gain. @param labels how many. */
export function costOf(labels: number): number {
  return LABEL_COST * (labels - 1);
}

/** How labels divide the hosts, whether a search would come to them or not. */
export function divided(labels: Labels, cells: readonly Cell[]): Candidate {
  const members = [...cells.keys()].filter(index => Object.entries(labels).every(([key, value]) => cells[index]?.labels[key] === value));
  const division = divisionOf(labels, members, cells, sumOf(cells));
  return {...division, gain: proportions(cells).gain(division)};
}

/** Log-likelihood of so many bad and good at their own share. */
function likelihood(bad: number, good: number): number {
  const all = bad + good;
  return (bad === 0 ? 0 : bad * Math.log(bad / all)) + (good === 0 ? 0 : good * Math.log(good / all));
}
