import {type JetStreamClient, jetstream} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import type {Clock} from '../base/clock.ts';
import {type MailherdError, toRefusal} from '../base/errors.ts';
import {SECOND_MS} from '../base/units.ts';
import {encode} from '../wire/codec.ts';
import {type EventData, type EventType, FarmEvent} from '../wire/event.ts';
import type {Log} from '../wire/log.ts';
import {publishRefusal} from '../wire/publish-refusal.ts';
import {eventSubject} from '../wire/subjects.ts';

/** Publishes an event; never fails and never waits. @param host null for the whole farm. */
export type Emit = <T extends EventType>(type: T, host: string | null, data: EventData<T>) => void;

const QUEUE_MAX = 10_000;
const RETRY_MS = SECOND_MS;
/** Of a lost event, in the log. */
const BEGINNING_CHARS = 500;

/**
 * Events in their order to JetStream, each until it is acknowledged; the message id lets the stream drop what was published twice. What
 * the records say stands in the records: when NATS is away for long, the oldest waiting events are lost and counted. One that the server does
 * not take, as what is larger than its max_payload, holds up none of the others: it is logged, and subscribers get `eventLost` in its place.
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
      const subject = eventSubject(host ?? 'farm', type);
      const bytes = encode(FarmEvent, event as never);
      try {
        await this.#js.publish(subject, bytes, {msgID: id});
        if (this.#queue[0] === event) this.#queue.shift();
        if (this.#dropped > 0) this.#log.warn({dropped: this.#dropped}, 'events were lost while NATS was away');
        this.#dropped = 0;
      } catch (error) {
        const refusal = publishRefusal(error, subject);
        if (refusal !== null) {
          this.#lose(event, bytes.length, refusal);
          continue;
        }
        this.#log.debug({type, host, error: String(error)}, 'event not published yet');
        if (this.#signal.aborted) break;
        await this.#clock.sleep(RETRY_MS, this.#signal);
      }
    }
    this.#isRunning = false;
  }

  /** The server takes all but this one. */
  #lose(event: FarmEvent, bytes: number, refusal: MailherdError): void {
    const {id, type, host, data} = event;
    const begins = JSON.stringify(data).slice(0, BEGINNING_CHARS);
    this.#log.error({type, host, id, bytes, begins, refusal: toRefusal(refusal)}, 'an event is not taken by the NATS server, and is lost');
    // Unless the oldest were dropped meanwhile, it is the first.
    if (this.#queue[0] === event) this.#queue.shift();
    if (type !== 'eventLost') this.emit('eventLost', host, {type, eventId: id, bytes, code: refusal.code});
  }
}
