import {jetstreamManager} from '@nats-io/jetstream';
import {type KV, type KvEntry, Kvm} from '@nats-io/kv';
import type {NatsConnection} from '@nats-io/transport-node';
import type Type from 'typebox';
import {assert} from '../base/assert.ts';
import {type Code, MailherdError} from '../base/errors.ts';
import type {Instant, Millis} from '../base/units.ts';
import {MIRRORS} from './accounts.ts';
import {decode, encode} from './codec.ts';
import {Follower, type Stored} from './follow.io.ts';
import {ensureMirror} from './mirror.io.ts';
import {natsLog} from './nats.io.ts';
import {isConflict, StreamWrites} from './stream-writes.io.ts';

export interface Entry<T> {
  key: string;
  value: T;
  revision: number;
  /** The NATS server's timestamp of the entry. */
  storedAtMs: Instant;
}

export interface Removal {
  key: string;
  removed: true;
  revision: number;
}

export interface BucketOptions {
  /** Create the bucket when it is absent; only the coordinator may. */
  create: boolean;
  /** Values kept of a key, 1 (only the last) to 64. */
  history?: number;
  /** Values older than this go by themselves; without it none do. Only when the bucket is created. */
  ageMaxMs?: Millis;
  /** Told of entries that do not fit the schema; without it they are logged as errors. */
  onMisfit?: (key: string, reason: string) => void;
}

const NO_KEY = '-';
/** In a cluster each bucket lies on this many servers, so that it outlives one of them. */
const CLUSTER_REPLICAS = 3;

/**
 * A NATS KV bucket whose values fit one schema. All reads go to the stream's leader (no direct gets): what a compare-and-set is
 * based on must not be a replica's past.
 */
export class Bucket<S extends Type.TSchema> {
  readonly #nc: NatsConnection;
  readonly #kv: KV;
  readonly #name: string;
  readonly #schema: S;
  readonly #onMisfit: (key: string, reason: string) => void;
  /** null: nobody mirrors it. */
  readonly #writes: StreamWrites | null;

  private constructor(nc: NatsConnection, kv: KV, name: string, schema: S, options: BucketOptions) {
    this.#nc = nc;
    this.#kv = kv;
    this.#name = name;
    this.#schema = schema;
    this.#writes = MIRRORS.some(({stream}) => stream === `KV_${name}`) ? new StreamWrites(nc, kv, name) : null;
    this.#onMisfit =
      options.onMisfit ?? ((key, reason) => natsLog(nc).error({bucket: name, key, reason}, 'a stored record does not fit its schema'));
  }

  /** @throws MailherdError NATS_DOWN when the server does not answer, refuses, or the bucket is not there. */
  static async open<S extends Type.TSchema>(nc: NatsConnection, name: string, schema: S, options: BucketOptions): Promise<Bucket<S>> {
    const kvm = new Kvm(nc);
    const replicas = nc.info?.cluster === undefined ? 1 : CLUSTER_REPLICAS;
    const kv = await asked(name, '', async () => {
      if (options.create) {
        const made = await kvm.create(name, {history: options.history ?? 1, ttl: options.ageMaxMs ?? 0, allow_direct: false, replicas});
        await ensureMirror(nc, `KV_${name}`);
        return made;
      }
      const bound = await kvm.open(name);
      // Opening asks the server nothing: this tells whether the bucket is there.
      await bound.get(NO_KEY);
      return bound;
    });
    return new Bucket(nc, kv, name, schema, options);
  }

  /** @throws MailherdError NATS_DOWN; STORE_CORRUPT when what is stored does not fit the schema. */
  async get(key: string): Promise<Entry<Type.Static<S>> | null> {
    const entry = await asked(this.#name, key, () => this.#kv.get(key));
    if (entry === null || entry.operation !== 'PUT') return null;
    try {
      return this.#entryOf(key, entry.value, entry.revision, storedAt(entry));
    } catch (cause) {
      if (!(cause instanceof MailherdError)) throw cause;
      throw new MailherdError('STORE_CORRUPT', {bucket: this.#name, key, revision: entry.revision, ...cause.detail}, {cause});
    }
  }

  /** @returns the revision. @throws MailherdError STORE_CONFLICT when the key exists; NATS_DOWN when it is not known whether it was written. */
  create(key: string, value: Type.Static<S>): Promise<number> {
    const data = encode(this.#schema, value);
    const isExpected = (current: KvEntry | null): boolean => current?.operation !== 'PUT';
    return asked(this.#name, key, () => this.#writes?.write({key, data, isExpected}) ?? this.#kv.create(key, data));
  }

  /** Compare-and-set. @returns the new revision. @throws MailherdError STORE_CONFLICT when the newest revision is another; NATS_DOWN as create. */
  update(key: string, value: Type.Static<S>, expectedRevision: number): Promise<number> {
    assert(expectedRevision > 0, 'only what exists can be updated');
    const data = encode(this.#schema, value);
    const isExpected = isAt(expectedRevision);
    return asked(this.#name, key, () => this.#writes?.write({key, data, isExpected}) ?? this.#kv.update(key, data, expectedRevision));
  }

  /** Last writer wins; only for what has one writer. @returns the revision. @throws MailherdError NATS_DOWN as create. */
  put(key: string, value: Type.Static<S>): Promise<number> {
    return asked(this.#name, key, () => this.#kv.put(key, encode(this.#schema, value)));
  }

  /** @throws MailherdError STORE_CONFLICT when the newest revision is another; NATS_DOWN as create. */
  async remove(key: string, expectedRevision: number): Promise<void> {
    // The library leaves out a condition of 0: it would remove whatever is there.
    assert(expectedRevision > 0, 'only what exists can be removed');
    const write = {key, data: null, isExpected: isAt(expectedRevision)};
    await asked<unknown>(this.#name, key, () => this.#writes?.write(write) ?? this.#kv.delete(key, {previousSeq: expectedRevision}));
  }

  /**
   * Removes an entry and the marker that its removal leaves: of keys that never come again there would be one more for ever. Whoever watches and
   * is away just then does not hear of it. @throws MailherdError as remove.
   */
  async forget(key: string, expectedRevision: number): Promise<void> {
    await this.remove(key, expectedRevision);
    await asked(this.#name, key, async () => {
      const marker = await this.#kv.get(key);
      if (marker === null || marker.operation === 'PUT') return;
      const jsm = await jetstreamManager(this.#nc, {checkAPI: false});
      await jsm.streams.purge(`KV_${this.#name}`, {filter: `$KV.${this.#name}.${key}`, seq: marker.revision + 1});
    });
  }

  /**
   * Stores anew what bears a condition on its key, as releases before this one stored everything: mirrors stop at it (wire/stream-writes.io.ts).
   * @param anew what is stored instead; null: it stays as it is. @returns how many. @throws MailherdError NATS_DOWN.
   */
  async renew(anew: (entry: Entry<Type.Static<S>>) => Type.Static<S> | null): Promise<number> {
    let renewed = 0;
    for (const [key, {sequence: revision, operation}] of await this.#conditioned()) {
      const write = operation === 'PUT' ? this.#renewEntry(key, revision, anew) : this.remove(key, revision).then(() => true);
      if (await write.catch(ignored('STORE_CONFLICT'))) renewed++;
    }
    return renewed;
  }

  async #renewEntry(key: string, revision: number, anew: (entry: Entry<Type.Static<S>>) => Type.Static<S> | null): Promise<boolean> {
    const entry = await this.get(key).catch(ignored('STORE_CORRUPT'));
    const value = entry?.revision === revision ? anew(entry) : null;
    if (value !== null) await this.update(key, value, revision);
    return value !== null;
  }

  /** The newest message of each key that bears a condition on it. */
  async #conditioned(): Promise<Map<string, Stored>> {
    const found = new Map<string, Stored>();
    const stop = new AbortController();
    const note = (key: string, message: Stored): void => void (message.isConditioned ? found.set(key, message) : found.delete(key));
    await this.#follow(note, stop.signal).finally(() => stop.abort());
    return found;
  }

  /** All present entries; misfits go to `onMisfit`. @throws MailherdError NATS_DOWN. */
  async entries(): Promise<Entry<Type.Static<S>>[]> {
    const found = new Map<string, Entry<Type.Static<S>>>();
    const stop = new AbortController();
    try {
      await this.watch(entry => {
        if ('removed' in entry) found.delete(entry.key);
        else found.set(entry.key, entry);
      }, stop.signal);
    } finally {
      stop.abort();
    }
    return [...found.values()];
  }

  /**
   * Delivers all present entries (removed ones as such, in order of their revisions) and then every change, one after the other,
   * until `signal`. After an outage it goes on with what is newer than the last delivered entry; of a key that changed more than
   * once meanwhile only the last value comes. An entry whose `onEntry` throws comes again after a second. Should the bucket have
   * been made anew, or an older state of it brought back, `onAnew` is told (wire/follow.io.ts) and all of it comes again with smaller revisions.
   * @returns once all entries that were present have been delivered.
   * @throws MailherdError NATS_DOWN when it cannot begin; CANCELLED when `signal` came first.
   */
  async watch(
    onEntry: (entry: Entry<Type.Static<S>> | Removal) => void | Promise<void>,
    signal: AbortSignal,
    onAnew?: (isSure: boolean) => void,
  ): Promise<void> {
    await this.#follow((key, message) => this.#deliver(key, message, onEntry), signal, onAnew);
  }

  async #follow(
    onMessage: (key: string, message: Stored) => void | Promise<void>,
    signal: AbortSignal,
    onAnew?: (isSure: boolean) => void,
  ): Promise<void> {
    const prefix = `$KV.${this.#name}.`;
    const follower = new Follower(this.#nc, {
      stream: `KV_${this.#name}`,
      filter: `${prefix}>`,
      onMessage: message => onMessage(message.subject.slice(prefix.length), message),
      onTrouble: reason => natsLog(this.#nc).warn({bucket: this.#name, reason}, 'watching a bucket was interrupted'),
      onAnew,
      signal,
    });
    await asked(this.#name, '', () => follower.start());
  }

  #deliver(key: string, message: Stored, onEntry: (entry: Entry<Type.Static<S>> | Removal) => void | Promise<void>): void | Promise<void> {
    if (message.operation !== 'PUT') return onEntry({key, removed: true, revision: message.sequence});
    let entry: Entry<Type.Static<S>>;
    try {
      entry = this.#entryOf(key, message.data, message.sequence, message.storedAtMs);
    } catch (error) {
      return this.#onMisfit(key, error instanceof Error ? error.message : String(error));
    }
    return onEntry(entry);
  }

  #entryOf(key: string, data: Uint8Array, revision: number, storedAtMs: Instant): Entry<Type.Static<S>> {
    return {key, value: decode(this.#schema, data, `${this.#name}/${key}`), revision, storedAtMs};
  }
}

function isAt(revision: number): (current: KvEntry | null) => boolean {
  return current => current?.revision === revision;
}

/** @returns null instead of an error with that code. @throws every other. */
function ignored(code: Code): (error: unknown) => null {
  return error => {
    if (error instanceof MailherdError && error.code === code) return null;
    throw error;
  };
}

function storedAt(entry: KvEntry): Instant {
  return entry.created.getTime();
}

/** One call to the server, with its failures as codes. */
async function asked<T>(bucket: string, key: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof MailherdError) throw cause;
    const detail = {bucket, key, reason: cause instanceof Error ? cause.message : String(cause)};
    throw new MailherdError(isConflict(cause) ? 'STORE_CONFLICT' : 'NATS_DOWN', detail, {cause});
  }
}
