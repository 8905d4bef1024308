import type {Clock} from '../base/clock.ts';
import {MailherdError} from '../base/errors.ts';
import type {WhatIf, WhatIfView} from '../wire/api.ts';
import type {HostRecord, Plan} from '../wire/record.ts';
import type {Emit} from './events.io.ts';
import type {Mover} from './move/mover.ts';
import type {Picture} from './picture.ts';
import {placeNew} from './plan/build.ts';
import {checkPlan, checkTargets} from './plan/check.ts';
import {BREACHES_TOLD, type PlanDesk, type PlanWish} from './plan/desk.ts';
import type {Outlook} from './plan/filter.ts';
import type {PlanLine, PlanPlace} from './plan-line.ts';

/** A plan that was built and checked, and nothing more: nothing is stored and nothing moves until `carryOut`. */
export interface Draft {
  plan: Plan;
  place: PlanPlace;
}

/** A plan is made anew so often, when another has been carried out while it was made. */
const TRIES_MAX = 3;
/** Stages of a host that users leave. */
const EMPTIED: ReadonlySet<HostRecord['stage'] | undefined> = new Set(['draining', 'drained', 'safeToWipe'] as const);
/** Breaches of a user who was moved by another plan. */
const MOVED: ReadonlySet<string> = new Set(['NOT_AT_SOURCE', 'USER_MOVING']);

export interface PlannerDeps {
  picture: Picture;
  line: PlanLine;
  mover: Mover;
  emit: Emit;
  clock: Clock;
  /** Asks these hosts how large their mailboxes are, where that is not known well enough. Never fails. */
  refreshSizes: (hosts: readonly string[]) => Promise<void>;
  desk: PlanDesk;
  signal: AbortSignal;
}

/** From a wish to moves in the queue. Leader only. */
export class Planner {
  readonly #deps: PlannerDeps;

  constructor(deps: PlannerDeps) {
    this.#deps = deps;
  }

  /** @throws MailherdError PLAN_REFUSED when the finished plan breaks a rule; PLAN_STALE when others were faster again and again, and left no room for it; HOST_UNKNOWN, USER_UNKNOWN, MOVE_IN_PROGRESS, NATS_DOWN. */
  async draft(wish: PlanWish, because: string): Promise<Draft> {
    const {line, clock, refreshSizes, desk} = this.#deps;
    if (wish.kind === 'evacuate') await refreshSizes(wish.hosts);
    if (wish.kind === 'unload') await refreshSizes([wish.host]);
    for (let tries = 1; ; tries++) {
      const place = await line.next(clock.now());
      const plan = await desk.plan(wish, this.#outlook(), place.ids, because);
      // That took its time: one that was carried out meanwhile counts on the same room.
      if (!(await line.isNext(place))) {
        if (tries < TRIES_MAX) continue;
        return this.#caughtUp(plan, await line.next(clock.now()));
      }
      // Hosts may have changed, too. Who moved meanwhile is found out by his own move.
      const {fleet, verdicts, cohorts} = this.#outlook();
      const breaches = checkTargets(plan, fleet, verdicts, cohorts);
      if (breaches.length > 0) throw new MailherdError('PLAN_REFUSED', {breaches: breaches.slice(0, BREACHES_TOLD)});
      return {plan, place};
    }
  }

  /**
   * A plan that others overtook, without whom they moved: who moves users one by one must not keep a large one from ever being carried out.
   * Whom a person named is not left out.
   * @throws MailherdError PLAN_STALE when the rest breaks a rule by now.
   */
  #caughtUp(plan: Plan, place: PlanPlace): Draft {
    const {fleet, verdicts, cohorts, policy} = this.#outlook();
    const found = plan.kind === 'single' ? [] : checkPlan(plan, fleet, verdicts, cohorts, policy);
    const moved = new Set(found.flatMap(({rule, detail}) => (MOVED.has(rule) ? [detail.user] : [])));
    const [moves, unplaced] = [plan.moves.filter(({user}) => !moved.has(user)), plan.unplaced.filter(({user}) => !moved.has(user))];
    const {planId: id, parent, generation} = place.ids;
    const rest = {...plan, id, parent, generation, moves, unplaced};
    const breaches = checkPlan(rest, fleet, verdicts, cohorts, policy);
    if (breaches.length > 0)
      throw new MailherdError('PLAN_STALE', {kind: plan.kind, tries: TRIES_MAX, breaches: breaches.slice(0, BREACHES_TOLD)});
    return {plan: rest, place};
  }

  /** The farm as it is now, with what runs and waits. */
  #outlook(): Outlook {
    const {picture, mover} = this.#deps;
    const {fleet, outcome} = picture;
    fleet.moves = mover.records();
    fleet.waiting = mover.waiting().map(({planned}) => planned);
    return {fleet, verdicts: outcome?.verdicts ?? [], cohorts: outcome?.cohorts ?? [], policy: picture.policy.value};
  }

  /**
   * Stores the plan and hands it to the mover, but for hosts that are not emptied by then: a person may have kept one.
   * @param begin has the hosts emptied that the plan is for. Called once that is stored: a plan that cannot be leaves them as they were; of hosts
   * that cannot be begun with the others are emptied all the same. null: they are.
   * @throws MailherdError PLAN_STALE, also where a host that it is for is kept by now, NATS_DOWN: then nothing moves; NOT_LEADER; what `begin` throws.
   */
  async carryOut({plan, place}: Draft, begin: (() => Promise<void>) | null = null): Promise<void> {
    const {line, signal} = this.#deps;
    if (signal.aborted) throw new MailherdError('NOT_LEADER');
    const kept = begin === null ? [...new Set(plan.moves.map(({source}) => source))].filter(host => this.#isKept(plan, host)) : [];
    if (kept.length > 0) throw new MailherdError('PLAN_STALE', {planId: plan.id, hosts: kept, reason: 'emptied no more'});
    const stored = await line.store(plan, place);
    if (signal.aborted) throw new MailherdError('NOT_LEADER');
    try {
      await begin?.();
    } finally {
      this.#handOver(stored.map(part => ({...part, moves: part.moves.filter(({source}) => !this.#isKept(part, source))})));
    }
  }

  #isKept({kind}: Plan, host: string): boolean {
    return kind === 'evacuate' && !EMPTIED.has(this.#deps.picture.hosts.get(host)?.value.stage);
  }

  /** @param parts of one plan. */
  #handOver(parts: readonly Plan[]): void {
    const {mover, emit} = this.#deps;
    const moves = parts.flatMap(part => part.moves);
    const [first] = parts;
    if (first === undefined) return;
    const bytes = moves.reduce((sum, move) => sum + move.bytes, 0);
    emit('planned', null, {planId: first.id, kind: first.kind, moves: moves.length, bytes, unplaced: first.unplaced.length});
    mover.enqueue(...parts);
  }

  /** A plan for a farm that is not. @throws MailherdError HOST_UNKNOWN, INPUT_INVALID. */
  async whatIf(wish: WhatIf): Promise<WhatIfView> {
    const {picture, clock, desk} = this.#deps;
    const view = await desk.whatIf(wish, this.#outlook());
    return {...view, forecast: picture.capacity.forecast(picture.policy.value, clock.now())};
  }

  /** Host for a new mailbox. @throws MailherdError DOES_NOT_FIT when no host takes one. */
  placeNew(user: string): string {
    const host = placeNew(user, this.#outlook());
    if (host === null) throw new MailherdError('DOES_NOT_FIT', {user, reason: 'no host takes a new mailbox'});
    return host;
  }
}

/** What a plan lacks, for the one who asked for it. @throws MailherdError DOES_NOT_FIT when a mailbox has no place. */
export function assertFits({unplaced, account}: Plan): void {
  if (unplaced.length === 0) return;
  const codes: Record<string, number> = {};
  for (const {code} of unplaced) codes[code] = (codes[code] ?? 0) + 1;
  const missingBytes = unplaced.reduce((sum, {bytes}) => sum + bytes, 0);
  const examples = unplaced.slice(0, 5).map(({user, bytes, code}) => ({user, bytes, code}));
  const {roomBytes: freeBytes, largestRoomBytes, standardBytes, standardHosts, tiers} = account?.lack ?? {};
  const wouldDo = {freeBytes, largestRoomBytes, standardBytes, standardHosts, tiers};
  throw new MailherdError('DOES_NOT_FIT', {unplaced: unplaced.length, missingBytes, codes, examples, ...(account?.lack && wouldDo)});
}
