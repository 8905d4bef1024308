import type {Clock} from '../base/clock.ts';
import {MailherdError, toRefusal} from '../base/errors.ts';
import {HOUR_MS, MINUTE_MS} from '../base/units.ts';
import type {Log} from '../wire/log.ts';
import type {Policy} from '../wire/policy.ts';
import {type Decision, isSettled, type MoveRecord, type Plan, type PlannedMove} from '../wire/record.ts';
import {DecisionNews} from './announce.ts';
import type {Audit} from './audit.io.ts';
import {isNextOf, releaseOn} from './decision/reinstall.ts';
import type {Emit} from './events.io.ts';
import {verdictOf} from './health/judge.ts';
import {MAILHERD} from './host/cordon.ts';
import {isPaused} from './host/emptying.ts';
import {type HostHappening, keepMs} from './host/life.ts';
import {retainedAtMs} from './move/budget.ts';
import type {Mover} from './move/mover.ts';
import type {Picture} from './picture.ts';
import {assertFits, type Planner} from './planner.ts';

/** After a plan that could not be made, or moved nothing, the same is not tried again sooner. */
const FAILED_PAUSE_MS = MINUTE_MS / 2;
/** What fails again and again in the same way is written down this often. */
const TOLD_AGAIN_MS = HOUR_MS;
/** A copy whose purge failed is left alone for so long. */
const PURGE_PAUSE_MS = 5 * MINUTE_MS;
const PURGES_A_ROUND_MAX = 10;

export interface ActorDeps {
  picture: Picture;
  planner: Planner;
  mover: Mover;
  happen: (host: string, happening: HostHappening) => Promise<unknown>;
  emit: Emit;
  audit: Audit;
  clock: Clock;
  log: Log;
}

/** Carries out what was decided, as far as mode and vetoes let it. Leader only. */
export class Actor {
  readonly #deps: ActorDeps;
  readonly #news = new DecisionNews();
  readonly #pausedUntilMs = new Map<string, number>();
  readonly #refusals = new Map<string, {told: string; untilMs: number}>();
  /** Hosts that were being emptied when this term began: what waited went with the leader before. null until the first round. */
  #inherited: Set<string> | null = null;

  /** Who lived on each host when it began to be emptied, or later had a place in a plan. */
  readonly #planned = new Map<string, Set<string>>();

  constructor(deps: ActorDeps) {
    this.#deps = deps;
  }

  async act(decisions: readonly Decision[]): Promise<void> {
    await this.#tell(decisions);
    const due = decisions.filter(({mode, vetoes}) => mode === 'on' && vetoes.length === 0);
    for (const {host, because} of due.filter(({kind}) => kind === 'cordon')) {
      if (host !== null)
        await this.#attempt('cordon', host, () => this.#deps.happen(host, {type: 'cordoned', by: MAILHERD, reason: because}));
    }
    await this.#aimAnew();
    const leaving = due.filter(({kind}) => kind === 'evacuate');
    await this.#goOn(new Set(leaving.map(({host}) => host)));
    await this.#takeAlong();
    if (leaving.length > 0) await this.#attempt('evacuate', null, () => this.#evacuate(leaving));
    const resting = due.filter(({kind}) => kind === 'drain');
    if (resting.length > 0) await this.#attempt('drain', null, () => this.#evacuate(resting, true));
    for (const {host} of due.filter(({kind}) => kind === 'reinstall')) {
      const release = host === null ? null : this.#releaseFor(host);
      if (host === null || release === null) continue;
      await this.#attempt('ask reinstall', host, () => this.#deps.happen(host, {type: 'reinstallAsked', by: MAILHERD, release}));
    }
    for (const {host, because} of due.filter(({kind}) => kind === 'rebalance')) {
      await this.#attempt('rebalance', host, () => this.#rebalance(host, because));
    }
    await this.#purge();
  }

  async #tell(decisions: readonly Decision[]): Promise<void> {
    const {emit, audit, log} = this.#deps;
    const news = this.#news.take(decisions);
    // All of it before the first line is written: a disk that is full keeps nobody from being called.
    for (const decision of news) {
      const {kind, host, because, mode} = decision;
      emit('decided', host, {decision});
      if (kind === 'page' && mode === 'on') log.error({host, because}, 'a person is needed');
    }
    for (const {kind, host, atMs, because, evidence, vetoes, mode} of news) {
      if (kind === 'watch') continue;
      await audit.write({atMs, by: MAILHERD, action: kind, subject: host, detail: {because, evidence, vetoes, mode}, result: 'decided'});
    }
  }

  #drains(host: string): boolean {
    return this.#deps.picture.hosts.get(host)?.value.stage === 'draining';
  }

  /** @param isLow it can wait for whatever else moves. */
  async #evacuate(decisions: readonly Decision[], isLow = false): Promise<void> {
    const {mover} = this.#deps;
    const hosts = decisions.flatMap(({host}) => (host === null ? [] : [host]));
    const full = new Set(hosts.filter(host => !this.#drains(host)));
    const taken = mover.takeWaiting(({source}) => full.has(source));
    try {
      await this.#evacuateAll(decisions, hosts, full, isLow);
    } finally {
      mover.enqueue(...taken.filter(({moves}) => moves.every(({source}) => full.has(source))));
    }
  }

  /** @param full those of `hosts` that are not emptied yet; whoever is begun with is taken out. */
  async #evacuateAll(decisions: readonly Decision[], hosts: readonly string[], full: Set<string>, isLow: boolean): Promise<void> {
    const {picture, planner, mover} = this.#deps;
    const because = [...new Set(decisions.map(decision => decision.because))].join('; ');
    const draft = await planner.draft({kind: 'evacuate', hosts, isLow}, because);
    const {id: planId, moves, unplaced} = draft.plan;
    if (moves.length === 0) {
      throw new MailherdError('DOES_NOT_FIT', {hosts, unplaced: unplaced.length, codes: [...new Set(unplaced.map(({code}) => code))]});
    }
    // That took its time: a person may have stopped everything meanwhile, or kept a host.
    const isKept = (host: string): boolean => picture.hosts.get(host)?.value.kept !== undefined || !(full.has(host) || this.#drains(host));
    await planner.carryOut(draft, async () => {
      for (const decision of decisions) {
        const {host} = decision;
        const {paused} = picture.policy.value;
        if (paused !== null) throw new MailherdError('PAUSED', {by: paused.by, reason: paused.reason});
        if (host === null || isKept(host)) continue;
        await this.#begin(decision, host, isLow);
        // What waits to come would have to leave again; what has to leave another host that is emptied waits for a new aim.
        if (this.#drains(host) && full.delete(host)) mover.dropWaiting(({source, target}) => target === host && !this.#drains(source));
      }
    });
    const kept = hosts.filter(isKept);
    if (kept.length > 0) throw new MailherdError('PLAN_STALE', {planId, hosts: kept, reason: 'kept by a person, or empty by now'});
  }

  async #begin({because: reason}: Decision, host: string, isLow: boolean): Promise<void> {
    const asksReinstall = !isLow && this.#deps.picture.policy.value.modes.reinstall === 'on' && !this.#awaitsExperiment(host);
    const release = this.#releaseFor(host);
    await this.#deps.happen(host, {type: 'evacuated', by: MAILHERD, reason, release, asksReinstall, isLow});
  }

  /**
   * What another leader, a person through it, or this one's last term had begun to empty is emptied on: its moves that had not begun are
   * planned again, whatever the modes are. @param decided hosts that are emptied by a decision of this very round.
   */
  async #goOn(decided: ReadonlySet<string | null>): Promise<void> {
    const {picture, planner, mover} = this.#deps;
    this.#inherited ??= new Set([...picture.hosts.keys()].filter(host => this.#drains(host)));
    const planned = new Set(mover.waiting().map(waiting => waiting.planned.source));
    for (const host of this.#inherited) if (!this.#drains(host) || decided.has(host) || planned.has(host)) this.#inherited.delete(host);
    if (picture.policy.value.paused !== null) return;
    for (const isLow of [false, true]) {
      const hosts = [...this.#inherited].filter(host => {
        const record = picture.hosts.get(host)?.value;
        return (record?.emptying?.isLow ?? false) === isLow && !isPaused(record);
      });
      if (hosts.length === 0) continue;
      await this.#attempt('go on', hosts.join(' '), async () => {
        const draft = await planner.draft({kind: 'evacuate', hosts, isLow}, 'LEADER_CHANGED');
        if (draft.plan.moves.length > 0) await planner.carryOut(draft);
        for (const host of hosts) this.#noteGoingOn(host, draft.plan);
        assertFits(draft.plan);
      });
    }
  }

  /** Of a host from which nobody has a place, as while all are silent, all is tried again; of another those that have none are taken along. */
  #noteGoingOn(host: string, {moves, unplaced}: Plan): void {
    const isOf = ({source}: {source: string}): boolean => source === host;
    if (unplaced.some(isOf) && !moves.some(isOf)) return;
    const left = new Set(unplaced.map(({user}) => user));
    this.#inherited?.delete(host);
    this.#planned.set(host, new Set(usersOn(host, this.#deps.picture).filter(user => !left.has(user))));
  }

  /**
   * Whom a move that was under way brought to a host that is being emptied, or a person, is in no plan, nor is who had no place in
   * the one of a new leader: he leaves by one of his own once the others are through. Whose move failed waits for a person.
   */
  async #takeAlong(): Promise<void> {
    const {picture, planner, mover} = this.#deps;
    for (const {value: record} of picture.hosts.values()) {
      const {host, stage, emptying} = record;
      if (stage !== 'draining') {
        this.#planned.delete(host);
        continue;
      }
      const planned = this.#planned.get(host);
      if (planned === undefined) this.#planned.set(host, new Set(usersOn(host, picture)));
      if (planned === undefined || isPaused(record) || picture.policy.value.paused !== null || isLeaving(host, mover)) continue;
      const rest = usersOn(host, picture).filter(user => !planned.has(user));
      if (rest.length === 0 || this.#inherited?.has(host)) continue;
      await this.#attempt('take along', host, async () => {
        const draft = await planner.draft({kind: 'evacuate', hosts: [host], isLow: emptying?.isLow ?? false}, 'IN_NO_PLAN');
        const left = new Set(draft.plan.unplaced.map(({user}) => user));
        if (rest.every(user => left.has(user))) assertFits(draft.plan);
        if (draft.plan.moves.length > 0) await planner.carryOut(draft);
        for (const user of rest) if (!left.has(user)) planned.add(user);
      });
    }
  }

  /**
   * Moves off a host that wait for a target which takes none any more are planned anew. What was begun goes on: the modes are not asked
   * again.
   */
  async #aimAnew(): Promise<void> {
    const {picture, planner, mover} = this.#deps;
    if (picture.policy.value.paused !== null) return;
    const ill = new Set(picture.outcome?.verdicts.filter(({kind}) => kind === 'sick' || kind === 'silent').map(({host}) => host));
    const isLost = (host: string): boolean => ill.has(host) || picture.hosts.get(host)?.value.cordon !== null;
    // To a host that is cordoned a person sent him by name, back to where he came from.
    const isDue = ({source, target, choice}: PlannedMove): boolean =>
      this.#drains(source) && (choice === undefined ? ill.has(target) : isLost(target));
    const lost = mover.waiting().flatMap(({planned}) => (isDue(planned) ? [planned] : []));
    const isElsewhere = [...picture.hosts.values()].some(({value: {host, stage}}) => stage === 'active' && !isLost(host));
    // When nobody takes any, as when everybody is silent, they wait on.
    if (lost.length === 0 || !isElsewhere) return;
    await this.#attempt('aim anew', null, async () => {
      const hosts = [...new Set(lost.map(({source}) => source))];
      // What runs to such a target and backs out waits again, until the next round.
      const taken = mover.takeWaiting(isDue);
      const anew = new Set<string>();
      try {
        const draft = await planner.draft({kind: 'evacuate', hosts, isLow: lost.every(({isLow}) => isLow === true)}, 'TARGET_LOST');
        if (draft.plan.moves.length > 0) await planner.carryOut(draft);
        for (const {user} of draft.plan.moves) anew.add(user);
        assertFits(draft.plan);
      } catch (error) {
        // They wait on, but for those whose host a person keeps by now: else nobody would ever move them.
        mover.enqueue(...taken.filter(({moves}) => moves.every(({user, source}) => !anew.has(user) && this.#drains(source))));
        throw error;
      }
    });
  }

  /** @param host that has too much to do; null: whoever is fullest. */
  async #rebalance(host: string | null, because: string): Promise<void> {
    const draft = await this.#deps.planner.draft(host === null ? {kind: 'rebalance'} : {kind: 'unload', host}, because);
    if (draft.plan.moves.length === 0) throw new MailherdError('DOES_NOT_FIT', {reason: 'no move would make the hosts more even'});
    await this.#deps.planner.carryOut(draft);
  }

  #releaseFor(host: string): string | null {
    const {fleet, outcome} = this.#deps.picture;
    return releaseOn(host, {fleet, cohorts: outcome?.cohorts ?? []});
  }

  /** Whether it is the release is found out on others first. */
  #awaitsExperiment(host: string): boolean {
    const {clock, picture} = this.#deps;
    const cohort = picture.outcome?.cohorts.find(({explained, sick}) => explained && sick.includes(host));
    return cohort !== undefined && !isNextOf(cohort, host, picture.fleet, clock.now());
  }

  async #purge(): Promise<void> {
    const {picture, mover, clock} = this.#deps;
    const {value: policy} = picture.policy;
    if (policy.modes.purge !== 'on' || policy.paused !== null) return;
    const nowMs = clock.now();
    const due = mover.records().filter(move => isPurgeDue(move, policy, nowMs) && !this.#isWipedInstead(move.source));
    for (const {id} of due.slice(0, PURGES_A_ROUND_MAX)) await this.#attempt('purge', id, () => mover.purge([id]));
  }

  /** What a host that is to be reinstalled retains goes with the wipe, which has its own proof; a silent one cannot be asked. */
  #isWipedInstead(host: string): boolean {
    const {hosts, outcome} = this.#deps.picture;
    const record = hosts.get(host)?.value;
    if (record === undefined || record.reinstallAskedBy !== null || ['reinstalling', 'failed', 'retired'].includes(record.stage))
      return true;
    return verdictOf(host, outcome?.verdicts)?.kind === 'silent';
  }

  /** One action; its failure is written down, not thrown, and the same action rests for a while. */
  async #attempt(action: string, subject: string | null, work: () => Promise<unknown>): Promise<void> {
    const {audit, clock, log} = this.#deps;
    const key = `${action} ${subject}`;
    if ((this.#pausedUntilMs.get(key) ?? 0) > clock.monotonic()) return;
    this.#pausedUntilMs.delete(key);
    try {
      await work();
      this.#refusals.delete(key);
      // The host's keeper has written that one down already.
      if (action !== 'cordon') await audit.write({atMs: clock.now(), by: MAILHERD, action, subject, detail: {}, result: 'ok'});
    } catch (error) {
      const refusal = toRefusal(error);
      this.#pausedUntilMs.set(key, clock.monotonic() + FAILED_PAUSE_MS);
      log.warn({action, subject, refusal}, 'not carried out');
      // Of what does not fit the bytes are others each time.
      const told = JSON.stringify([refusal.code, refusal.detail.hosts]);
      const last = this.#refusals.get(key);
      if (last?.told === told && last.untilMs > clock.monotonic()) return;
      this.#refusals.set(key, {told, untilMs: clock.monotonic() + TOLD_AGAIN_MS});
      await audit.write({atMs: clock.now(), by: MAILHERD, action, subject, detail: {refusal}, result: 'failed'});
    }
  }
}

function usersOn(host: string, {fleet}: Picture): string[] {
  return [...fleet.routes].flatMap(([user, route]) => (route.host === host ? [user] : []));
}

function isLeaving(host: string, mover: Mover): boolean {
  const isFrom = ({source}: {source: string}): boolean => source === host;
  return mover.waiting().some(({planned}) => isFrom(planned)) || mover.records().some(move => isFrom(move) && !isSettled(move));
}

function isPurgeDue(move: MoveRecord, policy: Policy, nowMs: number): boolean {
  const sinceMs = retainedAtMs(move);
  if (sinceMs === null || move.isRetainDue === true || nowMs - sinceMs < keepMs(policy)) return false;
  return move.refusal === null || nowMs - move.updatedAtMs >= PURGE_PAUSE_MS;
}
