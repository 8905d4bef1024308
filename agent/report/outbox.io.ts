import {assert} from '../../base/assert.ts';
import {systemClock} from '../../base/clock.io.ts';
import type {Rng} from '../../base/random.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
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

interface OutboxOptions {
  host: string;
  generation: number;
  spool: Spool;
  rng: Rng;
  log: Log;
  signal: AbortSignal;
}

/**
 * Brings reports and events to JetStream, each acknowledged and under its own message id. What cannot be published goes to
 * the spool; the newest state goes first, then the spool from its newest end. The client library throws away what was
 * published while it was disconnected, so nothing is handed to it then. Nobody who has something to say ever waits, and a disk
 * that refuses or hangs holds up nothing that can be published.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #inbox: Parcel[] = [];
  #channel: Channel | null = null;
  #droppedFromInbox = 0;
  #eventCount = 0;
  #wake: () => void = () => undefined;
  #isFailing = false;
  /** What is left alone for a while: the way or the disk after a failure, old messages after a reconnect. */
  readonly #resting = new Set<'way' | 'disk' | 'backfill'>();
  #isDiskBusy = false;
  #diskFailure: string | null = null;
  readonly done: Promise<void>;

  constructor(options: OutboxOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#wake());
    this.done = this.#run();
  }

  get spooled(): number {
    return this.#options.spool.count + this.#inbox.length;
  }

  /** Lost for ever since the start. */
  get dropped(): number {
    return this.#options.spool.dropped + this.#droppedFromInbox;
  }

  /** Why messages cannot be kept on disk, or not read from it; null when all is well. */
  get failing(): string | null {
    return this.#diskFailure ?? this.#options.spool.unreadable;
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
      this.#rest('backfill', BACKFILL_BEGIN_MS);
      this.#wake();
    });
    this.#wake();
  }

  #send(parcel: Parcel): void {
    this.#inbox.push(parcel);
    if (this.#inbox.length > INBOX_MAX) {
      this.#inbox.shift();
      this.#droppedFromInbox++;
    }
    this.#wake();
  }

  async #run(): Promise<void> {
    const {signal} = this.#options;
    while (!signal.aborted) {
      if (this.#inbox.length > 0 && this.#mayPublish()) await this.#publishNewest();
      else if (this.#inbox.length > 0 && this.#mayStore()) await this.#storeOldest();
      else if (this.#mayLoad()) await this.#onDisk(spool => spool.load());
      else if (this.#mayBackfill()) await this.#backfill();
      else await this.#idle();
    }
    while (this.#inbox.length > 0 && !this.#isDiskBusy && (await this.#storeOldest()));
    if (!this.#isDiskBusy) await this.#options.spool.close();
  }

  #mayPublish(): boolean {
    return this.#channel?.isUp() === true && !this.#resting.has('way');
  }

  #mayStore(): boolean {
    return !this.#isDiskBusy && !this.#resting.has('disk');
  }

  /** What an earlier process left is taken up at the start, or as soon as the disk lets us. */
  #mayLoad(): boolean {
    return !this.#options.spool.isLoaded && this.#mayStore();
  }

  #mayBackfill(): boolean {
    return this.#options.spool.count > 0 && this.#mayPublish() && this.#mayStore() && !this.#resting.has('backfill');
  }

  async #publishNewest(): Promise<void> {
    const parcel = this.#inbox.pop();
    assert(parcel !== undefined, 'asked for only when there is one');
    if (!(await this.#publish(parcel))) this.#inbox.push(parcel);
  }

  /** False when the disk did not take it. */
  async #storeOldest(): Promise<boolean> {
    const parcel = this.#inbox.shift();
    assert(parcel !== undefined, 'asked for only when there is one');
    const isStored = await this.#onDisk(async spool => {
      await spool.push(parcel);
      return true;
    });
    // A hung disk may take it all the same one day; it then goes twice under one id.
    if (isStored === null) this.#inbox.unshift(parcel);
    return isStored !== null;
  }

  async #backfill(): Promise<void> {
    const {rng, signal} = this.#options;
    const parcel = await this.#onDisk(spool => spool.newest());
    if (parcel === null || !(await this.#publish(parcel))) return;
    await this.#onDisk(spool => spool.removeNewest());
    await systemClock.sleep(rng.between(...BACKFILL_PAUSE_MS), signal);
  }

  /** One call of the spool, given up when it takes too long; null then and when it failed. */
  async #onDisk<T>(work: (spool: Spool) => Promise<T>): Promise<T | null> {
    const {spool, log} = this.#options;
    const stop = new AbortController();
    this.#isDiskBusy = true;
    const running = work(spool).finally(() => {
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

  #rest(what: 'way' | 'disk' | 'backfill', range: readonly [Millis, Millis]): void {
    const {rng, signal} = this.#options;
    this.#resting.add(what);
    void systemClock.sleep(rng.between(...range), signal).then(() => {
      this.#resting.delete(what);
      this.#wake();
    });
  }

  /** True once the server has stored it. A message whose acknowledgement got lost is published again under the same id. */
  async #publish(parcel: Parcel): Promise<boolean> {
    try {
      await this.#channel?.publish(parcel);
      if (this.#isFailing) this.#options.log.info({spooled: this.spooled}, 'publishing works again');
      this.#isFailing = false;
      return true;
    } catch (error) {
      if (!this.#isFailing) this.#options.log.warn({error: String(error)}, 'publishing failed, reports go to the spool');
      this.#isFailing = true;
      this.#rest('way', RETRY_MS);
      return false;
    }
  }

  #idle(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
      // Whatever came between the look and now must not be slept over.
      const isWork = this.#inbox.length > 0 && (this.#mayPublish() || this.#mayStore());
      if (isWork || this.#options.signal.aborted || this.#mayLoad() || this.#mayBackfill()) resolve();
    });
  }
}
