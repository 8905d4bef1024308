import {unreachable} from '../../base/assert.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Instant, Millis} from '../../base/units.ts';
import type {Answer} from '../../wire/command.ts';
import type {Policy} from '../../wire/policy.ts';
import type {HostRecord, HostStage} from '../../wire/record.ts';
import {MAILHERD, onCordoned, onWell, released, reopened} from './cordon.ts';
import {onEmptying, refused} from './emptying.ts';
import type {HostFacts} from './facts.ts';
import {isReinstalled, isSystemOf, systemOf} from './installed.ts';
import {assertRetirable} from './retire.ts';

const HISTORY_MAX = 40;
/** Emptied, or on the way to it. */
const EMPTIED: ReadonlySet<HostStage> = new Set(['draining', 'drained', 'safeToWipe']);

/** What happens to a host: the world as seen each round, and what people, decisions and the host's own answers bring. */
export type HostHappening =
  | {type: 'observed'; facts: HostFacts}
  | {type: 'cordoned'; by: string; reason: string}
  | {type: 'uncordoned'; by: string}
  /** `release`: what to install afterwards, null when none is known; `asksReinstall`: nobody needs to ask for it again. */
  | {type: 'evacuated'; by: string; reason: string; release: string | null; asksReinstall: boolean; isLow?: boolean}
  /** No further mailbox leaves it until somebody says so; those that are on their way arrive. */
  | {type: 'emptyingPaused'; by: string; reason: string}
  | {type: 'emptyingResumed'; by: string}
  /** It is gone for good: nothing is expected of it any more. */
  | {type: 'retired'; by: string; reason: string; facts: HostFacts}
  | {type: 'reinstallAsked'; by: string; release: string}
  | WipeChecked
  | {type: 'driverEnded'; ok: boolean; reason: string};

/** The host's own answer to `checkWipe`, with the facts as they are when it comes. */
export interface WipeChecked {
  type: 'wipeChecked';
  facts: HostFacts;
  retained: readonly string[];
  answer: Answer<'wipeCheck'>;
  /** Fresh permission, used when the host was only drained until now. */
  token: string;
  /** A slot is free, and policy or a person lets the reinstall begin now. */
  mayReinstall: boolean;
}

export type HostEffect =
  | {kind: 'staged'; from: HostStage; to: HostStage; reason: string; tookMs: Millis}
  | {kind: 'cordoned'; by: string; reason: string}
  | {kind: 'uncordoned'; by: string}
  | {kind: 'emptyingPaused'; by: string; reason: string}
  | {kind: 'emptyingResumed'; by: string}
  /** Ask the host itself whether it is empty; the retained copies named here may go. */
  | {kind: 'checkWipe'; retained: string[]}
  | {kind: 'wipeAllowed'; expiresAtMs: Instant}
  | {kind: 'reinstall'; release: string; token: string}
  | {kind: 'markWiped'}
  | {kind: 'dropWaiting'};

export interface HostTurn {
  record: HostRecord;
  effects: HostEffect[];
}

type Limits = Pick<Policy, 'host' | 'move' | 'judge'>;

/**
 * The life of a host, one turn. Pure; the shell stores the record by compare-and-set first and then carries out the effects. When
 * nothing changes the very same record comes back.
 * @throws MailherdError HOST_STATE when a person asks for what the stage does not allow.
 */
export function live(record: HostRecord, happening: HostHappening, limits: Limits, nowMs: Instant): HostTurn {
  switch (happening.type) {
    case 'observed':
      return onObserved(record, happening.facts, limits, nowMs);
    case 'cordoned':
      return onCordoned(record, happening.by, happening.reason, nowMs);
    case 'uncordoned':
      return onUncordoned(record, happening.by, nowMs);
    case 'evacuated':
      return onEvacuated(record, happening, nowMs);
    case 'emptyingPaused':
    case 'emptyingResumed':
      return onEmptying(record, happening, nowMs);
    case 'reinstallAsked':
      return onReinstallAsked(record, happening.by, happening.release, nowMs);
    case 'retired':
      return onRetired(record, happening, limits, nowMs);
    case 'wipeChecked':
      return onWipeChecked(record, happening, limits, nowMs);
    case 'driverEnded':
      return onDriverEnded(record, happening.ok, happening.reason, nowMs);
    default:
      return unreachable(happening);
  }
}

/** Nothing lives here, nothing comes, nothing goes; what is not known is not empty. */
export function isEmpty(facts: HostFacts): boolean {
  return facts.users === 0 && facts.moves === 0 && facts.waiting === 0;
}

/** Ids of retained copies that were kept long enough, or null while one of them must still be kept. */
export function dueCopies(facts: HostFacts, retainMs: Millis, nowMs: Instant): string[] | null {
  if (facts.retained.some(copy => nowMs - copy.sinceMs < retainMs)) return null;
  return facts.retained.map(copy => copy.moveId);
}

/** How long a source copy is kept at least: until no late delivery can be written into it any more, and as long as policy says. */
export function keepMs({move}: Pick<Policy, 'move'>): Millis {
  return Math.max(move.retainMs, move.quietMs);
}

/** @throws MailherdError WIPE_TOKEN unless `token` is this host's own, present and not expired. */
export function assertWipeToken(record: HostRecord, token: string, nowMs: Instant): void {
  const {host, wipe} = record;
  if (wipe === null || wipe.token !== token || !token.startsWith(`${host}:`)) throw new MailherdError('WIPE_TOKEN', {host});
  if (wipe.expiresAtMs <= nowMs) throw new MailherdError('WIPE_TOKEN', {host, expiredMs: nowMs - wipe.expiresAtMs});
}

function onObserved(before: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostTurn {
  const record = remember(before, facts);
  switch (record.stage) {
    case 'ordered':
    case 'retired':
      return {record, effects: []};
    case 'arrived':
      return stage(record, 'provisioning', 'waits for its agent', nowMs);
    case 'provisioning':
      return facts.report === null ? {record, effects: []} : stage(record, 'probation', 'its agent reports', nowMs);
    case 'probation':
      return onProbation(record, facts, limits, nowMs);
    case 'active':
      return facts.verdict === 'suspect' || facts.verdict === 'sick'
        ? stage(record, 'suspect', `verdict ${facts.verdict}`, nowMs)
        : onWell(record, facts, limits, nowMs);
    case 'suspect':
      return facts.verdict === 'healthy'
        ? stage(reopened(released(record), facts), 'active', 'verdict healthy', nowMs)
        : {record, effects: []};
    case 'draining':
      return isEmpty(facts) ? stage(record, 'drained', 'no user and no move is left', nowMs) : {record, effects: []};
    case 'drained':
      return onDrained(record, facts, limits, nowMs);
    case 'safeToWipe':
      return onSafeToWipe(record, facts, limits, nowMs);
    case 'reinstalling':
      return onReinstalling(record, facts, limits, nowMs);
    case 'failed':
      return isReinstalled(record, facts) ? welcomeBack(record, facts, nowMs) : {record, effects: []};
    default:
      return unreachable(record.stage);
  }
}

/** Between wipe and return the record keeps the old system's labels and generation: the new one is told by them. */
function remember(record: HostRecord, {report}: HostFacts): HostRecord {
  if (report === null || record.stage === 'reinstalling' || record.stage === 'failed') return record;
  return isSystemOf(record, report) ? record : {...record, ...systemOf(report)};
}

function onProbation(record: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostTurn {
  const {wellSinceMs} = facts;
  const {probationMs, reinstallTimeoutMs} = limits.host;
  if (wellSinceMs !== null && nowMs - Math.max(wellSinceMs, record.sinceMs) >= probationMs) {
    return stage(reopened({...record, reinstallTo: null, reinstallAskedBy: null}, facts), 'active', 'proved well', nowMs);
  }
  if (nowMs - record.sinceMs > probationMs + reinstallTimeoutMs) return fail(record, 'PROBATION_OVERDUE', nowMs);
  return {record, effects: []};
}

function onDrained(record: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostTurn {
  if ((facts.users ?? 0) > 0 || (facts.moves ?? 0) > 0 || facts.waiting > 0) return stage(record, 'draining', 'no longer empty', nowMs);
  return {record, effects: wipeCheckDue(record, facts, limits, nowMs)};
}

function onSafeToWipe(record: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostTurn {
  const {wipe} = record;
  if (wipe === null || wipe.expiresAtMs <= nowMs) return stage({...record, wipe: null}, 'drained', 'permission to wipe expired', nowMs);
  if (!isEmpty(facts)) return stage({...record, wipe: null}, 'drained', 'no longer empty', nowMs);
  return {record, effects: wipeCheckDue(record, facts, limits, nowMs)};
}

/** Only a host that someone wants reinstalled, that speaks, and whose retained copies are all old enough is asked. */
function wipeCheckDue(record: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostEffect[] {
  if (record.reinstallTo === null || record.reinstallAskedBy === null || !answers(facts)) return [];
  const retained = dueCopies(facts, keepMs(limits), nowMs);
  return retained === null ? [] : [{kind: 'checkWipe', retained}];
}

function onReinstalling(record: HostRecord, facts: HostFacts, limits: Limits, nowMs: Instant): HostTurn {
  if (facts.driver === 'running') return {record, effects: []};
  if (isReinstalled(record, facts)) return welcomeBack(record, facts, nowMs);
  const {report} = facts;
  const isOldSystemBack = facts.driver === 'ended' && report !== null && report.generation !== record.agentGeneration;
  if (isOldSystemBack && report.labels.os !== record.reinstallTo) return fail(record, 'REINSTALL_OTHER_RELEASE', nowMs);
  if (nowMs - record.sinceMs > limits.host.reinstallTimeoutMs) return fail(record, 'REINSTALL_OVERDUE', nowMs);
  return {record, effects: []};
}

function welcomeBack(record: HostRecord, {report}: HostFacts, nowMs: Instant): HostTurn {
  const fresh = {...record, wipe: null, ...(report === null ? {labels: {}, agentGeneration: null} : systemOf(report))};
  return stage({record: fresh, effects: [{kind: 'markWiped'}]}, 'probation', `reports as ${record.reinstallTo}`, nowMs);
}

/** A person's word against ours is remembered: what we did is not done again for the same illness. */
function onUncordoned(record: HostRecord, by: string, nowMs: Instant): HostTurn {
  const isOurs = [record.cordon?.by, record.reinstallAskedBy, record.emptiedBy].includes(MAILHERD);
  const kept = isOurs && by !== MAILHERD ? {kept: {by, atMs: nowMs}} : {};
  const free = {...record, ...kept, cordon: null, wipe: null, reinstallTo: null, reinstallAskedBy: null};
  const lifted: HostEffect[] = record.cordon === null ? [] : [{kind: 'uncordoned', by}];
  switch (record.stage) {
    case 'draining':
    case 'drained':
    case 'safeToWipe':
      return stage({record: free, effects: [...lifted, {kind: 'dropWaiting'}]}, 'active', `kept by ${by}`, nowMs);
    case 'retired':
      return stage({record: free, effects: lifted}, 'arrived', `taken back by ${by}`, nowMs);
    case 'failed':
      return stage({record: free, effects: lifted}, 'probation', `given another chance by ${by}`, nowMs);
    case 'reinstalling':
      throw refused(record, 'uncordon');
    case 'ordered':
    case 'arrived':
    case 'provisioning':
    case 'probation':
    case 'active':
    case 'suspect':
      return record.cordon === null ? {record, effects: []} : {record: {...record, ...kept, cordon: null}, effects: lifted};
    default:
      return unreachable(record.stage);
  }
}

type Evacuated = Extract<HostHappening, {type: 'evacuated'}>;

/** A cordon that is there stays whose it is: a person who lets Mailherd empty a host leaves the rest of the way to it as well. */
function onEvacuated(record: HostRecord, wish: Evacuated, nowMs: Instant): HostTurn {
  if (record.role !== 'backend') throw refused(record, 'evacuate');
  if (wish.by === MAILHERD && record.kept !== undefined) return {record, effects: []};
  const cordoned = record.cordon === null ? onCordoned(record, wish.by, wish.reason, nowMs) : {record, effects: []};
  const {effects} = cordoned;
  const reinstallTo = wish.release ?? record.reinstallTo;
  const reinstallAskedBy = wish.asksReinstall && wish.release !== null ? wish.by : record.reinstallAskedBy;
  const isWished = reinstallTo === record.reinstallTo && reinstallAskedBy === record.reinstallAskedBy;
  const wished = isWished ? cordoned.record : {...cordoned.record, reinstallTo, reinstallAskedBy};
  const isLow = wish.isLow ?? false;
  switch (record.stage) {
    case 'probation':
    case 'active':
    case 'suspect':
    case 'failed': {
      const begun = {...released(wished), emptying: {isLow, paused: null}, emptiedBy: wish.by, wipe: null};
      return stage({record: begun, effects}, 'draining', wish.reason, nowMs);
    }
    case 'draining': {
      const emptying = record.emptying ?? {isLow, paused: null};
      return {record: emptying.isLow === isLow ? wished : {...wished, emptying: {...emptying, isLow}}, effects};
    }
    case 'drained':
    case 'safeToWipe':
      return {record: wished, effects};
    case 'ordered':
    case 'arrived':
    case 'provisioning':
    case 'reinstalling':
    case 'retired':
      throw refused(record, 'evacuate');
    default:
      return unreachable(record.stage);
  }
}

function onReinstallAsked(record: HostRecord, by: string, release: string, nowMs: Instant): HostTurn {
  const asked = {...record, reinstallTo: release, reinstallAskedBy: by};
  switch (record.stage) {
    case 'draining':
    case 'drained':
    case 'safeToWipe':
      return {record: asked, effects: []};
    case 'failed':
      return stage({...asked, wipe: null}, 'draining', `reinstall asked by ${by}`, nowMs);
    case 'ordered':
    case 'arrived':
    case 'provisioning':
    case 'probation':
    case 'active':
    case 'suspect':
    case 'reinstalling':
    case 'retired':
      throw refused(record, 'reinstall');
    default:
      return unreachable(record.stage);
  }
}

function onRetired(
  record: HostRecord,
  {by, reason, facts}: Extract<HostHappening, {type: 'retired'}>,
  limits: Limits,
  nowMs: Instant,
): HostTurn {
  if (record.stage === 'retired') return {record, effects: []};
  assertRetirable(record, facts, dueCopies(facts, keepMs(limits), nowMs));
  const rest = {...released(record), cordon: null, wipe: null, reinstallTo: null, reinstallAskedBy: null};
  return stage(rest, 'retired', `by ${by}: ${reason}`, nowMs);
}

/** The farm may have changed while the host was asked: everything is looked at again. */
function onWipeChecked(record: HostRecord, check: WipeChecked, limits: Limits, nowMs: Instant): HostTurn {
  const due = dueCopies(check.facts, keepMs(limits), nowMs);
  const dueIds = new Set(due);
  const isCovered = due !== null && check.retained.every(id => dueIds.has(id));
  const {users, queued, copies} = check.answer;
  const mayGo = isEmpty(check.facts) && isCovered && users === 0 && queued === 0 && copies.length === 0;
  if (record.stage === 'drained' && mayGo) {
    const expiresAtMs = nowMs + limits.host.wipeTokenMs;
    const allowed = {...record, wipe: {token: check.token, expiresAtMs}};
    return stage(
      {record: allowed, effects: [{kind: 'wipeAllowed', expiresAtMs}]},
      'safeToWipe',
      'empty by its own check, retention met',
      nowMs,
    );
  }
  if (record.stage !== 'safeToWipe') return {record, effects: []};
  const {wipe, reinstallTo, reinstallAskedBy} = record;
  if (!mayGo || wipe === null || wipe.expiresAtMs <= nowMs)
    return stage({...record, wipe: null}, 'drained', 'permission to wipe withdrawn', nowMs);
  if (!check.mayReinstall || reinstallTo === null || reinstallAskedBy === null) return {record, effects: []};
  const effects: HostEffect[] = [{kind: 'reinstall', release: reinstallTo, token: wipe.token}];
  return stage({record, effects}, 'reinstalling', `to ${reinstallTo}, asked by ${reinstallAskedBy}`, nowMs);
}

function onDriverEnded(record: HostRecord, ok: boolean, reason: string, nowMs: Instant): HostTurn {
  if (record.stage !== 'reinstalling' || ok) return {record, effects: []};
  return fail(record, `REINSTALL_FAILED: ${reason}`, nowMs);
}

/** A host that does not speak cannot prove that it is empty. */
function answers(facts: HostFacts): boolean {
  return facts.report !== null && facts.verdict !== null && facts.verdict !== 'silent';
}

/** A person is called for as long as it is failed (`coordinator/decision/decide.ts`), and told this reason. */
function fail(record: HostRecord, because: string, nowMs: Instant): HostTurn {
  return stage(record, 'failed', because, nowMs);
}

function stage(before: HostRecord | HostTurn, to: HostStage, reason: string, nowMs: Instant): HostTurn {
  const {record, effects} = 'record' in before ? before : {record: before, effects: []};
  const {emptying, emptiedBy, ...rest} = record;
  const kept = {
    ...(to === 'draining' && emptying !== undefined && {emptying}),
    ...(EMPTIED.has(to) && emptiedBy !== undefined && {emptiedBy}),
  };
  const history = [...record.history, {stage: to, atMs: nowMs, reason}].slice(-HISTORY_MAX);
  const staged: HostEffect = {kind: 'staged', from: record.stage, to, reason, tookMs: Math.max(0, nowMs - record.sinceMs)};
  return {record: {...rest, ...kept, stage: to, sinceMs: nowMs, history}, effects: [staged, ...effects]};
}

/** The record of a host that has just arrived. */
export function newHost(host: string, role: HostRecord['role'], address: string, by: string, nowMs: Instant): HostRecord {
  return {
    v: 1,
    host,
    role,
    address,
    stage: 'arrived',
    sinceMs: nowMs,
    cordon: null,
    labels: {},
    wipe: null,
    reinstallTo: null,
    reinstallAskedBy: null,
    agentGeneration: null,
    history: [{stage: 'arrived', atMs: nowMs, reason: `registered by ${by}`}],
  };
}
