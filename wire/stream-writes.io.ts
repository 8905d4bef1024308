import {JetStreamApiCodes, JetStreamApiError, jetstream, jetstreamManager} from '@nats-io/jetstream';
import type {KV, KvEntry} from '@nats-io/kv';
import {headers, type NatsConnection} from '@nats-io/transport-node';
import {MailherdError} from '../base/errors.ts';

/** Others write to the same stream: so often one write is tried before it is given up as a conflict. */
const TRIES_MAX = 100;
const OPERATION = 'KV-Operation';

/** What is to be written to a key if it is as expected. */
interface Write {
  key: string;
  /** null: the marker of a removal. */
  data: Uint8Array | null;
  /** @param current null: there never was any, or it is forgotten. */
  isExpected: (current: KvEntry | null) => boolean;
}

/**
 * Compare-and-set in a bucket that is mirrored. The usual condition, the last sequence of the key, stays in the stored message, and a mirror holds
 * it against its own messages (nats-server issue 5865, with 2.9 and 2.10): a mirror that has missed one of two changes, or is made
 * anew when the first of them is gone, refuses the second and stops for good. The last sequence of the whole stream, as a condition, holds
 * for mirrors as well. The key is looked at after that sequence is known, so that nothing can have come in between.
 */
export class StreamWrites {
  readonly #nc: NatsConnection;
  readonly #kv: KV;
  readonly #name: string;
  /** The last sequence of the stream as far as is known here. */
  #last: number | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param name of the bucket. */
  constructor(nc: NatsConnection, kv: KV, name: string) {
    this.#nc = nc;
    this.#kv = kv;
    this.#name = name;
  }

  /** One after the other: writes side by side would only refuse each other. @returns the revision. @throws MailherdError STORE_CONFLICT; the library's errors. */
  write(write: Write): Promise<number> {
    const done = this.#turn.then(() => this.#write(write));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #write(write: Write): Promise<number> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const lastSequence = this.#last ?? (await this.#lastSequence());
      this.#last = null;
      const current = await this.#kv.get(write.key);
      if (!write.isExpected(current))
        throw new MailherdError('STORE_CONFLICT', {bucket: this.#name, key: write.key, revision: current?.revision ?? null});
      const sequence = await this.#publish(write, lastSequence);
      if (sequence === null) continue;
      this.#last = sequence;
      return sequence;
    }
    throw new MailherdError('STORE_CONFLICT', {bucket: this.#name, key: write.key, reason: 'others write all the time', tries: TRIES_MAX});
  }

  async #lastSequence(): Promise<number> {
    const jsm = await jetstreamManager(this.#nc, {checkAPI: false});
    return (await jsm.streams.info(`KV_${this.#name}`)).state.last_seq;
  }

  /** @returns null when something else was written meanwhile. */
  async #publish({key, data}: Write, lastSequence: number): Promise<number | null> {
    const marked = headers();
    if (data === null) marked.set(OPERATION, 'DEL');
    try {
      const subject = `$KV.${this.#name}.${key}`;
      const {seq} = await jetstream(this.#nc).publish(subject, data ?? new Uint8Array(), {headers: marked, expect: {lastSequence}});
      return seq;
    } catch (error) {
      if (isConflict(error)) return null;
      throw error;
    }
  }
}

/** The server says that what was expected is not so. */
export function isConflict(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  return error.code === JetStreamApiCodes.StreamWrongLastSequence || error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown;
}
