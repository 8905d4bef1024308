import {few, labels as labelWords, span} from '../../base/format.ts';
import {type Instant, MINUTE_MS, type Millis} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {Circumstance, CircumstanceCode, CohortVerdict, Evidence, Verdict} from '../../wire/record.ts';
import {HOLD_AGE_MAX_MS} from '../../wire/route.ts';
import {type FleetHost, labelsOf} from '../fleet.ts';
import {SKEW_MS_MAX} from '../report/fold.ts';
import {PLACES} from './cohort.ts';
import {figureAt, NO_FIGURE, placesOf} from './figure.ts';
import {NOT_WORSE} from './judge.ts';
import {type Majority, majorityOf} from './majority.ts';
import type {FiguresMemory} from './marks.ts';
import {type HostSlis, median, OF_PROBES, SLI_TABLE, type SliName, SPOOLED_MIN} from './sli.ts';

/** So many of the hosts that can be judged feel it, and it is no host's own. */
const WIDELY = 2 / 3;
const FEW = 1 / 3;
const HOSTS_MIN = 3;
/** So many times the usual mail is a storm, where users feel it. */
const STORM_RATIO_MIN = 2;
/** Readings before a usual load is known. */
const LOAD_COUNT_MIN = 30;
/** Half of the hosts report so many intervals late; those that keep so many reports waiting by what has come, which clocks alone may make look old. */
const LATE_SHARE = 0.5;
const LATE_INTERVALS = 2.5;
const EDGE_FEW = 0.5;
/** From this share of the backends on, what edges feel may be theirs. */
const BEHIND_SHARE = 0.1;
const EVIDENCE_MAX = 5;
/** Hosts that fall silent within this time do so together. */
const TOGETHER_MS: Millis = 5 * MINUTE_MS;
const ALTERNATIVES_TOLD = 2;
const SPARED_TOLD = 3;
const LOAD_FIGURE = 'backend/deliveryMsP95';

/** More silent backends than this at once, and it is us or the network that is ill. */
const SILENT_SHARE_MAX = 1 / 3;
const SILENT_MIN = 2;

/** Whether it is rather the coordinator that hears nothing. @param backends of which so many are silent. */
export function isMonitorSuspect(silent: number, backends: number): boolean {
  return silent >= SILENT_MIN && silent > SILENT_SHARE_MAX * backends;
}

/** Since when each is seen, and when it was last, by code and hosts; plain data. */
export type CircumstanceMemory = Readonly<Record<string, Known>>;

interface Known {
  sinceMs: Instant;
  lastMs: Instant;
  told: Circumstance;
  /** A person was called for the silence of so many hosts that it is us when it was seen last, and need not be called for this as well. */
  isOfSilence?: boolean;
}

export interface Scene {
  hosts: readonly FleetHost[];
  slis: readonly HostSlis[];
  verdicts: readonly Verdict[];
  cohorts: readonly CohortVerdict[];
  figures: FiguresMemory;
}

type Found = Omit<Circumstance, 'sinceMs'>;

/**
 * What is wrong and is not the hosts: recognised as what it is, so that nobody looks for it where it is not. Told once it has lasted, and until
 * it has been gone, for `sickDwellMs`.
 */
export function findCircumstances(
  scene: Scene,
  memory: CircumstanceMemory,
  judge: Policy['judge'],
  nowMs: Instant,
): {circumstances: Circumstance[]; called: Circumstance[]; pending: Circumstance[]; memory: CircumstanceMemory} {
  const dwellMs: Millis = judge.sickDwellMs;
  const wide = everywhere(scene, judge, nowMs);
  const isSilence = isSilent(scene);
  // In a storm a host that has the most of it is no case of its own.
  const single = wide.some(({code}) => code === 'MAIL_STORM') ? [] : loaded(scene);
  const found = new Map(
    [
      ...wide,
      ...edges(scene, wide.length > 0, isSilence),
      ...late(scene, nowMs),
      ...places(scene),
      ...skewed(scene, judge, nowMs),
      ...single,
    ].map(each => [keyOf(each), each]),
  );
  const next: Record<string, Known> = {};
  for (const key of new Set([...Object.keys(memory), ...found.keys()])) {
    const known = memory[key];
    const now = found.get(key);
    if (now === undefined && known !== undefined && (nowMs - known.lastMs > dwellMs || isExplained(known.told, scene))) continue;
    const sinceMs = known?.sinceMs ?? nowMs;
    const told = now === undefined ? known?.told : {...now, sinceMs};
    const isOfSilence = now === undefined ? known?.isOfSilence === true : isSilence && IN_SILENCE.has(now.code);
    if (told !== undefined) next[key] = {sinceMs, lastMs: now === undefined ? (known?.lastMs ?? nowMs) : nowMs, told, isOfSilence};
  }
  const isTold = ({sinceMs}: Known): boolean => nowMs - sinceMs >= dwellMs;
  const told = Object.values(next).filter(isTold);
  const awaited = Object.values(next).filter(each => each.lastMs === nowMs && !isTold(each));
  return {
    circumstances: told.map(each => each.told),
    called: told.flatMap(each => (CALLED_FOR.has(each.told.code) && each.isOfSilence !== true ? [each.told] : [])),
    pending: awaited.map(each => each.told),
    memory: next,
  };
}

/** Told by the call for silent hosts. */
const IN_SILENCE: ReadonlySet<CircumstanceCode> = new Set(['REPORTS_LATE', 'MOST_EDGES']);

function isSilent({hosts, verdicts}: Scene): boolean {
  const backends = new Set(hosts.flatMap(({record}) => (record.role === 'backend' ? [record.host] : [])));
  const known = verdicts.filter(({host, kind}) => backends.has(host) && kind !== 'unknown');
  return isMonitorSuspect(known.filter(({kind}) => kind === 'silent').length, known.length);
}

/** It was for as long as nothing explained its hosts. */
function isExplained({code, hosts}: Circumstance, {cohorts}: Scene): boolean {
  const blamed = new Set(cohorts.filter(({explained}) => explained).flatMap(({members}) => members));
  return EVERYWHERE.has(code) && hosts.every(host => blamed.has(host));
}

function keyOf({code, labels = {}, hosts}: Found): string {
  const whom = code === 'ONE_EDGE' || code === 'OVERLOADED' ? hosts : Object.values(labels);
  return `${code} ${whom.join(' ')}`;
}

/** What most backends feel at once, and no label explains: more mail than ever, the way of the probes, or whatever all of them need. */
function everywhere({hosts: all, slis, cohorts, figures}: Scene, judge: Policy['judge'], nowMs: Instant): Found[] {
  const blamed = new Set(cohorts.filter(({explained}) => explained).flatMap(({members}) => members));
  const own = slis.filter(({role, state, host}) => role === 'backend' && state === 'measured' && !blamed.has(host));
  if (own.length < HOSTS_MIN) return [];
  const feels = ({values}: HostSlis, sli: SliName): boolean => (values[sli] ?? 0) > floorOf(judge, sli);
  const feeling = own.filter(host => SLI_TABLE.some(({sli}) => feels(host, sli)));
  if (feeling.length < WIDELY * own.length) return [];
  const users = own.filter(host => SLI_TABLE.some(({sli}) => !OF_PROBES.has(sli) && feels(host, sli)));
  const isOfProbes = users.length <= FEW * own.length;
  const hosts = feeling.map(({host}) => host);
  const seen = SLI_TABLE.filter(({sli}) => OF_PROBES.has(sli) === isOfProbes).flatMap(({sli, unit}): {of: number; evidence: Evidence}[] => {
    const values = own.flatMap(host => (feels(host, sli) ? [host.values[sli] ?? 0] : []));
    const value = median(values);
    const note = `in the middle of the ${values.length} of ${own.length} hosts that feel it, against the floor`;
    if (value === null) return [];
    const baseline = floorOf(judge, sli);
    return [{of: values.length, evidence: {sli, unit, value, baseline, ratio: baseline === 0 ? null : value / baseline, note}}];
  });
  const evidence = seen.sort((a, b) => b.of - a.of).map(each => each.evidence);
  const storm = isOfProbes ? null : stormOf(own, figures);
  if (storm !== null) return [{code: 'MAIL_STORM', hosts, evidence: [storm, ...evidence]}];
  const [worst] = evidence;
  const shown = new Map(all.map(host => [host.record.host, labelsOf(host)]));
  const majority = worst === undefined ? null : majorityOf(own, worst.sli as SliName, host => shown.get(host) ?? {}, figures, judge, nowMs);
  if (worst !== undefined && majority !== null) return [majorityBad(majority, worst, evidence)];
  return [{code: isOfProbes ? 'PROBES_FAIL' : 'EVERYTHING_SLOW', hosts, evidence}];
}

function majorityBad({cohort, spared, usual}: Majority, worst: Evidence, evidence: readonly Evidence[]): Found {
  const {labels, alternatives = [], sick, members} = cohort;
  const same = alternatives.length === 0 ? '' : `; or ${few(alternatives.map(labelWords), ALTERNATIVES_TOLD)}`;
  const note = `${sick.length} of ${members.length} with it, against ${spared.length} without it that are well: ${few(spared, SPARED_TOLD)}${same}`;
  const parted = {...worst, baseline: usual, ratio: usual === 0 ? null : worst.value / usual, note};
  return {code: 'MAJORITY_BAD', labels, hosts: sick, evidence: [parted, ...evidence]};
}

/** Far more to do than usual, each against its own past. */
function stormOf(own: readonly HostSlis[], {figures}: FiguresMemory): Evidence | null {
  const known = figures[LOAD_FIGURE]?.hosts ?? NO_FIGURE.hosts;
  const rows = placesOf(own, known);
  const pairs = own.flatMap(({loadPerSecond}, index) => {
    const place = rows[index] ?? -1;
    const past = place < 0 ? null : figureAt(known, place);
    return loadPerSecond === null || past === null || past.count < LOAD_COUNT_MIN
      ? []
      : [{now: loadPerSecond, usual: Math.exp(past.load) - 1}];
  });
  const ratio = median(pairs.flatMap(({now, usual}) => (usual > 0 ? [now / usual] : [])));
  const [value, baseline] = [median(pairs.map(({now}) => now)), median(pairs.map(({usual}) => usual))];
  if (ratio === null || value === null || ratio < STORM_RATIO_MIN) return null;
  return {
    sli: 'deliveriesPerSecond',
    unit: '/s',
    value,
    baseline,
    ratio,
    note: `in the middle of ${pairs.length} hosts, against their own past`,
  };
}

/** Some edges are bad while others are well, or most of them are. What lies behind them, at backends that are bad, is not theirs. */
function edges({hosts, verdicts}: Scene, isWide: boolean, isSilence: boolean): Found[] {
  const roles = new Map(hosts.map(({record}) => [record.host, record.role]));
  const ofEdges = verdicts.filter(({host}) => roles.get(host) === 'edge');
  const backends = verdicts.filter(({host}) => roles.get(host) === 'backend');
  const isIll = ({kind}: Verdict): boolean => kind === 'sick' || kind === 'silent';
  const isFelt = ({kind, because}: Verdict): boolean =>
    kind === 'suspect' && (NOT_WORSE.has(because) || because === 'SLI_WORSE_THAN_PEERS' || because === 'NO_PEERS');
  const badIf = (isBehind: boolean): Verdict[] => ofEdges.filter(verdict => isIll(verdict) || (isFelt(verdict) && !isBehind));
  const ill = backends.filter(isIll).length;
  // A backend or two of many are not felt at every edge as an outage. Those that are not proved yet fill the queues of edges, too.
  const behind = backends.filter(verdict => isIll(verdict) || isFelt(verdict)).length;
  const most = badIf(isWide || behind >= BEHIND_SHARE * backends.length);
  const few = EDGE_FEW * ofEdges.length;
  if (most.length > few) {
    const evidence = most.flatMap(({evidence: [first]}) => first ?? []).slice(0, EVIDENCE_MAX);
    return [{code: 'MOST_EDGES', hosts: most.map(({host}) => host), evidence}];
  }
  // An edge is not alone in its silence where it may be us who hear nothing.
  const isAlone = ({kind}: Verdict): boolean => kind !== 'silent' || !isSilence;
  const some = badIf(ill > 0).filter(isAlone);
  if (some.length > few) return [];
  return some.map(({host, evidence}) => ({code: 'ONE_EDGE', hosts: [host], evidence: evidence.slice(0, 2)}));
}

/** Reports of half of the farm wait on the hosts, or come late: what is judged is of yesterday. */
function late({hosts}: Scene, nowMs: Instant): Found[] {
  const heard = hosts.flatMap(host => {
    const newest = host.reports.at(-1);
    const ageMs = host.receivedAtMs === null ? null : nowMs - host.receivedAtMs;
    if (newest === undefined || ageMs === null || host.record.stage === 'retired') return [];
    const lateMs = LATE_INTERVALS * newest.intervalMs;
    // While what waited is brought in the newest goes first: that takes none of its time.
    const isBehind = newest.agent.spooled >= SPOOLED_MIN && nowMs - newest.sampledAtMs > lateMs;
    return [{host: host.record.host, ageMs: isBehind ? nowMs - newest.sampledAtMs : ageMs, isLate: ageMs > lateMs || isBehind}];
  });
  const behind = heard.filter(({isLate}) => isLate);
  if (heard.length < HOSTS_MIN || behind.length < LATE_SHARE * heard.length) return [];
  const value = median(heard.map(({ageMs}) => ageMs)) ?? 0;
  const note = `since the newest report came, in the middle; ${behind.length} of ${heard.length} hosts are late or keep newer reports waiting`;
  const evidence = [{sli: 'reportAgeMs', unit: 'ms', value, baseline: null, ratio: null, note}];
  return [{code: 'REPORTS_LATE', hosts: behind.map(({host}) => host), evidence}];
}

/** Hosts whose clocks are not ours: what they tell is judged by its arrival, and refused where it is of the future. */
function skewed({hosts}: Scene, {silentMs}: Policy['judge'], nowMs: Instant): Found[] {
  const skews = hosts.flatMap(({record, reports, receivedAtMs, ahead}) => {
    const newest = reports.at(-1);
    const isHeard = (atMs: Instant | null): boolean => atMs !== null && nowMs - atMs <= silentMs && record.stage !== 'retired';
    if (ahead !== null && isHeard(ahead.receivedAtMs)) return [{host: record.host, ms: ahead.ms}];
    if (newest === undefined || receivedAtMs === null || !isHeard(receivedAtMs) || newest.agent.spooled >= SPOOLED_MIN) return [];
    const ms = newest.sampledAtMs - receivedAtMs;
    return ms < -SKEW_MS_MAX ? [{host: record.host, ms}] : [];
  });
  if (skews.length === 0) return [];
  const evidence = skews.slice(0, EVIDENCE_MAX).map(({host, ms}): Evidence => {
    const far = ms >= HOLD_AGE_MAX_MS ? ', and nobody can be held there or move away' : '';
    const note = `${host}: its clock is ${span(Math.abs(ms))} ${ms > 0 ? `ahead: its reports are refused${far}` : 'behind'}`;
    return {sli: 'clockSkewMs', unit: 'ms', value: Math.abs(ms), baseline: SKEW_MS_MAX, ratio: Math.abs(ms) / SKEW_MS_MAX, note};
  });
  return [{code: 'CLOCK_SKEW', hosts: skews.map(({host}) => host), evidence}];
}

/**
 * All hosts of one rack are silent, and no other fell silent with them: its switch, its power. A network that loses packets is found by what
 * explains.
 */
function places({hosts, verdicts, cohorts}: Scene): Found[] {
  const kinds = new Map(verdicts.map(({host, kind}) => [host, kind]));
  const silentMs = new Map(verdicts.flatMap(({host, kind, sinceMs}) => (kind === 'silent' ? [[host, sinceMs] as const] : [])));
  const judged = hosts.filter(({record}) => (kinds.get(record.host) ?? 'unknown') !== 'unknown');
  const silent = judged.filter(({record}) => silentMs.has(record.host));
  // Of places that lie within each other the smallest is named.
  const cut = PLACES.flatMap((place): Found[] =>
    [...new Set(silent.flatMap(host => labelsOf(host)[place] ?? []))].flatMap((value): Found[] => {
      const there = judged.filter(host => labelsOf(host)[place] === value);
      const since = there.map(({record}) => silentMs.get(record.host) ?? Number.NaN);
      // One that has been dead for long, or died later, is no part of it.
      const [fromMs, toMs] = [Math.min(...since) - TOGETHER_MS, Math.max(...since) + TOGETHER_MS];
      const together = [...silentMs.values()].filter(atMs => atMs >= fromMs && atMs <= toMs);
      const isAll = there.length >= 2 && there.length < judged.length && there.every(({record}) => silentMs.has(record.host));
      if (!isAll || together.length > there.length) return [];
      return [{code: 'PLACE_CUT_OFF', labels: {[place]: value}, hosts: there.map(({record}) => record.host), evidence: []}];
    }),
  );
  const lossy = cohorts.flatMap(({explained, notHosts, labels, sick, evidence}): Found[] => {
    return explained && notHosts === 'network' ? [{code: 'PLACE_NETWORK', labels, hosts: sick, evidence: evidence.slice(0, 2)}] : [];
  });
  return [...cut.slice(0, 1), ...lossy];
}

/** Well, with too much to do: it wants fewer mailboxes, or one of them is the matter. */
function loaded({verdicts}: Scene): Found[] {
  return verdicts.flatMap(({host, kind, because, evidence}): Found[] => {
    return kind === 'suspect' && because === 'OVERLOADED' ? [{code: 'OVERLOADED', hosts: [host], evidence: evidence.slice(0, 2)}] : [];
  });
}

/** What is wrong on most hosts, each told instead of them. */
export const EVERYWHERE: ReadonlySet<CircumstanceCode> = new Set(['MAIL_STORM', 'EVERYTHING_SLOW', 'MAJORITY_BAD', 'PROBES_FAIL']);

/** Farm-wide ones a person is called for; of single hosts the host's own decision tells. */
const CALLED_FOR: ReadonlySet<CircumstanceCode> = new Set([
  'MAIL_STORM',
  'EVERYTHING_SLOW',
  'MAJORITY_BAD',
  'PROBES_FAIL',
  'ONE_EDGE',
  'MOST_EDGES',
  'REPORTS_LATE',
  'PLACE_CUT_OFF',
  'CLOCK_SKEW',
]);
