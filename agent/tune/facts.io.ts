import {readFile} from 'node:fs/promises';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {StoreReader} from '../../native/binding.ts';
import {Collector} from '../sample/collect.io.ts';
import {type Counters, countersOf, type Facts, figuresOf, mountOf, numberOf, portsOf, systemFacts} from './facts.ts';
import {type GuardLook, guardLookOf} from './guard.ts';
import {KNOBS} from './knobs.ts';
import type {TunerPorts} from './tuner.ts';

const SYS = '/proc/sys';
const COUNTER_FILES = [
  '/proc/vmstat',
  '/proc/diskstats',
  '/proc/net/netstat',
  '/proc/net/softnet_stat',
  '/proc/net/sockstat',
  `${SYS}/fs/file-nr`,
  `${SYS}/net/netfilter/nf_conntrack_count`,
  `${SYS}/net/netfilter/nf_conntrack_buckets`,
];
const SETTING_FILES = [
  `${SYS}/net/core/somaxconn`,
  `${SYS}/net/ipv4/tcp_syncookies`,
  `${SYS}/vm/swappiness`,
  `${SYS}/vm/dirty_writeback_centisecs`,
  '/sys/kernel/mm/transparent_hugepage/enabled',
];
const DEADLINE_MS = 2 * SECOND_MS;
/** Settings and mounts hardly ever change, and files of /proc/sys are slow to read. */
const SETTINGS_AGE_MS = 5 * MINUTE_MS;
/** Below this share of the local range there is no need to count ports by address: the table costs a millisecond and more. */
const PORTS_LOOK_SHARE = 0.5;

export interface Places {
  store: string;
  spool: string;
  /** Ports that a service of ours may want though nobody listens now. */
  ports: readonly number[];
  /** Prefix of /proc and /sys, '' on a real host. */
  root?: string;
}

/** Looks at the kernel's files for what rules need beyond a report. */
export class FactSource {
  readonly #places: Places;
  readonly #collector: Collector<Facts>;
  #report: Parameters<TunerPorts['look']>[0] | null = null;
  #before: {counters: Counters; atMs: number} | null = null;
  #settings: ReadonlyMap<string, string> = new Map();
  #mounts: Facts['mounts'] = [];
  #disk: string | null = null;
  #settingsAtMs = Number.NEGATIVE_INFINITY;

  constructor(places: Places) {
    this.#places = places;
    this.#collector = new Collector('tune', DEADLINE_MS, () => this.#look());
  }

  /** @throws MailherdError NATIVE_FAILED when there is no answer in time, or an earlier look still hangs. */
  async look(report: Parameters<TunerPorts['look']>[0]): Promise<Facts> {
    this.#report = report;
    const collected = await this.#collector.collect();
    if (!collected.ok) throw new MailherdError('NATIVE_FAILED', {reason: collected.reason});
    return collected.value;
  }

  /** Name of the disk under the mail store; null before the first look, and when no one disk stands behind it. */
  disk(): string | null {
    return this.#disk;
  }

  /** Right after a change: pressure and stalls. */
  async guardLook(): Promise<GuardLook> {
    const [io, memory, vmstat] = await Promise.all(
      ['/proc/pressure/io', '/proc/pressure/memory', '/proc/vmstat'].map(path => this.#raw(path)),
    );
    return guardLookOf(io ?? '', memory ?? '', vmstat ?? '', systemClock.monotonic());
  }

  async #look(): Promise<Facts> {
    const atMs = systemClock.monotonic();
    if (atMs - this.#settingsAtMs >= SETTINGS_AGE_MS) await this.#readSettings(atMs);
    const counters = countersOf(await this.#texts(COUNTER_FILES), this.#disk);
    const values = await this.#values(this.#disk);
    const figures = figuresOf(this.#before, counters, atMs);
    this.#before = {counters, atMs};
    const {kernel, queue} = this.#report ?? {kernel: null, queue: null};
    return {
      atMs,
      values,
      settings: this.#settings,
      mounts: this.#mounts,
      ...figures,
      psiIoSome10: kernel?.psiIoSome10 ?? null,
      psiIoFull10: kernel?.psiIoFull10 ?? null,
      psiMemorySome10: kernel?.psiMemorySome10 ?? null,
      runQueueWaitMsPerSecond: kernel?.runQueueWaitMsPerSecond ?? null,
      memoryTotalBytes: kernel?.memoryTotalBytes ?? null,
      diskFlushMs: kernel?.diskFlushMs ?? null,
      diskReadMs: kernel?.diskReadMs ?? null,
      ...(await this.#ports(values.get('net.ipv4.ip_local_port_range'), counters.get('socketsUsed') ?? null)),
      ...systemFacts(this.#report?.system),
      queueActive: queue?.active ?? null,
      queueIncoming: queue?.incoming ?? null,
    };
  }

  async #readSettings(atMs: number): Promise<void> {
    this.#settings = await this.#texts(SETTING_FILES);
    const mountinfo = (await this.#raw('/proc/self/mountinfo')) ?? '';
    this.#mounts = [this.#places.store, this.#places.spool].flatMap(place => {
      const mount = mountOf(mountinfo, place);
      return mount === null ? [] : [{place, ...mount}];
    });
    // A store that cannot be reached is told by its own collector; here it only has no disk.
    const {disk} = await new StoreReader(this.#places.store, this.#places.root).read().catch(() => ({disk: null}));
    // Counters of another disk do not go on from those of the former one.
    if (disk !== this.#disk) this.#before = null;
    this.#disk = disk;
    this.#settingsAtMs = atMs;
  }

  /** Every knob in the same form as the writer reads it. */
  async #values(disk: string | null): Promise<Map<string, string>> {
    const values = new Map<string, string>();
    for (const {name, path, twinPath} of KNOBS) {
      const isOfDisk = name.endsWith('/');
      if (isOfDisk && disk === null) continue;
      const text = await this.#text(path.replace('*', disk ?? ''));
      const twin = text === '0' && twinPath !== null ? await this.#text(twinPath) : null;
      const value = twin === null ? text : `${twin}%`;
      if (value !== null && value !== '') values.set(isOfDisk ? `${name}${disk}` : name, value);
    }
    return values;
  }

  async #ports(range: string | undefined, sockets: number | null): Promise<Pick<Facts, 'ports' | 'listeningPorts'>> {
    const [low, high] = range?.split(' ').map(text => numberOf(text)) ?? [];
    const none = {ports: null, listeningPorts: []};
    if (typeof low !== 'number' || typeof high !== 'number' || sockets === null) return none;
    if (sockets < (high - low + 1) * PORTS_LOOK_SHARE) return none;
    const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map(path => this.#raw(path)));
    const {busiest, listening} = portsOf(
      tables.filter(text => text !== null),
      low,
      high,
    );
    return {ports: busiest, listeningPorts: [...listening, ...this.#places.ports].sort((a, b) => a - b)};
  }

  async #texts(paths: readonly string[]): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    // One after the other: parallel reads of /proc contend in the kernel.
    for (const path of paths) {
      const text = path.startsWith(SYS) ? await this.#text(path) : await this.#raw(path);
      if (text !== null) texts.set(path, text);
    }
    return texts;
  }

  /** Blanks normalised. */
  async #text(path: string): Promise<string | null> {
    return (await this.#raw(path))?.replace(/\s+/g, ' ').trim() ?? null;
  }

  /** Null for a file that this kernel, or this disk, does not have. */
  async #raw(path: string): Promise<string | null> {
    try {
      return await readFile(`${this.#places.root ?? ''}${path}`, 'utf8');
    } catch {
      return null;
    }
  }
}
