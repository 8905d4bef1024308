import {chmodSync, chownSync, existsSync, statSync} from 'node:fs';
import {dirname} from 'node:path';
import {DatabaseSync, type StatementSync} from 'node:sqlite';
import {setImmediate} from 'node:timers/promises';
import {MailherdError} from '../../base/errors.ts';
import {type Instant, MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {Entry} from '../../wire/bucket.io.ts';
import type {Log} from '../../wire/log.ts';
import type {Relief} from '../../wire/report.ts';
import type {Route} from '../../wire/route.ts';
import {ROUTES_DB_SCHEMA} from '../../wire/routes-db.ts';
import type {Role} from '../../wire/schema.ts';
import {FENCE_MAX_MS, hasGoneBack, isHoldOver, type RouteRow, rowOf} from './apply.ts';
import type {HoldingPorts} from './holding.io.ts';
import {Reminder} from './reminder.ts';

/** The route table of this host: who lives where, as Postfix and Dovecot see it at their next lookup. */
export interface RouteTable {
  /** Highest revision of the route bucket that is in force here; 0 before the first one. */
  revision(): number;
  /** Users whose route names this host. */
  userCount(): number;
  usersHere(): string[];
  row(user: string): RouteRow | null;
  /** Resolves once `revision` is in force. @throws MailherdError ROUTE_LAGS after `timeoutMs`. */
  reached(revision: number, timeoutMs: Millis): Promise<void>;
}

interface TableOptions {
  path: string;
  host: string;
  /** Always routed here, known to this host only. */
  probeUser: string | null;
  /** How long nobody is served unless the routes become current: the host has booted, its disk may be an old one. 0 = it has not. */
  fenceMs: Millis;
  /** On an edge: where logins of held users wait; null elsewhere. */
  holding: HoldingPorts | null;
  log: Log;
  signal: AbortSignal;
}

const ASK_AGAIN_MS = 1_000;
const USERS_TOLD_MAX = 20;
/** In one transaction: some 4 ms, for which the thread does nothing else. */
const CHANGES_MAX = 1_000;

export type RouteChange = {entry: Entry<Route>} | {removedKey: string; revision: number};

/**
 * Opens `routes.db`, creates it when absent. It stays open as long as `signal` lasts: a WAL database that nobody has open cannot
 * be read by a process that may not write it. So this comes first when a host boots, before NATS is even looked for.
 * @throws MailherdError CONFIG_INVALID when it is another host's table; SQLite's errors.
 */
export function openRouteTable({path, host, probeUser, fenceMs, holding, log, signal}: TableOptions): SqliteRouteTable {
  const table = new SqliteRouteTable(path, host, holding, log);
  if (fenceMs > 0) table.fenceBoot(fenceMs);
  if (probeUser !== null) table.pin(probeUser, host);
  signal.addEventListener('abort', () => table.close());
  return table;
}

export class SqliteRouteTable implements RouteTable {
  readonly #db: DatabaseSync;
  readonly #host: string;
  readonly #holding: HoldingPorts | null;
  /** Users that only this host knows, and where they are. */
  readonly #pinned = new Map<string, string>();
  /** Users whose logins wait at a port. */
  readonly #waitingUsers = new Set<string>();
  readonly #upsert: StatementSync;
  readonly #generationOf: StatementSync;
  readonly #remove: StatementSync;
  readonly #advance: StatementSync;
  readonly #defer: StatementSync;
  readonly #undefer: StatementSync;
  #revision: number;
  #pending: RouteChange[] = [];
  #waiters: {revision: number; resolve: () => void}[] = [];
  #closed = false;
  /** While the fence of a boot is up. */
  #fenceTimer: NodeJS.Timeout | null = null;
  #ask: ((user: string) => Promise<number | null>) | null = null;
  readonly #log: Log;
  readonly #silence = new Reminder(MINUTE_MS);

  constructor(path: string, host: string, holding: HoldingPorts | null, log: Log) {
    this.#host = host;
    this.#holding = holding;
    this.#log = log;
    this.#db = new DatabaseSync(path, {timeout: 5_000});
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    this.#db.exec(ROUTES_DB_SCHEMA);
    giveToReaders(path);
    // Logins that waited at a port of the agent before this one are gone, and so is what would end its deferrals were the clock set back.
    this.#db.exec('UPDATE routes SET hold_port = NULL; DELETE FROM deferrals');
    const self = this.#db.prepare('SELECT name, revision FROM self').get() as {name: string; revision: number} | undefined;
    if (self === undefined) this.#db.prepare('INSERT INTO self (name, revision) VALUES (?, 0)').run(host);
    else if (self.name !== host)
      throw new MailherdError('CONFIG_INVALID', {file: path, reason: `this table is of host ${self.name}, not ${host}`});
    this.#revision = self?.revision ?? 0;
    this.#upsert = this.#db.prepare(
      `INSERT INTO routes (user, host, generation, held_until, held_target, hold_port) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (user) DO UPDATE SET host = excluded.host, generation = excluded.generation,
         held_until = excluded.held_until, held_target = excluded.held_target, hold_port = excluded.hold_port`,
    );
    this.#generationOf = this.#db.prepare('SELECT generation FROM routes WHERE user = ?');
    this.#remove = this.#db.prepare('DELETE FROM routes WHERE user = ?');
    this.#advance = this.#db.prepare('UPDATE self SET revision = ?');
    this.#defer = this.#db.prepare(
      'INSERT INTO deferrals (user, until) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET until = excluded.until',
    );
    this.#undefer = this.#db.prepare('DELETE FROM deferrals WHERE user = ? AND until <= ?');
  }

  /** Routes a user that no bucket knows, here or elsewhere, whatever the buckets say. */
  pin(user: string, host: string): void {
    if (this.#pinned.get(user) === host) return;
    this.#pinned.set(user, host);
    this.#upsert.run(user, host, 0, 0, null, null);
  }

  /** Of users who were held when the host went down a flip may have been stored since: they wait for NATS as long as any held one. */
  fenceBoot(spanMs: Millis): void {
    this.fence(spanMs);
    const heldUntil = (Date.now() + FENCE_MAX_MS) / SECOND_MS;
    this.#db.prepare('UPDATE routes SET held_until = ? WHERE host = ? AND held_until > 0').run(heldUntil, this.#host);
  }

  /** Serves nobody here for that long, also where the clock is set back meanwhile; `current` ends it. */
  fence(spanMs: Millis): void {
    if (this.#fenceTimer !== null) clearTimeout(this.#fenceTimer);
    this.#fenceUntil(Date.now() + spanMs);
    this.#fenceTimer = setTimeout(() => this.#unfence(), spanMs).unref();
  }

  /** NATS answers and refuses this host: it may be one that the farm has parted with. A fence that is still up stays. */
  refused(): void {
    if (this.#fenceTimer !== null) this.fence(FENCE_MAX_MS);
  }

  #unfence(): void {
    if (this.#fenceTimer !== null) clearTimeout(this.#fenceTimer);
    this.#fenceTimer = null;
    if (!this.#closed) this.#fenceUntil(0);
  }

  #fenceUntil(untilMs: Instant): void {
    this.#db.prepare('UPDATE self SET fenced_until = ?').run(untilMs / SECOND_MS);
  }

  defer(user: string, spanMs: Millis): void {
    const until = (Date.now() + spanMs) / SECOND_MS;
    this.#defer.run(user, until);
    // Also where the clock was set back meanwhile.
    setTimeout(() => this.#closed || this.#undefer.run(user, until), spanMs).unref();
  }

  /** All of the bucket comes again, with numbers of its own: nothing counts as reached by those of before. */
  anew(): void {
    this.#pending = [];
    this.#revision = 0;
    this.#advance.run(0);
  }

  /** All that there is was taken: resolves once it is in force. */
  async current(): Promise<void> {
    await this.#applyAll();
    this.#unfence();
  }

  putHost(name: string, address: string): void {
    this.#db
      .prepare('INSERT INTO hosts (name, address) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET address = excluded.address')
      .run(name, address);
  }

  removeHost(name: string): void {
    this.#db.prepare('DELETE FROM hosts WHERE name = ?').run(name);
  }

  /** Of every host of the farm that is known here. */
  addresses(): string[] {
    return this.#db
      .prepare('SELECT address FROM hosts')
      .all()
      .map(row => String(row.address));
  }

  /** From now on Postfix's relief maps say where queued mail goes, until the relief is over by SQLite's own clock. */
  relieve({relay, sinceMs, untilMs, by}: Relief): void {
    this.#db.exec('BEGIN IMMEDIATE');
    this.#db.exec('DELETE FROM relief');
    this.#db
      .prepare('INSERT INTO relief (next_hop, since, until, by) VALUES (?, ?, ?, ?)')
      .run(relay ?? '', sinceMs / SECOND_MS, untilMs / SECOND_MS, by);
    this.#db.exec('COMMIT');
  }

  /** Its row stays: what deliveries that go on are told is kept for a while yet. */
  endRelief(nowMs: Instant): void {
    this.#db.prepare('UPDATE relief SET until = min(until, ?)').run(nowMs / SECOND_MS);
  }

  /** Null when the queue is not being relieved at `nowMs`. */
  relief(nowMs: Instant): Relief | null {
    const row = this.#db.prepare('SELECT next_hop, since, until, by FROM relief WHERE until > ?').get(nowMs / SECOND_MS);
    if (row === undefined) return null;
    const {next_hop: relay, since, until, by} = row as {next_hop: string; since: number; until: number; by: string};
    const ms = (seconds: number): Instant => Math.round(seconds * SECOND_MS);
    return {relay: relay === '' ? null : relay, sinceMs: ms(since), untilMs: ms(until), by};
  }

  /** Changes that arrive together go into one transaction: a large farm's first ones are a few, a flip is one of its own. */
  take(change: RouteChange): void {
    this.#pending.push(change);
    if (this.#pending.length === 1) void this.#applyAll();
  }

  /** With room for all else between one transaction and the next. */
  async #applyAll(): Promise<void> {
    do {
      await setImmediate();
      this.#apply();
    } while (!this.#closed && this.#pending.length > 0);
  }

  #apply(): void {
    if (this.#closed || this.#pending.length === 0) return;
    const changes = this.#pending.splice(0, CHANGES_MAX);
    const released: string[] = [];
    const dropped: string[] = [];
    const goneBack: string[] = [];
    let revision = this.#revision;
    this.#db.exec('BEGIN IMMEDIATE');
    for (const change of changes) {
      if ('entry' in change) {
        const row = rowOf(change.entry.value, change.entry.storedAtMs, Date.now(), this.#host);
        revision = Math.max(revision, change.entry.revision);
        if (hasGoneBack(row, this.#generationOf.get(row.user) as Pick<RouteRow, 'generation'> | undefined)) {
          goneBack.push(row.user);
          continue;
        }
        const isHeld = row.heldUntil > 0;
        const holdPort = isHeld ? (this.#holding?.take(row.user) ?? null) : null;
        this.#upsert.run(row.user, row.host, row.generation, row.heldUntil, row.heldTarget, holdPort);
        this.#undefer.run(row.user, Number.MAX_VALUE);
        if (isHeld && row.host === this.#host) this.#endHoldLater(change.entry);
        if (holdPort !== null) {
          this.#waitingUsers.add(row.user);
          this.#releaseLater(row);
        } else if (this.#waitingUsers.has(row.user)) released.push(row.user);
      } else {
        const user = Buffer.from(change.removedKey, 'base64url').toString('utf8');
        if (!this.#pinned.has(user)) this.#remove.run(user);
        if (this.#waitingUsers.delete(user)) dropped.push(user);
        revision = Math.max(revision, change.revision);
      }
    }
    this.#advance.run(revision);
    this.#db.exec('COMMIT');
    this.#revision = revision;
    if (goneBack.length > 0)
      this.#log.error(
        {count: goneBack.length, users: goneBack.slice(0, USERS_TOLD_MAX)},
        'NATS has forgotten where these users went; they stay',
      );
    for (const user of released) this.#release(user);
    for (const user of dropped) this.#holding?.drop(user);
    const reached = this.#waiters.filter(waiter => waiter.revision <= revision);
    this.#waiters = this.#waiters.filter(waiter => waiter.revision > revision);
    for (const waiter of reached) waiter.resolve();
  }

  /** How to ask for the newest revision of a user's route. */
  askBy(ask: (user: string) => Promise<number | null>): void {
    this.#ask = ask;
  }

  #release(user: string): void {
    const row = this.#db.prepare('SELECT address FROM edge WHERE user = ?').get(user) as {address: string | null} | undefined;
    if (row === undefined || row.address === null) return;
    this.#waitingUsers.delete(user);
    this.#holding?.release(user, row.address);
  }

  /** A hold that nobody ends is over for the edge when its span is: those who wait go where the query sends everybody else. */
  #releaseLater({user, heldUntil}: RouteRow): void {
    const release = (): void => {
      if (!this.#closed && this.row(user)?.heldUntil === heldUntil) this.#release(user);
    };
    setTimeout(release, Math.max(0, heldUntil * SECOND_MS - Date.now()) + 1).unref();
  }

  /** The hold's span is over: open the fence as soon as it is known that no flip was stored; ask until NATS answers. */
  #endHoldLater({value: {user, hold}, revision}: Entry<Route>): void {
    const ask = async (): Promise<void> => {
      if (this.#closed || this.#ask === null || (this.row(user)?.heldUntil ?? 0) === 0) return;
      const present = await this.#ask(user).catch((error: unknown) => {
        if (this.#silence.isDue(performance.now()))
          this.#log.warn({err: error, user}, 'a hold is over, but NATS does not say whether the user has moved; fenced on');
        setTimeout(ask, ASK_AGAIN_MS).unref();
        return null;
      });
      if (present === null) return;
      if (!isHoldOver(revision, present)) {
        if (this.#revision < present) this.#fenceOn(user, ask);
        return;
      }
      this.#log.warn({user}, 'a hold ended without a word of the coordinator; the user is served here again');
      this.#db.prepare('UPDATE routes SET held_until = 0, held_target = NULL WHERE user = ? AND host = ?').run(user, this.#host);
    };
    setTimeout(ask, hold?.spanMs ?? 0).unref();
  }

  /** What is stored since may be the flip, and has not come with the routes: however long that takes, this is not a host that hears nothing. */
  #fenceOn(user: string, ask: () => Promise<void>): void {
    const until = (Date.now() + FENCE_MAX_MS) / SECOND_MS;
    this.#db.prepare('UPDATE routes SET held_until = ? WHERE user = ? AND host = ? AND held_until > 0').run(until, user, this.#host);
    setTimeout(ask, ASK_AGAIN_MS).unref();
  }

  revision(): number {
    return this.#revision;
  }

  userCount(): number {
    const row = this.#db.prepare('SELECT count(*) AS users FROM routes WHERE host = ?').get(this.#host) as {users: number};
    return row.users - [...this.#pinned.values()].filter(host => host === this.#host).length;
  }

  usersHere(): string[] {
    const rows = this.#db.prepare('SELECT user FROM routes WHERE host = ? ORDER BY user').all(this.#host) as {user: string}[];
    return rows.map(row => row.user).filter(user => !this.#pinned.has(user));
  }

  row(user: string): RouteRow | null {
    const row = this.#db
      .prepare('SELECT user, host, generation, held_until AS heldUntil, held_target AS heldTarget FROM routes WHERE user = ?')
      .get(user) as RouteRow | undefined;
    return row ?? null;
  }

  /**
   * Whether mail for an address waits for this host: for a mailbox here, on an edge for any mailbox of the farm.
   * @param address lower case, as Postfix has it in its queue; with an extension behind '+' or without.
   */
  isMailHere(address: string, role: Role): boolean {
    const row = this.row(address) ?? this.row(address.replace(/\+[^@]*@/, '@'));
    return row !== null && (role === 'edge' || row.host === this.#host);
  }

  /** Domains that have users in this farm; reads the whole table. */
  domains(): Set<string> {
    const rows = this.#db.prepare("SELECT DISTINCT substr(user, instr(user, '@') + 1) AS domain FROM routes").all();
    return new Set(rows.map(row => String(row.domain)));
  }

  reached(revision: number, timeoutMs: Millis): Promise<void> {
    if (this.#revision >= revision) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter = {
        revision,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter(other => other !== waiter);
        reject(new MailherdError('ROUTE_LAGS', {host: this.#host, wanted: revision, applied: this.#revision}));
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }

  close(): void {
    this.#closed = true;
    this.#db.close();
  }
}

/**
 * Postfix, Dovecot and the agent must read and write it, which no one group has as members: so everybody may, and the directory lets in these three only
 * (`wire/routes-db.ts`). SQLite gives -wal and -shm the same mode.
 */
function giveToReaders(path: string): void {
  const {uid, gid} = statSync(dirname(path));
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    if (!existsSync(file)) continue;
    if ((statSync(file).mode & 0o777) !== 0o666) chmodSync(file, 0o666);
    if (process.getuid?.() === 0) chownSync(file, uid, gid);
  }
}
