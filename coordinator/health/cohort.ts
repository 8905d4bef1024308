import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Evidence, Verdict} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {median} from './sli.ts';

/** Labels that somebody can do something about, the most useful first; all others follow by name. */
const PREFERENCE = ['os', 'kernel', 'image', 'dovecot', 'postfix', 'firmware', 'batch', 'hardware', 'rack'];
const SICK_MIN = 2;
/** A single sick member is explained only against so many healthy hosts and no sick one: a label of one host alone would explain any host. */
const CONTROLS_FOR_ONE = 3;
/** If more of the hosts without the label are sick as well, the label is not the story. */
const CONTROLS_SICK_SHARE_MAX = 0.25;

/** A judged host: what cohorts are made of. */
export interface Subject {
  host: string;
  labels: Labels;
  verdict: Verdict;
}

/** Since when each cohort is seen, by its label. */
export type CohortMemory = Readonly<Record<string, Instant>>;

interface Candidate {
  key: string;
  value: string;
  members: string[];
  sick: Subject[];
  controls: string[];
  controlsSick: number;
  chance: number;
  explained: boolean;
}

/**
 * Which label do the sick hosts share, held against hosts without it. Each sick host is named by one cohort at most: the likeliest
 * explanation takes its hosts, the rest is looked at again.
 * @param subjects hosts of one role; those neither sick nor healthy are members but prove nothing.
 */
export function findCohorts(
  subjects: readonly Subject[],
  memory: CohortMemory,
  judge: Policy['judge'],
  nowMs: Instant,
): {cohorts: CohortVerdict[]; memory: CohortMemory} {
  const candidates = candidatesOf(subjects, judge);
  const cohorts: CohortVerdict[] = [];
  const left = new Set(subjects.filter(isSick).map(({host}) => host));
  const seen: Record<string, Instant> = {};
  while (left.size > 0) {
    const best = candidates.find(({sick}) => sick.every(({host}) => left.has(host)));
    if (best === undefined) break;
    for (const {host} of best.sick) left.delete(host);
    const id = `${best.key}=${best.value}`;
    const sinceMs = memory[id] ?? nowMs;
    seen[id] = sinceMs;
    cohorts.push(verdictOf(best, sameDivision(best, candidates), sinceMs));
  }
  return {cohorts, memory: seen};
}

/** Best explanation first. */
function candidatesOf(subjects: readonly Subject[], judge: Policy['judge']): Candidate[] {
  const pairs = new Map<string, {key: string; value: string}>();
  for (const {labels} of subjects.filter(isSick)) {
    for (const [key, value] of Object.entries(labels)) pairs.set(JSON.stringify([key, value]), {key, value});
  }
  return [...pairs.values()]
    .map(({key, value}) => candidateOf(key, value, subjects, judge))
    .sort((a, b) => Number(b.explained) - Number(a.explained) || a.chance - b.chance || rank(a.key) - rank(b.key) || compare(a.key, b.key));
}

function candidateOf(key: string, value: string, subjects: readonly Subject[], judge: Policy['judge']): Candidate {
  const members = subjects.filter(({labels}) => labels[key] === value);
  const others = subjects.filter(({labels}) => labels[key] !== value);
  const sick = members.filter(isSick);
  const well = members.filter(isHealthy).length;
  const controls = others.filter(isHealthy).map(({host}) => host);
  const controlsSick = others.filter(isSick).length;
  const chance = fisherChance(sick.length, well, controlsSick, controls.length);
  const isEnough = sick.length >= SICK_MIN || (sick.length === 1 && controlsSick === 0 && controls.length >= CONTROLS_FOR_ONE);
  const areControlsWell = controls.length > 0 && controlsSick <= CONTROLS_SICK_SHARE_MAX * (controls.length + controlsSick);
  const explained = isEnough && areControlsWell && chance <= judge.chanceMax;
  return {key, value, members: members.map(({host}) => host), sick, controls, controlsSick, chance, explained};
}

function sameDivision(best: Candidate, candidates: readonly Candidate[]): string[] {
  const members = new Set(best.members);
  return candidates
    .filter(({key, members: its}) => key !== best.key && its.length === members.size && its.every(host => members.has(host)))
    .map(({key}) => key)
    .sort((a, b) => rank(a) - rank(b) || compare(a, b));
}

function verdictOf(best: Candidate, confounded: string[], sinceMs: Instant): CohortVerdict {
  const {key, value, members, sick, controls, controlsSick, chance, explained} = best;
  const worst = sick.map(({verdict}) => verdict.evidence[0]).filter(evidence => evidence !== undefined);
  const ratios = worst.map(({ratio}) => ratio).filter(ratio => ratio !== null);
  const evidence: Evidence[] = sick.flatMap(({host, verdict}) => {
    const [first] = verdict.evidence;
    return first === undefined ? [] : [{...first, note: `${host}: ${first.note}`}];
  });
  return {
    labels: {[key]: value},
    confounded,
    sick: sick.map(({host}) => host),
    members,
    controls,
    controlsSick,
    effect: median(ratios),
    chance,
    explained,
    sinceMs,
    evidence,
  };
}

/**
 * One-sided Fisher exact test: the chance of at least `sick` sick hosts among the members if the label had nothing to do with it.
 * Source: R. A. Fisher, The Design of Experiments (1935); the tail of the hypergeometric distribution.
 * @returns 0..1; 1 when nobody is sick.
 */
export function fisherChance(sick: number, well: number, othersSick: number, othersWell: number): number {
  const members = sick + well;
  const allSick = sick + othersSick;
  const all = members + othersSick + othersWell;
  const total = lnChoose(all, members);
  let chance = 0;
  for (let hit = sick; hit <= Math.min(members, allSick); hit++) {
    if (members - hit > all - allSick) continue;
    chance += Math.exp(lnChoose(allSick, hit) + lnChoose(all - allSick, members - hit) - total);
  }
  // Rounded where logarithms stop being exact, so that 1/5 is 0.2 and compares as such.
  return Math.min(1, Math.round(chance * 1e12) / 1e12);
}

function lnChoose(n: number, k: number): number {
  let sum = 0;
  for (let step = 1; step <= k; step++) sum += Math.log((n - k + step) / step);
  return sum;
}

function isSick({verdict}: Subject): boolean {
  return verdict.kind === 'sick';
}

function isHealthy({verdict}: Subject): boolean {
  return verdict.kind === 'healthy';
}

function rank(key: string): number {
  const place = PREFERENCE.indexOf(key);
  return place < 0 ? PREFERENCE.length : place;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
