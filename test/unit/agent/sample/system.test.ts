import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {mailGroups} from '../../../../agent/sample/groups.io.ts';
import {mountFaults} from '../../../../agent/sample/mount.ts';
import {Span} from '../../../../agent/sample/span.ts';
import {
  diskOf,
  fileSystemOf,
  filesOf,
  lackingOf,
  limitsOf,
  listenersOf,
  memoryOf,
  networkOf,
  outboundOf,
  processorOf,
  serviceOf,
} from '../../../../agent/sample/system.ts';
import {ALL_TURNS, turnsOf} from '../../../../agent/sample/turns.ts';
import {NO_LIMIT} from '../../../../native/kernel.ts';

function counters(values: Record<string, number | bigint>): Map<string, bigint> {
  return new Map(Object.entries(values).map(([name, value]) => [name, BigInt(value)]));
}

/** Ten seconds between two readings. */
function span(before: Record<string, number>, after: Record<string, number>): Span {
  return new Span({values: counters(before), atMs: 0}, {values: counters(after), atMs: 10_000}, 30_000);
}

test('a kernel that says nothing gives nothing: no figure is zero', () => {
  const none = span({}, {});
  const both = {host: none, summed: none};
  expect([processorOf(none), diskOf(both), limitsOf(new Map()), serviceOf(new Map(), none)]).toEqual([{}, {}, {}, {}]);
  expect(memoryOf(both)).toEqual({watched: 0, troubles: {}});
  expect(networkOf({host: none, summed: none, limits: counters({conntrackMax: 100})})).toEqual({watched: 0, troubles: {}});
});

test('tasks of the moment, forks a second, and what the kernel itself holds', () => {
  const now = span({forks: 10}, {forks: 30, tasksRunning: 3, tasksBlocked: 0, slabReclaimableBytes: 5});
  expect(processorOf(now)).toEqual({tasksRunnable: 3, tasksBlocked: 0, forksPerSecond: 2});
  // Half of it is not it.
  expect(memoryOf({host: now, summed: null}).slabBytes).toBeUndefined();
  expect(memoryOf({host: span({}, {slabReclaimableBytes: 5, slabUnreclaimableBytes: 2}), summed: null}).slabBytes).toBe(7);
});

test('what the processors were at, as shares of all their time', () => {
  const none = {
    cpuUserTicks: 0,
    cpuNiceTicks: 0,
    cpuSystemTicks: 0,
    cpuIdleTicks: 0,
    cpuIowaitTicks: 0,
    cpuIrqTicks: 0,
    cpuSoftirqTicks: 0,
  };
  const after = {
    cpuUserTicks: 20,
    cpuNiceTicks: 5,
    cpuSystemTicks: 10,
    cpuIdleTicks: 50,
    cpuIowaitTicks: 5,
    cpuIrqTicks: 1,
    cpuSoftirqTicks: 3,
  };
  expect(processorOf(span({...none, cpuStealTicks: 0}, {...after, cpuStealTicks: 6}))).toEqual({
    ...{userShare: 0.25, systemShare: 0.1, interruptShare: 0.04},
  });
  // Not known of what.
  expect(processorOf(span(none, after))).toEqual({});
});

test('distance to throttling, rates, sums', () => {
  const host = span({}, {dirtyBytes: 90 * 4_096, swapTotalBytes: 7, swapFreeBytes: 3});
  const summed = span(
    {fileRefaults: 100, anonRefaults: 3, pagesSwappedIn: 0, pagesSwappedOut: 5},
    {
      ...{fileRefaults: 150, anonRefaults: 3, pagesSwappedIn: 10, pagesSwappedOut: 25},
      ...{dirtyPagesMax: 100, dirtyPagesBackground: 50},
    },
  );
  const memory = memoryOf({host, summed});
  expect(memory).toEqual({
    ...{dirtyOfThrottle: 0.9, dirtyOfBackground: 1.8, swapUsedBytes: 4},
    // What has not grown is not named.
    ...{watched: 3, troubles: {fileRefaults: 5, swapPages: 3}},
  });
});

test('journal and errors of ext4; a file system without errors has no time of one', () => {
  const before = {journalCommits: 10, diskSectorsWritten: 0};
  const after = {journalCommits: 60, journalCommitUs: 4_711, diskSectorsWritten: 20_480};
  const past = {firstErrorAtSeconds: 0, lastErrorAtSeconds: 0, lifetimeWrittenKibibytes: 2, errors: 0};
  const diskWith = (values: Record<string, number>) => diskOf({host: span(before, after), summed: span({}, values)});
  expect(diskWith(past)).toEqual({
    commitsPerSecond: 5,
    commitMs: 4.71,
    writtenBytesPerSecond: 1_048_576,
    errors: 0,
    lifetimeWrittenBytes: 2_048,
  });
  expect(diskWith({...past, errors: 3, firstErrorAtSeconds: 1_600_000_000, lastErrorAtSeconds: 1_700_000_500})).toMatchObject({
    errors: 3,
    firstErrorAtMs: 1_600_000_000_000,
    lastErrorAtMs: 1_700_000_500_000,
  });
});

test('counters of trouble: those that grew, out of how many were read', () => {
  const limits = counters({conntrackMax: 100});
  const summed = span({tcpListenOverflows: 1, tcpPrunes: 9}, {tcpListenOverflows: 21, tcpPrunes: 3, conntrackEntries: 70});
  const host = span({softnetDrops: 4}, {softnetDrops: 4});
  const network = networkOf({host, summed, limits});
  expect(networkOf({host, summed: null, limits})).toMatchObject({watched: 1, troubles: {}});
  // The third went backwards: a reset is not known.
  expect(network).toEqual({watched: 2, troubles: {listenOverflows: 2}, conntrackEntries: 70, conntrackMax: 100});
});

test('of unix sockets only those in which somebody waits, the fullest first', () => {
  const unix = [
    {name: 'private/smtp', depth: 0, limit: 100},
    {name: 'public/cleanup', depth: 10, limit: 100},
    {name: '/run/dovecot/login/imap', depth: 5, limit: 10},
  ];
  const listeners = listenersOf({tcp: [{name: '25', depth: 0, limit: 100}], unix});
  expect(listeners).toEqual({
    tcp: {25: [0, 100]},
    unixWatched: 3,
    unixWaiting: {'/run/dovecot/login/imap': [5, 10], 'public/cleanup': [10, 100]},
  });
  expect(Object.keys(listeners.unixWaiting)[0]).toBe('/run/dovecot/login/imap');
});

test('ports: the fullest addresses against the range, both ends of it counted', () => {
  const sources = Array.from({length: 20}, (_, at) => ({address: `10.0.0.${at}`, sockets: at, ports: at}));
  const quiet = {connections: 1, connecting: 0, retransmitting: 0, segments: 0, segmentsAgain: 0, rttUsP50: null, rttUsMax: null};
  const peers = {farm: quiet, ipv4: {...quiet, segments: 200, segmentsAgain: 3, rttUsP50: 12_345, rttUsMax: 99_000}};
  const outbound = outboundOf({toSmtp: {synSent: 3}, peers, states: {timeWait: 5}, sources, isComplete: false}, 32_768, 60_999);
  // Nothing was sent: no share of it. No round trip is known: none is told.
  expect(outbound.smtpPeers?.farm).toEqual({connections: 1, connecting: 0, retransmitting: 0});
  expect(outbound.smtpPeers?.ipv4).toMatchObject({rttMsP50: 12.3, rttMsMax: 99, resentShare: 0.015});
  expect(outbound).toMatchObject({toSmtp: {synSent: 3}, portsMax: 28_232, complete: false});
  expect(Object.keys(outbound.portsTaken)).toHaveLength(8);
  expect(outbound.portsTaken['10.0.0.19']).toBe(19);
});

test('a limit that is not set is null, one that is not known is left out', () => {
  const values = counters({memoryBytesMax: NO_LIMIT, tasks: 5, memoryBytes: 8, cpuThrottledUs: 5_000_000});
  const service = serviceOf(values, new Span({values: counters({cpuThrottledUs: 0}), atMs: 0}, {values, atMs: 10_000}, 30_000));
  expect(service).toEqual({memoryBytes: 8, memoryBytesMax: null, tasks: 5, cpuThrottledShare: 0.5});
});

test('inotify is scaled up from the processes that were looked into; nothing looked into is nothing known', () => {
  const files = {processes: 400, looked: 110, denied: 10, openFiles: 900, fullest: 60, fullestMax: 1_000};
  const use = {services: [files], users: [{uid: 5_000, instances: 50, watches: 80, processes: 100}], isComplete: false};
  const limits = counters({inotifyInstancesMax: 128});
  expect(filesOf(['dovecot'], use, limits)).toEqual({
    services: {dovecot: {processes: 400, fullest: [60, 1_000]}},
    inotify: {5000: [200, 320]},
    inotifyInstancesMax: 128,
    lookedShare: 0.25,
  });
  expect(filesOf(['dovecot'], {...use, services: [{...files, denied: 110}]}, limits)).toBeNull();
});

test('what is lacking is told by folder', () => {
  const reasons = new Map([
    ['/proc/schedstat', 'ENOENT'],
    ['/sys/fs/cgroup/a/memory.max', 'ENOENT'],
    ['/sys/fs/cgroup/a/pids.max', 'ENOENT'],
    ['services', 'no control group'],
  ]);
  expect(lackingOf(reasons)).toEqual({
    '/proc ENOENT': 'schedstat',
    '/sys/fs/cgroup/a ENOENT': 'memory.max pids.max',
    services: 'no control group',
  });
});

test('a file system is described by its mount and its disk', () => {
  const store = {disk: 'vda', device: 'vda1', type: 'ext4', options: ['rw', 'relatime'], totalBytes: 1, freeBytes: 1, freeInodes: 1};
  expect(fileSystemOf(store, counters({readAheadKibibytes: 128, writeCache: 1, rotational: 0}), 'none')).toEqual({
    type: 'ext4',
    disk: 'vda',
    faults: ['relatime'],
    scheduler: 'none',
    readAheadBytes: 131_072,
    writeCache: true,
    rotational: false,
  });
});

test.each([
  ['rw,noatime,rw,data=ordered', []],
  ['rw,relatime,rw', ['relatime']],
  ['rw,rw', ['atime']],
  ['ro,noatime,ro', ['readOnly']],
  ['rw,noatime,rw,nobarrier,data=writeback', ['noBarrier', 'dataWriteback']],
  ['rw,noatime,rw,barrier=0,data=journal', ['noBarrier', 'dataJournal']],
  ['rw,sync,noatime,rw', ['sync']],
])('of %s the faults are %j', (options, faults) => {
  expect(mountFaults(options.split(','))).toEqual(faults);
});

test('of no options nothing is said', () => {
  expect(mountFaults([])).toEqual([]);
});

test('each dear source has its turn within eight rounds, none shares its round with two others', () => {
  const rounds = Array.from({length: 90}, (_, round) => turnsOf(round));
  expect(new Set(rounds.slice(0, 8).flatMap(turns => [...turns]))).toEqual(ALL_TURNS);
  expect(Math.max(...rounds.map(({size}) => size))).toBeLessThanOrEqual(3);
  expect(rounds.filter(turns => turns.has('files'))).toHaveLength(3);
});

test('control groups of mail services, of an instance of Postfix by its name, and in the older hierarchy too', async () => {
  const root = mkdtempSync(join(tmpdir(), 'mailherd-groups-'));
  try {
    expect(await mailGroups(root)).toEqual([]);
    for (const path of [
      'systemd/system.slice/dovecot.service',
      'unified/system.slice/dovecot.service',
      'unified/system.slice/ssh.service',
    ]) {
      mkdirSync(join(root, 'sys/fs/cgroup', path), {recursive: true});
    }
    for (const name of ['postfix@-.service', 'postfix@out.service']) {
      mkdirSync(join(root, 'sys/fs/cgroup/unified/system.slice/system-postfix.slice', name), {recursive: true});
    }
    expect(await mailGroups(root)).toEqual([
      {name: 'dovecot', path: 'unified/system.slice/dovecot.service'},
      {name: 'postfix', path: 'unified/system.slice/system-postfix.slice/postfix@-.service'},
      {name: 'postfix@out', path: 'unified/system.slice/system-postfix.slice/postfix@out.service'},
    ]);
  } finally {
    rmSync(root, {recursive: true});
  }
});
