import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Evidence, VerdictKind} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {median} from './sli.ts';

/** Labels that somebody can do something about, the most useful first; all others follow by name. */
const PREFERENCE = ['os', 'kernel', 'image', 'dovecot', 'postfix', 'firmware', 'batch', 'hardware', 'rack'];
/** A label that leaves most of its hosts well does not explain the others. */
const MEMBERS_SICK_SHARE_MIN = 0.5;
/** A single sick member is explained only against so many healthy hosts and no sick one, and only if it is the odd one out. */
const CONTROLS_FOR_ONE = 3;
/** If more of the hosts without the label are sick as well, the label is not the story. */
const CONTROLS_SICK_SHARE_MAX = 0.25;

/** A judged host: what cohorts are made of. */
export interface Subject {
  host: string;
  labels: Labels;
  /** `sick` also for a host that was sick when it was taken out of service. */
  kind: VerdictKind;
  /** Worst first. */
  evidence: readonly Evidence[];
}

/** Since when each cohort is seen and whether it was explained, by its label. */
export type CohortMemory = Readonly<Record<string, {sinceMs: Instant; explained: boolean}>>;

interface Candidate {
  key: string;
  value: string;
  members: string[];
  /** Members that are sick or healthy. */
  judged: string[];
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
  const candidates = candidatesOf(subjects, memory, judge);
  const cohorts: CohortVerdict[] = [];
  const left = new Set(subjects.filter(isSick).map(({host}) => host));
  const seen: Record<string, CohortMemory[string]> = {};
  while (left.size > 0) {
    const best = candidates.find(({sick}) => sick.every(({host}) => left.has(host)));
    if (best === undefined) break;
    for (const {host} of best.sick) left.delete(host);
    const id = idOf(best);
    const sinceMs = memory[id]?.sinceMs ?? nowMs;
    seen[id] = {sinceMs, explained: best.explained};
    cohorts.push(verdictOf(best, sameDivision(best, candidates), sinceMs));
  }
  return {cohorts, memory: seen};
}

/** Best explanation first. */
function candidatesOf(subjects: readonly Subject[], memory: CohortMemory, judge: Policy['judge']): Candidate[] {
  const pairs = new Map<string, {key: string; value: string}>();
  for (const {labels} of subjects.filter(isSick)) {
    for (const [key, value] of Object.entries(labels)) pairs.set(JSON.stringify([key, value]), {key, value});
  }
  return [...pairs.values()]
    .map(({key, value}) => candidateOf(key, value, subjects, memory, judge))
    .sort((a, b) => Number(b.explained) - Number(a.explained) || a.chance - b.chance || rank(a.key) - rank(b.key) || compare(a.key, b.key));
}

function candidateOf(key: string, value: string, subjects: readonly Subject[], memory: CohortMemory, judge: Policy['judge']): Candidate {
  const members = subjects.filter(({labels}) => labels[key] === value);
  const others = subjects.filter(({labels}) => labels[key] !== value);
  const sick = members.filter(isSick);
  const well = members.filter(isHealthy);
  const controls = others.filter(isHealthy);
  const controlsSick = others.filter(isSick).length;
  const chance = fisherChance(sick.length, well.length, controlsSick, controls.length);
  const areControlsWell = controls.length > 0 && controlsSick <= CONTROLS_SICK_SHARE_MAX * (controls.length + controlsSick);
  const isMost = sick.length >= MEMBERS_SICK_SHARE_MIN * (sick.length + well.length);
  const isOdd = controlsSick === 0 && controls.length >= CONTROLS_FOR_ONE && isOddOneOut(key, members, others);
  const isProved = areControlsWell && isMost && (sick.length > 1 || isOdd) && chance <= judge.chanceMax;
  // Proved once, it stays the explanation while its hosts are repaired one by one: until most are well with it, or others fall sick too.
  const isStill = memory[idOf({key, value})]?.explained === true && isMost && controlsSick <= CONTROLS_SICK_SHARE_MAX * others.length;
  const names = (list: readonly Subject[]): string[] => list.map(({host}) => host);
  const judged = names(members.filter(subject => isSick(subject) || isHealthy(subject)));
  const common = {members: names(members), judged, sick, controls: names(controls), controlsSick, chance};
  return {key, value, ...common, explained: isProved || isStill};
}

/** The only host whose value nobody shares: a label that is different on every host would explain any of them. */
function isOddOneOut(key: string, members: readonly Subject[], others: readonly Subject[]): boolean {
  const counts = new Map<string, number>();
  for (const {labels} of others) {
    const value = labels[key];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return members.length === 1 && counts.size > 0 && [...counts.values()].every(count => count > 1);
}

function idOf({key, value}: {key: string; value: string}): string {
  return `${key}=${value}`;
}

/** Labels that set apart the same judged hosts; those that could not be judged tell no label from another. */
function sameDivision(best: Candidate, candidates: readonly Candidate[]): string[] {
  const own = new Set(best.judged);
  return candidates
    .filter(({key, judged}) => key !== best.key && judged.length === own.size && judged.every(host => own.has(host)))
    .map(({key}) => key)
    .sort((a, b) => rank(a) - rank(b) || compare(a, b));
}

function verdictOf(best: Candidate, confounded: string[], sinceMs: Instant): CohortVerdict {
  const {key, value, members, sick, controls, controlsSick, chance, explained} = best;
  const worst = sick.map(subject => subject.evidence[0]).filter(evidence => evidence !== undefined);
  const ratios = worst.map(({ratio}) => ratio).filter(ratio => ratio !== null);
  const evidence: Evidence[] = sick.flatMap(({host, evidence: own}) => {
    const [first] = own;
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

function isSick({kind}: Subject): boolean {
  return kind === 'sick';
}

function isHealthy({kind}: Subject): boolean {
  return kind === 'healthy';
}

function rank(key: string): number {
  const place = PREFERENCE.indexOf(key);
  return place < 0 ? PREFERENCE.length : place;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
