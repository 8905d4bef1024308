import {Actor} from '../../../coordinator/act.ts';
import {Operator} from '../../../coordinator/api/operate.ts';
import {Views} from '../../../coordinator/api/views.ts';
import type {AuditLine} from '../../../coordinator/audit.io.ts';
import type {Commander} from '../../../coordinator/command.io.ts';
import {Approvals} from '../../../coordinator/decision/approvals.ts';
import type {Emit} from '../../../coordinator/events.io.ts';
import {Drivers} from '../../../coordinator/host/drivers.io.ts';
import {HostKeeper} from '../../../coordinator/host/keeper.io.ts';
import {newHost} from '../../../coordinator/host/life.ts';
import {POLICY_KEY} from '../../../coordinator/keys.ts';
import type {Mover, PlannedMoves, WaitingMove} from '../../../coordinator/move/mover.ts';
import {Picture} from '../../../coordinator/picture.ts';
import {deskHere, type PlanDesk} from '../../../coordinator/plan/desk.ts';
import type {Search} from '../../../coordinator/plan/model.ts';
import {PlanLine} from '../../../coordinator/plan-line.ts';
import {Planner} from '../../../coordinator/planner.ts';
import {ReliefKeeper} from '../../../coordinator/relief.ts';
import {Intake} from '../../../coordinator/report/intake.ts';
import {TuneKeeper} from '../../../coordinator/tune/keeper.ts';
import type {EventType} from '../../../wire/event.ts';
import {DEFAULT_POLICY, type Policy} from '../../../wire/policy.ts';
import type {CurrentPlan, HostRecord, MoveRecord, Plan, PlannedMove} from '../../../wire/record.ts';
import {type HostReport, HostReport as HostReportSchema} from '../../../wire/report.ts';
import type {Route} from '../../../wire/route.ts';
import {userKey} from '../../../wire/subjects.ts';
import {FakeBucket, FakeClock, silentLog} from './fakes.ts';

/** Moves that were enqueued, purged and marked, and nothing done with them. */
export class FakeMover implements Mover {
  enqueued: Plan[] = [];
  purged: string[] = [];
  cancelled: string[] = [];
  wiped: string[] = [];
  moves: MoveRecord[] = [];
  queue: WaitingMove[] = [];
  /** What was dropped, running or not. */
  unwanted: ((planned: PlannedMove) => boolean)[] = [];
  failure: Error | null = null;

  enqueue(...plans: readonly PlannedMoves[]): void {
    this.enqueued.push(...(plans as Plan[]));
    for (const {id: planId, moves} of plans) this.queue.push(...moves.map(planned => ({planned, planId, because: 'QUEUED'})));
  }
  waiting(): readonly WaitingMove[] {
    return this.queue;
  }
  records(): readonly MoveRecord[] {
    return this.moves;
  }
  async cancel(id: string): Promise<void> {
    if (this.failure !== null) throw this.failure;
    this.cancelled.push(id);
  }
  async purge(ids: readonly string[]): Promise<void> {
    if (this.failure !== null) throw this.failure;
    this.purged.push(...ids);
  }
  async prove(host: string): Promise<string[]> {
    return this.moves.filter(({source, step}) => source === host && step === 'retained').map(({id}) => id);
  }
  async markWiped(host: string): Promise<void> {
    this.wiped.push(host);
  }
  dropWaiting(isUnwanted: (planned: PlannedMove) => boolean): number {
    this.unwanted.push(isUnwanted);
    return this.takeWaiting(isUnwanted).length;
  }
  takeWaiting(isTaken: (planned: PlannedMove) => boolean): PlannedMoves[] {
    const taken = this.queue.filter(({planned}) => isTaken(planned));
    this.queue = this.queue.filter(({planned}) => !isTaken(planned));
    return taken.map(({planned, planId: id}) => ({id, kind: 'evacuate', moves: [planned]}));
  }
}

/** The coordinator's parts on buckets in memory, with hosts that report and do nothing else. */
export class FakeFarm {
  readonly clock = new FakeClock();
  readonly picture = new Picture();
  readonly hosts = new FakeBucket<HostRecord>(this.clock);
  readonly routes = new FakeBucket<Route>(this.clock);
  readonly policy = new FakeBucket<Policy>(this.clock);
  readonly plans = new FakeBucket<Plan | CurrentPlan>(this.clock);
  readonly mover = new FakeMover();
  readonly events: {type: EventType; host: string | null; data: unknown}[] = [];
  readonly lines: AuditLine[] = [];
  /** Actions of which no audit line can be written. */
  unwritable = '';
  readonly commands: {host: string; verb: string; request: unknown}[] = [];
  /** What a host answers to a command; throws to be silent. */
  answer: (host: string, verb: string) => unknown = () => ({});
  /** Happens while a plan is made. */
  meanwhile: () => Promise<void> = async () => undefined;
  readonly end = new AbortController();
  readonly intake = new Intake(this.picture.fleet, () => undefined);
  readonly keeper: HostKeeper;
  readonly planner: Planner;
  readonly operator: Operator;
  readonly actor: Actor;
  readonly tuning: TuneKeeper;
  readonly relief: ReliefKeeper;
  readonly approvals = new Approvals();
  readonly views: Views;
  failing: {sinceMs: number; reason: string} | null = null;
  #plans = 0;
  #sequence = 0;

  constructor() {
    const {clock, picture, hosts, mover} = this;
    const signal = this.end.signal;
    const emit: Emit = (type, host, data) => void this.events.push({type, host, data});
    const audit = {
      write: async (line: AuditLine) => {
        if (line.action === this.unwritable) throw new Error(`no audit line of ${line.action}`);
        this.lines.push(line);
      },
    };
    const command = (async (host: string, verb: string, request: unknown) => {
      this.commands.push({host, verb, request});
      return this.answer(host, verb);
    }) as Commander;
    const drivers = new Drivers(null, silentLog, signal);
    const line = new PlanLine(this.plans, () => `plan-${String(++this.#plans).padStart(4, '0')}`);
    this.keeper = new HostKeeper({picture, hosts, mover, command, token: 7, signal, drivers, emit, audit, clock, log: silentLog});
    const happen: HostKeeper['happen'] = (host, happening) => this.keeper.happen(host, happening);
    const search: Search = async (_, start) => ({assignment: start, cost: 0, steps: 0});
    const here = deskHere(search);
    const desk: PlanDesk = {
      ...here,
      plan: async (...asked) => {
        const plan = await here.plan(...asked);
        await this.meanwhile();
        return plan;
      },
    };
    this.planner = new Planner({picture, line, mover, emit, clock, signal, desk, refreshSizes: async () => undefined});
    this.tuning = new TuneKeeper({picture, command, token: 7, audit, clock, log: silentLog});
    this.relief = new ReliefKeeper({picture, command, token: 7, emit, audit, clock, log: silentLog});
    const {planner, routes, policy, tuning, relief} = this;
    const {approvals} = this;
    this.operator = new Operator({
      picture,
      hosts,
      routes,
      policy,
      planner,
      mover,
      tuning,
      relief,
      approvals,
      happen,
      command,
      token: 7,
      emit,
      clock,
    });
    this.actor = new Actor({picture, planner, mover, happen, emit, audit, clock, log: silentLog});
    this.views = new Views({
      picture,
      name: 'ctl1',
      moves: () => ({records: mover.records(), waiting: mover.waiting()}),
      leader: () => ({holder: 'ctl1', token: 7}),
      failing: () => this.failing,
      plan: id => line.read(id),
      refusedReports: () => this.intake.refused(),
      now: () => clock.now(),
    });
    picture.isComplete = true;
  }

  async setPolicy(policy: Policy = DEFAULT_POLICY): Promise<void> {
    const known = this.policy.rows.get(POLICY_KEY);
    const revision =
      known === undefined ? await this.policy.create(POLICY_KEY, policy) : await this.policy.update(POLICY_KEY, policy, known.revision);
    this.picture.applyPolicy({value: policy, revision});
  }

  async addHost(host: string, over: Partial<HostRecord> = {}): Promise<void> {
    const record: HostRecord = {...newHost(host, 'backend', '10.0.0.1', 'ada', this.clock.now() - 3_600_000), stage: 'active', ...over};
    const revision = await this.hosts.create(host, record);
    this.picture.applyHost({key: host, value: record, revision, storedAtMs: this.clock.now()});
  }

  async addUser(user: string, host: string, bytes = 1_000_000): Promise<void> {
    const route: Route = {v: 1, user, host, generation: 1, move: null, hold: null, flip: null};
    await this.routes.create(userKey(user), route);
    this.picture.applyRoute({value: route, storedAtMs: this.clock.now()});
    this.picture.applySizes(host, [{user, bytes, messages: 1}]);
  }

  /** Enough reports of an age that counts, then a round of judgment. @param slow hosts that deliver late. */
  async rounds(slow: readonly string[] = [], freeBytes = 5e9): Promise<void> {
    const {warmUpMs, sickDwellMs} = this.picture.policy.value.judge;
    const stepMs = 10_000;
    for (let ms = 0; ms <= 2 * warmUpMs + sickDwellMs; ms += stepMs) {
      this.#sequence++;
      for (const host of this.picture.hosts.keys()) this.#report(host, slow.includes(host) ? 90_000 : 200, freeBytes);
      await this.clock.advance(stepMs);
      this.picture.judge(this.mover.records(), this.mover.waiting(), this.clock.now());
    }
  }

  #report(host: string, delayMs: number, freeBytes: number): void {
    const kernel = Object.fromEntries(Object.keys(HostReportSchema.properties.kernel.properties).map(name => [name, null]));
    const report = {
      v: 1,
      host,
      role: 'backend',
      generation: 1,
      sequence: this.#sequence,
      sampledAtMs: this.clock.now(),
      intervalMs: 10_000,
      labels: this.picture.hosts.get(host)?.value.labels ?? {},
      slis: {
        deliveryMsP50: delayMs,
        deliveryMsP95: delayMs,
        queueAgeMsP95: null,
        queueAgeMsMax: null,
        probeDeliveryMs: 100,
        probeLoginMs: 50,
        probeFailureShare: 0,
        imapDropped: 0,
        imapSessions: 9,
      },
      load: {deliveriesPerSecond: 3, loginsPerSecond: 1, imapSessions: 9, users: null, activeUsers: null},
      kernel: kernel as unknown as HostReport['kernel'],
      queue: null,
      mailStore: {totalBytes: 1e10, freeBytes, freeInodes: null},
      routeRevision: null,
      agent: {version: '0.1.0', cpuMs: 1, rssBytes: 1, spooled: 0, dropped: 0, failing: {}},
    } satisfies HostReport;
    this.intake.take(`mailherd.report.${host}`, new TextEncoder().encode(JSON.stringify(report)), this.clock.now());
  }
}

/** A move that ended well and left a copy on its source. */
export function retainedMove(id: string, user: string, source: string, target: string, atMs: number): MoveRecord {
  return {
    v: 1,
    id,
    user,
    source,
    target,
    planId: 'plan-0000',
    because: 'test',
    bytes: 1_000,
    token: 1,
    createdAtMs: atMs - 5_000,
    updatedAtMs: atMs,
    step: 'retained',
    attempts: 0,
    passesMs: [],
    routeRevision: 1,
    hold: null,
    verified: {digest: 'd', messages: 1, folders: 1},
    pauseMs: 400,
    refusal: null,
    timeline: [{step: 'retained', atMs}],
  };
}
