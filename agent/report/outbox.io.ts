import {systemClock} from '../../base/clock.io.ts';
import type {Rng} from '../../base/random.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {EventData, EventType} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import {type HostReport, reportId} from '../../wire/report.ts';
import {eventSubject, reportSubject} from '../../wire/subjects.ts';
import type {Channel} from './channel.io.ts';
import type {Parcel, Spool} from './spool.io.ts';

/** What waits in memory while the disk hangs; beyond it the oldest goes. */
const INBOX_MAX = 500;
/** A farm that comes back after an outage must not drown its server: about 25 old messages a second from each host. */
const BACKFILL_PAUSE_MS = [20, 60] as const;
const BACKFILL_BEGIN_MS = [0, 10 * SECOND_MS] as const;
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
 * published while it was disconnected, so nothing is handed to it then. `send` never waits.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  #inbox: Parcel[] = [];
  #channel: Channel | null = null;
  /** Old messages wait until this moment after a reconnect, by the monotonic clock. */
  #backfillFromMs = 0;
  #droppedFromInbox = 0;
  #eventCount = 0;
  #wake: () => void = () => undefined;
  #isFailing = false;
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

  report(report: HostReport): void {
    this.#send({subject: reportSubject(report.host), id: reportId(report), data: report});
  }

  event<T extends EventType>(type: T, data: EventData<T>): void {
    const {host, generation} = this.#options;
    const id = `${host}-${generation}-e${++this.#eventCount}-${type}`;
    this.#send({subject: eventSubject(host, type), id, data: {v: 1, id, type, host, atMs: systemClock.now(), data}});
  }

  /** From now on there is a way; it may be up or down. */
  connect(channel: Channel): void {
    this.#channel = channel;
    channel.onUp(() => {
      const {rng, signal} = this.#options;
      const waitMs = rng.between(...BACKFILL_BEGIN_MS);
      this.#backfillFromMs = systemClock.monotonic() + waitMs;
      void systemClock.sleep(waitMs, signal).then(() => this.#wake());
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
    const {signal, log, rng} = this.#options;
    while (!signal.aborted) {
      const fresh = this.#inbox.pop();
      try {
        if (fresh !== undefined) await this.#deliver(fresh);
        else if (this.#mayBackfill()) await this.#backfill();
        else await this.#idle();
      } catch (error) {
        // The disk refused: keep the message in memory, within its bound.
        log.error({error: String(error)}, 'the spool cannot be used');
        if (fresh !== undefined) this.#inbox.unshift(fresh);
        await systemClock.sleep(rng.between(...RETRY_MS), signal);
      }
    }
    await this.#flush();
  }

  async #deliver(parcel: Parcel): Promise<void> {
    if (!(await this.#publish(parcel))) await this.#options.spool.push(parcel);
  }

  #mayBackfill(): boolean {
    return this.#options.spool.count > 0 && this.#channel?.isUp() === true && systemClock.monotonic() >= this.#backfillFromMs;
  }

  async #backfill(): Promise<void> {
    const {spool, rng, signal} = this.#options;
    const parcel = await spool.newest();
    if (parcel === null) return;
    const ok = await this.#publish(parcel);
    if (ok) await spool.removeNewest();
    await systemClock.sleep(rng.between(...(ok ? BACKFILL_PAUSE_MS : RETRY_MS)), signal);
  }

  /** True once the server has stored it. A message whose acknowledgement got lost is published again under the same id. */
  async #publish(parcel: Parcel): Promise<boolean> {
    if (this.#channel === null || !this.#channel.isUp()) return false;
    try {
      await this.#channel.publish(parcel);
      if (this.#isFailing) this.#options.log.info({spooled: this.spooled}, 'publishing works again');
      this.#isFailing = false;
      return true;
    } catch (error) {
      if (!this.#isFailing) this.#options.log.warn({error: String(error)}, 'publishing failed, reports go to the spool');
      this.#isFailing = true;
      return false;
    }
  }

  #idle(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
      // Whatever came between the look and now must not be slept over.
      if (this.#inbox.length > 0 || this.#options.signal.aborted || this.#mayBackfill()) resolve();
    });
  }

  async #flush(): Promise<void> {
    for (const parcel of this.#inbox.splice(0)) await this.#deliver(parcel);
    await this.#options.spool.close();
  }
}
