import {JetStreamApiError} from '@nats-io/jetstream';
import {type KV, type KvEntry, Kvm} from '@nats-io/kv';
import type {NatsConnection} from '@nats-io/transport-node';
import type Type from 'typebox';
import {MailherdError} from '../base/errors.ts';
import type {Instant} from '../base/units.ts';
import {decode, encode} from './codec.ts';

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

interface BucketOptions {
  /** Create the bucket when it is absent; only the coordinator may. */
  create: boolean;
  history?: number;
  /** Told of entries that do not fit the schema. */
  onMisfit?: (key: string, reason: string) => void;
}

const WRONG_LAST_SEQUENCE = 10071;

/**
 * A NATS KV bucket whose values fit one schema. All reads go to the stream's leader (no direct gets): what a compare-and-set is
 * based on must not be a replica's past.
 */
export class Bucket<S extends Type.TSchema> {
  readonly #kv: KV;
  readonly #name: string;
  readonly #schema: S;
  readonly #onMisfit: (key: string, reason: string) => void;

  private constructor(kv: KV, name: string, schema: S, onMisfit: (key: string, reason: string) => void) {
    this.#kv = kv;
    this.#name = name;
    this.#schema = schema;
    this.#onMisfit = onMisfit;
  }

  /** @throws MailherdError NATS_DOWN when the server does not answer or the bucket is not there. */
  static async open<S extends Type.TSchema>(nc: NatsConnection, name: string, schema: S, options: BucketOptions): Promise<Bucket<S>> {
    const kvm = new Kvm(nc);
    const kv = await asked(name, '', () =>
      options.create ? kvm.create(name, {history: options.history ?? 1, allow_direct: false}) : kvm.open(name, {bindOnly: true}),
    );
    return new Bucket(kv, name, schema, options.onMisfit ?? ((key, reason) => failMisfit(name, key, reason)));
  }

  /** @throws MailherdError NATS_DOWN; INPUT_INVALID when what is stored does not fit the schema. */
  async get(key: string): Promise<Entry<Type.Static<S>> | null> {
    const entry = await asked(this.#name, key, () => this.#kv.get(key));
    return entry === null || entry.operation !== 'PUT' ? null : this.#entryOf(entry);
  }

  /** @returns the revision. @throws MailherdError STORE_CONFLICT when the key exists; NATS_DOWN when it is not known whether it was written. */
  create(key: string, value: Type.Static<S>): Promise<number> {
    return asked(this.#name, key, () => this.#kv.create(key, encode(this.#schema, value)));
  }

  /** Compare-and-set. @returns the new revision. @throws MailherdError as create. */
  update(key: string, value: Type.Static<S>, expectedRevision: number): Promise<number> {
    return asked(this.#name, key, () => this.#kv.update(key, encode(this.#schema, value), expectedRevision));
  }

  /** Last writer wins; only for what has one writer. @returns the revision. @throws MailherdError NATS_DOWN. */
  put(key: string, value: Type.Static<S>): Promise<number> {
    return asked(this.#name, key, () => this.#kv.put(key, encode(this.#schema, value)));
  }

  /** @throws MailherdError STORE_CONFLICT when the newest revision is another; NATS_DOWN. */
  async remove(key: string, expectedRevision: number): Promise<void> {
    await asked(this.#name, key, () => this.#kv.delete(key, {previousSeq: expectedRevision}));
  }

  /** All present entries; misfits go to `onMisfit`. @throws MailherdError NATS_DOWN. */
  async entries(): Promise<Entry<Type.Static<S>>[]> {
    const found: Entry<Type.Static<S>>[] = [];
    const stop = new AbortController();
    await this.watch(entry => {
      if (!('removed' in entry)) found.push(entry);
    }, stop.signal);
    stop.abort();
    return found;
  }

  /**
   * Delivers all present entries and then every change, in order, until `signal`. A connection that is lost and comes back goes on
   * where it was; at worst entries come again, so `onEntry` must bear repeats.
   * @returns once all entries that were present have been delivered. @throws MailherdError NATS_DOWN when it cannot begin.
   */
  async watch(onEntry: (entry: Entry<Type.Static<S>> | Removal) => void, signal: AbortSignal): Promise<void> {
    let iterator = await asked(this.#name, '', () => this.#kv.watch({}));
    const present = (await this.#isEmpty()) ? Promise.resolve() : null;
    let caughtUp: () => void = () => undefined;
    const reached =
      present ??
      new Promise<void>(resolve => {
        caughtUp = resolve;
      });
    signal.addEventListener('abort', () => iterator.stop(), {once: true});
    void (async () => {
      while (!signal.aborted) {
        for await (const entry of iterator) {
          if (signal.aborted) break;
          this.#deliver(entry, onEntry);
          // The last of the entries that were present is the first one marked as update by the client, since it counts them down.
          if (entry.isUpdate) caughtUp();
        }
        if (signal.aborted) return;
        iterator = (await this.#again(signal)) ?? iterator;
      }
    })();
    await reached;
  }

  #deliver(entry: KvEntry, onEntry: (entry: Entry<Type.Static<S>> | Removal) => void): void {
    if (entry.operation !== 'PUT') return onEntry({key: entry.key, removed: true, revision: entry.revision});
    let decoded: Entry<Type.Static<S>>;
    try {
      decoded = this.#entryOf(entry);
    } catch (error) {
      return this.#onMisfit(entry.key, error instanceof Error ? error.message : String(error));
    }
    onEntry(decoded);
  }

  /** The consumer was ended by the server (deleted, lost with a restart): begin anew. */
  async #again(signal: AbortSignal): Promise<Awaited<ReturnType<KV['watch']>> | null> {
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, 1_000));
      if (signal.aborted) return null;
      try {
        return await this.#kv.watch({});
      } catch (error) {
        if (!isTransport(error)) throw error;
      }
    }
  }

  async #isEmpty(): Promise<boolean> {
    const status = await asked(this.#name, '', () => this.#kv.status());
    return status.values === 0;
  }

  #entryOf(entry: KvEntry): Entry<Type.Static<S>> {
    const value = decode(this.#schema, entry.value, `${this.#name}/${entry.key}`);
    return {key: entry.key, value, revision: entry.revision, storedAtMs: entry.created.getTime()};
  }
}

function failMisfit(bucket: string, key: string, reason: string): never {
  throw new MailherdError('STORE_CORRUPT', {bucket, key, reason});
}

function isTransport(error: unknown): boolean {
  return error instanceof Error;
}

/** One call to the server, with its failures as codes. */
async function asked<T>(bucket: string, key: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (cause instanceof MailherdError) throw cause;
    const detail = {bucket, key, reason: cause instanceof Error ? cause.message : String(cause)};
    if (cause instanceof JetStreamApiError && cause.code === WRONG_LAST_SEQUENCE)
      throw new MailherdError('STORE_CONFLICT', detail, {cause});
    throw new MailherdError('NATS_DOWN', detail, {cause});
  }
}
