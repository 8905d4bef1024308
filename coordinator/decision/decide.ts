import {labels as labelWords} from '../../base/format.ts';
import {HOUR_MS, type Instant, type Millis} from '../../base/units.ts';
import {ACTION_KINDS, type ActionKind, floorOf, modeOf, type Policy} from '../../wire/policy.ts';
import type {Circumstance, CohortVerdict, Decision, Evidence, Hurt, Verdict, Veto} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {BY_HAND, SUBSIDED} from '../../wire/words.ts';
import {type Fleet, usersByHost} from '../fleet.ts';
import {EVERYWHERE} from '../health/circumstance.ts';
import {SOFTWARE} from '../health/cohort.ts';
import {UNFELT} from '../health/judge.ts';
import type {SliName} from '../health/sli.ts';
import {MAILHERD} from '../host/cordon.ts';
import {isUnderWay} from '../move/budget.ts';
import {openTargets, placingOf} from '../plan/filter.ts';
import {overloadOf} from '../plan/overload.ts';
import {withinBudget} from './budget.ts';
import {clearedOn, reinstalls, releaseOn} from './reinstall.ts';
import {reliefs} from './relief.ts';
import {decision, isBackendInService, notOfHosts, reasonOf, SHARES_SICK_COHORT, type Situation} from './situation.ts';
import {evacuationVetoes, generalVetoes, roomVetoes, UNEXPLAINED_MIN, UNEXPLAINED_SHARE_MAX} from './veto.ts';
import {windowVetoes} from './window.ts';

/** A host whose moves failed is given this long before it is decided again. */
const RETRY_MS: Millis = 60_000;
/** Circumstances that are told instead of the silence of their hosts. */
const OF_HOSTS: ReadonlySet<string> = new Set(['ONE_EDGE', 'MOST_EDGES', 'PLACE_CUT_OFF', 'CLOCK_SKEW']);
/** Hosts that differ by fewer mailboxes cannot be made more even. */
const DIFFERENCE_MIN = 2;
/** Of so many hosts a call tells what is seen. */
const TOLD_MAX = 10;
/** So many dwell times after its verdict a host is emptied though others still fall sick. */
const CAUSE_DWELLS = 10;
/** Kernel figures that are odd so long without anybody feeling it are reason enough to look at the host without its users. */
const ODD_DRAIN_MS: Millis = HOUR_MS;
/** A host on which nothing is this many times worse than elsewhere is not emptied. */
const CURE_RATIO_MIN = 2;

/** What is wrong and has a name: for which of it a person is called, and what is not told yet, so that he is not called by another name meanwhile. */
export interface Calls {
  called: readonly Circumstance[];
  pending: readonly Circumstance[];
}

/**
 * What should be done now. It is decided anew each round from what is seen, so nothing is remembered here: what is already under way
 * is seen in the host's record and in the moves. A decision with vetoes, or whose mode is not `on`, is shown and not carried out.
 * @param settlesMs until then what the sick have in common may not be known yet.
 * @param hurtOn customers hurt by host: where most are is emptied first.
 * @param users how many live on each host.
 */
export function decide(
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
  nowMs: Instant,
  settlesMs: Instant = 0,
  calls: Calls = {called: [], pending: []},
  hurtOn: Hurt['byHost'] = {},
  users: ReadonlyMap<string, number> = usersByHost(fleet),
): Decision[] {
  const backends = verdicts.filter(({host}) => isBackendInService(fleet.hosts.get(host)));
  const general = generalVetoes(
    policy,
    backends.map(({kind}) => kind),
  );
  const explained = new Map(cohorts.filter(cohort => cohort.explained).flatMap(cohort => cohort.sick.map(host => [host, cohort] as const)));
  const blamed = new Set(cohorts.filter(cohort => cohort.explained).flatMap(({members}) => members));
  const unexplained = backends.filter(verdict => !blamed.has(verdict.host) && isIll(verdict, policy, nowMs));
  const isTooMany = unexplained.length >= UNEXPLAINED_MIN && unexplained.length > UNEXPLAINED_SHARE_MAX * backends.length;
  const tooMany: Veto[] = isTooMany
    ? [{code: 'TOO_MANY_UNEXPLAINED', detail: {hosts: unexplained.map(({host}) => host), backends: backends.length}}]
    : [];
  const on: Situation = {fleet, verdicts, cohorts, policy, nowMs, users, backends, explained, general, tooMany, settlesMs};
  const evacuated = evacuations(on, hurtOn).map(each => held(each, on));
  const wanted = [
    ...pages(on, unexplained, isTooMany, calls),
    ...watches(on),
    ...cordons(on, blamed, hurtOn),
    ...drains(on, evacuated),
    ...reliefs(on),
    ...reinstalls(on),
    ...rebalances(on),
  ].map(each => held(each, on));
  return withinBudget([...wanted, ...fitting(evacuated, on)], fleet, policy, nowMs);
}

/** The brakes that hold for a kind at this hour, and for a host that a person took back. */
function held(wish: Decision, {fleet, policy, nowMs}: Situation): Decision {
  const {kind, host} = wish;
  if (!isAction(kind)) return wish;
  const kept = host === null ? undefined : fleet.hosts.get(host)?.record.kept;
  const byPerson: Veto[] = kept === undefined ? [] : [{code: 'KEPT_BY_PERSON', detail: {by: kept.by, atMs: kept.atMs}}];
  const paused = (host === null ? null : fleet.hosts.get(host)?.record.emptying?.paused) ?? null;
  const stopped: Veto[] = kind !== 'evacuate' || paused === null ? [] : [{code: 'EVACUATION_PAUSED', detail: {...paused}}];
  return {...wish, vetoes: [...wish.vetoes, ...byPerson, ...stopped, ...windowVetoes(kind, policy, nowMs)]};
}

function isAction(kind: Decision['kind']): kind is ActionKind {
  return (ACTION_KINDS as readonly string[]).includes(kind);
}

/** Sick, or suspect for as long as it takes to be called sick: peers that are as bad keep a host from that. */
function isIll({kind, sinceMs, because}: Verdict, policy: Policy, nowMs: Instant): boolean {
  return kind === 'sick' || (kind === 'suspect' && !UNFELT.has(because) && nowMs - sinceMs >= policy.judge.sickDwellMs);
}

function pages(on: Situation, unexplained: readonly Verdict[], isTooMany: boolean, {called, pending}: Calls): Decision[] {
  const mode = modeOf(on.policy, 'page');
  if (mode === 'off') return [];
  const paged: Decision[] = [];
  const page = (host: string | null, because: string, evidence: Verdict['evidence']): void => {
    paged.push(decision('page', on, {host, because, evidence, mode}));
  };
  const isMonitor = on.general.some(({code}) => code === 'MONITOR_SUSPECT');
  // What has a name is not called unexplained as well.
  const isNamed = [...called, ...pending].some(({code}) => EVERYWHERE.has(code));
  const firsts = unexplained.flatMap(({evidence}) => evidence.slice(0, 1)).slice(0, TOLD_MAX);
  const areOverloaded = unexplained.every(({because}) => because === 'OVERLOADED');
  if (isTooMany && !isNamed) page(null, areOverloaded ? 'MANY_OVERLOADED' : 'TOO_MANY_UNEXPLAINED', firsts);
  for (const {code, labels = {}, hosts, evidence} of called) {
    page(code === 'ONE_EDGE' ? (hosts[0] ?? null) : null, code === 'MAJORITY_BAD' ? `${code} ${labelWords(labels)}` : code, evidence);
  }
  for (const {notHosts, explained, evidence} of on.cohorts) if (explained && notHosts !== undefined) page(null, 'NOT_THE_HOSTS', evidence);
  for (const {labels, because, evidence} of byHand(on)) page(null, `${because} ${labelWords(labels)}`, evidence);
  for (const host of standingEmpty(on)) page(host, BY_HAND, [handNote(1, `nothing explains it and it is empty: ${WHAT_HELPS}`)]);
  const failed = [...on.fleet.hosts.values()].flatMap(({record}) => (record.stage === 'failed' ? [record] : []));
  for (const {host, history} of failed) page(host, history.at(-1)?.reason ?? FAILED, []);
  // Of one that failed to come back nobody expects a word.
  const told = new Set([
    ...failed.map(({host}) => host),
    ...[...called, ...pending].flatMap(({code, hosts}) => (OF_HOSTS.has(code) ? hosts : [])),
  ]);
  const silent = on.verdicts.filter(({host, kind}) => kind === 'silent' && !told.has(host));
  if (isMonitor && silent.length > 0) page(null, 'MONITOR_SUSPECT', []);
  else for (const {host} of silent) page(host, 'SILENT', []);
  for (const {host, vetoes, evidence} of overloads(on)) {
    const one = vetoes.find(({code}) => code === 'ONE_MAILBOX');
    if (one !== undefined) page(host, 'ONE_MAILBOX', [...mailboxShare(one), ...evidence]);
  }
  return paged;
}

/** Causes that no release takes away: a person has to, or their hosts stand empty for ever. */
function byHand(on: Situation): {labels: Labels; because: string; evidence: Verdict['evidence']}[] {
  return on.cohorts.flatMap(({explained, notHosts, labels, sick, experiment}) => {
    const isForPerson = (host: string): boolean => releaseOn(host, on) === null || clearedOn(host, on.fleet).length > 0;
    const hosts = explained && notHosts === undefined ? sick.filter(isForPerson) : [];
    if (hosts.length === 0) return [];
    const cleared = new Set(hosts.flatMap(host => clearedOn(host, on.fleet)));
    const isOfTwo = experiment !== undefined && !cleared.has(experiment.change) && hosts.some(host => experiment.hosts.includes(host));
    const first = isOfTwo ? hosts.filter(host => experiment.hosts.includes(host)) : hosts;
    const keys = (isOfTwo ? [experiment.change] : Object.keys(labels)).filter(key => !cleared.has(key));
    const what = keys.some(key => SOFTWARE.includes(key)) ? `install another ${keys.join(' and ')}` : 'repair';
    const when = isOfTwo ? 'once they are empty, and on no other before these have shown what it is' : 'once they are empty';
    const note = `${what} on ${first.join(', ')} ${when}, then: mailherd uncordon HOST`;
    return [{labels, because: BY_HAND, evidence: [handNote(hosts.length, note)]}];
  });
}

/** Of a host whose history does not tell why. */
const FAILED = 'FAILED';
/** Of a host that nothing explains. */
const WHAT_HELPS = 'repair it, then mailherd uncordon HOST, or mailherd reinstall or retire HOST';

function handNote(hosts: number, note: string): Evidence {
  return {sli: 'hosts', unit: 'hosts', value: hosts, baseline: null, ratio: null, note};
}

/** Hosts that were emptied, or came back, and are sick alone: nothing more is done to them by itself. */
function standingEmpty({fleet, verdicts, users, explained}: Situation): string[] {
  return verdicts.flatMap(({host, kind}) => {
    const record = fleet.hosts.get(host)?.record;
    if (record === undefined || record.role !== 'backend' || record.cordon?.by !== MAILHERD) return [];
    const isBusy = fleet.waiting.some(({source}) => source === host) || fleet.moves.some(move => move.source === host && isUnderWay(move));
    const isAlone = kind === 'sick' && !explained.has(host) && users.get(host) === 0;
    return isAlone && !isBusy && record.reinstallAskedBy === null && record.stage !== 'failed' ? [host] : [];
  });
}

/** Whose mailbox it is. */
function mailboxShare({detail: {user, share}}: Veto): Verdict['evidence'] {
  return typeof share !== 'number'
    ? []
    : [{sli: 'mailboxShare', unit: 'share', value: share, baseline: null, ratio: null, note: `of the work is for ${String(user)}`}];
}

function watches(on: Situation): Decision[] {
  const mode = modeOf(on.policy, 'watch');
  const suspects = mode === 'off' ? [] : on.verdicts.filter(({kind}) => kind === 'suspect');
  return suspects.map(({host, because, evidence}) => decision('watch', on, {host, because, evidence, mode}));
}

/** No new mailbox for sick hosts, nor for those that share what made others sick; where most customers are hurt first. */
function cordons(on: Situation, blamed: ReadonlySet<string>, hurtOn: Hurt['byHost']): Decision[] {
  const {backends, explained, tooMany} = on;
  const mode = on.policy.modes.cordon;
  if (mode === 'off') return [];
  return mostHurtFirst(backends, hurtOn).flatMap(({host, kind, evidence}): Decision[] => {
    const isBlamed = blamed.has(host);
    if ((!isBlamed && kind !== 'sick') || on.fleet.hosts.get(host)?.record.cordon !== null) return [];
    const because = isBlamed && !explained.has(host) ? SHARES_SICK_COHORT : reasonOf(host, on);
    const vetoes = isBlamed ? on.general : [...on.general, ...tooMany];
    return [{kind: 'cordon', host, atMs: on.nowMs, because, evidence, vetoes, mode}];
  });
}

/** Where most customers are hurt first. */
function evacuations(on: Situation, hurtOn: Hurt['byHost']): Decision[] {
  const {backends, explained, tooMany} = on;
  const mode = on.policy.modes.evacuate;
  if (mode === 'off') return [];
  // A sick host that recovers shows no evidence any more: it is not emptied now, and not called healthy yet.
  const due = backends.filter(({host, kind, because}) => {
    // What waits to leave a sick host that is not emptied yet is no emptying, and from there it could not even begin.
    const isFree = isLeftOver(on, host) ? mayEvacuate(on, host) : hasIdleUsers(on, host);
    return isFree && ((kind === 'sick' && !SUBSIDED.has(because)) || isLeftOver(on, host));
  });
  return mostHurtFirst(due, hurtOn).map(verdict => {
    const {host, kind, evidence} = verdict;
    const isCounted = kind === 'sick' && !explained.has(host);
    const ofCause = isCounted ? [...tooMany, ...openCause(on, verdict)] : notOfHosts(host, on);
    const vetoes = [...on.general, ...ofCause, ...cureWorse(verdict, on)];
    const because = kind === 'sick' ? reasonOf(host, on) : 'STILL_HOLDS_MAILBOXES';
    return {kind: 'evacuate', host, atMs: on.nowMs, because, evidence, vetoes, mode};
  });
}

function mostHurtFirst(verdicts: readonly Verdict[], hurtOn: Hurt['byHost']): Verdict[] {
  return verdicts.toSorted((a, b) => (hurtOn[b.host] ?? 0) - (hurtOn[a.host] ?? 0));
}

/** As many as the farm has room for; what stays where it is for another reason takes none. */
function fitting(evacuated: readonly Decision[], on: Situation): Decision[] {
  const free = evacuated.flatMap(({host, vetoes}) => (host === null || vetoes.length > 0 ? [] : [host]));
  if (free.length === 0) return [...evacuated];
  const lacking = roomVetoes(free, on);
  return evacuated.map(each => ({...each, vetoes: [...each.vetoes, ...(lacking.get(each.host ?? '') ?? [])]}));
}

/** Hosts go on falling sick: what they share, and whether moving helps, is not known yet. It is not waited for without end. */
function openCause({settlesMs, policy: {judge}, nowMs}: Situation, {sinceMs}: Verdict): Veto[] {
  const untilMs = Math.min(settlesMs, sinceMs + CAUSE_DWELLS * judge.sickDwellMs);
  return nowMs >= untilMs ? [] : [{code: 'CAUSE_OPEN', detail: {untilMs}}];
}

/** Sick, but not by much: to be moved would hurt its users more. What only explains, or is below its floor, hurts nobody. */
function cureWorse({kind, evidence}: Verdict, {policy: {judge}}: Situation): Veto[] {
  const felt = evidence.filter(({sli, value, explains}) => explains !== true && value > floorOf(judge, sli as SliName));
  if (kind !== 'sick' || felt.length === 0) return [];
  const ratioMax = Math.max(...felt.map(({ratio}) => ratio ?? Number.POSITIVE_INFINITY));
  return ratioMax >= CURE_RATIO_MIN ? [] : [{code: 'CURE_WORSE', detail: {ratioMax, needed: CURE_RATIO_MIN}}];
}

/**
 * Hosts whose kernel has been odd for long while nobody feels it: given a rest before somebody does, one at a time, and only when
 * nothing more urgent goes on.
 */
function drains(on: Situation, evacuated: readonly Decision[]): Decision[] {
  const {backends, fleet, nowMs} = on;
  const mode = modeOf(on.policy, 'drain');
  if (mode === 'off' || evacuated.length > 0 || fleet.waiting.length > 0 || fleet.moves.some(isUnderWay)) return [];
  if (backends.some(({host, kind}) => kind === 'sick' || fleet.hosts.get(host)?.record.stage === 'draining')) return [];
  const due = backends.find(({host, because, sinceMs}) => {
    return because === 'KERNEL_ONLY' && nowMs - sinceMs >= ODD_DRAIN_MS && mayEvacuate(on, host);
  });
  if (due === undefined) return [];
  const {host, because, evidence} = due;
  return [decision('drain', on, {host, because, evidence, vetoes: [...on.general, ...evacuationVetoes([host], on)], mode})];
}

/** Neither empty, nor being emptied, nor just tried in vain. */
function mayEvacuate(on: Situation, host: string): boolean {
  return !on.fleet.waiting.some(({source}) => source === host) && hasIdleUsers(on, host);
}

/** The same, whatever waits to leave it. */
function hasIdleUsers({fleet, users, nowMs}: Situation, host: string): boolean {
  if ((users.get(host) ?? 0) === 0) return false;
  const isBusy = fleet.moves.some(move => move.source === host && isUnderWay(move));
  const isFresh = fleet.moves.some(
    ({source, step, updatedAtMs}) => source === host && step === 'backedOut' && nowMs - updatedAtMs < RETRY_MS,
  );
  return !isBusy && !isFresh;
}

/** Draining, with mailboxes that no move works on: unplaced at first, or their moves backed out. */
function isLeftOver({fleet}: Situation, host: string): boolean {
  return fleet.hosts.get(host)?.record.stage === 'draining';
}

/** Only in a quiet farm: nobody sick with mailboxes, nobody on the way out or in, nothing moving. */
function rebalances(on: Situation): Decision[] {
  const {fleet, verdicts, policy, nowMs, users, general, tooMany} = on;
  const mode = policy.modes.rebalance;
  const overloaded = mode === 'off' ? [] : unloads(on);
  if (overloaded.length > 0) return overloaded;
  if (mode === 'off' || fleet.waiting.length > 0 || fleet.moves.some(isUnderWay)) return [];
  for (const {record} of fleet.hosts.values()) {
    if (record.role === 'backend' && ['draining', 'reinstalling', 'probation'].includes(record.stage)) return [];
  }
  if (verdicts.some(({host, kind}) => kind === 'sick' && (users.get(host) ?? 0) > 0)) return [];
  if (fleet.moves.some(({step, updatedAtMs}) => step === 'backedOut' && nowMs - updatedAtMs < RETRY_MS)) return [];
  const placing = placingOf(on);
  const hosts = openTargets(placing);
  if (hosts.length < 2) return [];
  const loads = hosts.map(host => placing.rooms.get(host)?.load ?? 0);
  const usual =
    loads.reduce((sum, load) => sum + load, 0) /
    Math.max(
      1,
      hosts.reduce((sum, host) => sum + (users.get(host) ?? 0), 0),
    );
  // In mailboxes of average load, for each unit of strength.
  const counts = hosts.map((host, at) => (usual > 0 ? (loads[at] ?? 0) / usual / placing.rules.strengthOf(placing.labelsOf(host)) : 0));
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const most = Math.max(...counts);
  const least = Math.min(...counts);
  const {imbalanceMax} = policy.place;
  // Among many hosts an empty one hardly lowers the mean: the emptiest counts as the fullest does.
  const isUneven = most > imbalanceMax * mean || least * imbalanceMax < mean;
  if (!isUneven || most - least < DIFFERENCE_MIN) return [];
  const note = `busiest of ${counts.length} hosts against their mean, counted in mailboxes of average load; the idlest has ${tenth(least)}`;
  const ratio = mean === 0 ? null : most / mean;
  const evidence = [{sli: 'load', unit: 'mailboxes', value: tenth(most), baseline: tenth(mean), ratio, note}];
  return [{kind: 'rebalance', host: null, atMs: nowMs, because: 'IMBALANCE', evidence, vetoes: [...general, ...tooMany], mode}];
}

/** Healthy hosts with too much to do: few moves, of the busiest mailboxes, away from each. */
function unloads(on: Situation): Decision[] {
  const {policy, general, tooMany} = on;
  return overloads(on).map(({host, evidence, vetoes}) => {
    const all = [...general, ...tooMany, ...vetoes];
    return decision('rebalance', on, {host, because: 'OVERLOADED', evidence, vetoes: all, mode: policy.modes.rebalance});
  });
}

/** Hosts that have had too much to do for long enough, and what stands against moving some of it away. */
function overloads(on: Situation): {host: string; evidence: Verdict['evidence']; vetoes: Veto[]}[] {
  const {backends, policy, nowMs} = on;
  const due = backends.filter(({host, because, sinceMs}) => {
    return because === 'OVERLOADED' && nowMs - sinceMs >= policy.judge.sickDwellMs && mayEvacuate(on, host) && !isLeftOver(on, host);
  });
  return due.map(({host, evidence}) => {
    const {evidence: load, vetoes} = overloadOf(host, on);
    return {host, evidence: [...load, ...evidence], vetoes};
  });
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
