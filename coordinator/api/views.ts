import {countsOf} from '../../base/counts.ts';
import {MailherdError} from '../../base/errors.ts';
import {addTo} from '../../base/groups.ts';
import {type Instant, SECOND_MS} from '../../base/units.ts';
import type {EvacuationView, FarmView, HostView, IncidentsView, MovesView, UsersView, UserView, VerdictsView} from '../../wire/api.ts';
import type {Incident} from '../../wire/incident.ts';
import {completed} from '../../wire/policy.ts';
import {type HostRecord, type Hurt, isSettled, type MoveRecord, type Plan, type PlannedMove} from '../../wire/record.ts';
import type {TuneView} from '../../wire/tune.ts';
import {verdictOf} from '../health/judge.ts';
import {MAILHERD} from '../host/cordon.ts';
import {isPaused} from '../host/emptying.ts';
import type {WaitingMove} from '../move/mover.ts';
import {bytesOf, moveByteMs, perByteMs, progressOf} from '../move/progress.ts';
import type {Picture} from '../picture.ts';
import {tuneView} from '../tune/hosts.ts';
import {metricsText} from './metrics.ts';
import type {Reads} from './ports.ts';

/** Finished moves shown; all of them stand in the bucket. */
const FINISHED_MAX = 500;
const HURT_PEAK_MS = 86_400_000;
/** Clocks that are kept by NTP are closer than this. */
const CLOCK_MS = 2 * SECOND_MS;
const BYTES_MS = 10 * SECOND_MS;

export interface ViewDeps {
  picture: Picture;
  name: string;
  /** Newest state of all moves, and what waits: the leader's own, else what the bucket says. */
  moves: () => {records: readonly MoveRecord[]; waiting: readonly WaitingMove[]};
  leader: () => {holder: string; token: number} | null;
  /** Since when this coordinator's rounds fail, and why. */
  failing: () => {sinceMs: Instant; reason: string} | null;
  plan: (id: string) => Promise<Plan>;
  refusedReports: () => ReadonlyMap<string, number>;
  now: () => Instant;
}

/** The picture as the API tells it. */
export class Views implements Reads {
  readonly #deps: ViewDeps;
  #bytes = {atMs: Number.NEGATIVE_INFINITY, sums: new Map<string, number>()};

  constructor(deps: ViewDeps) {
    this.#deps = deps;
  }

  farm(): FarmView {
    const {picture, name, leader, now} = this.#deps;
    const leads = leader();
    const open = picture.incidents.open();
    return {
      leader: leads?.holder ?? null,
      answeredBy: name,
      token: leads?.token ?? null,
      nowMs: now(),
      paused: picture.policy.value.paused,
      hosts: picture.hosts.size,
      users: picture.fleet.routes.size,
      hurt: picture.outcome?.hurt ?? null,
      incident: open === null ? null : {id: open.id, onsetMs: open.onsetMs, cause: open.cause, hosts: open.hosts},
      ...this.#glance(leads?.holder === name),
    };
  }

  #glance(isLeader: boolean): Partial<FarmView> {
    const {picture, now} = this.#deps;
    const records = [...picture.hosts.values()].map(({value}) => value);
    const fleet = [...picture.fleet.hosts.values()];
    const newestMs = fleet.reduce<Instant | null>(
      (newest, {receivedAtMs}) => (receivedAtMs === null ? newest : Math.max(newest ?? 0, receivedAtMs)),
      null,
    );
    const behindMs = newestMs === null ? 0 : newestMs - now();
    const {done, present, waiting, etaMs} = this.#work();
    const emptied = records.filter(({stage}) => stage === 'draining');
    return {
      verdicts: Object.fromEntries(countsOf((picture.outcome?.verdicts ?? []).map(({kind}) => kind))),
      stages: Object.fromEntries(countsOf(records.map(({stage}) => stage))),
      cordoned: records.flatMap(({host, cordon}) => (cordon === null || cordon.by === MAILHERD ? [] : [{host, ...cordon}])),
      newestReportAgeMs: newestMs === null ? null : Math.max(0, -behindMs),
      clockBehindMs: behindMs > CLOCK_MS ? behindMs : null,
      agents: Object.fromEntries(countsOf(fleet.flatMap(({reports}) => reports.at(-1)?.agent.version ?? []))),
      moves: {
        running: present.length - done.length,
        waiting: isLeader ? waiting.length : null,
        done: done.length,
        total: present.length + waiting.length,
        etaMs: isLeader ? etaMs : null,
      },
      failing: this.#deps.failing(),
      forecast: picture.capacity.forecast(picture.policy.value, now()),
      emptied: {hosts: emptied.length, paused: emptied.flatMap(record => (isPaused(record) ? [record.host] : []))},
    };
  }

  /** Moves of plans that are not through, and how long the rest takes at the speed of those that are. */
  #work(): {
    records: readonly MoveRecord[];
    waiting: readonly WaitingMove[];
    present: MoveRecord[];
    done: MoveRecord[];
    byteMs: number | null;
    runningBytes: number;
    etaMs: number | null;
  } {
    const {records, waiting} = this.#deps.moves();
    const present = presentWork(records, waiting);
    const done = present.filter(isSettled);
    const byteMs = perByteMs(present, this.#deps.now());
    const runningBytes = bytesOf(present.filter(move => !isSettled(move)));
    const isOver = done.length === present.length + waiting.length;
    const leftBytes = runningBytes + bytesOf(waiting.map(({planned}) => planned));
    const etaMs = byteMs === null || isOver ? null : Math.round(leftBytes * byteMs);
    return {records, waiting, present, done, byteMs, runningBytes, etaMs};
  }

  hosts(): HostView[] {
    const bytes = this.#bytesByHost();
    return [...this.#deps.picture.hosts.keys()].sort().map(host => this.#hostView(host, bytes.get(host)));
  }

  host(host: string): HostView {
    return this.#hostView(host, this.#bytesByHost().get(host));
  }

  /** @param bytes undefined where no size of a mailbox is known: a leader asks for them in its first minutes, others never do. */
  #hostView(host: string, bytes: number | undefined): HostView {
    const {picture, moves, now} = this.#deps;
    const entry = picture.hosts.get(host);
    if (entry === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
    const running = moves().records.filter(move => !isSettled(move));
    return {
      record: hideToken(entry.value),
      verdict: verdictOf(host, picture.outcome?.verdicts) ?? null,
      users: picture.usersOn(host),
      bytes: bytes ?? (picture.usersOn(host) === 0 ? 0 : null),
      movesIn: running.filter(({target}) => target === host).length,
      movesOut: running.filter(({source}) => source === host).length,
      reportAgeMs: picture.reportAgeMs(host, now()),
      report: picture.fleet.hosts.get(host)?.reports.at(-1) ?? null,
    };
  }

  /** As of a few seconds ago at most: it goes through all mailboxes, and whoever watches moves asks every two seconds. */
  #bytesByHost(): Map<string, number> {
    const {picture, now} = this.#deps;
    const {fleet} = picture;
    const nowMs = now();
    if (Math.abs(nowMs - this.#bytes.atMs) < BYTES_MS) return this.#bytes.sums;
    const sums = new Map<string, number>();
    this.#bytes = {atMs: nowMs, sums};
    for (const [user, {bytes}] of fleet.mailboxes) {
      const host = fleet.routes.get(user)?.host;
      if (host !== undefined) sums.set(host, (sums.get(host) ?? 0) + bytes);
    }
    return sums;
  }

  users({host, after, limit}: {host: string | null; after: string | null; limit: number}): UsersView {
    const {picture} = this.#deps;
    if (host !== null && !picture.hosts.has(host)) throw new MailherdError('HOST_UNKNOWN', {host});
    const users: UserView[] = [];
    for (const user of picture.userNames()) {
      if ((after !== null && user <= after) || (host !== null && picture.fleet.routes.get(user)?.host !== host)) continue;
      if (users.length === limit) return {users, next: users.at(-1)?.user ?? null};
      users.push(this.user(user));
    }
    return {users, next: null};
  }

  user(name: string): UserView {
    const {fleet, locks} = this.#deps.picture;
    const user = name.toLowerCase();
    const route = fleet.routes.get(user);
    if (route === undefined) throw new MailherdError('USER_UNKNOWN', {user});
    const mailbox = fleet.mailboxes.get(user);
    const {host, generation, moveId} = route;
    const held = locks.get(user)?.held ?? false;
    const {bytes = null, messages = null, deliveriesPerDay = null, sessionsPerDay = null} = mailbox ?? {};
    return {user, host, generation, moveId, held, bytes, messages, deliveriesPerDay, sessionsPerDay};
  }

  verdicts(): VerdictsView {
    const {outcome, hurtHistory} = this.#deps.picture;
    const sinceMs = this.#deps.now() - HURT_PEAK_MS;
    const hurtPeak = hurtHistory.reduce<Hurt | null>((peak, hurt) => {
      return hurt.atMs >= sinceMs && (peak === null || hurt.share > peak.share) ? hurt : peak;
    }, null);
    const {verdicts = [], cohorts = [], hurt = null, circumstances = [], decisions = []} = outcome ?? {};
    return {verdicts, cohorts, hurt, hurtPeak, decisions, circumstances, experiments: this.#deps.picture.incidents.experiments()};
  }

  moves(waitingMax: number | null = null): MovesView {
    const {records, waiting, present, done, byteMs, runningBytes, etaMs} = this.#work();
    const finished = records.filter(isSettled).sort((a, b) => b.updatedAtMs - a.updatedAtMs);
    const shown = [...records.filter(move => !isSettled(move)), ...finished.slice(0, FINISHED_MAX)].sort(
      (a, b) => a.createdAtMs - b.createdAtMs,
    );
    let ahead = runningBytes;
    const listed = waiting.slice(0, waitingMax ?? undefined);
    const waits = listed.map(({planned: {user, source, target, bytes}, because}) => {
      ahead += bytes;
      return {user, source, target, bytes, because, etaMs: byteMs === null ? null : Math.round(ahead * byteMs)};
    });
    const ownByteMs = moveByteMs(present);
    const running = records.filter(move => !isSettled(move)).map(move => ({id: move.id, ...progressOf(move, ownByteMs, this.#deps.now())}));
    return {
      moves: shown,
      waiting: waits,
      unlisted: Object.fromEntries(countsOf(waiting.slice(listed.length).map(({because}) => because))),
      running,
      done: done.length,
      total: present.length + waiting.length,
      etaMs,
      evacuations: this.#evacuations(records, waiting),
    };
  }

  #evacuations(records: readonly MoveRecord[], waiting: readonly WaitingMove[]): EvacuationView[] {
    const {picture, now} = this.#deps;
    const bytes = this.#bytesByHost();
    const draining = [...picture.hosts.values()].map(({value}) => value).filter(({stage}) => stage === 'draining');
    const plannedOf = new Map<string, PlannedMove[]>();
    if (draining.length > 0) for (const {planned} of waiting) addTo(plannedOf, planned.source, planned);
    return draining.map(({host, sinceMs, emptying}) => {
      const {isLow = false, paused = null} = emptying ?? {};
      const own = records.filter(({source, createdAtMs}) => source === host && createdAtMs >= sinceMs);
      // What is planned was told a size; what is known by itself may still lack, after a leader has changed.
      const unsettled = own.filter(move => !isSettled(move));
      const planned = plannedOf.get(host) ?? [];
      const leftBytes = Math.max(bytes.get(host) ?? 0, bytesOf(unsettled) + bytesOf(planned));
      const byteMs = paused === null ? perByteMs(own, now()) : null;
      return {
        host,
        sinceMs,
        isLow,
        paused,
        done: own.filter(move => isSettled(move) && move.step !== 'backedOut').length,
        left: picture.usersOn(host),
        leftBytes,
        running: unsettled.length,
        waiting: planned.length,
        etaMs: byteMs === null ? null : Math.round(leftBytes * byteMs),
      };
    });
  }

  move(id: string): MoveRecord {
    const move = this.#deps.moves().records.find(known => known.id === id);
    if (move === undefined) throw new MailherdError('MOVE_UNKNOWN', {moveId: id});
    return move;
  }

  plan(id: string): Promise<Plan> {
    return this.#deps.plan(id);
  }

  policy(): {policy: Picture['policy']['value']; revision: number} {
    const {value, revision} = this.#deps.picture.policy;
    return {policy: completed(value), revision};
  }

  hurt(): {history: Hurt[]} {
    return {history: [...this.#deps.picture.hurtHistory]};
  }

  incidents(): IncidentsView {
    return {incidents: this.#deps.picture.incidents.all().map(({timeline: _, hurt: __, experiments: ___, ...rest}) => rest)};
  }

  incident(id: number): Incident {
    return this.#deps.picture.incidents.one(id);
  }

  tune(): TuneView {
    return tuneView(this.#deps.picture, this.#deps.now());
  }

  metrics(): string {
    const {picture, moves, leader, name, refusedReports, now} = this.#deps;
    const {records, waiting} = moves();
    const age = (host: string): number | null => picture.reportAgeMs(host, now());
    return metricsText({
      picture,
      records,
      waiting,
      isLeader: leader()?.holder === name,
      refused: refusedReports(),
      reportAgeMs: age,
      nowMs: now(),
    });
  }
}

/** The permission to wipe is for the reinstall driver only; whoever may read learns that there is one. */
export function hideToken(record: HostRecord): HostRecord {
  return record.wipe === null ? record : {...record, wipe: {...record.wipe, token: '(hidden)'}};
}

/** Moves of every plan that is not through; when all are through, those of the last one. */
function presentWork(records: readonly MoveRecord[], waiting: readonly WaitingMove[]): MoveRecord[] {
  const plans = new Set([...waiting.map(({planId}) => planId), ...records.filter(move => !isSettled(move)).map(({planId}) => planId)]);
  if (plans.size === 0 && records.length > 0) plans.add(records.reduce((a, b) => (b.createdAtMs > a.createdAtMs ? b : a)).planId);
  return records.filter(({planId}) => plans.has(planId));
}
