import {addTo} from '../../base/groups.ts';
import type {Store} from '../../native/binding.ts';
import {type AcceptQueue, NO_LIMIT, type PortUse, type ProcessUse, type SmtpPeers} from '../../native/kernel.ts';
import type {System} from '../../wire/kernel.ts';
import {rounded} from '../report/rounded.ts';
import {mountFaults} from './mount.ts';
import {cpuShareOf} from './rates.ts';
import {atMostOne, type Counters, type KernelSpans, PAGE_BYTES, ratio, SECTOR_BYTES, type Span, sum, times} from './span.ts';

type Group<K extends keyof System> = NonNullable<System[K]>;
type Service = Group<'services'>[string];
type Peers = NonNullable<Group<'outbound'>['smtpPeers']>[string];
type FileSystem = NonNullable<Group<'setup'>['store']>;

const KIB = 1024;
/** The fullest addresses, and the waiting unix sockets, that a report names. */
const NAMED_MAX = 8;
const LACKING_MAX = 12;

/** Counters that stand still on a host that is well, by their names in the report. */
const TROUBLES = {
  tcpListenOverflows: 'listenOverflows',
  tcpSynRetransmits: 'synRetransmits',
  tcpTimeouts: 'timeouts',
  tcpAttemptFails: 'attemptFails',
  tcpBacklogDrops: 'backlogDrops',
  tcpSynQueueDrops: 'synQueueDrops',
  tcpSynQueueCookies: 'synQueueCookies',
  tcpAbortsOnMemory: 'abortsOnMemory',
  tcpAbortsOnTimeout: 'abortsOnTimeout',
  tcpMemoryPressures: 'memoryPressures',
  tcpPrunes: 'prunes',
  tcpReceivePrunes: 'receivePrunes',
  tcpTimeWaitOverflows: 'timeWaitOverflows',
  tcpLostRetransmits: 'lostRetransmits',
  softnetDrops: 'softnetDrops',
  softnetSqueezes: 'softnetSqueezes',
  conntrackDrops: 'conntrackDrops',
  conntrackEarlyDrops: 'conntrackEarlyDrops',
  conntrackInsertsFailed: 'conntrackInsertsFailed',
} as const;

/** Keeps what is known, rounded. */
function known<T extends object>(figures: {[K in keyof T]-?: T[K] | null}): T {
  const kept = Object.entries(figures).filter(([, value]) => value !== null);
  return Object.fromEntries(kept.map(([name, value]) => [name, typeof value === 'number' ? rounded(value) : value])) as T;
}

export function processorOf(span: Span): Group<'processor'> {
  return known<Group<'processor'>>({
    tasksRunnable: span.level('tasksRunning'),
    tasksBlocked: span.level('tasksBlocked'),
    forksPerSecond: span.perSecond('forks'),
    userShare: cpuShareOf(span, 'User', 'Nice'),
    systemShare: cpuShareOf(span, 'System'),
    interruptShare: cpuShareOf(span, 'Irq', 'Softirq'),
  });
}

export function memoryOf({host: span, summed}: Pick<KernelSpans, 'host' | 'summed'>): Group<'memory'> {
  const perSummed = (name: string): number | null => summed?.perSecond(name) ?? null;
  /** The thresholds move slowly. */
  const dirtyOf = (pages: string): number | null => ratio(span.level('dirtyBytes'), times(summed?.level(pages) ?? null, PAGE_BYTES));
  return known<Group<'memory'>>({
    psiMemoryFull10: times(span.level('psiMemoryFullHundredths'), 0.01),
    slabBytes: sum([span.level('slabReclaimableBytes'), span.level('slabUnreclaimableBytes')]),
    swapUsedBytes: sum([span.level('swapTotalBytes'), times(span.level('swapFreeBytes'), -1)]),
    writebackBytes: span.level('writebackBytes'),
    dirtyOfBackground: dirtyOf('dirtyPagesBackground'),
    dirtyOfThrottle: dirtyOf('dirtyPagesMax'),
    ...troublesOf({
      majorFaults: perSummed('majorFaults'),
      swapPages: sum([perSummed('pagesSwappedIn'), perSummed('pagesSwappedOut')]),
      fileRefaults: perSummed('fileRefaults'),
      anonRefaults: perSummed('anonRefaults'),
      directScanned: perSummed('pagesScannedDirect'),
      directReclaimed: perSummed('pagesReclaimedDirect'),
      compactStalls: perSummed('compactStalls'),
    }),
  });
}

/** How many of these rates are known, and those of them that are not zero. */
function troublesOf(rates: Record<string, number | null>): Pick<Group<'network'>, 'watched' | 'troubles'> {
  const all = Object.values(rates);
  const grew = Object.fromEntries(Object.entries(rates).filter(([, rate]) => rate !== 0));
  return {watched: all.filter(rate => rate !== null).length, troubles: known(grew)};
}

export function diskOf({host: span, summed}: Pick<KernelSpans, 'host' | 'summed'>): Group<'disk'> {
  const past = (name: string): number | null => summed?.level(name) ?? null;
  const hasErrors = past('errors') !== 0;
  return known<Group<'disk'>>({
    readsPerSecond: span.perSecond('diskReads'),
    writesPerSecond: span.perSecond('diskWrites'),
    readBytesPerSecond: times(span.perSecond('diskSectorsRead'), SECTOR_BYTES),
    writtenBytesPerSecond: times(span.perSecond('diskSectorsWritten'), SECTOR_BYTES),
    flushesPerSecond: span.perSecond('diskFlushes'),
    inFlight: span.level('diskInFlight'),
    commitMs: times(span.level('journalCommitUs'), 0.001),
    commitsPerSecond: span.perSecond('journalCommits'),
    errors: past('errors'),
    firstErrorAtMs: hasErrors ? times(past('firstErrorAtSeconds'), 1000) : null,
    lastErrorAtMs: hasErrors ? times(past('lastErrorAtSeconds'), 1000) : null,
    lifetimeWrittenBytes: times(past('lifetimeWrittenKibibytes'), KIB),
    logForcesPerSecond: span.perSecond('xfsLogForces'),
    logWaitsPerSecond: sum(['xfsLogForceSleeps', 'xfsLogBufferWaits', 'xfsLogSpaceSleeps'].map(name => span.perSecond(name))),
  });
}

export function networkOf({host, summed, limits}: KernelSpans): Group<'network'> {
  const conntrackEntries = summed?.level('conntrackEntries') ?? null;
  const rates = Object.entries(TROUBLES).map(
    ([counter, name]) => [name, host.perSecond(counter) ?? summed?.perSecond(counter) ?? null] as const,
  );
  return {
    ...troublesOf(Object.fromEntries(rates)),
    ...known<Pick<Group<'network'>, 'openConnections' | 'conntrackEntries' | 'conntrackMax'>>({
      openConnections: summed?.level('tcpEstablished') ?? null,
      conntrackEntries,
      conntrackMax: conntrackEntries === null ? null : numberOf(limits.get('conntrackMax')),
    }),
  };
}

export function listenersOf({tcp, unix}: {tcp: readonly AcceptQueue[]; unix: readonly AcceptQueue[]}): Group<'listeners'> {
  const waiting = unix.filter(({depth}) => depth > 0).sort((a, b) => b.depth * a.limit - a.depth * b.limit);
  return {tcp: named(tcp), unixWatched: unix.length, unixWaiting: named(waiting.slice(0, NAMED_MAX))};
}

function named(queues: readonly AcceptQueue[]): Record<string, [number, number]> {
  return Object.fromEntries(queues.map(({name, depth, limit}) => [name, [depth, limit]]));
}

/** @param first of the ephemeral ports, and the last. */
export function outboundOf(use: PortUse, first: number, last: number): Group<'outbound'> {
  const fullest = [...use.sources].sort((a, b) => b.ports - a.ports).slice(0, NAMED_MAX);
  return {
    toSmtp: use.toSmtp,
    smtpPeers: Object.fromEntries(Object.entries(use.peers).map(([name, peers]) => [name, smtpPeersOf(peers)])),
    portsMax: last - first + 1,
    portsTaken: Object.fromEntries(fullest.map(({address, ports}) => [address, ports])),
    complete: use.isComplete,
  };
}

function smtpPeersOf({connections, connecting, retransmitting, segments, segmentsAgain, rttUsP50, rttUsMax}: SmtpPeers): Peers {
  return {
    ...{connections, connecting, retransmitting},
    ...known<Pick<Peers, 'rttMsP50' | 'rttMsMax' | 'resentShare'>>({
      rttMsP50: times(rttUsP50, 0.001),
      rttMsMax: times(rttUsMax, 0.001),
      resentShare: ratio(segmentsAgain, segments),
    }),
  };
}

export function limitsOf(values: Counters): Group<'limits'> {
  const level = (name: string): number | null => numberOf(values.get(name));
  return known<Group<'limits'>>({
    openFiles: level('openFiles'),
    openFilesMax: level('openFilesMax'),
    hungTasks: level('hungTasks'),
    somaxconn: level('somaxconn'),
  });
}

export function serviceOf(values: Counters, span: Span): Service {
  const percent = (name: string): number | null => times(span.level(name), 0.01);
  const figures = known<Omit<Service, 'memoryBytesMax' | 'tasksMax'>>({
    psiCpuSome10: percent('psiCpuSomeHundredths'),
    psiIoSome10: percent('psiIoSomeHundredths'),
    psiIoFull10: percent('psiIoFullHundredths'),
    psiMemorySome10: percent('psiMemorySomeHundredths'),
    psiMemoryFull10: percent('psiMemoryFullHundredths'),
    memoryBytes: span.level('memoryBytes'),
    memoryHighEvents: span.change('memoryHighEvents'),
    memoryMaxEvents: span.change('memoryMaxEvents'),
    memoryOomKills: span.change('memoryOomKills'),
    tasksMaxEvents: span.change('tasksMaxEvents'),
    tasks: span.level('tasks'),
    cpuThrottledShare: atMostOne(ratio(span.change('cpuThrottledUs'), span.ms * 1000)),
  });
  // A limit that is not set is known to be none.
  return {...figures, ...limitIn(values, 'memoryBytesMax'), ...limitIn(values, 'tasksMax')};
}

function limitIn(values: Counters, name: 'memoryBytesMax' | 'tasksMax'): Partial<Service> {
  const limit = values.get(name);
  return limit === undefined ? {} : {[name]: limit === NO_LIMIT ? null : Number(limit)};
}

/**
 * @param services names of the groups in the order of `use`.
 * @returns null when nothing could be looked into.
 */
export function filesOf(services: readonly string[], use: ProcessUse, limits: Counters): Group<'files'> | null {
  const processes = use.services.reduce((total, service) => total + service.processes, 0);
  const looked = use.services.reduce((total, service) => total + service.looked - service.denied, 0);
  if (looked <= 0) return null;
  const scale = Math.max(1, processes / looked);
  return {
    services: Object.fromEntries(
      use.services.flatMap(({processes: count, fullest, fullestMax}, at) =>
        fullestMax === 0 ? [] : [[services[at] ?? '', {processes: count, fullest: [fullest, fullestMax] satisfies [number, number]}]],
      ),
    ),
    inotify: Object.fromEntries(
      [...use.users]
        .filter(({instances}) => instances > 0)
        .sort((a, b) => b.instances - a.instances)
        .slice(0, NAMED_MAX)
        .map(({uid, instances, watches}) => [uid, [Math.round(instances * scale), Math.round(watches * scale)]]),
    ),
    ...known<Pick<Group<'files'>, 'inotifyInstancesMax' | 'inotifyWatchesMax'>>({
      inotifyInstancesMax: numberOf(limits.get('inotifyInstancesMax')),
      inotifyWatchesMax: numberOf(limits.get('inotifyWatchesMax')),
    }),
    lookedShare: rounded(Math.min(1, looked / Math.max(1, processes))),
  };
}

/** @param queue of the disk's block queue; @param scheduler its name. */
export function fileSystemOf({type, disk, options}: Store, queue: Counters, scheduler: string | null): FileSystem {
  const level = (name: string): number | null => numberOf(queue.get(name));
  const flag = (name: string): boolean | null => (queue.get(name) === undefined ? null : queue.get(name) === 1n);
  return {
    ...known<Omit<FileSystem, 'faults'>>({
      type,
      disk,
      scheduler,
      requestsMax: level('requestsMax'),
      readAheadBytes: times(level('readAheadKibibytes'), KIB),
      writebackLatencyMs: times(level('writebackLatencyUs'), 0.001),
      writeCache: flag('writeCache'),
      rotational: flag('rotational'),
    }),
    faults: mountFaults(options),
  };
}

/**
 * Sources that gave nothing, those of one folder together.
 * @param reasons by path of the file, or by name of the source.
 */
export function lackingOf(reasons: ReadonlyMap<string, string>): Group<'lacking'> {
  const folders = new Map<string, string[]>();
  for (const [path, reason] of reasons) {
    const cut = path.lastIndexOf('/');
    const key = cut < 0 ? path : `${path.slice(0, cut)} ${reason}`;
    addTo(folders, key, cut < 0 ? reason : path.slice(cut + 1));
  }
  return Object.fromEntries([...folders].slice(0, LACKING_MAX).map(([key, names]) => [key, names.join(' ').slice(0, 120)]));
}

function numberOf(value: bigint | undefined): number | null {
  return value === undefined || value === NO_LIMIT ? null : Number(value);
}
