import {Passes} from '../../agent/move/admit.ts';
import type {Copy, HostPorts} from '../../agent/move/host-ports.ts';
import {Running} from '../../agent/move/running.ts';
import type {RouteRow} from '../../agent/route/apply.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Rng} from '../../base/random.ts';
import type {Answer, Request, Verb} from '../../wire/command.ts';
import {AGENT} from './agent.ts';
import type {SimTime} from './clock.ts';
import {Mailbox} from './mailbox.ts';
import {endedBy, SimSeeds} from './seeds.ts';
import type {RouteEntry, World} from './world.ts';

/** Share of passes that leave a message of the copy without all of its text. */
const DAMAGE_SHARE = 0.01;

/** Dovecot's end of a pass, at the target. */
interface CopyEnd {
  isEnded: boolean;
}

/** One simulated host: disk and network are fake, what its agent does with them is the real code. */
export class SimHost {
  readonly name: string;
  readonly isEdge: boolean;
  readonly #world: World;
  readonly #time: SimTime;
  readonly #rng: Rng;
  /** On disk: survives a crash. */
  readonly rows = new Map<string, RouteRow>();
  readonly #deferredUntil = new Map<string, number>();
  appliedRevision = 0;
  #token = 0;
  readonly copies = new Map<string, Copy>();
  readonly mailboxes = new Map<string, Mailbox>();
  /** In memory: gone with a crash. */
  sessions = new Map<string, number>();
  isUp = true;
  isAgentUp = true;
  isCut = false;
  clockOffset = 0;
  diskSlowness = 1;
  isFull = false;
  #turns = new Map<string, Promise<unknown>>();
  #waiters: {revision: number; resolve: () => void}[] = [];
  #passes = new Passes();
  #running = new Running();
  seedsOpen: ConstructorParameters<typeof SimSeeds>[3] = new Map();
  /** What is on disk of copies that are not yet put there: null = nothing. A power cut leaves that. */
  readonly #onDisk = new Map<string, Mailbox | null>();
  /** In memory of Dovecot, which outlives its agent. */
  readonly #copyEnds = new Map<string, CopyEnd[]>();
  #life = 0;

  constructor(world: World, time: SimTime, rng: Rng, name: string, isEdge: boolean) {
    this.#world = world;
    this.#time = time;
    this.#rng = rng;
    this.name = name;
    this.isEdge = isEdge;
  }

  wallSeconds(): number {
    return this.#time.clock(() => this.clockOffset).now() / 1_000;
  }

  isMine(user: string): boolean {
    const row = this.rows.get(user);
    return row !== undefined && AGENT.mayServe(this, row);
  }

  /** The same of mail, which can be put off alone. */
  takesMail(user: string): boolean {
    return this.isMine(user) && (this.#deferredUntil.get(user) ?? 0) <= this.#time.now;
  }

  /** What the view `edge` says. */
  sendsTo(user: string): string | null {
    const row = this.rows.get(user);
    if (row === undefined) return null;
    return row.heldTarget !== null && row.heldUntil > this.wallSeconds() ? row.heldTarget : row.host;
  }

  apply(entry: RouteEntry): void {
    if (entry.revision <= this.appliedRevision) return;
    this.#deferredUntil.delete(entry.route.user);
    this.rows.set(entry.route.user, AGENT.rowOf(entry.route, entry.storedAtMs, this.wallSeconds() * 1_000, this.name));
    this.#endHold(entry);
    this.appliedRevision = entry.revision;
    const reached = this.#waiters.filter(waiter => waiter.revision <= entry.revision);
    this.#waiters = this.#waiters.filter(waiter => waiter.revision > entry.revision);
    for (const waiter of reached) waiter.resolve();
  }

  /** The agent's own end of a hold on the source. */
  #endHold({route, revision}: RouteEntry): void {
    if (route.hold === null || route.host !== this.name) return;
    const life = this.#life;
    const ask = (): void => {
      const row = this.rows.get(route.user);
      if (this.#life !== life || row === undefined || row.heldUntil === 0) return;
      const present = this.#world.routes.get(route.user);
      if (!this.#world.isHeard(this.name, life) || present === undefined) this.#time.at(1_000, ask);
      else if (AGENT.isHoldOver(revision, present.revision)) this.rows.set(route.user, {...row, heldUntil: 0, heldTarget: null});
    };
    this.#time.at(route.hold.spanMs, ask);
  }

  /** Counts the agent's starts. */
  get life(): number {
    return this.#life;
  }

  /** Power loss (everything) or kill -9 of the agent alone (with its children, as systemd does). */
  crash(wholeHost: boolean): void {
    this.#life++;
    this.isAgentUp = false;
    this.#turns = new Map();
    this.#waiters = [];
    this.#passes = new Passes();
    this.#running = new Running();
    this.seedsOpen = new Map();
    if (wholeHost) {
      this.isUp = false;
      this.sessions = new Map();
      this.#endCopies(null);
      for (const [user, mailbox] of this.#onDisk) {
        if (mailbox === null) this.mailboxes.delete(user);
        else this.mailboxes.set(user, mailbox);
      }
      this.#onDisk.clear();
    }
  }

  /** It never comes back with what it had. */
  burn(): void {
    this.crash(true);
    for (const part of [this.mailboxes, this.copies, this.rows, this.#onDisk]) part.clear();
  }

  /**
   * Dovecot's end of a pass to this host: should the source's be gone by then, it goes on with what it has heard, unless it was ended before.
   */
  begunCopy(user: string, heard: Mailbox, lastsMs: number): CopyEnd {
    const end: CopyEnd = {isEnded: false};
    const ends = (this.#copyEnds.get(user) ?? []).filter(({isEnded}) => !isEnded);
    this.#copyEnds.set(user, [...ends, end]);
    this.#time.at(lastsMs, () => {
      if (end.isEnded || !this.isUp || this.isFull) return;
      end.isEnded = true;
      this.#world.overwritten(user, this.name, heard);
      this.write(user, heard.clone());
    });
    return end;
  }

  #endCopies(user: string | null): void {
    for (const [whose, ends] of this.#copyEnds) if (user === null || whose === user) for (const end of ends) end.isEnded = true;
  }

  /** Writes a copy, not yet to disk. */
  write(user: string, copy: Mailbox): void {
    if (!this.#onDisk.has(user)) this.#onDisk.set(user, this.mailboxes.get(user)?.clone() ?? null);
    this.mailboxes.set(user, copy);
  }

  persist(user: string): void {
    this.#onDisk.delete(user);
  }

  /** Puts a seed that has come on disk, as it came, whatever is written over it meanwhile; then it is noted. Never resolves when the agent dies before. */
  async storeSeed(user: string, seed: Mailbox, note: () => Promise<void>): Promise<void> {
    await this.#disk(this.#life, this.#rng.between(2, 400));
    if (this.#onDisk.has(user)) this.#onDisk.set(user, seed.clone());
    await note();
  }

  /** A started agent reads the whole bucket again. */
  restart(): void {
    this.isUp = true;
    this.isAgentUp = true;
    this.appliedRevision = 0;
  }

  /** A command as it reaches the agent; one user's commands run in turn. Never answers when the agent dies meanwhile. */
  async command<V extends Verb>(verb: V, request: Request<V>): Promise<Answer<V>> {
    const life = this.#life;
    const row = (user: string): RouteRow | null => this.rows.get(user) ?? null;
    const key = AGENT.turnOf({host: this.name, routes: {row}}, verb, 'user' in request ? request.user : null);
    const before = key === null ? Promise.resolve() : (this.#turns.get(key) ?? Promise.resolve());
    const work = (): Promise<Answer<V>> =>
      this.#life === life ? AGENT.serve(AGENT.equip(this.#ports(life), this), verb, request) : new Promise(() => undefined);
    const mine = before.then(work, work);
    if (key === null) return mine;
    this.#turns.set(
      key,
      mine.catch(() => undefined),
    );
    return mine;
  }

  /** Work on the disk: takes time, and never ends if the agent dies before. */
  async #disk(life: number, ms: number): Promise<void> {
    await this.#time.sleep(ms * this.diskSlowness);
    if (this.#life !== life) await new Promise(() => undefined);
  }

  #ports(life: number): HostPorts {
    const clock = this.#time.clock(() => this.clockOffset);
    const durable = (change: () => void) => async (): Promise<void> => {
      await this.#disk(life, 2);
      change();
    };
    return {
      host: this.name,
      clock,
      tune: null,
      relief: null,
      routes: {
        row: user => this.rows.get(user) ?? null,
        usersHere: () => [...this.rows.values()].filter(({host}) => host === this.name).map(({user}) => user),
        revision: () => this.appliedRevision,
        reached: (revision, timeoutMs) => this.#reached(revision, timeoutMs),
        defer: (user, spanMs) => void this.#deferredUntil.set(user, this.#time.now + spanMs),
      },
      memory: {
        highestToken: () => this.#token,
        rememberToken: token =>
          durable(() => {
            this.#token = Math.max(this.#token, token);
          })(),
        copies: () => [...this.copies.values()],
        copy: user => this.copies.get(user) ?? null,
        putCopy: copy =>
          durable(() => {
            this.copies.set(copy.user, copy);
          })(),
        removeCopy: user =>
          durable(() => {
            this.copies.delete(user);
          })(),
      },
      passes: this.#passes,
      running: this.#running,
      queue: {count: async () => 0, retry: async () => 0},
      store: this.#store(life),
      files: this.#files(life),
    };
  }

  #files(life: number): HostPorts['files'] {
    const disk = (ms: number): Promise<void> => this.#disk(life, ms);
    const seeds = new SimSeeds(this.#world, this, this.#rng, this.seedsOpen, disk);
    return {
      offer: terms => seeds.offer(terms),
      end: user => seeds.end(user),
      hasJustCome: user => seeds.hasJustCome(user),
      send: (...sent) => seeds.send(...sent),
      persist: async users => {
        for (const user of users) await seeds.stored(user);
        await disk(this.#rng.between(2, 40));
        for (const user of users) this.persist(user);
      },
    };
  }

  #store(life: number): HostPorts['store'] {
    return {
      exists: async user => this.mailboxes.has(user),
      outside: async () => ({mail: null, goes: [], stays: []}),
      freeBytes: async () => (this.isFull ? 0 : 1e12),
      needs: async () => [],
      offers: async () => [],
      backup: async (user, address, _full, signal) => {
        const mailbox = this.#own(user);
        const target = this.#world.host(address);
        const snapshot = mailbox.clone();
        const tookMs = 20 + mailbox.messages.size * this.#rng.between(1, 4);
        const other = target.begunCopy(user, snapshot, tookMs * this.diskSlowness + this.#rng.between(0, 15_000));
        await endedBy(signal, this.#disk(life, tookMs));
        if (other.isEnded) throw new MailherdError('COPY_FAILED', {user, reason: 'ended there'});
        other.isEnded = true;
        if (!target.isUp || target.isCut !== this.isCut) throw new MailherdError('COPY_FAILED', {user, reason: 'target does not answer'});
        if (target.isFull) throw new MailherdError('COPY_FAILED', {user, reason: 'no space left on device'});
        const present = target.mailboxes.get(user);
        if (present !== undefined && (present.isTorn || present.uidValidity !== snapshot.uidValidity))
          throw new MailherdError('COPY_FAILED', {user, reason: 'INBOX cannot be deleted'});
        this.#world.overwritten(user, address, snapshot);
        const copy = snapshot.overwriting(present);
        if (this.#world.options.trouble > 0 && this.#rng.unit() < DAMAGE_SHARE) this.#damage(copy);
        target.write(user, copy);
        return {again: mailbox.changes !== snapshot.changes};
      },
      carry: async (user, address) => {
        const mailbox = this.#own(user);
        await this.#disk(life, 30);
        const target = this.#world.host(address);
        if (!target.isUp || target.isFull) throw new MailherdError('COPY_FAILED', {user, reason: 'target takes nothing'});
        const there = target.mailboxes.get(user);
        if (there === undefined) throw new MailherdError('COPY_FAILED', {user, reason: 'no mailbox there'});
        there.mergeFrom(mailbox);
      },
      endCopies: async user => {
        await this.#disk(life, 1);
        this.#endCopies(user);
      },
      deliveriesOver: async () => {
        await this.#disk(life, this.#rng.between(10, 150));
        return 0;
      },
      endSessions: async user => {
        await this.#disk(life, this.#rng.between(1, 15));
        const sessions = this.sessions.get(user) ?? 0;
        if (sessions > 0) this.#world.kicked(user, sessions);
        this.sessions.delete(user);
        return sessions;
      },
      folders: async user => {
        await this.#disk(life, this.#rng.between(1, 5));
        return this.#own(user).manifest().folders;
      },
      manifest: async user => {
        await this.#disk(life, this.#rng.between(10, 60));
        return (this.mailboxes.get(user) ?? new Mailbox(0)).manifest();
      },
      readTexts: async user => {
        await this.#disk(life, this.#rng.between(10, 200));
        // Where nothing lies Dovecot makes an INBOX of its own by looking, under a pass that runs.
        if (!this.mailboxes.has(user)) this.write(user, new Mailbox(0));
        return this.#own(user).messages.size;
      },
      readAhead: async () => undefined,
      forgetTexts: () => undefined,
      remove: async user => {
        this.#world.removing(user, this.name);
        await this.#disk(life, 10);
        this.mailboxes.delete(user);
        this.#onDisk.delete(user);
        return 0;
      },
      sizes: async users => users.map(user => ({user, bytes: 1, messages: 1})),
    };
  }

  #damage({messages}: Mailbox): void {
    if (messages.size > 0) this.#rng.pick([...messages.values()]).isWhole = false;
  }

  #own(user: string): Mailbox {
    const mailbox = this.mailboxes.get(user);
    if (mailbox === undefined) throw new MailherdError('COPY_FAILED', {user, reason: `no mailbox on ${this.name}`});
    return mailbox;
  }

  #reached(revision: number, timeoutMs: number): Promise<void> {
    if (this.appliedRevision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const cancel = this.#time.at(timeoutMs, () =>
        reject(new MailherdError('ROUTE_LAGS', {host: this.name, wanted: revision, applied: this.appliedRevision})),
      );
      this.#waiters.push({
        revision,
        resolve: () => {
          cancel();
          resolve();
        },
      });
    });
  }
}
