import {count, countsOf, mostFirst} from '../../base/counts.ts';
import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Evidence, VerdictKind} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {type Candidate, type Cell, costOf, divided, isAsGood, search, simplest} from './explain.ts';
import {fisherChance} from './fisher.ts';
import {sickOtherwise} from './illness.ts';
import {standsAgainstRivals} from './rivals.ts';
import {median} from './sli.ts';

/** Labels of what is installed: a reinstall changes them. The likeliest cause first. */
export const SOFTWARE: readonly string[] = ['os', 'kernel', 'image', 'dovecot', 'postfix'];
/** Labels of what a host is made of, for good. */
const MACHINE: readonly string[] = ['hardware', 'batch', 'board', 'cpu', 'cores', 'memoryGib', 'disk', 'age'];
/** Labels that somebody can do something about, the most useful first; all others follow by name. */
const PREFERENCE = [...SOFTWARE, 'firmware', 'batch', 'hardware', 'rack'];
/** Where hosts stand: they share a network there. */
export const PLACES: readonly string[] = ['rack', 'switch', 'room', 'site'];
const NETWORK_FIGURE = 'retransmitsPerSecond';
/** A label that leaves many of its hosts well does not explain the others. */
const MEMBERS_SICK_SHARE_MIN = 0.6;
/** A single sick member is explained only against so many healthy hosts and no sick one, and only if it is the odd one out. */
const CONTROLS_FOR_ONE = 3;
/** If more of the hosts without the label are sick as well, the label is not the story. */
const CONTROLS_SICK_SHARE_MAX = 0.25;
/** How the chance of being wrong is shared out: to software, to any other label, to combinations. */
const SHARES = {software: 0.8, other: 0.1, combination: 0.1};
/** Explained before, it stays the explanation against one that is not clearly better. */
const GAIN_TO_REPLACE = 2;
/** After hosts fell sick one after the other for some time, no further one must follow for this share of it: seen by halves, causes deceive. */
const SETTLE_SHARE = 0.5;
/** So many dwell times without a further one end that, and so long it is waited for at most while the explanation stays the same. */
const WAVE_DWELLS = 10;
/** Who is well again as it was counts for sick so many times as long as a recovery takes, while others are sick: it is no control of theirs. */
const WAS_SICK_RECOVERIES = 2;
const ALTERNATIVES_MAX = 8;
const CAUSES_MAX = 8;
const EXPERIMENT_HOSTS = 2;
/** Of so many of its hosts a cohort tells what is seen: what is stored with every decision must stay small, and each host has a verdict. */
const TOLD_MAX = 10;

/** A judged host: what cohorts are made of. */
export interface Subject {
  host: string;
  labels: Labels;
  /** `sick` also for a host that was sick when it was taken out of service. */
  kind: VerdictKind;
  /** Proved worse though not (yet) sick: counts as bad; nearly so: proves nothing; feels what its peers feel as well: counts as good. */
  lean?: 'bad' | 'unsure' | 'good' | undefined;
  /** Figures that users feel and that it does not measure: it cannot be a control of hosts that are sick in these alone. */
  lacks?: readonly string[];
  /** How far it is on its way to be reinstalled, 0 where it is not: who is furthest is changed first. */
  wayOut?: number;
  /** Worst first. */
  evidence: readonly Evidence[];
}

/** Plain data from one round to the next. */
export interface CohortMemory {
  /** Since when each cohort is seen and whether it was explained, by its labels; then with those it could not be told from, its own first. */
  seen: Readonly<Record<string, {sinceMs: Instant; explained: boolean; names?: readonly Labels[]}>>;
  /** Hosts that were sick, and when one joined them last; null before the first round. */
  sick: readonly string[] | null;
  joinedMs: Instant;
  /** When the first of those fell sick that followed each other. */
  waveMs: Instant;
  /** Hosts that were sick while others have been without a break: with which labels, and when last. */
  was?: Readonly<Record<string, {labels: string; lastMs: Instant}>>;
}

export const NO_COHORTS: CohortMemory = {seen: {}, sick: null, joinedMs: 0, waveMs: 0};

interface Found {
  best: Candidate;
  alternatives: Candidate[];
}

/**
 * What do the sick hosts share, held against hosts without it: one label or two or three together, the simplest that suffices. Each sick
 * host is named by one cohort at most: the best explanation takes its hosts, the rest is looked at again.
 * @param subjects hosts of one role; those neither bad nor well are members but prove nothing.
 */
export function findCohorts(
  subjects: readonly Subject[],
  memory: CohortMemory,
  judge: Policy['judge'],
  nowMs: Instant,
): {cohorts: CohortVerdict[]; memory: CohortMemory} {
  const ill = subjects.filter(isSick);
  const sick = ill.map(({host}) => host);
  const isJoined = memory.sick !== null && sick.some(host => memory.sick?.includes(host) === false);
  const joinedMs = isJoined ? nowMs : memory.joinedMs;
  const waveMs = isJoined && nowMs - memory.joinedMs > WAVE_DWELLS * judge.sickDwellMs ? nowMs : memory.waveMs;
  const isSettled = memory.sick === null || nowMs >= settlesMs({joinedMs, waveMs}, judge);
  const was = wasSick(ill, memory, nowMs);
  const lastMs = nowMs - WAS_SICK_RECOVERIES * judge.recoverDwellMs;
  const shown = shownBy(ill);
  const cells = subjects.map(subject => cellOf(subject, isSickAsBefore(subject, was, lastMs), shown));
  const causes = causesOf(subjects, cells, memory);
  const taken = new Set(causes.flatMap(({best}) => best.members));
  const seen: Record<string, CohortMemory['seen'][string]> = {};
  const cohorts = causes.map(({best, alternatives}): CohortVerdict => {
    const id = idOf(best.labels);
    const known = memory.seen[id];
    const sinceMs = known?.sinceMs ?? nowMs;
    const left = cells.map((cell, index) => (taken.has(index) && !best.members.includes(index) ? {...cell, bad: 0} : cell));
    const judged = {best, others: othersOf(best, taken, subjects, left), subjects, cells: left};
    const isOld = nowMs - sinceMs >= WAVE_DWELLS * judge.sickDwellMs;
    const isSeen = isSettled || isOld || isWhole(judged, joinedMs, judge, nowMs);
    const isProved = isSeen && proves(judged, judge) && (known?.explained === true || isOld || staysSo(judged, alternatives));
    const explained = isProved || (known?.explained === true && stillExplains(judged));
    seen[id] = {sinceMs, explained, ...(explained ? {names: [best.labels, ...alternatives.map(({labels}) => labels)]} : {})};
    return verdictOf(judged, alternatives, explained, sinceMs);
  });
  return {cohorts, memory: {seen, sick, joinedMs, waveMs, was}};
}

function wasSick(sick: readonly Subject[], {was = {}}: CohortMemory, nowMs: Instant): NonNullable<CohortMemory['was']> {
  return sick.length === 0
    ? {}
    : {...was, ...Object.fromEntries(sick.map(({host, labels}) => [host, {labels: idOf(labels), lastMs: nowMs}]))};
}

/** A host that was changed since is another one: that it is well then tells. */
function isSickAsBefore({host, labels}: Subject, was: NonNullable<CohortMemory['was']>, lastMs: Instant): boolean {
  const own = was[host];
  return own !== undefined && own.lastMs > lastMs && own.labels === idOf(labels);
}

/** From when on, unless a further host falls sick, what they have in common may be taken for seen. */
export function settlesMs({joinedMs, waveMs}: Pick<CohortMemory, 'joinedMs' | 'waveMs'>, {sickDwellMs}: Policy['judge']): Instant {
  return joinedMs + sickDwellMs + SETTLE_SHARE * (joinedMs - waveMs);
}

/** Figures in which at least half of the sick hosts are. */
function shownBy(sick: readonly Subject[]): string[] {
  const figures = sick.flatMap(({evidence}) => evidence.flatMap(({sli, explains}) => (explains === true ? [] : [sli])));
  return [...countsOf(figures)].flatMap(([sli, hosts]) => (2 * hosts >= sick.length ? [sli] : []));
}

function cellOf(subject: Subject, wasSick: boolean, shown: readonly string[]): Cell {
  const {lean, labels, lacks = []} = subject;
  const isBad = isSick(subject) || lean === 'bad' || (wasSick && isHealthy(subject));
  const isBlind = shown.length > 0 && shown.every(sli => lacks.includes(sli));
  return {labels, bad: isBad ? 1 : 0, good: !isBad && isHealthy(subject) && lean !== 'unsure' && !isBlind ? 1 : 0};
}

function causesOf(subjects: readonly Subject[], cells: readonly Cell[], memory: CohortMemory): Found[] {
  const causes: Found[] = [];
  let left = [...cells];
  while (causes.length < CAUSES_MAX) {
    const hasSick = subjects.some((subject, index) => isSick(subject) && left[index]?.bad === 1);
    if (!hasSick) break;
    const found = ofOneIllness(chosen(left, memory), left, subjects, memory);
    if (found === null) break;
    const own = new Set(found.best.members);
    if (subjects.some((subject, index) => isSick(subject) && own.has(index))) causes.push(found);
    left = left.map((cell, index) => (own.has(index) ? {...cell, bad: 0, good: 0} : cell));
  }
  return causes;
}

/** Hosts that are sick, or become so, in another way than most that it explains are left to another cause: in this way they are well. */
function ofOneIllness(found: Found | null, cells: readonly Cell[], subjects: readonly Subject[], memory: CohortMemory): Found | null {
  if (found === null) return null;
  const bad = found.best.members.flatMap(index => {
    const subject = subjects[index];
    return subject !== undefined && cells[index]?.bad === 1 ? [[index, subject] as const] : [];
  });
  const others = sickOtherwise(new Map(bad));
  if (others.size === 0) return found;
  const own = cells.map((cell, index) => (others.has(index) ? {...cell, bad: 0, good: 1} : cell));
  return chosen(own, memory) ?? found;
}

function chosen(cells: readonly Cell[], memory: CohortMemory): Found | null {
  const found = simplest(search(cells), isMoreUseful);
  if (found === null) return null;
  const names = explainedBefore(found.best, cells, memory);
  if (names === null) return found;
  const [best = found.best, ...others] = names.map(labels => divided(labels, cells));
  const all = [found.best, ...found.alternatives];
  const id = idOf(best.labels);
  const isAmong = all.some(({labels}) => idOf(labels) === id);
  const alternatives = (isAmong ? all : others).filter(other => isAsGood(other, best));
  return {best, alternatives: alternatives.filter(({labels}) => idOf(labels) !== id)};
}

/**
 * What explained it until now, and still does nearly as well. For each of its labels it paid when it was proved, by hosts that were well then:
 * that some of these may be well no longer makes nothing simpler the cause.
 */
function explainedBefore(best: Candidate, cells: readonly Cell[], {seen}: CohortMemory): readonly Labels[] | null {
  let [kept, most]: [readonly Labels[] | null, number] = [null, best.gain - GAIN_TO_REPLACE];
  for (const {explained, names = []} of Object.values(seen)) {
    const [labels] = names;
    if (!explained || labels === undefined) continue;
    const {gain} = divided(labels, cells);
    const worth = gain + Math.max(0, costOf(Object.keys(labels).length) - costOf(Object.keys(best.labels).length));
    if (gain > 0 && worth >= most) [kept, most] = [names, worth];
  }
  return kept;
}

interface Judged {
  best: Candidate;
  others: Others;
  subjects: readonly Subject[];
  /** What they say; hosts that another cause explains say nothing. */
  cells: readonly Cell[];
}

/** Hosts without the labels by what they say, as those with them are counted; `open`: on their way to be sick, it may be. */
interface Others {
  bad: Subject[];
  good: Subject[];
  open: number;
}

function othersOf({members}: Candidate, taken: ReadonlySet<number>, subjects: readonly Subject[], cells: readonly Cell[]): Others {
  const own = new Set(members);
  const others: Others = {bad: [], good: [], open: 0};
  for (const [index, subject] of subjects.entries()) {
    if (own.has(index)) continue;
    const {bad = 0, good = 0} = cells[index] ?? {};
    if (good > 0) others.good.push(subject);
    // Those whom another cause explains are no evidence against this one.
    else if (taken.has(index)) continue;
    else if (bad > 0) others.bad.push(subject);
    else if (subject.kind === 'healthy' || subject.kind === 'suspect') others.open++;
  }
  return others;
}

/** All that have the labels are bad, nobody else is or is on the way: no further host can follow, and the wave of them need not be waited for. */
function isWhole({best, others, cells}: Judged, joinedMs: Instant, {sickDwellMs}: Policy['judge'], nowMs: Instant): boolean {
  if (nowMs - joinedMs < sickDwellMs || others.bad.length + others.open > 0) return false;
  return best.members.every(index => cells[index]?.bad === 1);
}

function proves({best, others, subjects, cells}: Judged, judge: Policy['judge']): boolean {
  const [bad, good, open] = [others.bad.length, others.good.length, others.open];
  const areControlsWell = good > 0 && bad + open <= CONTROLS_SICK_SHARE_MAX * (bad + open + good);
  // As if one member more were well: of three, one that is well is one too many.
  const isMost = best.bad >= MEMBERS_SICK_SHARE_MIN * (best.bad + best.good + 1);
  const isOdd = bad === 0 && good >= CONTROLS_FOR_ONE && isOddOneOut(best, subjects);
  if (!areControlsWell || !(best.bad > 1 ? isMost : isOdd)) return false;
  const keys = Object.keys(best.labels);
  const isSoft = SOFTWARE.includes(keys[0] ?? '');
  const share = keys.length > 1 ? SHARES.combination : isSoft ? SHARES.software : SHARES.other;
  const isOf = (key: string): boolean => keys.length > 1 || SOFTWARE.includes(key) === isSoft;
  return standsAgainstRivals(cells, keys.length, isOf, chanceOf(best, others), share * judge.chanceMax);
}

/** It would be the one if all that may be on their way to be sick were there already: what comes slowly is seen in parts. */
function staysSo({best, subjects, cells}: Judged, alternatives: readonly Candidate[]): boolean {
  const open = subjects.map(({kind, lean}) => lean === 'unsure' && (kind === 'healthy' || kind === 'suspect'));
  if (!open.includes(true)) return true;
  const later = cells.map((cell, index) => (open[index] === true && cell.bad + cell.good === 0 ? {...cell, bad: 1} : cell));
  const found = simplest(search(later), isMoreUseful);
  const names = [best, ...alternatives].map(({labels}) => idOf(labels));
  return found !== null && [found.best, ...found.alternatives].some(({labels}) => names.includes(idOf(labels)));
}

/** Proved once, it stays the explanation while its hosts are repaired one by one: until most are well with it, or others fall sick too. */
function stillExplains({best, others, subjects}: Judged): boolean {
  const without = subjects.length - best.members.length;
  return best.bad >= best.good && others.bad.filter(isSick).length <= CONTROLS_SICK_SHARE_MAX * without;
}

/** That the label had nothing to do with it: what is judged by, and told. */
function chanceOf({bad, good}: Candidate, others: Others): number {
  return fisherChance(bad, good, others.bad.length, others.good.length);
}

/** The only host whose value nobody shares: a label that is different on every host would explain any of them. */
function isOddOneOut({labels, members}: Candidate, subjects: readonly Subject[]): boolean {
  const [key = '', second] = Object.keys(labels);
  if (second !== undefined || members.length !== 1) return false;
  const counts = new Map<string, number>();
  for (const [index, {labels: own}] of subjects.entries()) {
    const value = own[key];
    if (value !== undefined && !members.includes(index)) count(counts, value);
  }
  return counts.size > 0 && [...counts.values()].every(times => times > 1);
}

function verdictOf({best, others, subjects}: Judged, alternatives: Candidate[], explained: boolean, sinceMs: Instant): CohortVerdict {
  const members = best.members.flatMap(index => subjects[index] ?? []);
  const sick = members.filter(isSick);
  const ratios = sick.flatMap(({evidence: [first]}) => first?.ratio ?? []);
  const same = alternatives.slice(0, ALTERNATIVES_MAX).map(({labels}) => labels);
  const confounded = [...new Set(same.flatMap(labels => Object.keys(labels)))].filter(key => best.labels[key] === undefined);
  const change = [...Object.keys(best.labels), ...confounded].find(key => SOFTWARE.includes(key));
  const isHardToo = [best.labels, ...same].some(labels => Object.keys(labels).some(key => !SOFTWARE.includes(key)));
  const [low, high] = medianInterval(ratios);
  return {
    labels: best.labels,
    confounded: confounded.sort(byPreference),
    alternatives: same,
    ...(change !== undefined && isHardToo && same.length > 0 ? {experiment: {change, hosts: changedFirst(sick)}} : {}),
    ...(isNetwork([best.labels, ...same], sick) ? {notHosts: 'network' as const} : {}),
    sick: sick.map(({host}) => host),
    members: members.map(({host}) => host),
    controls: others.good.map(({host}) => host),
    controlsSick: others.bad.length,
    effect: median(ratios),
    ...(low === null || high === null ? {} : {effectLow: low, effectHigh: high}),
    chance: chanceOf(best, others),
    explained,
    sinceMs,
    evidence: [
      ...sick
        .flatMap(({host, evidence: [first]}) => (first === undefined ? [] : [{...first, note: `${host}: ${first.note}`}]))
        .slice(0, TOLD_MAX),
      ...alongOf(sick),
    ],
  };
}

/** For all that is known hosts may just be made of what is slower: nothing that is broken goes along with it. */
export function mayBeSlowMachines({labels, alternatives = [], evidence}: CohortVerdict): boolean {
  const areMachines = [labels, ...alternatives].some(each => Object.keys(each).every(key => MACHINE.includes(key)));
  return areMachines && !evidence.some(({explains}) => explains === true);
}

function changedFirst(sick: readonly Subject[]): string[] {
  const inOrder = sick.toSorted((a, b) => (b.wayOut ?? 0) - (a.wayOut ?? 0));
  return inOrder.slice(0, EXPERIMENT_HOSTS).map(({host}) => host);
}

/** What explains most of them, with the middle of their figures; that of the most hosts first. */
function alongOf(sick: readonly Subject[]): Evidence[] {
  const along = sick.flatMap(({evidence}) => evidence.filter(({explains}) => explains));
  return mostFirst(countsOf(along.map(({sli}) => sli)), hosts => hosts).flatMap(([figure, hosts]) => {
    const own = along.filter(({sli}) => sli === figure);
    const [first] = own;
    const value = median(own.map(each => each.value));
    if (first === undefined || value === null || hosts < MEMBERS_SICK_SHARE_MIN * sick.length) return [];
    const ratio = median(own.flatMap(each => each.ratio ?? []));
    return [{...first, value, ratio, note: `on ${hosts} of ${sick.length}`}];
  });
}

/**
 * All in one place, as far as can be told, and most of them have to send again what got lost on the way: the network there, not the
 * hosts. Where it may be a release as well, nobody is moved before that is known.
 */
function isNetwork(explanations: readonly Labels[], sick: readonly Subject[]): boolean {
  const resending = sick.filter(({evidence}) => evidence.some(({sli}) => sli === NETWORK_FIGURE)).length;
  const isPlace = explanations.some(labels => Object.keys(labels).every(key => PLACES.includes(key)));
  return isPlace && resending >= MEMBERS_SICK_SHARE_MIN * sick.length;
}

/** Interval that holds the median in 95 of 100 cases, from order statistics (sign test); all there is of fewer than six. */
export function medianInterval(values: readonly number[]): [number | null, number | null] {
  const sorted = [...values].sort((a, b) => a - b);
  const skip = Math.max(0, Math.floor(sorted.length / 2 - 0.98 * Math.sqrt(sorted.length)));
  return [sorted[skip] ?? null, sorted[sorted.length - 1 - skip] ?? null];
}

function isMoreUseful(a: Candidate, b: Candidate): number {
  const [keyA = '', keyB = ''] = [Object.keys(a.labels)[0], Object.keys(b.labels)[0]];
  return b.gain - a.gain > 1e-9 ? 1 : a.gain - b.gain > 1e-9 ? -1 : byPreference(keyA, keyB) || compare(idOf(a.labels), idOf(b.labels));
}

function idOf(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(' ');
}

function isSick({kind}: Subject): boolean {
  return kind === 'sick';
}

function isHealthy({kind, lean}: Subject): boolean {
  return kind === 'healthy' || (kind === 'suspect' && lean === 'good');
}

function byPreference(a: string, b: string): number {
  return rank(a) - rank(b) || compare(a, b);
}

function rank(key: string): number {
  const place = PREFERENCE.indexOf(key);
  return place < 0 ? PREFERENCE.length : place;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
