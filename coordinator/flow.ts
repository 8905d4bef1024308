import type {Instant} from '../base/units.ts';
import {floorOf, type Policy} from '../wire/policy.ts';
import type {Circumstance, CohortVerdict, Decision, HostRecord, Hurt, Verdict} from '../wire/record.ts';
import {decide} from './decision/decide.ts';
import {LEAVING} from './decision/situation.ts';
import {type Fleet, type FleetHost, usersByHost} from './fleet.ts';
import {type CircumstanceMemory, findCircumstances} from './health/circumstance.ts';
import {type CohortMemory, findCohorts, mayBeSlowMachines, NO_COHORTS, type Subject, settlesMs} from './health/cohort.ts';
import {heldAgainstControls} from './health/controls.ts';
import {byCause, hurtOf} from './health/hurt.ts';
import {type JudgeMemory, judgeHost, NOT_WORSE, NOTICEABLE_SHARE, sickBefore} from './health/judge.ts';
import {type FiguresMemory, type HostMarks, markAll, NO_FIGURES, NOTHING_USUAL, usualOf} from './health/marks.ts';
import {type HostSlis, measure, SLI_TABLE} from './health/sli.ts';
import {triedHosts} from './health/tried.ts';
import {MAILHERD} from './host/cordon.ts';
import {burdenedHosts} from './move/budget.ts';

/** Marks from which on a healthy host may be on its way to be sick. */
const UNSURE_SCORE = 3;
/** Whoever feels something is a control only well below that: what comes slowly is felt before it is proved. */
const LIKE_PEERS_SCORE = 1.5;

/** What judgment remembers from one round to the next; plain data, so that a new leader may take it over. */
export interface FlowMemory {
  hosts: Readonly<Record<string, JudgeMemory>>;
  /** By host, the figures in which hosts are sick that its labels explain. */
  ofCause: Readonly<Record<string, readonly string[]>>;
  cohorts: CohortMemory;
  figures: FiguresMemory;
  circumstances: CircumstanceMemory;
  /** When the round was. */
  atMs: Instant;
}

export interface FlowOutcome {
  memory: FlowMemory;
  slis: HostSlis[];
  verdicts: Verdict[];
  cohorts: CohortVerdict[];
  hurt: Hurt;
  circumstances: Circumstance[];
  decisions: Decision[];
}

export function emptyMemory(): FlowMemory {
  return {hosts: {}, ofCause: {}, cohorts: NO_COHORTS, figures: NO_FIGURES, circumstances: {}, atMs: 0};
}

/** What a coordinator begins with that starts amid trouble. @param sick hosts that were sick, as the incident that lasts has them. */
export function resumedMemory(sick: readonly string[], nowMs: Instant): FlowMemory {
  return {...emptyMemory(), hosts: Object.fromEntries(sick.map(host => [host, sickBefore(nowMs)]))};
}

/**
 * What may be gone on from when the coordinator's own clock was set back: who is sick and what is usual. All that waits for a time that was
 * near, and would be far by now, begins anew.
 */
function withoutTimes({hosts, figures}: FlowMemory, nowMs: Instant): FlowMemory {
  const sick = Object.entries(hosts).flatMap(([host, own]) => {
    return own.kind === 'sick' || own.leftSick !== null
      ? [[host, {...sickBefore(nowMs), kind: own.kind, leftSick: own.leftSick, evidence: own.evidence}] as const]
      : [];
  });
  return {...emptyMemory(), hosts: Object.fromEntries(sick), figures};
}

/**
 * READ FIRST: how Mailherd thinks, once a round. Reports are already folded into the fleet; what follows a decision (plan, move,
 * verify, flip, retain, purge, and a host's life) is carried out elsewhere, from these decisions.
 */
export function flow(fleet: Fleet, before: FlowMemory, policy: Policy, nowMs: Instant): FlowOutcome {
  const memory = before.atMs - nowMs > policy.judge.sickDwellMs ? withoutTimes(before, nowMs) : before;
  const hosts = [...fleet.hosts.values()].sort((a, b) => (a.record.host < b.record.host ? -1 : 1));
  const busy = burdenedHosts(fleet.moves, policy.judge.windowMs + policy.judge.sickDwellMs, nowMs);
  const slis = hosts.map(host => measure(host, policy.judge, nowMs, busy.has(host.record.host)));
  const {marks, memory: figures} = markAll(slis, memory.figures, policy.judge, nowMs);
  const usual = usualOf(slis, policy.judge);
  const judged = slis.map(own => {
    const {host, role} = own;
    const others = {marks: marks.get(host) ?? {}, usual: usual[role] ?? NOTHING_USUAL, ofCause: memory.ofCause[host] ?? []};
    return judgeHost(own, others, memory.hosts[host] ?? null, policy.judge, nowMs);
  });
  const alone = judged.map(({verdict}) => verdict);
  const tried = triedHosts(slis);
  const users = usersByHost(fleet);
  const subjects = judged.flatMap(({verdict, memory: own}, index) => {
    const host = hosts[index];
    const mayProve = tried.has(verdict.host) || !(host?.record.stage === 'probation' || users.get(verdict.host) === 0);
    return host === undefined || !mayTell(host)
      ? []
      : [
          {
            ...subjectOf(host, verdict, own, scoreOf(marks.get(verdict.host) ?? {}, slis[index], policy.judge), mayProve),
            lacks: lackOf(slis[index]),
          },
        ];
  });
  const {cohorts: found, memory: cohortMemory} = findCohorts(subjects, memory.cohorts, policy.judge, nowMs);
  const {cohorts, verdicts} = heldAgainstControls(found, alone, slis, policy.judge);
  const scene = {hosts, slis, verdicts, cohorts, figures};
  const {circumstances, called, pending, memory: seen} = findCircumstances(scene, memory.circumstances, policy.judge, nowMs);
  const felt = hurtOf(fleet, slis, circumstances, policy.judge, nowMs, users);
  const hurt = {...felt, byCause: byCause(felt, verdicts, cohorts, circumstances)};
  const settleMs = settlesMs(cohortMemory, policy.judge);
  const decisions = decide(fleet, verdicts, cohorts, policy, nowMs, settleMs, {called, pending}, hurt.byHost, users);
  const ofCause = Object.fromEntries(cohorts.filter(each => each.explained && !mayBeSlowMachines(each)).flatMap(causeOfMembers));
  const hostMemory = Object.fromEntries(judged.map(({verdict: {host}, memory: own}) => [host, own]));
  const next = {hosts: hostMemory, ofCause, cohorts: cohortMemory, figures, circumstances: seen, atMs: nowMs};
  return {memory: next, slis, verdicts, cohorts, hurt, circumstances, decisions};
}

/** Each host that has the labels, and what those that are sick by them show. */
function causeOfMembers({members, evidence}: CohortVerdict): [host: string, slis: string[]][] {
  const slis = [...new Set(evidence.flatMap(({sli, explains}) => (explains === true ? [] : [sli])))];
  return members.map(host => [host, slis]);
}

/** What is gone for good, or has yet to come, tells nothing of a label. */
function mayTell({record}: FleetHost): boolean {
  return record.role === 'backend' && record.stage !== 'retired' && record.stage !== 'ordered';
}

/** What is reinstalled is still known by the system that made it sick, whatever reports there meanwhile. */
function subjectOf(
  {record, reports}: FleetHost,
  verdict: Verdict,
  {leftSick, evidence}: JudgeMemory,
  score: number,
  mayProve: boolean,
): Subject {
  const wayOut = wayOutOf(record);
  if (leftSick !== null) return {host: record.host, labels: record.labels, kind: 'sick', wayOut, evidence};
  const {kind} = verdict;
  const lean = leanOf(verdict, score);
  // Well before it has done any work to speak of, or while nobody lives there: that proves nothing for its labels. A host that was full when
  // Mailherd met it works.
  const isUntried = lean !== 'bad' && !mayProve;
  return {host: record.host, labels: reports.at(-1)?.labels ?? record.labels, kind, lean: isUntried ? 'unsure' : lean, wayOut, evidence};
}

/** Asked for, or emptied by us, which is what a reinstall is asked for of. */
function wayOutOf({stage, cordon, reinstallAskedBy}: HostRecord): number {
  if (reinstallAskedBy !== null || stage === 'reinstalling') return 2;
  return LEAVING.has(stage) && cordon?.by === MAILHERD ? 1 : 0;
}

function lackOf(own: HostSlis | undefined): string[] {
  return SLI_TABLE.flatMap(({sli}) => (own?.values[sli] === null ? [sli] : []));
}

/** Its worst mark. What is far below what anybody feels is no way to be sick: hosts with nothing to do may well be quicker still. */
function scoreOf(marks: HostMarks, own: HostSlis | undefined, judge: Policy['judge']): number {
  let worst = 0;
  for (const {sli} of SLI_TABLE) {
    const isFar = (own?.values[sli] ?? 0) < NOTICEABLE_SHARE * floorOf(judge, sli);
    if (!isFar) worst = Math.max(worst, marks[sli]?.score ?? 0);
  }
  return worst;
}

/**
 * A host that gets worse is no control, even before it is called sick; one that is no worse than its peers is, whatever all of them feel, and so
 * is one that feels nothing any more.
 */
function leanOf({kind, because}: Verdict, score: number): Subject['lean'] {
  if (kind === 'suspect' && (because === 'WORSE_NOT_FELT' || because === 'SLI_WORSE_THAN_PEERS')) return 'bad';
  if (score >= UNSURE_SCORE) return 'unsure';
  if (kind === 'suspect' && because === 'RECOVERING') return 'good';
  return kind === 'suspect' && NOT_WORSE.has(because) && score < LIKE_PEERS_SCORE ? 'good' : undefined;
}
