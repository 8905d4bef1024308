import type {Millis} from '../base/units.ts';
import {addon, inLine, type KernelGap, type NativeError, rethrow} from './binding.ts';

/** What the addon reads of the kernel, as values; `native/kernel_calls.cc` is the other side. */

export interface KernelAddon {
  sourceSets: Record<SourceSet, string[]>;
  schedulers: string[];
  tcpStates: string[];
  peerClasses: string[];
  KernelReader: new (
    root: string,
    sets: string[],
    subjects: string[],
  ) => {read(): Promise<BigInt64Array | {values: BigInt64Array; errors: NativeError[]}>};
  ListenReader: new (run: string) => {read(): Promise<Float64Array | {values: Float64Array; tcp: string[]; unix: string[]}>};
  PortReader: new () => {read(first: number, last: number, farm: string[]): Promise<NativePorts>};
  readProcessUse(
    root: string,
    groups: string[],
    budgetMs: number,
  ): Promise<{services: Float64Array; users: Float64Array; isComplete: boolean}>;
  PressureWatch: new (paths: string[], isFull: boolean[], shares: number[], tell: (trigger: number, lateMs: Millis) => void) => NativeWatch;
}
interface NativeRows {
  names: string[];
  values: Float64Array;
}
interface NativePorts {
  toSmtp: Float64Array;
  states: Float64Array;
  peers: Float64Array;
  sources: NativeRows;
  isComplete: boolean;
}
interface NativeWatch {
  windowsMs: number[];
  errors: NativeError[];
  close(): void;
}

/** Files that are read together (`native/source_sets.cc` lists them): `ext4`, `ext4Past` and `xfs` of a device, `group` of a control group. */
export type SourceSet = 'host' | 'summed' | 'ext4' | 'ext4Past' | 'xfs' | 'group' | 'groupCpu' | 'limits' | 'blockQueue';

/** Counters since boot and levels, by name (see `fieldsOf`); absent names were not readable. Never converted lossily: bigint. */
export class KernelValues {
  readonly #places: ReadonlyMap<string, number>;
  readonly #values: BigInt64Array;

  /** @param places of the names in `values`, where a negative one is absent. */
  constructor(places: ReadonlyMap<string, number>, values: BigInt64Array) {
    this.#places = places;
    this.#values = values;
  }

  /** Few of the values are asked for: only those become bigints. */
  get(name: string): bigint | undefined {
    const value = this.#values[this.#places.get(name) ?? -1];
    return value === undefined || value < 0n ? undefined : value;
  }

  /** Names of the set, those too whose values are absent. */
  names(): Iterable<string> {
    return this.#places.keys();
  }
}

/** The value of a limit that is not set ("max"). */
export const NO_LIMIT = 2n ** 63n - 1n;

export interface KernelPart {
  set: SourceSet;
  /** A disk as in /proc/diskstats, a device, or a group's path below /sys/fs/cgroup; null leaves out what is about one. */
  subject: string | null;
}

/** Names of a set's values, in the addon's order. @throws MailherdError NATIVE_FAILED when the addon is missing. */
export function fieldsOf(set: SourceSet): readonly string[] {
  return addon().sourceSets[set];
}

/** Reads the kernel's figures off the event loop; keeps its files open. */
export class KernelReader {
  readonly #native: InstanceType<KernelAddon['KernelReader']>;
  readonly #places: readonly ReadonlyMap<string, number>[];
  #gaps: KernelGap[] = [];

  /** @param root prefix of all paths, '' on a real host. */
  constructor(parts: readonly KernelPart[], root = '') {
    const sets = parts.map(({set}) => set);
    this.#native = new (addon().KernelReader)(
      root,
      sets,
      parts.map(({subject}) => subject ?? ''),
    );
    let at = 0;
    this.#places = sets.map(set => new Map(fieldsOf(set).map(name => [name, at++])));
  }

  /**
   * The values of each part, in their order, and the files that gave nothing; one that was not there is asked for again in every
   * sixth reading.
   * @throws MailherdError NATIVE_FAILED EBUSY while an earlier call has not ended.
   */
  read(): Promise<{parts: KernelValues[]; gaps: KernelGap[]}> {
    return inLine(this.#native.read(), sample => {
      // What does not come with the values is as before.
      if (!ArrayBuffer.isView(sample)) this.#gaps = sample.errors.map(gapOf);
      const values = ArrayBuffer.isView(sample) ? sample : sample.values;
      return {parts: this.#places.map(places => new KernelValues(places, values)), gaps: this.#gaps};
    });
  }
}

/** A listening socket: connections that wait to be accepted, and how many may. */
export interface AcceptQueue {
  /** The TCP port, or the path of a unix socket as it was bound: Postfix's are below its queue directory. */
  name: string;
  depth: number;
  limit: number;
}

/** Asks for the accept queues of this network namespace, off the event loop. */
export class ListenReader {
  readonly #native: InstanceType<ReturnType<typeof addon>['ListenReader']>;
  #tcp: string[] = [];
  #unix: string[] = [];

  /** @param run Dovecot's base_dir where it is another than usual. */
  constructor(run = '') {
    this.#native = new (addon().ListenReader)(run);
  }

  /**
   * TCP: one a port, the fullest of its sockets; unix: Postfix's and Dovecot's only.
   * @throws MailherdError NATIVE_FAILED ENOENT when the kernel lacks the question, ETIMEDOUT when it does not answer, EBUSY.
   */
  read(): Promise<{tcp: AcceptQueue[]; unix: AcceptQueue[]}> {
    return inLine(this.#native.read(), sample => {
      // What does not come with the values is as before.
      if (!ArrayBuffer.isView(sample)) ({tcp: this.#tcp, unix: this.#unix} = sample);
      const values = ArrayBuffer.isView(sample) ? sample : sample.values;
      let at = 0;
      const queueOf = (name: string): AcceptQueue => ({name, depth: values[at++] ?? 0, limit: values[at++] ?? 0});
      return {tcp: this.#tcp.map(queueOf), unix: this.#unix.map(queueOf)};
    });
  }
}

/** Connections to port 25 of one class of hosts. */
export interface SmtpPeers {
  /** Established, those that nobody has answered yet, and the established of which data is being sent again. */
  connections: number;
  connecting: number;
  retransmitting: number;
  /** Data segments that those connections have sent since they were made, and how many of them again. */
  segments: number;
  segmentsAgain: number;
  /** Smoothed round trip of the middle one and of the longest; null when none is known. */
  rttUsP50: number | null;
  rttUsMax: number | null;
}

export interface PortUse {
  /** Connections from here to port 25 elsewhere, by state. */
  toSmtp: Record<string, number>;
  /** The same by where they go to: `farm`, `private`, `ipv4`, `ipv6`; classes without any are left out. */
  peers: Record<string, SmtpPeers>;
  /** All connections of this network namespace by state, but the established ones. */
  states: Record<string, number>;
  /** By local address; several sockets can share a port when they go to different places. */
  sources: {address: string; sockets: number; ports: number}[];
  /** False when there were more sockets or addresses than are counted. */
  isComplete: boolean;
}

/** Asks for the connections that hold an ephemeral port, off the event loop; the kernel walks its whole table for it. */
export class PortReader {
  readonly #native = new (addon().PortReader)();

  /**
   * @param first of the ephemeral range, 1..65535; @param farm addresses of the farm's own hosts, what is none is left out.
   * @throws MailherdError NATIVE_FAILED as `ListenReader.read`.
   */
  async read(first: number, last: number, farm: readonly string[]): Promise<PortUse> {
    const {toSmtp, states, peers, sources, isComplete} = await this.#native.read(first, last, [...farm]).catch(rethrow);
    const classes = slices(peers, 8).map((row, at) => [addon().peerClasses[at] ?? '', peersOf(row)] as const);
    return {
      toSmtp: byState(toSmtp),
      states: byState(states),
      peers: Object.fromEntries(classes.filter(([, {connections, connecting}]) => connections + connecting > 0)),
      sources: rowsOf(sources, 2).map(({name, values: [sockets = 0, ports = 0]}) => ({address: name, sockets, ports})),
      isComplete,
    };
  }
}

function byState(counts: Float64Array): Record<string, number> {
  const states = addon().tcpStates.map((state, at) => [state, counts[at] ?? 0] as const);
  return Object.fromEntries(states.filter(([, count]) => count > 0));
}

function peersOf(row: Float64Array): SmtpPeers {
  const [connections = 0, connecting = 0, retransmitting = 0, segments = 0, segmentsAgain = 0, measured = 0, median = 0, max = 0] = row;
  const isMeasured = measured > 0;
  return {
    ...{connections, connecting, retransmitting, segments, segmentsAgain},
    rttUsP50: isMeasured ? median : null,
    rttUsMax: isMeasured ? max : null,
  };
}

/** Open files of one service's processes; of many processes only some are looked at, evenly spread. */
export interface ServiceFiles {
  processes: number;
  looked: number;
  /** Of the looked at, those that this user may not look into. */
  denied: number;
  openFiles: number;
  /** Of the process that is nearest to its limit; limit 0: none was found. */
  fullest: number;
  fullestMax: number;
}

export interface ProcessUse {
  services: ServiceFiles[];
  users: {uid: number; instances: number; watches: number; processes: number}[];
  /** Every process was looked into: the users' figures are whole. */
  isComplete: boolean;
}

/**
 * Open files and inotify use of the processes of control groups.
 * @param groups absolute paths; @param budgetMs it ends after that long with `isComplete: false`, 0..3600000.
 * @throws MailherdError NATIVE_FAILED when a group cannot be read.
 */
export async function readProcessUse(groups: readonly string[], budgetMs: Millis, root = ''): Promise<ProcessUse> {
  const {services, users, isComplete} = await addon()
    .readProcessUse(root, [...groups], budgetMs)
    .catch(rethrow);
  return {
    services: slices(services, 6).map(([processes = 0, looked = 0, denied = 0, openFiles = 0, fullest = 0, fullestMax = 0]) => {
      return {processes, looked, denied, openFiles, fullest, fullestMax};
    }),
    users: slices(users, 4).map(([uid = 0, instances = 0, watches = 0, processes = 0]) => ({uid, instances, watches, processes})),
    isComplete,
  };
}

export interface PressureTrigger {
  /** Absolute path of a pressure file. */
  path: string;
  isFull: boolean;
  /** Of the window, between 0 and 1, in which tasks waited. */
  share: number;
}

/** Tells of pressure as soon as the kernel does, waiting on a thread of its own. Ends when it is closed or no longer held. */
export class PressureWatch {
  readonly #native: NativeWatch;
  /** Of each trigger in its order; 0: the kernel refused it, see `gaps`. */
  readonly windowsMs: readonly Millis[];
  readonly gaps: KernelGap[];

  /**
   * @param tell the trigger that went off, and how long after the kernel had woken us this is called.
   * @throws the addon's error when no thread can be started.
   */
  constructor(triggers: readonly PressureTrigger[], tell: (trigger: number, lateMs: Millis) => void) {
    this.#native = new (addon().PressureWatch)(
      triggers.map(({path}) => path),
      triggers.map(({isFull}) => isFull),
      triggers.map(({share}) => share),
      tell,
    );
    this.windowsMs = this.#native.windowsMs;
    this.gaps = this.#native.errors.map(gapOf);
  }

  close(): void {
    this.#native.close();
  }
}

/** Name of an I/O scheduler; null for a value that stands for none. */
export function schedulerOf(value: bigint | undefined): string | null {
  return value === undefined ? null : (addon().schedulers[Number(value)] ?? null);
}

function gapOf({code, op, path}: NativeError): KernelGap {
  return {code, op, path};
}

function slices(values: Float64Array, width: number): Float64Array[] {
  return Array.from({length: values.length / width}, (_, at) => values.subarray(at * width, (at + 1) * width));
}

function rowsOf({names, values}: NativeRows, width: number): {name: string; values: Float64Array}[] {
  const cut = slices(values, width);
  return names.map((name, at) => ({name, values: cut[at] ?? new Float64Array()}));
}
