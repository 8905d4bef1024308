import type {ConsumerConfig} from '@nats-io/jetstream';
import {AckPolicy, DeliverPolicy, jetstreamManager, ReplayPolicy} from '@nats-io/jetstream';
import {type Msg, type NatsConnection, nanos, nuid} from '@nats-io/transport-node';
import {systemClock} from '../base/clock.io.ts';
import {MailherdError} from '../base/errors.ts';
import {SECOND_MS} from '../base/units.ts';
import {readAck} from './ack-subject.ts';
import {ownInbox} from './nats.io.ts';

const HEARTBEAT_MS = 2 * SECOND_MS;
const SILENCE_MS = 2.5 * HEARTBEAT_MS;
const RETRY_MS = SECOND_MS;
/** The server forgets a follower that left without a word after this long. */
const FORGET_MS = 30 * SECOND_MS;

const STATUS_CONTROL = 100;
const SUBJECT_CONDITION = 'Nats-Expected-Last-Subject-Sequence';

/** One message as the stream stores it. */
export interface Stored {
  subject: string;
  data: Uint8Array;
  operation: 'PUT' | 'DEL' | 'PURGE';
  /** It bears the condition on its subject under which it was stored. */
  isConditioned: boolean;
  sequence: number;
  storedAtMs: number;
}

export interface FollowOptions {
  stream: string;
  filter: string;
  /** Begin behind this sequence (0: with the oldest message); without it, with the last message of each subject. */
  after?: number;
  /** Called for each message, one after the other; when it fails, the same message comes again after a second. */
  onMessage: (message: Stored) => void | Promise<void>;
  /** Told why a stretch ended early; it is taken up again where it stopped. */
  onTrouble: (reason: string) => void;
  /**
   * All of it comes again, with numbers that may be smaller: this is not the stream that was read so far. Not `isSure`: it may be that stream, of
   * which the last message that was read is gone without another of its subject.
   */
  onAnew?: ((isSure: boolean) => void) | undefined;
  signal: AbortSignal;
}

/** The last message that was handed over. */
interface Mark {
  subject: string;
  sequence: number;
  storedAt: string;
}

type Ended = 'over' | 'connection' | 'anew' | 'silence' | 'gap' | 'refused';

/**
 * Follows the last message of each subject of a stream, or all from one on, and then every new one, without gap or change of order.
 *
 * The library's own ordered consumer finds out by missed heartbeats that the server has lost it, which takes up to a minute;
 * here a connection that comes back begins a new stretch at once, with the message that was handed over last: it proves that this is the stream
 * which was read, as does a newer one of its subject. A stream that was lost with its disk, or of which an older state was brought back, has another there,
 * also when it has grown beyond that number since, or none; it is read from its start.
 */
export class Follower {
  readonly #nc: NatsConnection;
  readonly #options: FollowOptions;
  readonly #link: Link;
  #last = 0;
  /** null until anything was read. */
  #mark: Mark | null = null;
  #isWelcome = false;
  #caughtUp: () => void = () => undefined;

  constructor(nc: NatsConnection, options: FollowOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#last = options.after ?? 0;
    this.#link = new Link(nc, options.signal);
  }

  /**
   * Begins; goes on in the background until the signal or until the connection is closed.
   * @returns once all that was there at the beginning has been handed over.
   * @throws what the server says when it refuses at the beginning; MailherdError CANCELLED when it ended before all was read.
   */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#caughtUp = resolve;
      void this.#run(reject);
    });
  }

  async #run(refuse: (error: unknown) => void): Promise<void> {
    const {signal, onTrouble, stream} = this.#options;
    while (!this.#link.isOver()) {
      let trouble: string;
      try {
        const ended = await this.#stretch();
        if (ended === 'over' || ended === 'connection' || ended === 'anew') {
          await this.#link.up();
          continue;
        }
        trouble = ended;
      } catch (error) {
        if (!this.#isWelcome) return refuse(error);
        if (this.#link.isOver()) break;
        trouble = error instanceof Error ? error.message : String(error);
      }
      onTrouble(trouble);
      await systemClock.sleep(RETRY_MS, signal);
      await this.#link.up();
    }
    refuse(new MailherdError('CANCELLED', {reading: stream}));
  }

  /** One consumer's life. @returns why it ended. @throws what the server or `onMessage` says. */
  async #stretch(): Promise<Ended> {
    const inbox = new Inbox(this.#nc, this.#link);
    try {
      const begun = this.#begin(inbox.subject);
      // An answer that a lost connection swallowed would be waited for in vain.
      const goal = await Promise.race([begun, this.#link.changed(inbox.changes)]);
      if (goal === null) {
        begun.catch(() => undefined);
        return 'connection';
      }
      if (goal === 'anew') return goal;
      let delivered = 0;
      let unproven = this.#mark;
      if (goal === 0 && unproven !== null) return this.#anew(`has nothing from ${unproven.sequence} on`, false);
      if (goal === 0) this.#caughtUp();
      for (;;) {
        const next = await inbox.next();
        if (typeof next === 'string') return next;
        if (isControl(next)) {
          const ended = this.#answer(next, delivered);
          if (ended !== null) return ended;
          continue;
        }
        const {sequence, order, pending, storedAtMs, storedAt} = readAck(next.reply ?? '');
        if (order !== delivered + 1) return 'gap';
        delivered = order;
        const isMark = sequence === unproven?.sequence;
        if (isMark && storedAt !== unproven?.storedAt) return this.#anew(`has another message at ${sequence}`, true);
        if (isMark || next.subject === unproven?.subject) unproven = null;
        if (!isMark) {
          const work = this.#options.onMessage(storedOf(next, sequence, storedAtMs));
          if (work !== undefined) await work;
          this.#last = sequence;
          this.#mark = {subject: next.subject, sequence, storedAt};
        }
        const isAll = pending === 0 || delivered === goal;
        if (isAll && unproven !== null) return this.#anew(`has nothing at ${unproven.sequence}`, false);
        if (isAll) this.#caughtUp();
      }
    } finally {
      inbox.close();
    }
  }

  /** @returns how many messages this consumer delivers before it is up to date. */
  async #begin(deliverSubject: string): Promise<number | 'anew'> {
    const jsm = await jetstreamManager(this.#nc, {checkAPI: false});
    const {delivered, num_pending} = await jsm.consumers.add(this.#options.stream, this.#config(deliverSubject));
    this.#isWelcome = true;
    // The server sets a consumer that would begin behind the end of its stream back to the end.
    if (delivered.stream_seq < this.#from() - 1) return this.#anew(`ends at ${delivered.stream_seq}`, true);
    // Some may be on their way before this answer was written.
    return delivered.consumer_seq + num_pending;
  }

  /** Its numbers start again, and so do we. */
  #anew(why: string, isSure: boolean): 'anew' {
    this.#options.onTrouble(`the stream ${why}, ${this.#last} was read here; reading all of it again`);
    this.#last = 0;
    this.#mark = null;
    this.#options.onAnew?.(isSure);
    return 'anew';
  }

  /** Sequence of the first message that is asked for; 0: what there is. */
  #from(): number {
    if (this.#mark !== null) return this.#mark.sequence;
    return this.#last === 0 ? 0 : this.#last + 1;
  }

  #config(deliverSubject: string): Partial<ConsumerConfig> {
    const from = this.#from();
    const where: Partial<ConsumerConfig> =
      from === 0
        ? {deliver_policy: this.#options.after === undefined ? DeliverPolicy.LastPerSubject : DeliverPolicy.All}
        : {deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from};
    return {
      ...where,
      name: nuid.next(),
      filter_subject: this.#options.filter,
      deliver_subject: deliverSubject,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: nanos(HEARTBEAT_MS),
      inactive_threshold: nanos(FORGET_MS),
      mem_storage: true,
      num_replicas: 1,
    };
  }

  /** Flow control is answered when everything before it has been handed over; a heartbeat tells whether something got lost. */
  #answer(message: Msg, delivered: number): Ended | null {
    const {headers, reply} = message;
    if (headers?.code !== STATUS_CONTROL) return 'refused';
    const stalled = reply || headers.get('Nats-Consumer-Stalled');
    if (stalled !== '') this.#nc.publish(stalled);
    return Number(headers.get('Nats-Last-Consumer')) > delivered ? 'gap' : null;
  }
}

function isControl(message: Msg): boolean {
  return message.headers !== undefined && message.headers.code !== 0;
}

function storedOf(message: Msg, sequence: number, storedAtMs: number): Stored {
  const told = message.headers?.get('KV-Operation') ?? '';
  const operation = told === 'DEL' || told === 'PURGE' ? told : 'PUT';
  const isConditioned = (message.headers?.get(SUBJECT_CONDITION) ?? '') !== '';
  return {subject: message.subject, data: message.data, operation, isConditioned, sequence, storedAtMs};
}

/** What one consumer delivers, in order of arrival. */
class Inbox {
  readonly subject: string;
  readonly #link: Link;
  /** Of the link when this inbox was made. */
  readonly changes: number;
  readonly #sub: {unsubscribe(): void};
  #messages: Msg[] = [];
  #read = 0;
  #failure: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(nc: NatsConnection, link: Link) {
    this.subject = ownInbox(nc);
    this.#link = link;
    this.changes = link.changes;
    this.#sub = nc.subscribe(this.subject, {
      callback: (error, message) => {
        if (error !== null) this.#failure = error;
        else this.#messages.push(message);
        this.#wake();
      },
    });
  }

  /** The next message, or why there will be none. @throws when the server does not let us listen. */
  async next(): Promise<Msg | Ended> {
    for (;;) {
      if (this.#link.isOver()) return 'over';
      if (this.#link.changes !== this.changes) return 'connection';
      if (this.#failure !== null) throw this.#failure;
      const message = this.#messages[this.#read];
      if (message !== undefined) {
        this.#read++;
        return message;
      }
      this.#messages = [];
      this.#read = 0;
      if (!(await this.#arrival())) return 'silence';
    }
  }

  /** @returns false when nothing happened for too long. */
  #arrival(): Promise<boolean> {
    return new Promise(resolve => {
      const end = (happened: boolean): void => {
        clearTimeout(timer);
        this.#link.forget(this.#wake);
        this.#wake = () => undefined;
        resolve(happened);
      };
      const timer = setTimeout(end, SILENCE_MS, false);
      this.#wake = () => end(true);
      this.#link.onChange(this.#wake);
    });
  }

  close(): void {
    this.#sub.unsubscribe();
  }
}

/** Whether the connection is there, as far as the client knows. */
class Link {
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<() => void>();
  #isUp = true;
  #isClosed = false;
  /** Counts every loss and every return, so that one that was over before anybody looked is seen. */
  changes = 0;

  constructor(nc: NatsConnection, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wakeAll(), {once: true});
    void this.#listen(nc);
  }

  async #listen(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      if (this.#signal.aborted) return;
      if (status.type !== 'disconnect' && status.type !== 'reconnect') continue;
      this.#isUp = status.type === 'reconnect';
      this.changes++;
      this.#wakeAll();
    }
    this.#isClosed = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  isOver(): boolean {
    return this.#signal.aborted || this.#isClosed;
  }

  onChange(wake: () => void): void {
    this.#waiting.add(wake);
  }

  forget(wake: () => void): void {
    this.#waiting.delete(wake);
  }

  /** Resolves with null when the connection was lost or came back since `changes`, or all is over. */
  async changed(changes: number): Promise<null> {
    while (this.changes === changes && !this.isOver()) await this.#change();
    return null;
  }

  /** Resolves when the connection is there, or it is all over. */
  async up(): Promise<void> {
    while (!this.#isUp && !this.isOver()) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
    });
  }
}
