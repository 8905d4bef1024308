import type {Instant} from '../base/units.ts';
import {DEFAULT_POLICY, type Policy} from '../wire/policy.ts';
import {type HostRecord, type Hurt, isSettled, type MoveRecord} from '../wire/record.ts';
import {effectiveRoute, type Route} from '../wire/route.ts';
import {domainOf} from '../wire/schema.ts';
import type {Stored} from './bucket-port.ts';
import {CapacityHistory} from './capacity.ts';
import {emptyFleet, type Fleet, fleetHost, type MailboxFacts, rackOf, usersByHost} from './fleet.ts';
import {type FlowMemory, type FlowOutcome, flow, resumedMemory} from './flow.ts';
import {verdictOf} from './health/judge.ts';
import {type HostFacts, retainedOn} from './host/facts.ts';
import {IncidentBook} from './incident/book.ts';
import type {WaitingMove} from './move/mover.ts';
import type {Whereabouts} from './move/order.ts';
import {apartOf} from './plan/rules.ts';

const HURT_HISTORY_MAX = 10_000;
/** An unchanged share of customers hurt is noted this often. */
const HURT_NOTE_MS = 30_000;

/** A route entry beyond what planning needs of it. */
interface RouteLock {
  source: string;
  target: string;
  held: boolean;
}

/**
 * What one coordinator holds in memory of the farm: records and routes as its watches brought them, reports folded in, and the judgment
 * of the last round. Leaders and followers keep the same picture; nothing in it is lost with the process but what is usual on each host: who is sick stands in the incident that lasts.
 */
export class Picture {
  readonly fleet: Fleet = emptyFleet();
  readonly hosts = new Map<string, Stored<HostRecord>>();
  readonly locks = new Map<string, RouteLock>();
  readonly moves = new Map<string, MoveRecord>();
  policy: {value: Policy; revision: number} = {value: DEFAULT_POLICY, revision: 0};
  /** Planned and not begun; only the leader has any. */
  waiting: readonly WaitingMove[] = [];
  /** False until every watch has delivered what was there: until then nothing is known to be absent. */
  isComplete = false;
  outcome: FlowOutcome | null = null;
  readonly hurtHistory: Hurt[] = [];
  readonly incidents = new IncidentBook();
  readonly capacity = new CapacityHistory();
  readonly #wellSince = new Map<string, {generation: number; sinceMs: Instant}>();
  readonly #blamelessSince = new Map<string, Instant>();
  /** null before the first round. */
  #memory: FlowMemory | null = null;
  #names: string[] | null = null;
  readonly #domains = new Map<string, readonly string[]>();
  #users: Map<string, number> | null = null;

  applyHost(entry: Stored<HostRecord>): void {
    const known = this.hosts.get(entry.key);
    if (known !== undefined && known.revision > entry.revision) return;
    this.hosts.set(entry.key, entry);
    const host = this.fleet.hosts.get(entry.key);
    if (host === undefined) this.fleet.hosts.set(entry.key, fleetHost(entry.value));
    else host.record = entry.value;
  }

  /** All comes again, and counts as it comes; what is written by then conflicts. */
  forgetRevisions(): void {
    for (const [host, entry] of this.hosts) this.hosts.set(host, {...entry, revision: 1});
    this.policy = {...this.policy, revision: 1};
  }

  removeHost(host: string): void {
    this.hosts.delete(host);
    this.fleet.hosts.delete(host);
  }

  applyRoute({value, storedAtMs}: {value: Route; storedAtMs: Instant}): void {
    const {user, host, generation} = effectiveRoute(value, storedAtMs);
    if (!this.fleet.routes.has(user)) this.#usersChanged();
    this.#users = null;
    this.fleet.routes.set(user, {host, generation, moveId: value.move?.id ?? null});
    if (value.move === null) this.locks.delete(user);
    else this.locks.set(user, {source: value.move.source, target: value.move.target, held: value.hold !== null});
  }

  removeRoute(user: string): void {
    this.fleet.routes.delete(user);
    this.fleet.mailboxes.delete(user);
    this.locks.delete(user);
    this.#usersChanged();
    this.#users = null;
  }

  /** Whose route is locked, and by which move. */
  locked(): {user: string; moveId: string}[] {
    return [...this.locks.keys()].flatMap(user => {
      const moveId = this.fleet.routes.get(user)?.moveId ?? null;
      return moveId === null ? [] : [{user, moveId}];
    });
  }

  #usersChanged(): void {
    this.#names = null;
    this.#domains.clear();
  }

  applyPolicy({value, revision}: {value: Policy; revision: number}): void {
    if (revision >= this.policy.revision) this.policy = {value, revision};
  }

  applyMove(move: MoveRecord): void {
    this.moves.set(move.id, move);
  }

  /** All user names in order; kept until one comes or goes. */
  userNames(): readonly string[] {
    this.#names ??= [...this.fleet.routes.keys()].sort();
    return this.#names;
  }

  /** For the order of moves. Users of a domain are looked for once, and again when some came or went. */
  whereabouts(): Whereabouts {
    const {fleet} = this;
    return {
      apart: apartOf(this.policy.value.place),
      usersOf: domain => {
        const known = this.#domains.get(domain) ?? [...fleet.routes.keys()].filter(user => domainOf(user) === domain);
        this.#domains.set(domain, known);
        return known;
      },
      hostOf: user => fleet.routes.get(user)?.host ?? null,
      rackOf: name => rackOf(fleet, name),
    };
  }

  /** How many users live on a host. */
  usersOn(host: string): number {
    this.#users ??= usersByHost(this.fleet);
    return this.#users.get(host) ?? 0;
  }

  /**
   * Sizes and loads as one host lists them; users that live elsewhere by now keep what is known of them. A host that has not watched a
   * mailbox for long tells no load: what the host before told stands until then.
   */
  applySizes(host: string, mailboxes: readonly (MailboxFacts & {user: string})[]): void {
    for (const {user, bytes, messages, deliveriesPerDay, sessionsPerDay} of mailboxes) {
      if (this.fleet.routes.get(user)?.host !== host) continue;
      const known = this.fleet.mailboxes.get(user);
      this.fleet.mailboxes.set(user, {
        bytes,
        messages,
        deliveriesPerDay: deliveriesPerDay ?? known?.deliveriesPerDay ?? null,
        sessionsPerDay: sessionsPerDay ?? known?.sessionsPerDay ?? null,
      });
    }
  }

  /** One round of judgment on the picture as it is. @param moves newest state of all moves. */
  judge(moves: readonly MoveRecord[], waiting: readonly WaitingMove[], nowMs: Instant): FlowOutcome {
    this.fleet.moves = moves;
    this.waiting = waiting;
    this.fleet.waiting = waiting.map(({planned}) => planned);
    for (const host of this.fleet.hosts.values()) host.awaitedSinceMs ??= nowMs;
    this.fleet.experiments = this.incidents.experiments();
    this.#memory ??= resumedMemory(this.#wereSick(), nowMs);
    const outcome = flow(this.fleet, this.#memory, this.policy.value, nowMs);
    this.#memory = outcome.memory;
    this.outcome = outcome;
    this.#noteHurt(outcome.hurt);
    this.#noteWell(outcome, nowMs);
    this.#noteBlameless(outcome, nowMs);
    return outcome;
  }

  /** One on probation came back as another host. */
  #wereSick(): string[] {
    return this.incidents.sick().filter(host => this.hosts.get(host)?.value.stage !== 'probation');
  }

  /** Takes in what was judged before this process; in order of time. */
  restoreHurt(hurt: Hurt): void {
    this.hurtHistory.push(hurt);
    if (this.hurtHistory.length > HURT_HISTORY_MAX) this.hurtHistory.shift();
  }

  #noteHurt(hurt: Hurt): void {
    const last = this.hurtHistory.at(-1);
    const isSame = last !== undefined && last.usersHurt === hurt.usersHurt && last.users === hurt.users;
    if (!isSame || hurt.atMs - last.atMs >= HURT_NOTE_MS) this.restoreHurt(hurt);
  }

  #noteWell({verdicts}: FlowOutcome, nowMs: Instant): void {
    for (const {host, kind} of verdicts) {
      const generation = this.fleet.hosts.get(host)?.reports.at(-1)?.generation;
      const isWell = (kind === 'healthy' || kind === 'unknown') && generation !== undefined && this.#reportsFreshly(host, nowMs);
      if (!isWell) this.#wellSince.delete(host);
      else if (this.#wellSince.get(host)?.generation !== generation) this.#wellSince.set(host, {generation, sinceMs: nowMs});
    }
  }

  #noteBlameless({verdicts, cohorts}: FlowOutcome, nowMs: Instant): void {
    const blamed = new Set(cohorts.flatMap(({explained, members}) => (explained ? members : [])));
    for (const {host} of verdicts) {
      if (blamed.has(host)) this.#blamelessSince.delete(host);
      else if (!this.#blamelessSince.has(host)) this.#blamelessSince.set(host, nowMs);
    }
  }

  #reportsFreshly(host: string, nowMs: Instant): boolean {
    const receivedAtMs = this.fleet.hosts.get(host)?.receivedAtMs ?? null;
    return receivedAtMs !== null && nowMs - receivedAtMs <= this.policy.value.judge.silentMs;
  }

  /** Milliseconds since the newest report of a host came; null while none has. */
  reportAgeMs(host: string, nowMs: Instant): number | null {
    const receivedAtMs = this.fleet.hosts.get(host)?.receivedAtMs ?? null;
    return receivedAtMs === null ? null : Math.max(0, nowMs - receivedAtMs);
  }

  /** What is known of one host now; what is not known yet is null. */
  factsOf(host: string, moves: readonly MoveRecord[], waiting: readonly WaitingMove[], driver: HostFacts['driver']): HostFacts {
    const report = this.fleet.hosts.get(host)?.reports.at(-1);
    const isOf = ({source, target}: {source: string; target: string}): boolean => source === host || target === host;
    const running = moves.filter(move => !isSettled(move) && isOf(move)).length;
    const locked = [...this.locks.values()].filter(isOf).length;
    return {
      report: report === undefined ? null : {generation: report.generation, installation: report.agent.installation, labels: report.labels},
      verdict: verdictOf(host, this.outcome?.verdicts)?.kind ?? null,
      wellSinceMs: this.#wellSince.get(host)?.sinceMs ?? null,
      blamelessSinceMs: this.#blamelessSince.get(host) ?? null,
      users: this.isComplete ? this.usersOn(host) : null,
      moves: this.isComplete ? running + locked : null,
      waiting: waiting.filter(({planned}) => isOf(planned)).length,
      retained: retainedOn(host, moves),
      driver,
    };
  }
}
