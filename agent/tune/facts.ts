import type {Bytes, Instant, Millis} from '../../base/units.ts';
import type {System} from '../../wire/kernel.ts';

/** One listening socket: how many connections wait, and at how many it is full. */
export interface Listener {
  name: string;
  queued: number;
  limit: number;
}

/** What one look at the host gave for tuning; null = this kernel or this moment does not say. Rates cover the time since the look before. */
export interface Facts {
  atMs: Millis;
  /** Present value of each knob, by full name; of a pair in bytes, or as `10%`. Knobs that are not there are missing. */
  values: ReadonlyMap<string, string>;
  /** Settings that are only judged, never changed: path -> text. */
  settings: ReadonlyMap<string, string>;
  psiIoSome10: number | null;
  psiIoFull10: number | null;
  psiMemorySome10: number | null;
  runQueueWaitMsPerSecond: number | null;
  memoryTotalBytes: Bytes | null;
  diskFlushMs: Millis | null;
  diskReadMs: Millis | null;
  /** Mean size of a read, and how many a second. */
  diskReadBytes: Bytes | null;
  diskReadsPerSecond: number | null;
  diskWrittenBytesPerSecond: number | null;
  /** Bytes waiting to be written, being written, and the two limits as the kernel works them out. */
  dirtyBytes: Bytes | null;
  writebackBytes: Bytes | null;
  dirtyBackgroundBytes: Bytes | null;
  dirtyLimitBytes: Bytes | null;
  /** dirtyBytes / dirtyLimitBytes */
  dirtyShare: number | null;
  refaultsPerSecond: number | null;
  swapInsPerSecond: number | null;
  compactStallsPerSecond: number | null;
  softnetDropsPerSecond: number | null;
  softnetSqueezesPerSecond: number | null;
  synDropsPerSecond: number | null;
  conntrackUsed: number | null;
  conntrackBuckets: number | null;
  filesUsed: number | null;
  /** Of the source address that uses most ports of the local range. */
  ports: {address: string; used: number} | null;
  /** Also those that a service of ours may want. */
  listeningPorts: readonly number[];
  /** The most that one user has of each; null in looks whose turn it was not to count. */
  inotify: {instances: number; watches: number} | null;
  listeners: readonly Listener[] | null;
  /** Mount options of the mail store and the queue, by what lies there. */
  mounts: readonly {place: string; type: string; options: readonly string[]}[];
  queueActive: number | null;
  queueIncoming: number | null;
}

/** Texts of the kernel's files by path; those that could not be read are missing. */
export type Texts = ReadonlyMap<string, string>;

/** Counters by a name of ours; what stands in no file is missing. */
export type Counters = ReadonlyMap<string, number>;

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4_096;

/** `key value` lines, as of vmstat. */
function keyed(text: string | undefined, key: string): number | null {
  const found = text === undefined ? null : new RegExp(`^${key}:? +(\\d+)`, 'm').exec(text);
  return found === null ? null : Number(found[1]);
}

/** A value of a file that has headings over its values, as /proc/net/netstat. */
function headed(text: string | undefined, group: string, name: string): number | null {
  const [head, values] = (text ?? '').split('\n').filter(line => line.startsWith(`${group}:`));
  const at = head?.split(' ').indexOf(name) ?? -1;
  const value = at < 0 ? undefined : values?.split(' ')[at];
  return value === undefined ? null : numberOf(value);
}

/** Digits as a number; null for anything else. */
export function numberOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : null;
}

/** Counters and levels that rules need and reports do not have. @param disk as in /proc/diskstats, or null. */
export function countersOf(texts: Texts, disk: string | null): Counters {
  const counters = new Map<string, number>();
  const put = (name: string, value: number | null): void => {
    if (value !== null) counters.set(name, value);
  };
  const vmstat = texts.get('/proc/vmstat');
  for (const name of ['nr_dirty', 'nr_writeback', 'nr_dirty_background_threshold', 'nr_dirty_threshold']) put(name, keyed(vmstat, name));
  for (const name of ['workingset_refault_file', 'pswpin', 'compact_stall']) put(name, keyed(vmstat, name));
  const netstat = texts.get('/proc/net/netstat');
  put('synDrops', plus(headed(netstat, 'TcpExt', 'TCPReqQFullDrop'), headed(netstat, 'TcpExt', 'TCPReqQFullDoCookies')));
  const softnet = softnetOf(texts.get('/proc/net/softnet_stat'));
  put('softnetDrops', softnet?.drops ?? null);
  put('softnetSqueezes', softnet?.squeezes ?? null);
  const row = diskRow(texts.get('/proc/diskstats'), disk);
  put('diskReads', row?.[0] ?? null);
  put('diskReadSectors', row?.[2] ?? null);
  put('diskWriteSectors', row?.[6] ?? null);
  put('filesUsed', numberOf(texts.get('/proc/sys/fs/file-nr')?.split(/\s+/)[0]));
  put('conntrackUsed', numberOf(texts.get('/proc/sys/net/netfilter/nf_conntrack_count')));
  put('conntrackBuckets', numberOf(texts.get('/proc/sys/net/netfilter/nf_conntrack_buckets')));
  put('socketsUsed', plus(sockstat(texts.get('/proc/net/sockstat'), 'inuse'), sockstat(texts.get('/proc/net/sockstat'), 'tw')));
  return counters;
}

function plus(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

function sockstat(text: string | undefined, name: string): number | null {
  const found = new RegExp(`^TCP:.*\\b${name} (\\d+)`, 'm').exec(text ?? '');
  return found === null ? null : Number(found[1]);
}

/** Sums over the processors; hexadecimal columns 2 (dropped) and 3 (time_squeeze). Source: net/core/net-procfs.c softnet_seq_show. */
function softnetOf(text: string | undefined): {drops: number; squeezes: number} | null {
  const rows = (text ?? '').split('\n').flatMap(line => {
    const [, drops, squeezes] = /^[0-9a-f]{8} ([0-9a-f]{8}) ([0-9a-f]{8})\b/.exec(line) ?? [];
    return drops === undefined || squeezes === undefined ? [] : [[Number.parseInt(drops, 16), Number.parseInt(squeezes, 16)] as const];
  });
  if (rows.length === 0) return null;
  return {drops: rows.reduce((sum, [drops]) => sum + drops, 0), squeezes: rows.reduce((sum, [, squeezes]) => sum + squeezes, 0)};
}

/** The numbers behind a disk's name. Source: Documentation/admin-guide/iostats.rst. */
function diskRow(text: string | undefined, disk: string | null): number[] | null {
  const line = disk === null ? undefined : text?.split('\n').find(candidate => candidate.trim().split(/\s+/)[2] === disk);
  return line === undefined ? null : line.trim().split(/\s+/).slice(3).map(Number);
}

/** Rates and levels from two looks; a counter that went backwards gives none. */
export function figuresOf(before: {counters: Counters; atMs: Millis} | null, after: Counters, atMs: Instant) {
  const seconds = before === null ? 0 : (atMs - before.atMs) / 1_000;
  const change = (name: string): number | null => {
    const from = before?.counters.get(name);
    const to = after.get(name);
    return from === undefined || to === undefined || to < from || seconds <= 0 ? null : to - from;
  };
  const rate = (name: string): number | null => {
    const by = change(name);
    return by === null ? null : by / seconds;
  };
  const level = (name: string): number | null => after.get(name) ?? null;
  const pages = (name: string): number | null => {
    const count = level(name);
    return count === null ? null : count * PAGE_BYTES;
  };
  const reads = change('diskReads');
  const readSectors = change('diskReadSectors');
  const writeSectors = rate('diskWriteSectors');
  const dirty = pages('nr_dirty');
  const limit = pages('nr_dirty_threshold');
  return {
    diskReadBytes: reads === null || readSectors === null || reads === 0 ? null : (readSectors * SECTOR_BYTES) / reads,
    diskReadsPerSecond: rate('diskReads'),
    diskWrittenBytesPerSecond: writeSectors === null ? null : writeSectors * SECTOR_BYTES,
    dirtyBytes: dirty,
    writebackBytes: pages('nr_writeback'),
    dirtyBackgroundBytes: pages('nr_dirty_background_threshold'),
    dirtyLimitBytes: limit,
    dirtyShare: dirty === null || limit === null || limit === 0 ? null : dirty / limit,
    refaultsPerSecond: rate('workingset_refault_file'),
    swapInsPerSecond: rate('pswpin'),
    compactStallsPerSecond: rate('compact_stall'),
    softnetDropsPerSecond: rate('softnetDrops'),
    softnetSqueezesPerSecond: rate('softnetSqueezes'),
    synDropsPerSecond: rate('synDrops'),
    conntrackUsed: level('conntrackUsed'),
    conntrackBuckets: level('conntrackBuckets'),
    filesUsed: level('filesUsed'),
  } satisfies Partial<Facts>;
}

/** Accept queues and inotify, where this report has them. */
export function systemFacts(system: System | undefined): Pick<Facts, 'listeners' | 'inotify'> {
  const queues = system?.listeners;
  const users = Object.values(system?.files?.inotify ?? {});
  const named = Object.entries({...queues?.tcp, ...queues?.unixWaiting});
  return {
    listeners: queues === undefined ? null : named.map(([name, [queued, limit]]) => ({name, queued, limit})),
    inotify:
      users.length === 0
        ? null
        : {instances: Math.max(...users.map(([instances]) => instances)), watches: Math.max(...users.map(([, watches]) => watches))},
  };
}

/** The options of the mount that `path` lies on. Source: proc_pid_mountinfo(5); the longest mount point that is a part of the path. */
export function mountOf(mountinfo: string, path: string): {type: string; options: string[]} | null {
  let best: {point: string; type: string; options: string[]} | null = null;
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ');
    const [, , , , point, options] = left?.split(' ') ?? [];
    const [type, , superOptions = ''] = right?.split(' ') ?? [];
    if (point === undefined || options === undefined || type === undefined) continue;
    const isOver = point === '/' || path === point || path.startsWith(`${point}/`);
    // Of two mounts on one point the later one is seen.
    if (isOver && point.length >= (best?.point.length ?? 0))
      best = {point, type, options: [...options.split(','), ...superOptions.split(',')]};
  }
  return best === null ? null : {type: best.type, options: best.options};
}

/**
 * Ports of the local range in use by source address, and the ports that are listened on, from /proc/net/tcp and tcp6.
 * Source: Documentation/networking/proc_net_tcp.rst; state 0A is LISTEN.
 */
export function portsOf(tables: readonly string[], low: number, high: number): {busiest: Facts['ports']; listening: number[]} {
  const used = new Map<string, Set<number>>();
  const listening = new Set<number>();
  for (const line of tables.join('\n').split('\n')) {
    const [, address, hexPort, state] = /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2})/.exec(line) ?? [];
    if (address === undefined || hexPort === undefined) continue;
    const port = Number.parseInt(hexPort, 16);
    if (state === '0A') listening.add(port);
    else if (port >= low && port <= high) used.set(address, (used.get(address) ?? new Set()).add(port));
  }
  let busiest: Facts['ports'] = null;
  for (const [address, ports] of used) if (ports.size > (busiest?.used ?? 0)) busiest = {address, used: ports.size};
  return {busiest, listening: [...listening].sort((a, b) => a - b)};
}
