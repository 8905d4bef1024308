import {MailherdError} from '../../base/errors.ts';
import {type Rng, seededRng} from '../../base/random.ts';
import {MoveEngine} from '../../coordinator/move/engine.ts';
import type {MovePorts} from '../../coordinator/move/move-ports.ts';
import type {Log} from '../../wire/log.ts';
import {DEFAULT_POLICY, type Policy} from '../../wire/policy.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {effectiveRoute, type Route} from '../../wire/route.ts';
import {AGENT} from './agent.ts';
import {SimTime, WALL_START} from './clock.ts';
import {SimHost} from './host.ts';
import {Mailbox} from './mailbox.ts';

/** How long a coordinator that lost its lease may go on believing in it. */
const STALE_MS = 20_000;

export interface RouteEntry {
  route: Route;
  revision: number;
  storedAtMs: number;
}

export interface WorldOptions {
  seed: number;
  backends: number;
  users: number;
  /** Share of messages between processes that are lost or late; 0 = a quiet network. */
  trouble: number;
  move?: Partial<Policy['move']>;
}

const POLICY: Policy = {
  ...DEFAULT_POLICY,
  move: {
    ...DEFAULT_POLICY.move,
    concurrentMax: 4,
    perSourceMax: 3,
    perTargetMax: 3,
    catchUpMsMax: 500,
    attemptsMax: 3,
    retainMs: 5_000,
    quietMs: 5_000,
  },
};

/** A farm in which disk, network and time are fake and one seed decides everything; the move code is the real one. */
export class World {
  readonly time = new SimTime();
  readonly rng: Rng;
  readonly options: WorldOptions;
  readonly hosts = new Map<string, SimHost>();
  readonly routes = new Map<string, RouteEntry>();
  readonly #moves = new Map<string, {record: MoveRecord; revision: number}>();
  readonly violations: string[] = [];
  /** Hosts whose evacuation somebody stopped for now. */
  readonly paused = new Set<string>();
  /** Hosts where nobody can be held, as far as the coordinator knows, and why. */
  readonly noHold = new Map<string, string>();
  /** Moves of which somebody was told that they back out. */
  readonly cancelled = new Set<string>();
  /** Of its one edge; null: it does not tell. */
  holdPorts: number | null = null;
  /** Whether the coordinator hears of locks; elsewhere one that is left is a fault of the protocol, and shall show. */
  isLockHeard = false;
  engine: MoveEngine | null = null;
  #engineStop = new AbortController();
  #revision = 0;
  #lease = 0;
  #ids = 0;
  isNatsUp = true;
  #strandedUntilMs = 0;
  /** The wall clock of whoever leads was set. */
  coordinatorOffset = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.rng = seededRng(options.seed);
    for (let index = 1; index <= options.backends; index++) this.#addHost(`be${index}`, false);
    this.#addHost('edge1', true);
    for (let index = 1; index <= options.users; index++) this.addUser(`user${index}`, `be${1 + (index % options.backends)}`);
  }

  host(name: string): SimHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new MailherdError('HOST_UNKNOWN', {host: name});
    return host;
  }

  violate(invariant: string, text: string): void {
    if (this.violations.length < 20) this.violations.push(`${invariant} at ${this.time.now} ms: ${text}`);
  }

  /** Where the KV says the user lives: the truth that everything else follows. */
  owner(user: string): string {
    const entry = this.routes.get(user);
    if (entry === undefined) throw new MailherdError('USER_UNKNOWN', {user});
    return effectiveRoute(entry.route, entry.storedAtMs).host;
  }

  /** null: somebody removed him. */
  #ownerOrNull(user: string): string | null {
    return this.routes.has(user) ? this.owner(user) : null;
  }

  /** A pass must never write over the mailbox of its owner. */
  overwritten(user: string, host: string, snapshot: Mailbox): void {
    if (this.#ownerOrNull(user) === host)
      this.violate('I2', `a pass overwrote ${user} on its own host ${host} (${snapshot.messages.size} messages)`);
  }

  removing(user: string, host: string): void {
    if (this.#ownerOrNull(user) === host) this.violate('I4', `the mailbox of ${user} was removed on its own host ${host}`);
  }

  /** Sessions that were ended by moves, and to where their users move. */
  readonly kicks: {atMs: number; target: string; sessions: number}[] = [];

  kicked(user: string, sessions: number): void {
    this.kicks.push({atMs: this.time.now, target: this.routes.get(user)?.route.move?.target ?? '', sessions});
  }

  /** A new coordinator leads; the one before may not know it yet (`stale`). */
  elect(stale: boolean): void {
    const before = this.#engineStop;
    // A coordinator learns from its lease, late, that it no longer leads.
    if (stale) this.time.at(STALE_MS, () => before.abort());
    else before.abort();
    const token = ++this.#lease;
    const stop = new AbortController();
    this.#engineStop = stop;
    const found = [...this.#moves.values()].map(({record}) => record);
    this.engine = new MoveEngine({
      ports: this.#ports(token),
      policy: () => ({...POLICY, move: {...POLICY.move, ...this.options.move}}),
      pace: () => ({}),
      whereabouts: () => ({apart: new Map(), usersOf: () => [], hostOf: () => null, rackOf: host => host}),
      whyNoHold: host => this.noHold.get(host) ?? null,
      isEmptyingPaused: host => this.paused.has(host),
      newId: () => `move-${String(++this.#ids).padStart(6, '0')}`,
      log: QUIET,
      signal: stop.signal,
      found,
    });
    void this.engine.run();
  }

  /** An administrator takes a user out of the bucket; his files stay where they are. */
  removeUser(user: string): void {
    this.routes.delete(user);
    for (const host of this.hosts.values()) host.rows.delete(user);
  }

  /** The store loses what it knew of moves, and of nothing else. */
  forgetMoves(): void {
    this.#moves.clear();
  }

  get holdMs(): number {
    return {...POLICY.move, ...this.options.move}.holdMs;
  }

  killCoordinator(): void {
    this.#engineStop.abort();
    this.engine = null;
  }

  #addHost(name: string, isEdge: boolean): void {
    this.hosts.set(name, new SimHost(this, this.time, this.rng.fork(name), name, isEdge));
  }

  addUser(user: string, host: string): void {
    const mailbox = new Mailbox(1_000 + this.routes.size);
    for (let count = 0; count < 5; count++) mailbox.append(`${user}-old-${count}`);
    this.host(host).mailboxes.set(user, mailbox);
    this.#store({v: 1, user, host, generation: 1, move: null, hold: null, flip: null});
  }

  #store(route: Route): number {
    const entry = {route, revision: ++this.#revision, storedAtMs: WALL_START + this.time.now};
    this.routes.set(route.user, entry);
    for (const host of this.hosts.values()) this.#deliver(host, entry);
    return entry.revision;
  }

  /** A watch: entries come late, but in order; a host that was cut off gets all it missed when it is back. */
  #deliver(host: SimHost, entry: RouteEntry): void {
    const lateness = this.rng.unit() < this.options.trouble ? this.rng.between(50, 8_000) : this.rng.between(0.3, 5);
    this.time.at(lateness, () => AGENT.hear(this, host, entry));
  }

  catchUp(host: SimHost): void {
    if (!host.isAgentUp || host.isCut || !this.isNatsUp) return;
    const missed = [...this.routes.values()]
      .filter(({revision}) => revision > host.appliedRevision)
      .sort((a, b) => a.revision - b.revision);
    for (const entry of missed) host.apply(entry);
  }

  /** A request to the store: may never get there, or its answer may be lost, or it may get there late. */
  async #request<T>(work: () => T): Promise<T> {
    const {rng, time, options} = this;
    const lost = (): MailherdError => new MailherdError('NATS_DOWN', {});
    await time.sleep(rng.between(0.2, 3));
    const fate = rng.unit();
    if (!this.isNatsUp || fate < options.trouble / 3) {
      await time.sleep(5_000);
      throw lost();
    }
    if (fate < options.trouble / 2) {
      // The sender gives up; the request arrives all the same, much later.
      time.at(rng.between(5_000, 40_000), () => {
        try {
          work();
        } catch (error) {
          if (!(error instanceof MailherdError)) throw error;
        }
      });
      await time.sleep(5_000);
      throw lost();
    }
    const result = work();
    await time.sleep(rng.between(0.2, 3));
    if (rng.unit() < options.trouble / 3) {
      await time.sleep(5_000);
      throw lost();
    }
    return result;
  }

  /** The worst moment: the coordinator dies with its flip still on the way, and nobody backs out before the hold has ended. */
  #strandedFlip(write: () => number): Promise<number> {
    this.killCoordinator();
    const spanMs = this.rng.between(75_000, 90_000);
    this.#strandedUntilMs = this.time.now + spanMs;
    this.time.at(this.rng.between(1_000, 70_000), () => {
      try {
        write();
      } catch (error) {
        if (!(error instanceof MailherdError)) throw error;
      }
    });
    this.time.at(spanMs, () => this.elect(false));
    return new Promise(() => undefined);
  }

  /** No coordinator is started meanwhile. */
  get isStranded(): boolean {
    return this.time.now < this.#strandedUntilMs;
  }

  #ports(token: number): MovePorts {
    return {
      clock: this.time.clock(() => this.coordinatorOffset),
      token: () => token,
      command: (host, verb, request, timeoutMs) => this.#command(host, timeoutMs, () => this.host(host).command(verb, request)),
      readRoute: user => this.#request(() => this.routes.get(user) ?? null),
      writeRoute: (route, expected) => {
        const write = (): number => {
          if (this.routes.get(route.user)?.revision !== expected) throw new MailherdError('STORE_CONFLICT', {user: route.user});
          return this.#store(route);
        };
        if (route.flip !== null && this.options.trouble > 0 && this.rng.unit() < 0.12) return this.#strandedFlip(write);
        return this.#request(write);
      },
      storeMove: async record => {
        // The real port tries until it knows.
        await this.time.sleep(this.rng.between(0.5, 4));
        const present = this.#moves.get(record.id);
        if (present !== undefined && present.record.token > token) throw new MailherdError('NOT_LEADER', {moveId: record.id});
        const revision = (present?.revision ?? 0) + 1;
        this.#moves.set(record.id, {record, revision});
      },
      removeMove: id =>
        this.#request(() => {
          this.#moves.delete(id);
        }),
      loadMoves: () => this.#request(() => [...this.#moves.values()].map(({record}) => record)),
      address: host => host,
      edges: () => ['edge1'],
      locks: () =>
        this.isLockHeard
          ? [...this.routes.values()].flatMap(({route: {user, move}}) => (move === null ? [] : [{user, moveId: move.id}]))
          : [],
      holdPorts: () => this.holdPorts,
      digest: text => text,
      stepped: () => undefined,
    };
  }

  isHeard(name: string, life: number): boolean {
    const host = this.host(name);
    return host.isAgentUp && host.life === life && !host.isCut && this.isNatsUp;
  }

  #command<T>(name: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
    const {rng, time, options} = this;
    return new Promise((resolve, reject) => {
      const overMs = time.now + timeoutMs;
      const {life} = this.host(name);
      let isWorking = false;
      // An agent that works says so every few seconds; silence or the end of the time ends the waiting.
      const listen = (): void => {
        if (time.now >= overMs || !(isWorking && this.isHeard(name, life))) reject(new MailherdError('HOST_SILENT', {host: name}));
        else giveUp = time.at(Math.min(overMs - time.now, 15_000), listen);
      };
      let giveUp = time.at(Math.min(timeoutMs, 15_000), listen);
      const settle = (finish: () => void): void => {
        if (rng.unit() < options.trouble / 3) return;
        time.at(rng.between(0.2, 3), () => {
          giveUp();
          finish();
        });
      };
      if (rng.unit() < options.trouble / 3) return;
      const lateness = rng.unit() < options.trouble / 4 ? rng.between(1_000, 40_000) : rng.between(0.2, 3);
      const arrive = (): void => {
        // Core NATS keeps nothing: what was sent to an agent that has been started anew never comes.
        if (!this.isHeard(name, life)) return;
        isWorking = true;
        work().then(
          value => settle(() => resolve(value)),
          error => settle(() => reject(error)),
        );
      };
      time.at(lateness, arrive);
      // A duplicate, as a coordinator makes that lost the answer and asks again.
      if (rng.unit() < options.trouble / 3) time.at(lateness + rng.between(1, rng.unit() < 0.5 ? 1_500 : 20_000), arrive);
    });
  }
}

const QUIET: Log = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};
