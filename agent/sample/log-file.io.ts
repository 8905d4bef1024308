import type {Stats} from 'node:fs';
import {type FileHandle, open, readdir, stat} from 'node:fs/promises';
import {basename, dirname, extname, join} from 'node:path';
import Type from 'typebox';
import {systemClock} from '../../base/clock.io.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';

/** What is put behind the name, or before its extension. */
const ROTATED = /^[.-]\d[\d.:T_-]*$/;

/** Where a reader stood: in which file, how far, and the bytes before, by which a file that was overwritten is told. */
export const FilePosition = Type.Object({
  path: Type.String(),
  device: Type.Integer(),
  inode: Type.Integer(),
  offset: Type.Integer({minimum: 0}),
  before: Type.String(),
  /** When it stood there. */
  atMs: Type.Optional(Type.Number()),
});
export type FilePosition = Type.Static<typeof FilePosition>;

const POLL_MS = 1 * SECOND_MS;
const READ_BYTES = 64 * 1024;
const BEFORE_BYTES = 64;
/** Longer than any line that we know; the rest of such a line is thrown away. */
const LINE_BYTES_MAX = 16 * 1024;
/** A writer goes on in the renamed file until it is told to open the new one. */
const QUIET_POLLS_MAX = 30;
const HANGS_MS = 10 * SECOND_MS;
/** Files are dated by a clock that goes on with each tick only: one at HZ=100. */
const TICK_MS = 10;

interface FileOptions {
  path: string;
  /** null: from the end. */
  position: FilePosition | null;
  /** @param isOld the line was written before this reader began. */
  onLine: (line: string, isOld: boolean) => void;
  signal: AbortSignal;
  pollMs?: Millis;
}

/** One file that is being read: the log itself, or what it was called before it was rotated. */
interface Reading {
  handle: FileHandle;
  device: number;
  inode: number;
  offset: number;
  before: Buffer;
  /** The beginning of a line whose end is not written yet. */
  rest: Buffer;
  quietPolls: number;
}

/**
 * Follows a log file through rotation, by renaming or by copying and truncating, for as long as the signal lasts. What is written into a
 * renamed file is read to its end. Nothing is read twice; lost is only what was truncated before the next look, a second later.
 */
export class LogFileReader {
  readonly #options: FileOptions;
  readonly #buffer = Buffer.alloc(READ_BYTES + BEFORE_BYTES);
  /** Oldest first; the last one has the log's name. */
  #readings: Reading[] = [];
  #isOld = true;
  #loss: string | null = null;
  #failure: string | null = 'not started yet';
  #pollingSinceMs: Millis | null = null;

  constructor(options: FileOptions) {
    this.#options = options;
  }

  /** Why nothing is read now; null while all is well. */
  get failure(): string | null {
    if (this.#pollingSinceMs !== null && systemClock.monotonic() - this.#pollingSinceMs > HANGS_MS)
      return `${this.#options.path}: reading it hangs`;
    return this.#failure;
  }

  /** Why lines may be missing, once each time. */
  takeLoss(): string | null {
    const loss = this.#loss;
    this.#loss = null;
    return loss;
  }

  /** Of the oldest file that is not read to its end; what lies behind it is found again by its name. null before any. */
  get position(): FilePosition | null {
    const [oldest] = this.#readings;
    if (oldest === undefined) return null;
    const {device, inode, offset, rest, before} = oldest;
    // A line that has begun is read again as a whole.
    const kept = before.subarray(0, Math.max(before.length - rest.length, 0));
    return {
      path: this.#options.path,
      device,
      inode,
      offset: offset - rest.length,
      before: kept.toString('latin1'),
      atMs: systemClock.now(),
    };
  }

  /** Resolves when the signal aborts. */
  async run(): Promise<void> {
    const {signal, pollMs = POLL_MS} = this.#options;
    let isFirst = true;
    while (!signal.aborted) {
      this.#pollingSinceMs = systemClock.monotonic();
      try {
        const begins = isFirst;
        isFirst = false;
        if (begins) await this.#begin();
        await this.#poll();
        this.#failure = null;
      } catch (error) {
        this.#failure = (error as Error).message;
      }
      this.#pollingSinceMs = null;
      await systemClock.sleep(pollMs, signal);
    }
    for (const {handle} of this.#readings) await handle.close();
  }

  /** Finds the file that was read last; without one begins at the end. */
  async #begin(): Promise<void> {
    const {path, position} = this.#options;
    if (position === null) {
      const reading = await this.#open(path);
      reading.offset = (await reading.handle.stat()).size;
      return;
    }
    const named = await stat(path).catch(() => null);
    const all = [...(await this.#rotated()), ...(named === null ? [] : [{path, stats: named}])];
    const at = await whereItStood(position, all);
    const found = all[at];
    if (found === undefined) {
      this.#loss = `${path}: the file that was read last is gone, compressed or truncated: what was written to it since is missing`;
      // All that there is under the name came after it, and is read from its beginning; so are those that were written to since.
      for (const {path: later, stats} of all)
        if (later !== path && stats.mtimeMs > (position.atMs ?? Number.POSITIVE_INFINITY) - TICK_MS) await this.#open(later);
      return;
    }
    const reading = await this.#open(found.path);
    reading.offset = position.offset;
    reading.before = Buffer.from(position.before, 'latin1');
    for (const {path: later} of all.slice(at + 1)) if (later !== path) await this.#open(later);
  }

  /** What the log was called before, as logrotate and others name it, oldest first; what is compressed already cannot be followed. */
  async #rotated(): Promise<{path: string; stats: Stats}[]> {
    const {path} = this.#options;
    const [name, extension] = [basename(path), extname(path)];
    const ends = [
      [name, ''],
      [basename(path, extension), extension],
    ] as const;
    const isRotated = (other: string): boolean =>
      ends.some(
        ([head, tail]) =>
          other.startsWith(head) && other.endsWith(tail) && ROTATED.test(other.slice(head.length, other.length - tail.length)),
      );
    const names = (await readdir(dirname(path))).filter(isRotated);
    const found = await Promise.all(
      names.map(async other => {
        const rotated = join(dirname(path), other);
        return {path: rotated, stats: await stat(rotated).catch(() => null)};
      }),
    );
    const there = found.flatMap(({path: rotated, stats}) => (stats?.isFile() ? [{path: rotated, stats}] : []));
    return there.sort((a, b) => a.stats.mtimeMs - b.stats.mtimeMs);
  }

  async #open(path: string): Promise<Reading> {
    const handle = await open(path, 'r');
    const {dev, ino} = await handle.stat();
    const reading = {handle, device: dev, inode: ino, offset: 0, before: Buffer.alloc(0), rest: Buffer.alloc(0), quietPolls: 0};
    this.#readings.push(reading);
    return reading;
  }

  async #poll(): Promise<void> {
    const {path} = this.#options;
    // To its end first: what follows in the new file came later.
    for (const reading of this.#readings) await this.#drain(reading);
    const named = await this.#stat(path);
    if (named !== null && !this.#knows(named)) {
      // It may have been rotated several times since the last look.
      const last = await this.#readings.at(-1)?.handle.stat();
      for (const {path: rotated, stats} of last === undefined ? [] : await this.#rotated()) {
        if (stats.mtimeMs >= (last?.mtimeMs ?? 0) && !this.#knows(stats)) await this.#drain(await this.#open(rotated));
      }
      await this.#drain(await this.#open(path));
    }
    await this.#forget();
    this.#isOld = false;
  }

  /** null while a log that was just renamed has no successor yet: some only come with the next line. */
  async #stat(path: string): Promise<Stats | null> {
    try {
      return await stat(path);
    } catch (error) {
      const last = this.#readings.at(-1);
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || last === undefined || last.quietPolls > QUIET_POLLS_MAX) throw error;
      return null;
    }
  }

  #knows({ino, dev}: {ino: number; dev: number}): boolean {
    return this.#readings.some(({inode, device}) => inode === ino && device === dev);
  }

  /** Closes renamed files that nobody writes into any more. */
  async #forget(): Promise<void> {
    const last = this.#readings.at(-1);
    const done = this.#readings.filter(reading => reading !== last && reading.quietPolls > QUIET_POLLS_MAX);
    this.#readings = this.#readings.filter(reading => !done.includes(reading));
    for (const {handle} of done) await handle.close();
  }

  async #drain(reading: Reading): Promise<void> {
    reading.quietPolls++;
    for (;;) {
      const from = reading.offset - reading.before.length;
      const {bytesRead} = await reading.handle.read(this.#buffer, 0, this.#buffer.length, from);
      const known = this.#buffer.subarray(0, Math.min(reading.before.length, bytesRead));
      if (!known.equals(reading.before)) {
        // Truncated, and perhaps written again since.
        Object.assign(reading, {offset: 0, before: Buffer.alloc(0), rest: Buffer.alloc(0)});
        continue;
      }
      const fresh = this.#buffer.subarray(known.length, bytesRead);
      if (fresh.length === 0) return;
      reading.quietPolls = 0;
      reading.offset += fresh.length;
      reading.before = Buffer.from(this.#buffer.subarray(Math.max(bytesRead - BEFORE_BYTES, 0), bytesRead));
      this.#split(reading, fresh);
    }
  }

  #split(reading: Reading, fresh: Buffer): void {
    const text = Buffer.concat([reading.rest, fresh]);
    let from = 0;
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10, from)) {
      if (end > from) this.#options.onLine(text.toString('utf8', from, Math.min(end, from + LINE_BYTES_MAX)), this.#isOld);
      from = end + 1;
    }
    reading.rest = Buffer.from(text.subarray(from, from + LINE_BYTES_MAX));
  }
}

/**
 * Which of the files goes on from a position, -1 if none does. An inode alone tells nothing, as the next file may have that of one that was
 * removed: the bytes before must fit too. They tell a copy as well, whose original was truncated.
 */
async function whereItStood(position: FilePosition, all: {path: string; stats: Stats}[]): Promise<number> {
  const fits = await Promise.all(
    all.map(({path}) =>
      hasBefore(path, position).catch((error: NodeJS.ErrnoException) => {
        // Rotated away between the listing and this look.
        if (error.code === 'ENOENT') return false;
        throw error;
      }),
    ),
  );
  const at = all.findIndex(({stats}, index) => fits[index] && stats.ino === position.inode && stats.dev === position.device);
  return at >= 0 || position.before === '' ? at : fits.indexOf(true);
}

async function hasBefore(path: string, {offset, before}: FilePosition): Promise<boolean> {
  const expected = Buffer.from(before, 'latin1');
  const handle = await open(path, 'r');
  try {
    const {size} = await handle.stat();
    const {buffer} = await handle.read(Buffer.alloc(expected.length), 0, expected.length, offset - expected.length);
    return size >= offset && buffer.equals(expected);
  } finally {
    await handle.close();
  }
}
