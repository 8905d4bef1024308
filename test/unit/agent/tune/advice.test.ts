import {expect, test} from 'vitest';
import {advise} from '../../../../agent/tune/advice.ts';
import type {Facts} from '../../../../agent/tune/facts.ts';
import {inertKnobs} from '../../../../agent/tune/proposals.ts';
import {looks, QUIET, valued} from './facts-builder.ts';

const MIB = 1_048_576;

function adviceOf(history: readonly Facts[]): string[] {
  return advise(history, 'sda', [], 0).map(({advice: {level, id, because}}) => `${level} ${id} ${because}`);
}

test('a quiet host gets none, nor does one that says nothing', () => {
  expect(adviceOf(looks(40))).toEqual([]);
  const nothing = Object.fromEntries(Object.entries(QUIET).map(([name, value]) => [name, typeof value === 'number' ? null : value]));
  const mute = {
    ...nothing,
    atMs: 0,
    values: new Map(),
    settings: new Map(),
    mounts: [],
    inotify: null,
    listeners: null,
  } as unknown as Facts;
  expect(adviceOf(Array.from({length: 40}, () => mute))).toEqual([]);
  expect(adviceOf([])).toEqual([]);
});

/** Flushes get slow while the heap of dirty pages shrinks, every third look. */
const bursts = (at: number): Partial<Facts> =>
  at % 3 === 2 ? {dirtyBytes: 100 * MIB, diskFlushMs: 80, psiIoFull10: 30} : {dirtyBytes: 900 * MIB, diskFlushMs: 2};

test.each<[string, Facts[], string]>([
  ['packets are dropped', looks(6, {softnetDropsPerSecond: 2}), 'automatic net.core.netdev_max_backlog=1250 SOFTNET_DROPS'],
  ['rounds are broken off', looks(6, {softnetSqueezesPerSecond: 30}), 'automatic net.core.netdev_budget=375 SOFTNET_SQUEEZED'],
  [
    'requests are dropped without cookies',
    looks(6, {synDropsPerSecond: 3, settings: new Map([...QUIET.settings, ['/proc/sys/net/ipv4/tcp_syncookies', '0']])}),
    'alarm net.ipv4.tcp_syncookies=1 or more SET_DANGEROUSLY, automatic net.ipv4.tcp_max_syn_backlog=2048 SYN_QUEUE_FULL',
  ],
  ['ports run out', looks(1, {ports: {address: '0A', used: 20_000}}), 'automatic net.ipv4.ip_local_port_range=16384 60999 PORTS_NEAR'],
  [
    'ports run out above a listener',
    looks(1, {ports: {address: '0A', used: 20_000}, listeningPorts: [25, 24_246, 40_000]}),
    'automatic net.ipv4.ip_local_port_range=24248 60999 PORTS_NEAR',
  ],
  [
    'ports run out for good',
    looks(1, {...valued('net.ipv4.ip_local_port_range', '10240 60999'), ports: {address: '0A', used: 40_000}}),
    'person postfix.smtp_bind_address=more source addresses for the smtp client, or connection reuse PORTS_NEAR',
  ],
  ['conntrack is nearly full', looks(6, {conntrackUsed: 250_000}), 'automatic net.netfilter.nf_conntrack_max=524288 CONNTRACK_FULL'],
  [
    'conntrack is nearly full and its table small',
    looks(6, {conntrackUsed: 250_000, conntrackBuckets: 65_536}),
    'person net.netfilter.nf_conntrack_buckets=131072 CONNTRACK_FULL',
  ],
  [
    'inotify runs out',
    looks(30, at => ({inotify: at === 5 ? {instances: 100, watches: 9} : null})),
    'automatic fs.inotify.max_user_instances=256 LIMIT_NEAR',
  ],
  ['watches run out', looks(3, {inotify: {instances: 1, watches: 120_000}}), 'automatic fs.inotify.max_user_watches=242000 LIMIT_NEAR'],
  ['files run out', looks(6, {...valued('fs.file-max', '100000'), filesUsed: 80_000}), 'automatic fs.file-max=200000 LIMIT_NEAR'],
  ['flushes come in bursts', looks(31, bursts), 'automatic vm.dirty_background=67108864 FLUSH_BURSTS'],
  [
    'writers are stopped with the limits too close',
    looks(6, {psiIoSome10: 40, dirtyShare: 0.9, dirtyBackgroundBytes: 200 * MIB, dirtyLimitBytes: 300 * MIB}),
    'automatic vm.dirty=1073741824 WRITERS_STOPPED',
  ],
  [
    'small reads and read again',
    looks(6, {diskReadBytes: 5_000, refaultsPerSecond: 900}),
    'automatic block.read_ahead_kb/sda=32 SMALL_READS',
  ],
  [
    'reads starve',
    looks(30, at => (at % 2 === 0 ? {writebackBytes: 90 * MIB, diskReadMs: 60} : {})),
    'automatic block.wbt_lat_usec/sda=37500 READS_STARVED',
  ],
  [
    'a listener is full by its own backlog',
    looks(10, {listeners: [{name: 'smtp :25', queued: 90, limit: 100}]}),
    'person listener.smtp--25=more processes: maxproc or default_process_limit LISTENER_FULL',
  ],
  [
    'a listener is full by somaxconn',
    looks(10, {listeners: [{name: 'imap-login', queued: 3_000, limit: 4_096}]}),
    'person net.core.somaxconn=8192, then restart imap-login LISTENER_CAPPED',
  ],
  [
    'reading writes',
    looks(1, {mounts: [{place: '/var/vmail', type: 'ext4', options: ['rw', 'relatime']}]}),
    'person mount.-var-vmail=noatime READS_WRITE',
  ],
  [
    'a mount loses mail',
    looks(1, {mounts: [{place: '/var/vmail', type: 'ext4', options: ['rw', 'noatime', 'nobarrier']}]}),
    'alarm mount.-var-vmail=without nobarrier MOUNT_LOSES_MAIL',
  ],
  ['swapping under pressure', looks(6, {swapInsPerSecond: 4, psiMemorySome10: 9}), 'person vm.swappiness=10 SWAPPED_IN'],
  ['a flat queue', looks(1, {queueActive: 12_000}), 'person postfix.hash_queue_names.active=active, hash_queue_depth 1 QUEUE_FLAT'],
  [
    'a limit was lowered',
    looks(1, {...valued('fs.inotify.max_user_watches', '256'), inotify: null}),
    'alarm fs.inotify.max_user_watches=8192 or more LIMIT_LOWERED',
  ],
])('%s', (_, history, expected) => {
  expect(adviceOf(history).join(', ')).toBe(expected);
});

test.each<[string, Facts[]]>([
  ['drops that do not last', looks(6, at => ({softnetDropsPerSecond: at === 5 ? 5 : 0}))],
  ['too few looks', looks(5, {softnetDropsPerSecond: 9})],
  ['a figure is missing in one look', looks(6, at => ({softnetDropsPerSecond: at === 3 ? null : 9}))],
  ['cookies are on: the limit is not asked', looks(6, {synDropsPerSecond: 3})],
  ['the range has reached its end', looks(6, {...valued('net.core.netdev_max_backlog', '30000'), softnetDropsPerSecond: 90})],
  ['an absent knob', looks(6, {values: new Map(), softnetDropsPerSecond: 9, softnetSqueezesPerSecond: 90})],
  ['a value that is no number', looks(6, {...valued('net.core.netdev_max_backlog', 'many'), softnetDropsPerSecond: 9})],
  ['more files than memory allows', looks(6, {...valued('fs.file-max', '1600000'), filesUsed: 1_500_000})],
  ['a slow disk with limits far apart', looks(6, {psiIoSome10: 60, dirtyShare: 0.95, dirtyBackgroundBytes: 200 * MIB})],
  ['slow flushes without a heap', looks(31, at => ({diskFlushMs: at % 3 === 2 ? 80 : 2, psiIoFull10: 30}))],
])('no advice: %s', (_, history) => {
  expect(adviceOf(history)).toEqual([]);
});

test('advice keeps its id and age, stands a while longer, and goes with the value it was made for', () => {
  const first = advise(looks(6, {softnetDropsPerSecond: 2}), 'sda', [], 1_000);
  const again = advise(looks(6, {softnetDropsPerSecond: 3}), 'sda', first, 60_000);
  expect(again[0]?.advice).toMatchObject({
    id: 'net.core.netdev_max_backlog=1250',
    sinceMs: 1_000,
    evidence: expect.stringContaining('3.0 packets'),
  });
  const over = advise(looks(6), 'sda', again, 600_000);
  expect(over).toEqual(again);
  expect(advise(looks(6), 'sda', over, 60_000 + 30 * 60_000)).toEqual([]);
  expect(advise(looks(6, valued('net.core.netdev_max_backlog', '1250')), 'sda', over, 700_000)).toEqual([]);
});

test('inert knobs are named', () => {
  const full = {...QUIET, listeners: [{name: 'smtp :25', queued: 90, limit: 100}]};
  expect(inertKnobs(full)).toEqual({
    'net.core.somaxconn': 'smtp :25 has a backlog of its own, 100, below 4096',
    'net.ipv4.tcp_max_syn_backlog': 'syncookies are on: the kernel does not ask this limit',
  });
});
