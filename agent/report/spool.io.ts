import {type FileHandle, mkdir, open, readdir, readFile, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {assert} from '../../base/assert.ts';
import {replaceFile} from '../../base/replace.io.ts';
import type {Bytes} from '../../base/units.ts';
import {frameOf, framesIn, type Parcel, parcelIn, type Span} from './frame.io.ts';

/** When the spool is full one of so many files goes: the oldest sixteenth of what is kept. */
const SEGMENTS_MAX = 16;
const SEGMENT_NAME = /^\d{12}$/;
const LOST_FILE = 'lost';

interface Segment {
  path: string;
  number: number;
  /** Messages in it that can be read. */
  count: number;
}

/** The newest segment, the only one that is open: messages are added to its end and taken from there. */
interface Top {
  path: string;
  number: number;
  file: FileHandle;
  frames: Span[];
  bytes: Bytes;
}

/**
 * A bounded stack of messages on disk: the newest comes out first, and when it is full the oldest go. Files numbered in order,
 * a compressed frame a message; taking one cuts the file's end off. Written without fsync: a killed process loses nothing, a
 * crash of the machine may lose the last messages. Whatever is found spoilt is passed over and counted. Calls must not overlap;
 * the file system's errors reach the caller of each, and nothing is lost by them.
 */
export class Spool {
  readonly #folder: string;
  readonly #segmentBytesMax: Bytes;
  /** In order of age, without the top; null before they could be read. */
  #older: Segment[] | null = null;
  #top: Top | null = null;
  #dropped = 0;
  #unreadable: string | null = null;

  /**
   * Nothing is read before the first call.
   * @param folder its own, made when it is not there.
   * @param bytesMax of all its files together.
   */
  constructor(folder: string, bytesMax: Bytes) {
    this.#folder = folder;
    this.#segmentBytesMax = Math.floor(bytesMax / SEGMENTS_MAX);
  }

  /** Whether what an earlier process left is known: before, `count` is too low. */
  get isLoaded(): boolean {
    return this.#older !== null;
  }

  /** Messages waiting. */
  get count(): number {
    return (this.#older ?? []).reduce((sum, {count}) => sum + count, this.#top?.frames.length ?? 0);
  }

  /** Messages lost for ever, since this host was set up: the spool was full, or they were spoilt on disk. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Why a part of what was kept cannot be read; null when all can. */
  get unreadable(): string | null {
    return this.#unreadable;
  }

  /** Takes up what an earlier process left; done by the first other call otherwise. @throws the file system's errors. */
  async load(): Promise<void> {
    if (this.#older !== null) return;
    await mkdir(this.#folder, {recursive: true, mode: 0o700});
    const names = (await readdir(this.#folder)).filter(name => SEGMENT_NAME.test(name)).sort();
    this.#dropped = Math.max(this.#dropped, await this.#lostBefore());
    const found: Segment[] = [];
    for (const name of names) {
      const path = join(this.#folder, name);
      found.push({path, number: Number(name), count: await this.#measure(path)});
    }
    this.#older = found;
    await this.#keepBound();
  }

  async push(parcel: Parcel): Promise<void> {
    await this.load();
    const frame = frameOf(parcel);
    if (frame.length > this.#segmentBytesMax) return this.#lose(1);
    let top = await this.#opened();
    if (top === null || top.bytes + frame.length > this.#segmentBytesMax) top = await this.#begin();
    const {bytesWritten} = await top.file.write(frame, 0, frame.length, top.bytes);
    // A full disk may take a part of it: then nothing of it counts, and the next one is written over it.
    if (bytesWritten !== frame.length) throw new Error(`only ${bytesWritten} of ${frame.length} bytes written to ${top.path}`);
    top.frames.push({start: top.bytes, end: top.bytes + frame.length});
    top.bytes += frame.length;
  }

  /** The newest message, or null when there is none; it stays until `removeNewest`. */
  async newest(): Promise<Parcel | null> {
    await this.load();
    for (;;) {
      const top = await this.#opened();
      if (top === null) return null;
      const span = top.frames.at(-1);
      if (span === undefined) {
        // The disk took nothing since it was begun.
        await this.#discard(top);
        continue;
      }
      const frame = Buffer.alloc(span.end - span.start);
      await top.file.read(frame, 0, frame.length, span.start);
      try {
        return parcelIn(frame, top.path);
      } catch (error) {
        this.#unreadable = `${top.path}: ${(error as Error).message}`;
        await this.#lose(1);
        await this.removeNewest();
      }
    }
  }

  async removeNewest(): Promise<void> {
    const top = this.#top;
    const span = top?.frames.at(-1);
    assert(top !== null && span !== undefined, 'only what was seen is removed');
    if (top.frames.length === 1) {
      await this.#discard(top);
      return;
    }
    await top.file.truncate(span.start);
    top.frames.pop();
    top.bytes = span.start;
  }

  async #discard(top: Top): Promise<void> {
    await rm(top.path, {force: true});
    this.#top = null;
    await top.file.close();
  }

  async close(): Promise<void> {
    const top = this.#top;
    if (top === null) return;
    this.#top = null;
    this.#older?.push({path: top.path, number: top.number, count: top.frames.length});
    await top.file.close();
  }

  /** The newest segment that has anything in it, opened; null when there is none. */
  async #opened(): Promise<Top | null> {
    const older = this.#older ?? [];
    while (this.#top === null) {
      const at = older.findLastIndex(({count}) => count > 0);
      const segment = older[at];
      if (segment === undefined) return null;
      try {
        const file = await open(segment.path, 'r+');
        const {frames} = framesIn(await file.readFile());
        older.splice(at, 1);
        this.#top = {path: segment.path, number: segment.number, file, frames, bytes: frames.at(-1)?.end ?? 0};
      } catch (error) {
        this.#passOver(error);
        segment.count = 0;
      }
    }
    return this.#top;
  }

  /** A new segment becomes the top. */
  async #begin(): Promise<Top> {
    const number = 1 + Math.max(0, this.#top?.number ?? 0, ...(this.#older ?? []).map(segment => segment.number));
    const path = join(this.#folder, String(number).padStart(12, '0'));
    const file = await open(path, 'w+', 0o600);
    await this.close();
    this.#top = {path, number, file, frames: [], bytes: 0};
    await this.#keepBound();
    return this.#top;
  }

  async #keepBound(): Promise<void> {
    const older = this.#older ?? [];
    while (older.length > SEGMENTS_MAX - 1) {
      const oldest = older[0];
      assert(oldest !== undefined, 'there is one');
      await rm(oldest.path, {force: true});
      older.shift();
      if (oldest.count > 0) await this.#lose(oldest.count);
    }
  }

  /** How many messages a segment has; one with spoilt parts is written anew without them, so that they are counted once. */
  async #measure(path: string): Promise<number> {
    try {
      const content = await readFile(path);
      const {frames, spoilt} = framesIn(content);
      if (spoilt === 0) return frames.length;
      await replaceFile(path, Buffer.concat(frames.map(({start, end}) => content.subarray(start, end))));
      await this.#lose(spoilt);
      return frames.length;
    } catch (error) {
      this.#passOver(error);
      return 0;
    }
  }

  /** Nobody knows what was in it. It stays until its turn to go, for a person to look at. */
  #passOver(error: unknown): void {
    this.#unreadable = (error as Error).message;
  }

  async #lose(count: number): Promise<void> {
    this.#dropped += count;
    // A disk that does not take the number must not cost the next message too.
    await replaceFile(join(this.#folder, LOST_FILE), `${this.#dropped}\n`).catch(error => this.#passOver(error));
  }

  async #lostBefore(): Promise<number> {
    try {
      const count = Number(await readFile(join(this.#folder, LOST_FILE), 'utf8'));
      return Number.isSafeInteger(count) && count >= 0 ? count : 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#passOver(error);
      return 0;
    }
  }
}
