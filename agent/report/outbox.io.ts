import {assert} from '../../base/assert.ts';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Rng} from '../../base/random.ts';
import {MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {AgentEventType, EventData} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import {type HostReport, reportId} from '../../wire/report.ts';
import {eventSubject, reportSubject} from '../../wire/subjects.ts';
import type {Channel} from './channel.io.ts';
import type {Parcel} from './frame.io.ts';
import type {Spool} from './spool.io.ts';

/** What waits in memory while the disk takes nothing; beyond it the oldest goes. */
const INBOX_MAX = 500;
/** A farm that comes back after an outage must not drown its server: about 25 old messages a second from each host. */
const BACKFILL_PAUSE_MS = [20, 60] as const;
const BACKFILL_BEGIN_MS = [0, 10 * SECOND_MS] as const;
/** A disk that needs longer hangs: it is left alone until it has answered. */
const DISK_DEADLINE_MS = 5 * SECOND_MS;
const RETRY_MS = [2 * SECOND_MS, 6 * SECOND_MS] as const;
/** What was refused is tried again so often, when nothing else is left to bring. */
const REFUSED_AGAIN_MS = [1 * MINUTE_MS, 2 * MINUTE_MS] as const;
/** After a refusal old messages rest: at first so long, twice as long with each further one on the same subject. */
const REFUSED_PAUSE_MS = 1 * SECOND_MS;
const REFUSED_PAUSE_MS_MAX = 1 * MINUTE_MS;
const REASONS_LOGGED_MAX = 32;

type Resting = 'way' | 'disk' | 'backfill' | 'refused';

interface OutboxOptions {
  host: string;
  generation: number;
  spool: Spool;
  /** For what the server refused; each is written to in turn, so it is as large as the other. */
  aside: Spool;
  rng: Rng;
  log: Log;
  signal: AbortSignal;
}

/**
 * Brings reports and events to JetStream, each acknowledged and under its own message id. What cannot be published goes to
 * the spool; the newest state goes first, then the spool from its newest end. The client library throws away what was
 * published while it was disconnected, so nothing is handed to it then. Nobody who has something to say ever waits, and a disk
 * that refuses or hangs holds up nothing that can be published. Nor does a message that the server refuses: it goes aside, and is
 * tried again when all else has been brought, slowly as long as it is refused: somebody may mend the rights.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #inbox: Parcel[] = [];
  /** Refused, and not on disk yet. */
  readonly #refused: Parcel[] = [];
  #spool: Spool;
  /** What was refused; it takes turns with `#spool`. */
  #aside: Spool;
  /** The oldest of the spool, so many, were refused before. */
  #againCount = 0;
  readonly #refusals = new Map<string, number>();
  #refusal: string | null = null;
  readonly #logged = new Set<string>();
  #storedCount = 0;
  #failed: {id: string; storedCount: number} | null = null;
  #channel: Channel | null = null;
  #droppedFromInbox = 0;
  #eventCount = 0;
  #wake: () => void = () => undefined;
  #isFailing = false;
  /** What is left alone for a while: the way or the disk after a failure, old messages after a reconnect. */
  readonly #resting = new Set<Resting>();
  #isDiskBusy = false;
  #diskFailure: string | null = null;
  readonly done: Promise<void>;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#spool = options.spool;
    this.#aside = options.aside;
    options.signal.addEventListener('abort', () => this.#wake());
    this.done = this.#run();
  }

  /** Messages that wait for their first answer. */
  get spooled(): number {
    return this.#spool.count - this.#again + this.#inbox.length;
  }

  /** Messages that wait since the server refused them. */
  get refused(): number {
    return this.#aside.count + this.#again + this.#refused.length;
  }

  get #again(): number {
    return Math.min(this.#againCount, this.#spool.count);
  }

  /** Lost for ever since the start. */
  get dropped(): number {
    return this.#spool.dropped + this.#aside.dropped + this.#droppedFromInbox;
  }

  /** Why messages cannot be kept on disk, or not read from it, or are refused; null when all is well. */
  get failing(): string | null {
    const refusal = this.refused === 0 ? null : this.#refusal;
    return this.#diskFailure ?? this.#spool.unreadable ?? this.#aside.unreadable ?? refusal;
  }

  report(report: HostReport): void {
    this.#send({subject: reportSubject(report.host), id: reportId(report), data: report});
  }

  event<T extends AgentEventType>(type: T, data: EventData<T>): void {
    const {host, generation} = this.#options;
    const id = `${host}-${generation}-e${++this.#eventCount}-${type}`;
    this.#send({subject: eventSubject(host, type), id, data: {v: 1, id, type, host, atMs: systemClock.now(), data}});
  }

  /** From now on there is a way; it may be up or down. */
  connect(channel: Channel): void {
    this.#channel = channel;
    channel.onUp(() => {
      this.#resting.delete('way');
      // Perhaps it is another server, or one that was begun again with other rights.
      this.#resting.delete('refused');
      this.#rest('backfill', BACKFILL_BEGIN_MS);
      this.#wake();
    });
    this.#wake();
  }

  #send(parcel: Parcel): void {
    this.#keep(this.#inbox, parcel);
    this.#wake();
  }

  #keep(list: Parcel[], parcel: Parcel): void {
    list.push(parcel);
    if (list.length <= INBOX_MAX) return;
    list.shift();
    this.#droppedFromInbox++;
  }

  async #run(): Promise<void> {
    const {signal} = this.#options;
    while (!signal.aborted) await (this.#work() ?? this.#idle)();
    while (this.#inbox.length > 0 && !this.#isDiskBusy && (await this.#storeOldest()));
    while (this.#refused.length > 0 && !this.#isDiskBusy && (await this.#storeRefused()));
    if (this.#isDiskBusy) return;
    await this.#spool.close();
    await this.#aside.close();
  }

  /** What is to be done next; null when there is nothing, or nothing that may be done now. */
  #work(): (() => Promise<unknown>) | null {
    const mayPublish = this.#channel?.isUp() === true && !this.#resting.has('way');
    const mayUseDisk = !this.#isDiskBusy && !this.#resting.has('disk');
    if (this.#inbox.length > 0 && mayPublish) return () => this.#publishNewest();
    if (!mayUseDisk) return null;
    if (this.#inbox.length > 0) return () => this.#storeOldest();
    if (this.#refused.length > 0) return () => this.#storeRefused();
    // What an earlier process left is taken up at the start, or as soon as the disk lets us.
    if (!this.#spool.isLoaded) return () => this.#onDisk(() => this.#spool.load());
    if (!this.#aside.isLoaded) return () => this.#onDisk(() => this.#aside.load());
    if (!mayPublish || this.#resting.has('backfill')) return null;
    if (this.#spool.count > 0) return () => this.#backfill();
    return this.#aside.count > 0 && !this.#resting.has('refused') ? () => this.#takeUpRefused() : null;
  }

  async #publishNewest(): Promise<void> {
    const parcel = this.#inbox.pop();
    assert(parcel !== undefined, 'asked for only when there is one');
    const outcome = await this.#publish(parcel);
    if (outcome === 'unknown') this.#inbox.push(parcel);
    if (outcome === 'refused') this.#keep(this.#refused, parcel);
  }

  /** False when the disk did not take it. */
  #storeOldest(): Promise<boolean> {
    return this.#storeFirst(this.#inbox, this.#spool);
  }

  #storeRefused(): Promise<boolean> {
    return this.#storeFirst(this.#refused, this.#aside);
  }

  async #storeFirst(list: Parcel[], spool: Spool): Promise<boolean> {
    const parcel = list.shift();
    assert(parcel !== undefined, 'asked for only when there is one');
    const done = await this.#onDisk(async () => {
      await spool.push(parcel);
      return true;
    });
    // A hung disk may take it all the same one day; it then goes twice under one id.
    if (done === null) list.unshift(parcel);
    return done !== null;
  }

  async #backfill(): Promise<void> {
    const {rng, signal} = this.#options;
    const spool = this.#spool;
    const parcel = await this.#onDisk(() => spool.newest());
    if (parcel === null) return;
    const outcome = await this.#publish(parcel);
    if (outcome === 'unknown') return;
    await this.#onDisk(async () => {
      if (outcome === 'refused') await this.#aside.push(parcel);
      await spool.removeNewest();
    });
    this.#againCount = this.#again;
    if (outcome === 'refused') this.#rest('backfill', this.#pauseAfter(parcel));
    else await systemClock.sleep(rng.between(...BACKFILL_PAUSE_MS), signal);
  }

  #pauseAfter({subject}: Parcel): readonly [Millis, Millis] {
    const pauseMs = Math.min(REFUSED_PAUSE_MS * 2 ** ((this.#refusals.get(subject) ?? 1) - 1), REFUSED_PAUSE_MS_MAX);
    return [pauseMs, 2 * pauseMs];
  }

  /** All else has been brought: what was refused is brought again, as everything is, from its newest end. */
  async #takeUpRefused(): Promise<void> {
    [this.#spool, this.#aside] = [this.#aside, this.#spool];
    this.#againCount = this.#spool.count;
    this.#rest('refused', REFUSED_AGAIN_MS);
  }

  /** One call of a spool, given up when it takes too long; null then and when it failed. */
  async #onDisk<T>(work: () => Promise<T>): Promise<T | null> {
    const {log} = this.#options;
    const stop = new AbortController();
    this.#isDiskBusy = true;
    const running = work().finally(() => {
      this.#isDiskBusy = false;
      this.#wake();
    });
    const late = systemClock.sleep(DISK_DEADLINE_MS, stop.signal).then(() => {
      throw new Error(`no answer of the disk within ${DISK_DEADLINE_MS} ms`);
    });
    try {
      const result = await Promise.race([running, late]);
      this.#diskFailure = null;
      return result;
    } catch (error) {
      if (this.#diskFailure === null) log.error({error: String(error)}, 'the spool cannot be used');
      this.#diskFailure = (error as Error).message;
      this.#rest('disk', RETRY_MS);
      return null;
    } finally {
      stop.abort();
      late.catch(() => undefined);
      running.catch(() => undefined);
    }
  }

  #rest(what: Resting, range: readonly [Millis, Millis]): void {
    const {rng, signal} = this.#options;
    this.#resting.add(what);
    void systemClock.sleep(rng.between(...range), signal).then(() => {
      this.#resting.delete(what);
      this.#wake();
    });
  }

  /** A message whose acknowledgement got lost is published again under the same id. */
  async #publish(parcel: Parcel): Promise<'stored' | 'refused' | 'unknown'> {
    try {
      await this.#channel?.publish(parcel);
      if (this.#isFailing) this.#options.log.info({spooled: this.spooled}, 'publishing works again');
      this.#isFailing = false;
      this.#storedCount++;
      this.#refusals.delete(parcel.subject);
      return 'stored';
    } catch (error) {
      if (this.#isRefusal(error, parcel)) {
        this.#noteRefusal(error, parcel);
        return 'refused';
      }
      this.#failed = {id: parcel.id, storedCount: this.#storedCount};
      if (!this.#isFailing) this.#options.log.warn({error: String(error)}, 'publishing failed, reports go to the spool');
      this.#isFailing = true;
      this.#rest('way', RETRY_MS);
      return 'unknown';
    }
  }

  /** Said by the server, or seen: it failed twice, and others were stored in between. */
  #isRefusal(error: unknown, {id}: Parcel): boolean {
    if (error instanceof MailherdError && error.code === 'PUBLISH_REFUSED') return true;
    return this.#failed?.id === id && this.#storedCount > this.#failed.storedCount;
  }

  #noteRefusal(error: unknown, {subject}: Parcel): void {
    this.#refusals.set(subject, (this.#refusals.get(subject) ?? 0) + 1);
    this.#refusal = error instanceof Error ? error.message : String(error);
    const what = `${subject} ${this.#refusal}`;
    if (this.#logged.has(what) || this.#logged.size >= REASONS_LOGGED_MAX) return;
    this.#logged.add(what);
    this.#options.log.error({subject, err: error}, 'the server refuses a message: it is kept and tried again now and then, others go on');
  }

  readonly #idle = (): Promise<void> =>
    new Promise(resolve => {
      this.#wake = resolve;
      // Whatever came between the look and now must not be slept over.
      if (this.#options.signal.aborted || this.#work() !== null) resolve();
    });
}
