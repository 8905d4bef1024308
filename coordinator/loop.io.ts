import {randomUUID} from 'node:crypto';
import type {Clock} from '../base/clock.ts';
import {MailherdError, toRefusal} from '../base/errors.ts';
import type {Instant} from '../base/units.ts';
import type {Log} from '../wire/log.ts';
import type {MoveRecord} from '../wire/record.ts';
import {Actor} from './act.ts';
import {announce, toldByOther} from './announce.ts';
import {Operator} from './api/operate.ts';
import type {EventFeed, Writes} from './api/ports.ts';
import type {Audit} from './audit.io.ts';
import type {Commander} from './command.io.ts';
import type {CoordinatorConfig} from './config.ts';
import {Approvals} from './decision/approvals.ts';
import type {Emit} from './events.io.ts';
import {clockAhead, holdPortsOf} from './fleet.ts';
import type {FlowOutcome} from './flow.ts';
import type {Drivers} from './host/drivers.io.ts';
import {isPaused} from './host/emptying.ts';
import {HostKeeper} from './host/keeper.io.ts';
import {IncidentKeeper} from './incident/keeper.ts';
import type {LeaseKeeper, Term} from './lease.io.ts';
import {startMover} from './move/mover.io.ts';
import type {Mover, WaitingMove} from './move/mover.ts';
import {adjustPace, type Pace} from './move/pace.ts';
import type {Picture} from './picture.ts';
import {deskAway} from './plan/desk-away.io.ts';
import {PlanLine} from './plan-line.ts';
import {Planner} from './planner.ts';
import {ReliefKeeper} from './relief.ts';
import {Sizes} from './sizes.io.ts';
import type {Store} from './store.io.ts';
import {TuneKeeper} from './tune/keeper.ts';

export interface LoopDeps {
  config: CoordinatorConfig;
  picture: Picture;
  store: Store;
  lease: LeaseKeeper;
  command: Commander;
  drivers: Drivers;
  emit: Emit;
  events: EventFeed;
  audit: Audit;
  clock: Clock;
  log: Log;
}

/** Everything that exists only while this coordinator leads. */
interface Leading {
  term: Term;
  mover: Mover;
  keeper: HostKeeper;
  actor: Actor;
  tuning: TuneKeeper;
  relief: ReliefKeeper;
  approvals: Approvals;
  operator: Operator;
  incidents: IncidentKeeper;
  sizes: Sizes;
}

/** The rounds: every coordinator judges, so that it can answer and take over; the one that leads also acts. */
export class Loop {
  readonly #deps: LoopDeps;
  #leading: Leading | null = null;
  #failing: {sinceMs: Instant; reason: string} | null = null;
  #pace: Pace = {};
  /** What subscribers may have been told last: by this coordinator, or by the one that leads, which has told nothing for a while if it is dead. */
  #told: readonly FlowOutcome[] = [];

  constructor(deps: LoopDeps) {
    this.#deps = deps;
  }

  /** One round after the other until the signal; a round that fails is logged, and the next one begins on time. */
  async run(signal: AbortSignal): Promise<void> {
    const {clock, log, config} = this.#deps;
    while (!signal.aborted) {
      const startMs = clock.monotonic();
      try {
        await this.#round();
        this.#failing = null;
      } catch (error) {
        this.#failing = {sinceMs: this.#failing?.sinceMs ?? clock.now(), reason: error instanceof Error ? error.message : String(error)};
        log.error({err: error}, 'a round failed');
      }
      await clock.sleep(Math.max(0, config.roundMs - (clock.monotonic() - startMs)), signal);
    }
  }

  async #round(): Promise<void> {
    const {picture, lease, emit, clock} = this.#deps;
    const leading = this.#present();
    const {records, waiting} = this.moves();
    const outcome = picture.judge(records, waiting, clock.now());
    this.#pace = adjustPace(this.#pace, outcome.slis, outcome.verdicts, records, picture.policy.value, clock.now());
    picture.capacity.note(picture.fleet, picture.policy.value, leading === null ? null : emit, clock.now());
    if (leading === null) {
      if (lease.leader() !== null && lease.term() === null) this.#told = toldByOther(this.#told, outcome);
      return;
    }
    announce(this.#told[0] ?? null, outcome, emit);
    this.#told = [outcome];
    leading.sizes.sweep();
    await leading.keeper.look();
    const decisions = leading.approvals.apply(outcome.decisions);
    picture.outcome = {...outcome, decisions};
    if (!leading.term.signal.aborted) await leading.actor.act(decisions);
    if (!leading.term.signal.aborted) await leading.relief.look(decisions);
    if (!leading.term.signal.aborted) await leading.tuning.look();
    if (!leading.term.signal.aborted) await leading.incidents.look(outcome);
  }

  /** One term, from the lease taken to the lease lost or given back. */
  async lead(term: Term): Promise<void> {
    const {config, emit, audit, clock, log} = this.#deps;
    try {
      this.#leading = await this.#begin(term);
      emit('leaderElected', null, {holder: config.name, token: term.token});
      await audit.write({atMs: clock.now(), by: config.name, action: 'lead', subject: null, detail: {token: term.token}, result: 'ok'});
      if (!term.signal.aborted) await new Promise<void>(resolve => term.signal.addEventListener('abort', () => resolve(), {once: true}));
    } catch (error) {
      log.error({refusal: toRefusal(error), err: error}, 'a term could not begin');
      await clock.sleep(config.roundMs, term.signal);
    } finally {
      this.#leading = null;
    }
  }

  async #begin(term: Term): Promise<Leading> {
    const {picture, store, command, drivers, emit, events, audit, clock, log, config} = this.#deps;
    const {token, signal} = term;
    const stepped = (record: MoveRecord, tookMs: number): void => {
      const {id: moveId, user, source, target, step, pauseMs, refusal} = record;
      emit('moveStepped', source, {moveId, user, source, target, step, tookMs, pauseMs, refusal});
    };
    const hosts = () => [...picture.hosts.values()].map(({value}) => value);
    const policy = () => picture.policy.value;
    const pace = () => this.#pace;
    const whereabouts = () => picture.whereabouts();
    const isEmptyingPaused = (host: string): boolean => isPaused(picture.hosts.get(host)?.value);
    const whyNoHold = (host: string): string | null => clockAhead(picture.fleet, host, policy().judge.silentMs, clock.now());
    const {routes: routeBucket, moves} = store;
    const holdPorts = (): number | null => holdPortsOf(picture.fleet);
    const locks = () => picture.locked();
    const farm = {hosts, policy, pace, whereabouts, locks, holdPorts, whyNoHold, isEmptyingPaused};
    const mover = await startMover({command, routes: routeBucket, moves, ...farm, token, stepped, log, signal});
    const keeper = new HostKeeper({picture, hosts: store.hosts, mover, command, token, signal, drivers, emit, audit, clock, log});
    const happen: HostKeeper['happen'] = (host, happening) => keeper.happen(host, happening);
    const sizes = new Sizes({picture, command, token, clock, log, signal, everyMs: config.sizesMs});
    const line = new PlanLine(store.plans, randomUUID);
    const planner = new Planner({
      picture,
      line,
      mover,
      emit,
      clock,
      signal,
      desk: deskAway(signal),
      refreshSizes: names => sizes.refresh(names),
    });
    const actor = new Actor({picture, planner, mover, happen, emit, audit, clock, log});
    const tuning = new TuneKeeper({picture, command, token, audit, clock, log});
    const relief = new ReliefKeeper({picture, command, token, emit, audit, clock, log});
    const approvals = new Approvals();
    const incidents = new IncidentKeeper({picture, bucket: store.incidents, events, emit, clock, log, signal});
    const {routes, policy: policies} = store;
    const operator = new Operator({
      picture,
      hosts: store.hosts,
      routes,
      policy: policies,
      planner,
      mover,
      tuning,
      relief,
      approvals,
      happen,
      command,
      token,
      emit,
      clock,
    });
    return {term, mover, keeper, actor, tuning, relief, approvals, operator, incidents, sizes};
  }

  #present(): Leading | null {
    return this.#leading === null || this.#leading.term.signal.aborted ? null : this.#leading;
  }

  /** Newest state of all moves: the mover's own while this coordinator leads, else what the bucket says. */
  moves(): {records: readonly MoveRecord[]; waiting: readonly WaitingMove[]} {
    const leading = this.#present();
    if (leading === null) return {records: [...this.#deps.picture.moves.values()], waiting: []};
    return {records: leading.mover.records(), waiting: leading.mover.waiting()};
  }

  /** Since when rounds fail, and why: nothing is decided or carried out meanwhile. */
  failing(): {sinceMs: Instant; reason: string} | null {
    return this.#failing;
  }

  leads(): boolean {
    return this.#present() !== null;
  }

  /** @throws MailherdError NOT_LEADER with the leader's name. */
  writes(): Writes {
    const leading = this.#present();
    if (leading === null) throw new MailherdError('NOT_LEADER', {leader: this.#deps.lease.leader()?.holder ?? null});
    return leading.operator;
  }
}
