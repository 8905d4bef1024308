import type {Bytes, Millis} from '../../base/units.ts';
import type {System} from '../../wire/kernel.ts';
import {type KernelSpans, PAGE_BYTES, ratio, SECTOR_BYTES, sum, times} from '../sample/span.ts';

/** One listening socket: how many connections wait, and at how many it is full. */
export interface Listener {
  name: string;
  queued: number;
  limit: number;
}

/**
 * What one look at the host gave for tuning; null = this kernel or this moment does not say, or it was not its turn. Rates are those of
 * the reading behind the report.
 */
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
  /** Read once a minute. */
  filesUsed: number | null;
  /** Of the source address that uses most ports of the local range; counted once a minute. */
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

/** Rates and levels that rules need and reports do not have, of the reading behind the report. All null without one. */
export function figuresOf(spans: KernelSpans | null) {
  const {host, summed} = spans ?? {};
  const level = (name: string): number | null => host?.level(name) ?? null;
  const rate = (name: string): number | null => host?.perSecond(name) ?? null;
  const pages = (name: string): number | null => times(summed?.level(name) ?? null, PAGE_BYTES);
  const dirtyLimitBytes = pages('dirtyPagesMax');
  const buckets = spans?.limits.get('conntrackBuckets');
  const perSummed = (name: string): number | null => summed?.perSecond(name) ?? null;
  return {
    diskReadBytes: times(ratio(host?.change('diskSectorsRead') ?? null, host?.change('diskReads') ?? null), SECTOR_BYTES),
    diskReadsPerSecond: rate('diskReads'),
    diskWrittenBytesPerSecond: times(rate('diskSectorsWritten'), SECTOR_BYTES),
    dirtyBytes: level('dirtyBytes'),
    writebackBytes: level('writebackBytes'),
    dirtyBackgroundBytes: pages('dirtyPagesBackground'),
    dirtyLimitBytes,
    dirtyShare: ratio(level('dirtyBytes'), dirtyLimitBytes),
    refaultsPerSecond: perSummed('fileRefaults'),
    swapInsPerSecond: perSummed('pagesSwappedIn'),
    compactStallsPerSecond: perSummed('compactStalls'),
    softnetDropsPerSecond: rate('softnetDrops'),
    softnetSqueezesPerSecond: rate('softnetSqueezes'),
    synDropsPerSecond: sum([perSummed('tcpSynQueueDrops'), perSummed('tcpSynQueueCookies')]),
    conntrackUsed: summed?.level('conntrackEntries') ?? null,
    conntrackBuckets: buckets === undefined ? null : Number(buckets),
  } satisfies Partial<Facts>;
}

/**
 * Accept queues, ports, open files and inotify, where this report has them.
 * @param ports that a service of ours may want though nobody listens now.
 */
export function systemFacts(
  system: System | undefined,
  ports: readonly number[],
): Pick<Facts, 'listeners' | 'listeningPorts' | 'inotify' | 'ports' | 'filesUsed'> {
  const queues = system?.listeners;
  const users = Object.values(system?.files?.inotify ?? {});
  const named = Object.entries({...queues?.tcp, ...queues?.unixWaiting});
  const [busiest] = Object.entries(system?.outbound?.portsTaken ?? {}).sort(([, a], [, b]) => b - a);
  return {
    listeners: queues === undefined ? null : named.map(([name, [queued, limit]]) => ({name, queued, limit})),
    listeningPorts: [...Object.keys(queues?.tcp ?? {}).map(Number), ...ports].sort((a, b) => a - b),
    inotify:
      users.length === 0
        ? null
        : {instances: Math.max(...users.map(([instances]) => instances)), watches: Math.max(...users.map(([, watches]) => watches))},
    ports: busiest === undefined ? null : {address: busiest[0], used: busiest[1]},
    filesUsed: system?.limits?.openFiles ?? null,
  };
}
