import {type FileHandle, open, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';
import Type from 'typebox';
import {assert} from '../../base/assert.ts';
import type {Bytes} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';

/** One message that could not be published. */
export const Parcel = Type.Object({subject: Type.String(), id: Type.String(), data: Type.Unknown()});
export type Parcel = Type.Static<typeof Parcel>;

interface Part {
  path: string;
  file: FileHandle;
  /** Where each record begins; the next would begin at `bytes`. */
  starts: number[];
  bytes: Bytes;
}

const NEWLINE = 10;

/**
 * A bounded stack of messages on disk: the newest comes out first, and when it is full the oldest half goes. Two files, `new`
 * and `old`, a JSON line a message; taking one cuts the file's end off. Written without fsync: a crash of the machine may
 * lose the last lines, a half-written one is recognised and dropped. Calls must not overlap.
 */
export class Spool {
  readonly #folder: string;
  readonly #partBytesMax: Bytes;
  #new: Part;
  #old: Part;
  #dropped = 0;

  private constructor(folder: string, bytesMax: Bytes, newest: Part, oldest: Part) {
    this.#folder = folder;
    this.#partBytesMax = Math.floor(bytesMax / 2);
    this.#new = newest;
    this.#old = oldest;
  }

  /**
   * Opens what an earlier process left, or begins anew.
   * @param bytesMax of both files together.
   * @throws the file system's errors.
   */
  static async open(folder: string, bytesMax: Bytes): Promise<Spool> {
    return new Spool(folder, bytesMax, await openPart(join(folder, 'spool.new')), await openPart(join(folder, 'spool.old')));
  }

  /** Messages waiting. */
  get count(): number {
    return this.#new.starts.length + this.#old.starts.length;
  }

  /** Messages lost since the spool was opened because it was full. */
  get dropped(): number {
    return this.#dropped;
  }

  async push(parcel: Parcel): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(parcel)}\n`);
    if (line.length > this.#partBytesMax) {
      this.#dropped++;
      return;
    }
    if (this.#new.bytes + line.length > this.#partBytesMax) await this.#rotate();
    const part = this.#new;
    const {bytesWritten} = await part.file.write(line, 0, line.length, part.bytes);
    // A full disk may take a part of it: then nothing of it counts.
    if (bytesWritten !== line.length) throw new Error(`only ${bytesWritten} of ${line.length} bytes written to ${part.path}`);
    part.starts.push(part.bytes);
    part.bytes += line.length;
  }

  /** The newest message, or null when there is none; it stays until `removeNewest`. */
  async newest(): Promise<Parcel | null> {
    for (;;) {
      const part = this.#new.starts.length > 0 ? this.#new : this.#old;
      const start = part.starts.at(-1);
      if (start === undefined) return null;
      const line = Buffer.alloc(part.bytes - start);
      await part.file.read(line, 0, line.length, start);
      try {
        return decode(Parcel, line, part.path);
      } catch {
        // Spoilt on disk: nobody can use it any more.
        await cut(part);
        this.#dropped++;
      }
    }
  }

  async removeNewest(): Promise<void> {
    const part = this.#new.starts.length > 0 ? this.#new : this.#old;
    assert(part.starts.length > 0, 'only what was seen is removed');
    await cut(part);
  }

  async close(): Promise<void> {
    await Promise.all([this.#new.file.close(), this.#old.file.close()]);
  }

  async #rotate(): Promise<void> {
    this.#dropped += this.#old.starts.length;
    await this.#old.file.close();
    await rm(this.#old.path, {force: true});
    await rename(this.#new.path, this.#old.path);
    this.#old = {...this.#new, path: this.#old.path};
    this.#new = await openPart(join(this.#folder, 'spool.new'));
  }
}

async function cut(part: Part): Promise<void> {
  const start = part.starts.pop();
  assert(start !== undefined, 'a record is there to be cut');
  await part.file.truncate(start);
  part.bytes = start;
}

async function openPart(path: string): Promise<Part> {
  const file = await open(path, 'a+', 0o600);
  await file.close();
  const writable = await open(path, 'r+');
  const {size} = await writable.stat();
  const text = Buffer.alloc(size);
  await writable.read(text, 0, size, 0);
  const starts: number[] = [];
  let bytes = 0;
  for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, bytes)) {
    starts.push(bytes);
    bytes = end + 1;
  }
  await writable.truncate(bytes);
  return {path, file: writable, starts, bytes};
}
