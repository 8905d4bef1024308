import type {Facts} from '../../../../agent/tune/facts.ts';

const MIB = 1_048_576;

/** A quiet host of 16 GiB with the kernel's defaults. */
export const QUIET: Facts = {
  atMs: 0,
  values: new Map([
    ['net.core.netdev_max_backlog', '1000'],
    ['net.core.netdev_budget', '300'],
    ['net.ipv4.tcp_max_syn_backlog', '1024'],
    ['net.ipv4.ip_local_port_range', '32768 60999'],
    ['net.netfilter.nf_conntrack_max', '262144'],
    ['fs.inotify.max_user_instances', '128'],
    ['fs.inotify.max_user_watches', '121000'],
    ['fs.file-max', '1600000'],
    ['vm.dirty_background', '10%'],
    ['vm.dirty', '20%'],
    ['block.read_ahead_kb/sda', '128'],
    ['block.wbt_lat_usec/sda', '75000'],
  ]),
  settings: new Map([
    ['/proc/sys/net/core/somaxconn', '4096'],
    ['/proc/sys/net/ipv4/tcp_syncookies', '1'],
    ['/proc/sys/vm/swappiness', '60'],
    ['/proc/sys/vm/dirty_writeback_centisecs', '500'],
    ['/sys/kernel/mm/transparent_hugepage/enabled', 'always [madvise] never'],
  ]),
  psiIoSome10: 1,
  psiIoFull10: 0.5,
  psiMemorySome10: 0,
  runQueueWaitMsPerSecond: 20,
  memoryTotalBytes: 16_384 * MIB,
  diskFlushMs: 2,
  diskReadMs: 1,
  diskReadBytes: 40_000,
  diskReadsPerSecond: 100,
  diskWrittenBytesPerSecond: 20e6,
  dirtyBytes: 50 * MIB,
  writebackBytes: 0,
  dirtyBackgroundBytes: 1_500 * MIB,
  dirtyLimitBytes: 3_000 * MIB,
  dirtyShare: 50 / 3_000,
  refaultsPerSecond: 5,
  swapInsPerSecond: 0,
  compactStallsPerSecond: 0,
  softnetDropsPerSecond: 0,
  softnetSqueezesPerSecond: 0.1,
  synDropsPerSecond: 0,
  conntrackUsed: 900,
  conntrackBuckets: 262_144,
  filesUsed: 9_000,
  ports: null,
  listeningPorts: [],
  inotify: {instances: 10, watches: 200},
  listeners: [{name: 'smtp :25', queued: 0, limit: 100}],
  mounts: [{place: '/var/vmail', type: 'ext4', options: ['rw', 'noatime']}],
  queueActive: 12,
  queueIncoming: 0,
};

/** The same look again and again, 10 s apart; `over` may depend on which look it is. */
export function looks(count: number, over: Partial<Facts> | ((at: number) => Partial<Facts>) = {}): Facts[] {
  return Array.from({length: count}, (_, at) => ({...QUIET, atMs: at * 10_000, ...(typeof over === 'function' ? over(at) : over)}));
}

/** The default values but for one. */
export function valued(knob: string, value: string): Partial<Facts> {
  return {values: new Map([...QUIET.values, [knob, value]])};
}
