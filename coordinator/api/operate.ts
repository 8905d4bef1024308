import type {Clock} from '../../base/clock.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import type {
  Approve,
  Evacuate,
  NewHost,
  NewMove,
  NewUser,
  PlanView,
  PolicyView,
  Rebalance,
  Reinstall,
  ReliefView,
  Relieve,
  WhatIf,
  WhatIfView,
} from '../../wire/api.ts';
import type {Policy} from '../../wire/policy.ts';
import {strangeName} from '../../wire/policy-names.ts';
import {type Decision, type HostRecord, isSettled, type Plan} from '../../wire/record.ts';
import type {Route} from '../../wire/route.ts';
import {userKey} from '../../wire/subjects.ts';
import type {BucketPort} from '../bucket-port.ts';
import type {Commander} from '../command.io.ts';
import type {Approvals} from '../decision/approvals.ts';
import type {Emit} from '../events.io.ts';
import type {HostFacts} from '../host/facts.ts';
import type {HostKeeper} from '../host/keeper.io.ts';
import {live, newHost} from '../host/life.ts';
import {POLICY_KEY} from '../keys.ts';
import type {Mover} from '../move/mover.ts';
import {bytesOf, perByteMs} from '../move/progress.ts';
import type {Picture} from '../picture.ts';
import type {PlanWish} from '../plan/desk.ts';
import {assertFits, type Planner} from '../planner.ts';
import type {ReliefKeeper} from '../relief.ts';
import type {TuneKeeper} from '../tune/keeper.ts';
import type {Writes} from './ports.ts';
import {hideToken} from './views.ts';

/** Stages in which a person may say that a mailbox lies on a host: a farm that is taken over has its users from the first day. */
const TAKES_USERS: ReadonlySet<HostRecord['stage']> = new Set(['arrived', 'provisioning', 'probation', 'active', 'suspect']);

/** A host counts its queue too when it is asked for copies. */
const COPIES_MS = MINUTE_MS;

export interface OperatorDeps {
  picture: Picture;
  hosts: BucketPort<HostRecord>;
  routes: BucketPort<Route>;
  policy: BucketPort<Policy>;
  planner: Planner;
  mover: Mover;
  tuning: Pick<TuneKeeper, 'apply' | 'revert'>;
  relief: Pick<ReliefKeeper, 'relieve'>;
  approvals: Pick<Approvals, 'approve'>;
  /** One happening in a host's life. */
  happen: HostKeeper['happen'];
  command: Commander;
  /** Fencing token of the term. */
  token: number;
  emit: Emit;
  clock: Clock;
}

/** What people change. The same doors as decisions use: plans by the planner, hosts by their life. */
export class Operator implements Writes {
  readonly #deps: OperatorDeps;

  constructor(deps: OperatorDeps) {
    this.#deps = deps;
  }

  async addHost(by: string, {host, role, address}: NewHost): Promise<HostRecord> {
    const {hosts, picture, clock} = this.#deps;
    // Two of one address would be one: a mailbox would be copied onto itself, and edges would send one's users to the other.
    const twin = [...picture.hosts.values()].find(
      ({value}) => value.address === address && value.stage !== 'retired' && value.host !== host,
    );
    if (twin !== undefined) throw new MailherdError('HOST_EXISTS', {host: twin.key, address});
    const record = newHost(host, role, address, by, clock.now());
    const revision = await hosts.create(host, record).catch(error => {
      throw isConflict(error) ? new MailherdError('HOST_EXISTS', {host}) : error;
    });
    picture.applyHost({key: host, value: record, revision, storedAtMs: clock.now()});
    return record;
  }

  async addUser(_by: string, {user: name, host: wished}: NewUser): Promise<Route> {
    const {routes, planner, picture, clock} = this.#deps;
    const user = name.toLowerCase();
    if (wished !== undefined) this.#assertTakesUsers(wished);
    if (picture.fleet.routes.has(user)) throw new MailherdError('USER_EXISTS', {user});
    const host = wished ?? planner.placeNew(user);
    await this.#assertNothingLeft(user, host);
    // Hosts were asked, which takes its time: by now this one may be cordoned, or retired.
    this.#assertTakesUsers(host);
    // Greater than any of a user of that name who was removed before: a host that has not heard of it takes the newer word.
    const generation = Math.floor(clock.now() / SECOND_MS);
    const route: Route = {v: 1, user, host, generation, move: null, hold: null, flip: null};
    await routes.create(userKey(user), route).catch(error => {
      throw isConflict(error) ? new MailherdError('USER_EXISTS', {user}) : error;
    });
    return route;
  }

  /**
   * Whoever of that name was removed before: what a move has left of him must not come to life as the mailbox of the new one, and a copy
   * retained anywhere would bring its late mail to him, or wait for ever to be found in his mailbox.
   */
  async #assertNothingLeft(user: string, host: string): Promise<void> {
    for (const move of this.#deps.mover.records()) {
      if (move.user !== user) continue;
      const {id: moveId, step, source, target, isLeftOnTarget = false} = move;
      if (!isSettled(move)) throw new MailherdError('MOVE_IN_PROGRESS', {user, moveId, step});
      // A retired host is shut down, and its copies were kept long enough.
      const isRetained = step === 'retained' && this.#deps.picture.hosts.get(source)?.value.stage !== 'retired';
      const at = isRetained ? source : isLeftOnTarget && target === host ? host : null;
      // The host knows better: of a store that was brought back the records are old.
      if (at !== null && (await this.#hasCopy(at, user))) throw new MailherdError('COPY_RETAINED', {user, host: at, moveId, step});
    }
  }

  /** A host that does not answer may have one. */
  async #hasCopy(host: string, user: string): Promise<boolean> {
    const {command, token} = this.#deps;
    try {
      const {copies} = await command(host, 'wipeCheck', {v: 1, token, retained: []}, COPIES_MS);
      return copies.some(copy => copy.user === user);
    } catch (error) {
      if (error instanceof MailherdError && error.code === 'HOST_SILENT') return true;
      throw error;
    }
  }

  #assertTakesUsers(host: string): void {
    const {role, stage, cordon} = this.#record(host);
    if (role !== 'backend' || !TAKES_USERS.has(stage) || cordon !== null) {
      throw new MailherdError('HOST_STATE', {host, role, stage, cordoned: cordon !== null, wish: 'add a user'});
    }
  }

  async evacuate(by: string, host: string, {also = [], dryRun = false, gently = false, reason}: Evacuate): Promise<PlanView> {
    const hosts = [...new Set([host, ...also])];
    const {planner, mover, happen, picture, clock} = this.#deps;
    const cause = {reason: reason ?? `asked by ${by}`, release: null, asksReinstall: false, isLow: gently};
    const evacuated = {type: 'evacuated', by, ...cause} as const;
    // The refusal of a stage comes before the work of a plan, and in a dry run too.
    for (const each of hosts) live(this.#record(each), evacuated, picture.policy.value, clock.now());
    if (!dryRun) this.#assertNotPaused();
    const draft = await planner.draft({kind: 'evacuate', hosts, isLow: gently}, evacuated.reason);
    const answer = this.#answer(draft.plan, dryRun);
    if (dryRun) return answer;
    assertFits(draft.plan);
    await planner.carryOut(draft, async () => {
      for (const each of hosts) await happen(each, evacuated);
      // What waits to come would have to leave again; of hosts that are emptied too it is planned anew.
      mover.dropWaiting(({source, target}) => hosts.includes(target) && this.#record(source).stage !== 'draining');
    });
    return answer;
  }

  async approve(_by: string, {kind, host}: Approve): Promise<Decision> {
    this.#assertNotPaused();
    const {approvals, picture} = this.#deps;
    return approvals.approve({kind, host: host ?? null}, picture.outcome?.decisions ?? []);
  }

  async pauseEvacuation(by: string, host: string, reason: string): Promise<HostRecord> {
    return hideToken(await this.#deps.happen(host, {type: 'emptyingPaused', by, reason}));
  }

  async resumeEvacuation(by: string, host: string): Promise<HostRecord> {
    return hideToken(await this.#deps.happen(host, {type: 'emptyingResumed', by}));
  }

  /** The host is kept: nothing waits to leave it any more, and whoever has not been switched over stays. */
  async cancelEvacuation(by: string, host: string): Promise<HostRecord> {
    const {happen, mover} = this.#deps;
    const {stage, role} = this.#record(host);
    if (stage !== 'draining') throw new MailherdError('HOST_STATE', {host, stage, role, wish: 'cancel its evacuation'});
    const record = await happen(host, {type: 'uncordoned', by});
    const leaving = mover.records().filter(move => move.source === host && !isSettled(move));
    const cancelled = leaving.map(async ({id}) => {
      await mover.cancel(id).catch(error => {
        // It is past its flip, or backs out already.
        if (!(error instanceof MailherdError) || error.code !== 'MOVE_STATE') throw error;
      });
    });
    await Promise.all(cancelled);
    return hideToken(record);
  }

  async relieve(by: string, host: string, {end = false}: Relieve): Promise<ReliefView> {
    return {host, ...(await this.#deps.relief.relieve(by, host, end))};
  }

  async move(by: string, {user, target}: NewMove): Promise<PlanView> {
    this.#assertNotPaused();
    const name = user.toLowerCase();
    const wish = target === undefined ? ({kind: 'single', user: name} as const) : ({kind: 'named', moves: [{user: name, target}]} as const);
    return this.#carryOut(wish, `asked by ${by}`);
  }

  async #carryOut(wish: PlanWish, because: string): Promise<PlanView> {
    const {planner} = this.#deps;
    const draft = await planner.draft(wish, because);
    assertFits(draft.plan);
    const answer = this.#answer(draft.plan, false);
    await planner.carryOut(draft);
    return answer;
  }

  /** With the time it takes behind what moves and waits, as long as the moves that are known took for their bytes. */
  #answer(plan: Plan, dryRun: boolean): PlanView {
    const {mover, clock} = this.#deps;
    const records = mover.records();
    const byteMs = perByteMs(records, clock.now());
    const ahead = bytesOf(records.filter(move => !isSettled(move))) + bytesOf(mover.waiting().map(({planned}) => planned));
    return {plan, dryRun, etaMs: byteMs === null ? null : Math.round((ahead + bytesOf(plan.moves)) * byteMs)};
  }

  async rebalance(by: string, {dryRun = false, hosts = []}: Rebalance): Promise<PlanView> {
    const {planner} = this.#deps;
    if (!dryRun) this.#assertNotPaused();
    const draft = await planner.draft(hosts.length > 0 ? {kind: 'fill', hosts} : {kind: 'rebalance'}, `asked by ${by}`);
    const answer = this.#answer(draft.plan, dryRun);
    if (!dryRun && draft.plan.moves.length > 0) await planner.carryOut(draft);
    return answer;
  }

  async whatIf(_by: string, wish: WhatIf): Promise<WhatIfView> {
    return this.#deps.planner.whatIf(wish);
  }

  cancelMove(_by: string, moveId: string): Promise<void> {
    return this.#deps.mover.cancel(moveId);
  }

  /** What came since the flip goes along: it is a move like any other, after a purge of what the host still has. */
  async reverse(by: string, moveIds: readonly string[]): Promise<PlanView> {
    const {mover, picture} = this.#deps;
    this.#assertNotPaused();
    const records = new Map(mover.records().map(record => [record.id, record]));
    const moves = [...new Set(moveIds)].map(moveId => {
      const record = records.get(moveId);
      if (record === undefined) throw new MailherdError('MOVE_UNKNOWN', {moveId});
      const {user, source, target, step} = record;
      const host = picture.fleet.routes.get(user)?.host ?? null;
      if (step !== 'retained' || host !== target) throw new MailherdError('MOVE_STATE', {moveId, step, target, host, wish: 'reverse'});
      return {user, target: source};
    });
    return this.#carryOut({kind: 'named', moves}, `reversed by ${by}`);
  }

  async purge(_by: string, moveIds: readonly string[]): Promise<void> {
    this.#assertNotPaused();
    await this.#deps.mover.purge([...new Set(moveIds)]);
  }

  async cordon(by: string, host: string, reason: string): Promise<HostRecord> {
    return hideToken(await this.#deps.happen(host, {type: 'cordoned', by, reason}));
  }

  async uncordon(by: string, host: string): Promise<HostRecord> {
    return hideToken(await this.#deps.happen(host, {type: 'uncordoned', by}));
  }

  async retire(by: string, host: string, reason: string): Promise<HostRecord> {
    const {picture, mover, happen} = this.#deps;
    const factsNow = (): HostFacts => picture.factsOf(host, mover.records(), mover.waiting(), 'none');
    return hideToken(await happen(host, () => ({type: 'retired', by, reason, facts: factsNow()})));
  }

  async reinstall(by: string, host: string, {release}: Reinstall): Promise<HostRecord> {
    return hideToken(await this.#deps.happen(host, {type: 'reinstallAsked', by, release}));
  }

  tune(by: string, host: string, adviceId: string): Promise<void> {
    return this.#deps.tuning.apply(by, host, adviceId);
  }

  untune(by: string, host: string, knob: string): Promise<void> {
    return this.#deps.tuning.revert(by, host, knob);
  }

  async pause(by: string, reason: string): Promise<PolicyView> {
    const {clock, emit} = this.#deps;
    const view = await this.#change(policy => ({...policy, paused: {by, atMs: clock.now(), reason}}));
    emit('paused', null, {by, reason});
    return view;
  }

  async resume(by: string): Promise<PolicyView> {
    const view = await this.#change(policy => ({...policy, paused: null}));
    this.#deps.emit('resumed', null, {by});
    return view;
  }

  async setPolicy(_by: string, {policy, revision}: PolicyView): Promise<PolicyView> {
    const present = this.#deps.picture.policy.value.paused;
    if (JSON.stringify(policy.paused) !== JSON.stringify(present)) {
      throw new MailherdError('INPUT_INVALID', {what: 'policy', path: '/policy/paused', reason: 'is changed by pause and resume'});
    }
    const path = strangeName(policy, this.#deps.picture.policy.value);
    if (path !== null)
      throw new MailherdError('INPUT_INVALID', {what: 'policy', path: `/policy${path}`, reason: 'the policy has no such name'});
    if (policy.move.marginMs >= policy.move.holdMs) {
      throw new MailherdError('INPUT_INVALID', {what: 'policy', path: '/policy/move/marginMs', reason: 'must be less than holdMs'});
    }
    const backwards = (policy.windows ?? []).findIndex(({dates}) => dates !== undefined && dates.from > dates.to);
    if (backwards >= 0) {
      const detail = {what: 'policy', path: `/policy/windows/${backwards}/dates`, reason: 'end before they begin: no day is in them'};
      throw new MailherdError('INPUT_INVALID', detail);
    }
    return this.#storePolicy(policy, revision);
  }

  async #change(change: (policy: Policy) => Policy): Promise<PolicyView> {
    const entry = await this.#deps.policy.get(POLICY_KEY);
    if (entry === null) throw new MailherdError('STORE_CORRUPT', {key: POLICY_KEY, reason: 'there is no policy'});
    return this.#storePolicy(change(entry.value), entry.revision);
  }

  async #storePolicy(policy: Policy, expected: number): Promise<PolicyView> {
    const revision = await this.#deps.policy.update(POLICY_KEY, policy, expected);
    this.#deps.picture.applyPolicy({value: policy, revision});
    return {policy, revision};
  }

  #assertNotPaused(): void {
    const {paused} = this.#deps.picture.policy.value;
    if (paused !== null) throw new MailherdError('PAUSED', {by: paused.by, reason: paused.reason});
  }

  #record(host: string): HostRecord {
    const entry = this.#deps.picture.hosts.get(host);
    if (entry === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
    return entry.value;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof MailherdError && error.code === 'STORE_CONFLICT';
}
