import type {Socket} from 'node:net';
import type {Writable} from 'node:stream';
import type Type from 'typebox';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {SEED_LINE_BYTES_MAX} from '../../wire/seed.ts';
import type {Rate} from './rate.ts';

/** A peer that neither sends nor takes anything for so long is given up. */
const IDLE_MS = 5 * MINUTE_MS;

/** The connection of a seed: JSON lines first, then whatever else. */
export class SeedLine {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #rate: Rate | null;
  #rest: Buffer = Buffer.alloc(0);

  /** @param rate of what is said; null: as fast as the peer takes it. */
  constructor(socket: Socket, rate: Rate | null = null) {
    this.#socket = socket;
    this.#rate = rate;
    // Whoever reads or writes is told; this only keeps an error in between from ending the process.
    socket.on('error', () => socket.destroy());
    socket.setTimeout(IDLE_MS, () => socket.destroy(new MailherdError('COPY_FAILED', {reason: 'the peer is silent', idleMs: IDLE_MS})));
    this.#chunks = socket.iterator({destroyOnReturn: false}) as AsyncIterator<Buffer>;
  }

  /** Bytes read ahead of what was asked for, or the next ones; null at the end. @throws the socket's error. */
  async read(): Promise<Buffer | null> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const {done, value} = await this.#chunks.next();
    return done === true ? null : value;
  }

  /** One line as `schema`. @throws MailherdError COPY_FAILED when the peer closes; INPUT_INVALID for another line. */
  async hear<T extends Type.TSchema>(schema: T, what: string): Promise<Type.Static<T>> {
    let line: Buffer = Buffer.alloc(0);
    for (;;) {
      const part = await this.read();
      if (part === null) throw new MailherdError('COPY_FAILED', {reason: `the peer closed before its ${what}`});
      const end = part.indexOf('\n');
      line = Buffer.concat([line, end === -1 ? part : part.subarray(0, end)]);
      if (line.length > SEED_LINE_BYTES_MAX) throw new MailherdError('INPUT_INVALID', {what, path: '/', reason: 'too long'});
      if (end === -1) continue;
      this.#rest = part.subarray(end + 1);
      return decode(schema, line, what);
    }
  }

  /**
   * The connection for a program that reads it from here on; answers are still said here. Of a peer that keeps silent until it is answered
   * nothing was read ahead. @throws MailherdError INPUT_INVALID for another one.
   */
  handOver(): Socket {
    if (this.#rest.length + this.#socket.readableLength > 0)
      throw new MailherdError('INPUT_INVALID', {what: 'seed', path: '/', reason: 'more than the hello, before its answer'});
    this.#socket.setTimeout(0);
    return this.#socket;
  }

  async say(bytes: Uint8Array | string): Promise<void> {
    await write(this.#socket, bytes);
    await this.#rate?.passed(bytes.length);
  }
}

/** Writes, and waits when the receiver is slower. @throws the stream's error, or MailherdError COPY_FAILED when it is closed. */
export function write(stream: Writable, bytes: Uint8Array | string): Promise<void> {
  if (!stream.destroyed && stream.write(bytes)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const go = (): void => {
      stream.off('drain', go);
      stream.off('close', go);
      if (stream.destroyed) reject(stream.errored ?? new MailherdError('COPY_FAILED', {reason: 'the receiver closed'}));
      else resolve();
    };
    stream.on('drain', go);
    stream.on('close', go);
    if (stream.destroyed) go();
  });
}
