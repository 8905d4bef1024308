import {type JetStreamClient, jetstream} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import type {Clock} from '../base/clock.ts';
import {SECOND_MS} from '../base/units.ts';
import {encode} from '../wire/codec.ts';
import {type EventData, type EventType, FarmEvent} from '../wire/event.ts';
import type {Log} from '../wire/log.ts';
import {eventSubject} from '../wire/subjects.ts';

/** Publishes an event; never fails and never waits. @param host null for the whole farm. */
export type Emit = <T extends EventType>(type: T, host: string | null, data: EventData<T>) => void;

const QUEUE_MAX = 10_000;
const RETRY_MS = SECOND_MS;

/**
 * Events in their order to JetStream, each until it is acknowledged; the message id lets the stream drop what was published twice. What
 * the records say stands in the records: when NATS is away for long, the oldest waiting events are lost and counted.
 */
export class EventPublisher {
  readonly #js: JetStreamClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #idPrefix: string;
  #queue: FarmEvent[] = [];
  #count = 0;
  #dropped = 0;
  #isRunning = false;

  /** @param idPrefix unique to this run of the process. */
  constructor(nc: NatsConnection, idPrefix: string, clock: Clock, log: Log, signal: AbortSignal) {
    this.#js = jetstream(nc, {timeout: 5 * SECOND_MS});
    this.#idPrefix = idPrefix;
    this.#clock = clock;
    this.#log = log;
    this.#signal = signal;
  }

  readonly emit: Emit = (type, host, data) => {
    if (this.#queue.length >= QUEUE_MAX) {
      this.#queue.shift();
      this.#dropped++;
    }
    const id = `${this.#idPrefix}-${++this.#count}`;
    this.#queue.push({v: 1, id, type, host, atMs: this.#clock.now(), data} as FarmEvent);
    if (!this.#isRunning) void this.#run();
  };

  /** Resolves when all has been published or `ms` is over. */
  async drain(ms: number): Promise<void> {
    const endMs = this.#clock.monotonic() + ms;
    while (this.#queue.length > 0 && this.#clock.monotonic() < endMs) await this.#clock.sleep(20);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let event = this.#queue[0]; event !== undefined; event = this.#queue[0]) {
      const {id, type, host} = event;
      try {
        await this.#js.publish(eventSubject(host ?? 'farm', type), encode(FarmEvent, event as never), {msgID: id});
        if (this.#queue[0] === event) this.#queue.shift();
        if (this.#dropped > 0) this.#log.warn({dropped: this.#dropped}, 'events were lost while NATS was away');
        this.#dropped = 0;
      } catch (error) {
        this.#log.debug({type, host, error: String(error)}, 'event not published yet');
        if (this.#signal.aborted) break;
        await this.#clock.sleep(RETRY_MS, this.#signal);
      }
    }
    this.#isRunning = false;
  }
}
