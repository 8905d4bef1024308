import Type from 'typebox';
import {ByteCount, Count, InstantMs, orNull, PerSecond, Share, SpanMs} from './schema.ts';

/** What the kernel says: explains a verdict, never makes one. */
export const Kernel = Type.Object({
  cpuBusyShare: orNull(Share),
  cpuIowaitShare: orNull(Share),
  cpuStealShare: orNull(Share),
  runQueueWaitMsPerSecond: orNull(Count),
  /** PSI avg10, percent 0..100. */
  psiCpuSome10: orNull(Count),
  psiIoSome10: orNull(Count),
  psiIoFull10: orNull(Count),
  psiMemorySome10: orNull(Count),
  memoryAvailableBytes: orNull(ByteCount),
  memoryTotalBytes: orNull(ByteCount),
  dirtyBytes: orNull(ByteCount),
  directReclaimPerSecond: orNull(PerSecond),
  oomKills: orNull(Count),
  /** Of the disk under the mail store: device flush (fsync), read and write time a request. */
  diskFlushMs: orNull(SpanMs),
  diskReadMs: orNull(SpanMs),
  diskWriteMs: orNull(SpanMs),
  diskBusyShare: orNull(Share),
  retransmitsPerSecond: orNull(PerSecond),
  listenDropsPerSecond: orNull(PerSecond),
});
export type Kernel = Type.Static<typeof Kernel>;

/** Two counts, each with a name for those who want to tell them apart. */
function pair(first: string, second: string): Type.TTuple<[Type.TNumber, Type.TNumber]> {
  return Type.Tuple([Type.Number({minimum: 0, title: first}), Type.Number({minimum: 0, title: second})]);
}

/** Connections that wait to be accepted, and how many may. */
const Waiting = pair('depth', 'limit');
const some = Type.Optional;

/** Waiting tasks as PSI sees them: the ten second average in percent, 0..100. */
const Stalls = {
  psiCpuSome10: some(Count),
  psiIoSome10: some(Count),
  psiIoFull10: some(Count),
  psiMemorySome10: some(Count),
  psiMemoryFull10: some(Count),
};

const Processor = Type.Object({
  /** Tasks that run or could, and that wait for a disk, at the moment of the sample. */
  tasksRunnable: some(Count),
  tasksBlocked: some(Count),
  forksPerSecond: some(PerSecond),
  /** Of the time of all processors: programs, the kernel for them, and interrupts. */
  userShare: some(Share),
  systemShare: some(Share),
  interruptShare: some(Share),
});

const Memory = Type.Object({
  psiMemoryFull10: some(Count),
  /** What the kernel itself holds: names and inodes of files above all. */
  slabBytes: some(ByteCount),
  swapUsedBytes: some(ByteCount),
  writebackBytes: some(ByteCount),
  /** Dirty pages as a share of where the kernel begins to write back, and of where it makes writers wait; may be above 1. */
  dirtyOfBackground: some(Count),
  dirtyOfThrottle: some(Count),
  /**
   * Counters of trouble that were read; those of them that grew stand in `troubles`, per second: major faults, pages swapped in and out,
   * `fileRefaults` and `anonRefaults` (pages read again soon after they had been dropped), `directScanned` and `directReclaimed` (pages
   * looked at and freed by tasks that had to do it themselves), stalls of compaction.
   */
  watched: some(Count),
  troubles: some(Type.Record(Type.String(), PerSecond)),
});

/** Of the disk under the mail store and its file system. */
const Disk = Type.Object({
  readsPerSecond: some(PerSecond),
  writesPerSecond: some(PerSecond),
  readBytesPerSecond: some(PerSecond),
  writtenBytesPerSecond: some(PerSecond),
  flushesPerSecond: some(PerSecond),
  inFlight: some(Count),
  /** ext4: what a commit of its journal takes, a moving average, and how many there were. */
  commitMs: some(SpanMs),
  commitsPerSecond: some(PerSecond),
  /** ext4: errors since its last check, when the first and the last one was, and all that was ever written to it. */
  errors: some(Count),
  firstErrorAtMs: some(InstantMs),
  lastErrorAtMs: some(InstantMs),
  lifetimeWrittenBytes: some(ByteCount),
  /** XFS: forced log writes (fsync); waits for one, for a log buffer, and for room in the log. */
  logForcesPerSecond: some(PerSecond),
  logWaitsPerSecond: some(PerSecond),
});

const Network = Type.Object({
  /** Counters of trouble that were read; those of them that grew stand in `troubles`, per second. TCP's are the mean of three reports. */
  watched: Count,
  troubles: Type.Record(Type.String(), PerSecond),
  /** TCP connections that are open: established, or closed by the other side only. */
  openConnections: some(Count),
  conntrackEntries: some(Count),
  conntrackMax: some(Count),
});

/** Accept queues: of each TCP port, and of those of Postfix's and Dovecot's unix sockets in which somebody waits. */
const Listeners = Type.Object({
  tcp: Type.Record(Type.String(), Waiting),
  unixWatched: Count,
  unixWaiting: Type.Record(Type.String(), Waiting),
});

/** Connections to port 25 of one class of hosts: what the network between makes of them. */
const SmtpPeers = Type.Object({
  /** Established, those that nobody has answered yet, and the established of which data is being sent again right now. */
  connections: Count,
  connecting: Count,
  retransmitting: Count,
  /** Round trip as TCP smooths it: of the middle connection and of the slowest. */
  rttMsP50: some(SpanMs),
  rttMsMax: some(SpanMs),
  /** Share of all that they have sent that had to be sent again; may be above 1. */
  resentShare: some(Count),
});

/** Connections out of this host. */
const Outbound = Type.Object({
  /** To port 25, by state; many in synSent: the other side does not answer. */
  toSmtp: Type.Record(Type.String(), Count),
  /** The same by where they go to: `farm` (its hosts, and this one), `private` networks, `ipv4` and `ipv6` elsewhere. */
  smtpPeers: some(Type.Record(Type.String(), SmtpPeers)),
  /** Ephemeral ports there are for each local address, and by address how many are taken; only the fullest addresses. */
  portsMax: Count,
  portsTaken: Type.Record(Type.String(), Count),
  /** False when there was more than is counted. */
  complete: Type.Boolean(),
});

/** One mail service's control group. Limits: null = there is none. */
const ServiceGroup = Type.Object({
  ...Stalls,
  memoryBytes: some(ByteCount),
  memoryBytesMax: some(orNull(ByteCount)),
  /** In the time since they were last read: how often the group met its memory limits, was killed for them, or could not fork. */
  memoryHighEvents: some(Count),
  memoryMaxEvents: some(Count),
  memoryOomKills: some(Count),
  tasksMaxEvents: some(Count),
  tasks: some(Count),
  tasksMax: some(orNull(Count)),
  cpuThrottledShare: some(Share),
});

/** Open files and inotify; of many processes only some are looked at. */
const Files = Type.Object({
  /** Of each mail service: its processes, and open files and limit of the one nearest to its limit. */
  services: Type.Record(Type.String(), Type.Object({processes: Count, fullest: pair('open', 'max')})),
  /** Instances and watches of each user id, scaled up from the processes that were looked at, and what a user may have. */
  inotify: Type.Record(Type.String(), pair('instances', 'watches')),
  inotifyInstancesMax: some(Count),
  inotifyWatchesMax: some(Count),
  /** Share of the services' processes that was looked into. */
  lookedShare: Share,
});

/** The kernel's own log: what it complains of and has not ceased to for as long as the event kernelTroubleBegan says; the newest eight. */
const KernelLog = Type.Object({
  troubles: Type.Array(Type.Object({trouble: Type.String({maxLength: 20}), of: Type.String({maxLength: 40}), complaints: Count}), {
    maxItems: 8,
  }),
  /** Records since the agent's start that were overwritten before they could be read. */
  lost: Count,
});

/** What is set, for comparison between hosts. */
const FileSystem = Type.Object({
  type: some(Type.String({maxLength: 40})),
  disk: some(Type.String({maxLength: 40})),
  /** What is against good sense among its mount options, see `agent/sample/mount.ts`. */
  faults: Type.Array(Type.String({maxLength: 40})),
  scheduler: some(Type.String({maxLength: 40})),
  requestsMax: some(Count),
  readAheadBytes: some(ByteCount),
  writebackLatencyMs: some(SpanMs),
  writeCache: some(Type.Boolean()),
  rotational: some(Type.Boolean()),
});

/**
 * What else the kernel says. A group or figure that is left out was not read in this interval: dear sources take turns, and
 * `lacking` tells what this host cannot say at all. Nothing left out is zero.
 */
export const System = Type.Object({
  processor: some(Processor),
  memory: some(Memory),
  disk: some(Disk),
  network: some(Network),
  listeners: some(Listeners),
  outbound: some(Outbound),
  /** All TCP connections of this host by state, but listening and established ones; many in closeWait: a program does not close them. */
  connections: some(Type.Record(Type.String(), Count)),
  limits: some(Type.Object({openFiles: some(Count), openFilesMax: some(Count), hungTasks: some(Count), somaxconn: some(Count)})),
  services: some(Type.Record(Type.String(), ServiceGroup)),
  files: some(Files),
  kernelLog: some(KernelLog),
  /** Of the file system under the queue, where it is not the mail store's, or there is none. */
  queueFileSystem: some(Type.Object({totalBytes: ByteCount, freeBytes: ByteCount, freeInodes: orNull(Count)})),
  setup: some(Type.Object({store: some(FileSystem), queue: some(FileSystem)})),
  /** What this kernel or file system lacks: folder and reason -> its files, or a source -> the reason. */
  lacking: some(Type.Record(Type.String(), Type.String({maxLength: 120}))),
});
export type System = Type.Static<typeof System>;
