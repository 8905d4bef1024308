import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {getSystemErrorName} from 'node:util';
import {assert} from '../base/assert.ts';
import {MailherdError} from '../base/errors.ts';
import type {Bytes, Millis} from '../base/units.ts';
import type {KernelAddon} from './kernel.ts';
import type {MailboxAddon} from './mailbox.ts';
import type {PeerAddon} from './peer.ts';

/** The only file that loads the addon, and the only place that knows how its values look. */

interface NativeQueueWalker {
  walk(level: QueueLevel, budgetMs: number, samplesMax: number): Promise<{values: Float64Array; samples: QueueSample[]}>;
}
interface Addon extends KernelAddon, MailboxAddon, PeerAddon {
  queueFields: string[];
  storeFields: string[];
  QueueWalker: new (spool: string) => NativeQueueWalker;
  searchPlan(model: object, start: Int32Array, limits: object): Promise<NativeFound>;
  searchPlanNow(model: object, start: Int32Array, limits: object): NativeFound;
  countPostfixProcesses(root: string, spool: string, processesMax: number): Promise<PostfixProcesses>;
  giveBack(): number;
  serveLine(): boolean;
  notifySystemd(socket: string, state: string): void;
  StoreReader: new (root: string, path: string) => {read(): Promise<Float64Array | NativeStore>};
}
interface NativeStore {
  disk: string | null;
  device: string | null;
  type: string | null;
  options: string;
  values: Float64Array;
}
interface NativeFound {
  assignment: Int32Array;
  cost: number;
  steps: number;
}
export interface NativeError extends Error {
  code: string;
  errno: number;
  op: string;
  path: string;
}

/** A kernel file that gave nothing: ENOENT and EOPNOTSUPP mean that this kernel lacks it. */
export interface KernelGap {
  code: string;
  op: string;
  path: string;
}

/**
 * `names` reads directories only, `ages` asks once for the birth of each short-id message, `rotate` asks for about 1500 messages of each
 * queue, others each time, `stat` asks for every message.
 */
export type QueueLevel = 'names' | 'ages' | 'rotate' | 'stat';

/** Messages, bytes and milliseconds by name (see `queueFields`); null = not known at this level. */
export interface QueueWalk {
  maildrop: number;
  incoming: number;
  active: number;
  deferred: number;
  hold: number;
  /** Of all five, and of each by name; projected from the messages that were asked for, null where none was. */
  bytes: Bytes | null;
  queueBytes: Record<string, Bytes | null>;
  /** Of incoming, active and deferred by true arrival; null when nothing has a known age. */
  ageMsP50: Millis | null;
  ageMsP95: Millis | null;
  ageMsMax: Millis | null;
  /** Messages whose age is known, and not known. */
  aged: number;
  unaged: number;
  /** Files whose names are not queue ids; not counted anywhere else. */
  foreign: number;
  /** In incoming for more than five minutes: nobody takes them. */
  stuckIncoming: number;
  /** Sizes of the queue directories themselves, which never shrink on ext4: of all, and of the largest. */
  directoryBytes: Bytes;
  directoryBytesMax: Bytes;
  /** Hash directories of deferred, and messages in the fullest of them. */
  buckets: number;
  bucketMax: number;
  /** Directories whose names were known from an earlier walk: they had not changed, or each change was heard of. */
  directoriesKept: number;
  /** Directories of deferred and hold whose changes the kernel tells, and names that came or went there since the walk before. */
  directoriesFollowed: number;
  changesHeard: number;
  /** More had changed than the kernel holds ready: all was listed. */
  changesLost: boolean;
  /** Directories, since the walker was made, in which a new listing found what had not been heard of. */
  listingsWrong: number;
  /** Why a directory is not followed that should be: ENOSPC and EMFILE are limits on inotify; null: each is. */
  followRefusal: string | null;
  /** Files in corrupt, which Postfix put aside and nothing else counts; null where that cannot be read. Bytes: null when there are too many to ask. */
  corrupt: {messages: number; bytes: Bytes | null} | null;
  /** What one statx a message tells; null at the levels that do not ask. */
  facts: QueueFacts | null;
  samples: QueueSample[];
  opened: number;
  statCalls: number;
  tookMs: Millis;
  /** False when the budget ended the walk: counts are lower bounds. */
  complete: boolean;
}

/** One message of a queue, standing for all of it. */
export interface QueueSample {
  queue: 'incoming' | 'active' | 'deferred';
  ageMs: Millis | null;
  /** Cleanup has written all of it. */
  isWhole: boolean;
  /** The first that still waits, lower case; '' in incoming, which is not opened, and where the message did not tell. */
  recipient: string;
}

/** Of messages that were asked for; counts are of those alone, not projected. */
export interface QueueFacts {
  /** Messages of all queues that were asked for within the rotation. */
  asked: number;
  halfWritten: number;
  forceExpire: number;
  unthrottle: number;
  /** Messages of deferred asked for in this walk, by the time of their next attempt: overdue, and within so many minutes. */
  scheduled: number;
  due: number;
  within1: number;
  within5: number;
  within15: number;
  within60: number;
  later: number;
  /** Of them, the most that come due within five minutes, and when that begins. */
  herd: number;
  herdInMs: Millis | null;
}

/** Processes of one entry in master.cf (`smtp/inet`), and how many of them were begun under stress. */
export interface ServiceCount {
  service: string;
  processes: number;
  stressed: number;
}

export interface PostfixProcesses {
  services: ServiceCount[];
  /** False when there were more processes than were looked at. */
  complete: boolean;
}

export interface Store {
  /** Name in /proc/diskstats of the disk under the path; null when no one disk stands behind it. */
  disk: string | null;
  /** Name of the file system's own device, the disk or a part of it; null when its mount names none. */
  device: string | null;
  /** Of the file system, e.g. `ext4`; null when no mount was found. */
  type: string | null;
  /** Of the mount and of its file system. */
  options: readonly string[];
  totalBytes: Bytes;
  freeBytes: Bytes;
  freeInodes: number | null;
}

/** Where the addon lies, or a program that is built with it. @throws MailherdError NATIVE_FAILED when it is missing. */
export function built(name: string): string {
  // The same relative place in the source tree, in dist/ and in the package.
  const tried: string[] = [];
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'build', 'Release', name);
    if (existsSync(path)) return path;
    tried.push(path);
    if (folder === dirname(folder)) throw new MailherdError('NATIVE_FAILED', {reason: `${name} is not built`, tried: tried.slice(0, 3)});
  }
}

let loaded: Addon | null = null;

/** The addon, loaded once; only what wraps its values uses it. @throws MailherdError NATIVE_FAILED when it is missing. */
export function addon(): Addon {
  loaded ??= createRequire(import.meta.url)(built('mailherd.node')) as Addon;
  return loaded;
}

export function queueFields(): readonly string[] {
  return addon().queueFields;
}

/** @throws MailherdError NATIVE_FAILED with {code, errno, op, path}; a TypeError (our bug) passes as it is. */
export function rethrow(error: unknown): never {
  const native = error as Partial<NativeError>;
  if (native.op === undefined) throw error;
  throw new MailherdError('NATIVE_FAILED', {code: native.code, errno: native.errno, op: native.op, path: native.path}, {cause: error});
}

/** What lasts for so long in line hangs; `native/crew.cc` has the same. */
const HANGS_MS = 20;
let inLineCount = 0;
let isBeginning = false;
let watching: NodeJS.Timeout | null = null;

/**
 * Short readings that are begun at once share a thread, one after the other (`native/crew.h`): it is woken once, when the caller has
 * begun them all, and so is the event loop when they are done. What stands behind one that hangs gets another thread, again and again
 * until nothing waits.
 * @param read what the addon promises; @param decode makes a value of it.
 * @throws MailherdError NATIVE_FAILED as `rethrow`.
 */
export function inLine<T, V>(read: Promise<T>, decode: (read: T) => V): Promise<V> {
  inLineCount++;
  if (!isBeginning) queueMicrotask(begin);
  isBeginning = true;
  return read.then(
    value => {
      leave();
      return decode(value);
    },
    error => {
      leave();
      return rethrow(error);
    },
  );
}

function begin(): void {
  isBeginning = false;
  addon().serveLine();
  watching ??= setTimeout(watch, HANGS_MS);
}

function watch(): void {
  watching = addon().serveLine() ? setTimeout(watch, HANGS_MS) : null;
}

function leave(): void {
  if (--inLineCount > 0 || watching === null) return;
  clearTimeout(watching);
  watching = null;
}

/** Walks the queue of one Postfix instance off the event loop. */
export class QueueWalker {
  readonly #native: NativeQueueWalker;
  readonly #names: readonly string[];

  /** @param spool Postfix's queue_directory. */
  constructor(spool: string) {
    this.#native = new (addon().QueueWalker)(spool);
    this.#names = queueFields();
  }

  /**
   * @param budgetMs the walk ends after that long, 0..3600000, and says `complete: false`.
   * @param samplesMax so many messages of incoming, active and deferred each are samples, 0..64, of those that the level asks for; of active and
   * deferred they are opened for their recipient. Spread over the queue, others each time.
   * @throws MailherdError NATIVE_FAILED when a queue directory is not readable; EBUSY while an earlier call has not ended.
   */
  async walk(level: QueueLevel, budgetMs: Millis, samplesMax = 0): Promise<QueueWalk> {
    const {values, samples} = await this.#native.walk(level, budgetMs, samplesMax).catch(rethrow);
    assert(values.length === this.#names.length, 'the addon returns one value a name');
    const known = Object.fromEntries(this.#names.map((name, at) => [name, values[at] ?? Number.NaN]));
    return {...toWalk(known), samples};
  }
}

function toWalk(known: Record<string, number>): Omit<QueueWalk, 'samples'> {
  const orNull = (name: string): number | null => {
    const value = known[name];
    assert(value !== undefined, `a walk has ${name}`);
    return Number.isNaN(value) ? null : value;
  };
  const count = (name: string): number => {
    const value = orNull(name);
    assert(value !== null, `a walk knows ${name}`);
    return value;
  };
  const of = <K extends string>(...names: K[]): Record<K, number> =>
    Object.fromEntries(names.map(name => [name, count(name)])) as Record<K, number>;
  const queueBytes = Object.fromEntries(['maildrop', 'incoming', 'active', 'deferred', 'hold'].map(name => [name, orNull(`${name}Bytes`)]));
  const hasFacts = orNull('asked') !== null;
  const refusal = orNull('followErrno');
  const corrupt = orNull('corrupt');
  return {
    ...of('maildrop', 'incoming', 'active', 'deferred', 'hold', 'aged', 'unaged', 'foreign', 'statCalls', 'tookMs'),
    ...of('stuckIncoming', 'directoryBytes', 'directoryBytesMax', 'buckets', 'bucketMax', 'directoriesKept'),
    ...of('directoriesFollowed', 'changesHeard', 'listingsWrong'),
    changesLost: count('changesLost') === 1,
    corrupt: corrupt === null ? null : {messages: corrupt, bytes: orNull('corruptBytes')},
    followRefusal: refusal === null ? null : getSystemErrorName(-refusal),
    bytes: Object.values(queueBytes).reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0),
    queueBytes,
    ageMsP50: orNull('ageMsP50'),
    ageMsP95: orNull('ageMsP95'),
    ageMsMax: orNull('ageMsMax'),
    facts: hasFacts
      ? {
          ...of('asked', 'halfWritten', 'forceExpire', 'unthrottle', 'scheduled', 'due', 'within1', 'within5', 'within15', 'within60'),
          ...of('later', 'herd'),
          herdInMs: orNull('herdInMs'),
        }
      : null,
    opened: orNull('opened') ?? 0,
    complete: count('complete') === 1,
  };
}

/**
 * Counts the processes of one Postfix instance by the entries of its master.cf: one small file of /proc a process.
 * @throws MailherdError NATIVE_FAILED: ENOENT or ESRCH when no master runs, ENOENT where the kernel does not list children.
 */
export function countPostfixProcesses(spool: string, processesMax: number, root = ''): Promise<PostfixProcesses> {
  return addon().countPostfixProcesses(root, spool, processesMax).catch(rethrow);
}

/**
 * Tells systemd a state of this service (sd_notify(3)).
 * @param socket NOTIFY_SOCKET of the environment.
 * @throws MailherdError NATIVE_FAILED when nobody takes it.
 */
export function notifySystemd(socket: string, state: string): void {
  try {
    addon().notifySystemd(socket, state);
  } catch (error) {
    rethrow(error);
  }
}

/**
 * Gives back memory that was freed, and pages of the runtime's own code and constants, which come back from the kernel's cache of its file
 * as they are needed (`native/give_back.h`). Takes some milliseconds.
 * @returns bytes of code and constants that this was tried of; 0 where they are not simply those of a file.
 */
export function giveBackMemory(): Bytes {
  return addon().giveBack();
}

/** Reads the space of one file system off the event loop, and what lies behind it. */
export class StoreReader {
  readonly #native: {read(): Promise<Float64Array | NativeStore>};
  #place: Pick<Store, 'disk' | 'device' | 'type' | 'options'> = {disk: null, device: null, type: null, options: []};

  /** @param root prefix of all paths, '' on a real host. */
  constructor(path: string, root = '') {
    this.#native = new (addon().StoreReader)(root, path);
  }

  /**
   * Hangs for as long as the file system does.
   * @throws MailherdError NATIVE_FAILED when the path cannot be reached, EBUSY while an earlier call has not ended.
   */
  read(): Promise<Store> {
    return inLine(this.#native.read(), sample => {
      // What does not come with the values is as before.
      if (!ArrayBuffer.isView(sample)) {
        const {disk, device, type, options} = sample;
        this.#place = {disk, device, type, options: options.split(',').filter(option => option !== '')};
      }
      const values = ArrayBuffer.isView(sample) ? sample : sample.values;
      const value = (name: string): number => values[addon().storeFields.indexOf(name)] ?? Number.NaN;
      const freeInodes = value('freeInodes');
      return {
        ...this.#place,
        totalBytes: value('totalBytes'),
        freeBytes: value('freeBytes'),
        freeInodes: Number.isNaN(freeInodes) ? null : freeInodes,
      };
    });
  }
}

/**
 * Makes an assignment of a placing problem cheaper (`coordinator/plan/model.ts` explains model and limits), on threads of its own.
 * The arrays must not change until it is done, and must have passed `assertModel`: indices are believed.
 * @throws TypeError when an array is missing or has the wrong length.
 */
export function searchPlan(model: object, start: Int32Array, limits: object): Promise<NativeFound> {
  return addon().searchPlan(model, start, limits);
}

/** The same, holding up the caller: for small problems and for simulated time. */
export function searchPlanNow(model: object, start: Int32Array, limits: object): NativeFound {
  return addon().searchPlanNow(model, start, limits);
}
