import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {assert} from '../base/assert.ts';
import {MailherdError} from '../base/errors.ts';
import type {Bytes, Millis} from '../base/units.ts';

/** The only file that loads the addon, and the only place that knows how its values look. */

interface NativeHostSampler {
  sample(disk: string | null): Promise<{values: BigInt64Array; errors: NativeError[]}>;
}
interface NativeQueueWalker {
  walk(level: QueueLevel, budgetMs: number): Promise<Float64Array>;
}
interface Addon {
  hostFields: string[];
  queueFields: string[];
  storeFields: string[];
  HostSampler: new (root: string) => NativeHostSampler;
  QueueWalker: new (spool: string) => NativeQueueWalker;
  searchPlan(model: object, start: Int32Array, limits: object): Promise<NativeFound>;
  searchPlanNow(model: object, start: Int32Array, limits: object): NativeFound;
  readStore(root: string, path: string): Promise<{disk: string | null; values: Float64Array}>;
}
interface NativeFound {
  assignment: Int32Array;
  cost: number;
  steps: number;
}
interface NativeError extends Error {
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

/** Counters since boot and levels, by name (see `hostFields`); absent names were not readable. Never converted lossily: bigint. */
export interface HostSample {
  values: ReadonlyMap<string, bigint>;
  gaps: KernelGap[];
}

/** `names` reads directories only, `ages` asks once for the birth of each short-id message, `stat` asks for every message. */
export type QueueLevel = 'names' | 'ages' | 'stat';

/** Messages, bytes and milliseconds by name (see `queueFields`); null = not known at this level. */
export interface QueueWalk {
  maildrop: number;
  incoming: number;
  active: number;
  deferred: number;
  hold: number;
  /** Of all five, with level `stat` only. */
  bytes: Bytes | null;
  /** Of incoming, active and deferred by true arrival; null when nothing has a known age. */
  ageMsP50: Millis | null;
  ageMsP95: Millis | null;
  ageMsMax: Millis | null;
  /** Messages whose age is known, and not known. */
  aged: number;
  unaged: number;
  /** Files whose names are not queue ids; not counted anywhere else. */
  foreign: number;
  statCalls: number;
  tookMs: Millis;
  /** False when the budget ended the walk: counts are lower bounds. */
  complete: boolean;
}

export interface Store {
  /** Name in /proc/diskstats of the disk under the path; null when no one disk stands behind it. */
  disk: string | null;
  totalBytes: Bytes;
  freeBytes: Bytes;
  freeInodes: number | null;
}

function find(): string {
  // The same relative place in the source tree, in dist/ and in the package.
  const tried: string[] = [];
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'build', 'Release', 'mailherd.node');
    if (existsSync(path)) return path;
    tried.push(path);
    if (folder === dirname(folder)) throw new MailherdError('NATIVE_FAILED', {reason: 'the addon is not built', tried: tried.slice(0, 3)});
  }
}

let loaded: Addon | null = null;

function addon(): Addon {
  loaded ??= createRequire(import.meta.url)(find()) as Addon;
  return loaded;
}

/** Names of a host sample's values, in the addon's order. @throws MailherdError NATIVE_FAILED when the addon is missing. */
export function hostFields(): readonly string[] {
  return addon().hostFields;
}

export function queueFields(): readonly string[] {
  return addon().queueFields;
}

/** @throws MailherdError NATIVE_FAILED with {code, errno, op, path}; a TypeError (our bug) passes as it is. */
function rethrow(error: unknown): never {
  const native = error as Partial<NativeError>;
  if (native.op === undefined) throw error;
  throw new MailherdError('NATIVE_FAILED', {code: native.code, errno: native.errno, op: native.op, path: native.path}, {cause: error});
}

/** Reads the kernel's figures off the event loop; keeps its files open. */
export class HostSampler {
  readonly #native: NativeHostSampler;
  readonly #names: readonly string[];

  /** @param root prefix of all paths, '' on a real host. */
  constructor(root = '') {
    this.#native = new (addon().HostSampler)(root);
    this.#names = hostFields();
  }

  /**
   * @param disk whose figures to take, as in /proc/diskstats.
   * @throws MailherdError NATIVE_FAILED EBUSY while an earlier call has not ended.
   */
  async sample(disk: string | null): Promise<HostSample> {
    const {values, errors} = await this.#native.sample(disk).catch(rethrow);
    assert(values.length === this.#names.length, 'the addon returns one value a name');
    const present = new Map<string, bigint>();
    for (const [at, name] of this.#names.entries()) {
      const value = values[at];
      if (value !== undefined && value >= 0n) present.set(name, value);
    }
    return {values: present, gaps: errors.map(({code, op, path}) => ({code, op, path}))};
  }
}

/** Walks the queue of one Postfix instance off the event loop, without opening a message. */
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
   * @throws MailherdError NATIVE_FAILED when a queue directory is not readable; EBUSY while an earlier call has not ended.
   */
  async walk(level: QueueLevel, budgetMs: Millis): Promise<QueueWalk> {
    const values = await this.#native.walk(level, budgetMs).catch(rethrow);
    assert(values.length === this.#names.length, 'the addon returns one value a name');
    const known = new Map(this.#names.map((name, at) => [name, values[at] ?? Number.NaN]));
    const count = (name: string): number => {
      const value = known.get(name);
      assert(value !== undefined && !Number.isNaN(value), `a walk knows ${name}`);
      return value;
    };
    const orNull = (name: string): number | null => {
      const value = known.get(name);
      return value === undefined || Number.isNaN(value) ? null : value;
    };
    const bytes = ['maildropBytes', 'incomingBytes', 'activeBytes', 'deferredBytes', 'holdBytes'].map(orNull);
    return {
      maildrop: count('maildrop'),
      incoming: count('incoming'),
      active: count('active'),
      deferred: count('deferred'),
      hold: count('hold'),
      bytes: bytes.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0),
      ageMsP50: orNull('ageMsP50'),
      ageMsP95: orNull('ageMsP95'),
      ageMsMax: orNull('ageMsMax'),
      aged: count('aged'),
      unaged: count('unaged'),
      foreign: count('foreign'),
      statCalls: count('statCalls'),
      tookMs: count('tookMs'),
      complete: count('complete') === 1,
    };
  }
}

/**
 * Space of the file system under `path` and the disk behind it. Blocks a pool thread for as long as the file system hangs.
 * @throws MailherdError NATIVE_FAILED when the path cannot be reached.
 */
export async function readStore(path: string, root = ''): Promise<Store> {
  const native = addon();
  const {disk, values} = await native.readStore(root, path).catch(rethrow);
  const value = (name: string): number => values[native.storeFields.indexOf(name)] ?? Number.NaN;
  const freeInodes = value('freeInodes');
  return {disk, totalBytes: value('totalBytes'), freeBytes: value('freeBytes'), freeInodes: Number.isNaN(freeInodes) ? null : freeInodes};
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
