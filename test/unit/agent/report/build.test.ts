import {expect, test} from 'vitest';
import {buildReport, type Interval} from '../../../../agent/report/build.ts';
import {percentile} from '../../../../agent/report/percentile.ts';
import type {QueueWalk} from '../../../../native/binding.ts';
import {encode, parse} from '../../../../wire/codec.ts';
import {HostReport} from '../../../../wire/report.ts';
import {NOTHING as UNMEASURED} from './interval.ts';

const NOTHING: Interval = {
  ...UNMEASURED,
  sequence: 2,
  sampledAtMs: 1_000_000.5,
  intervalMs: 10_000.25,
  self: {...UNMEASURED.self, cpuMs: 1.23456789, rssBytes: 5},
  failing: {host: 'hangs'},
};
const NOTHING_LOGGED = {attempts: [], ends: {}, screened: {}};
const STORE = {disk: 'vda', device: 'vda1', type: 'ext4', options: ['rw'], totalBytes: 100, freeBytes: 50, freeInodes: 7};

test('nothing measured: a valid report in which nothing looks like health', () => {
  const report = parse(HostReport, buildReport(NOTHING), 'report');
  const figures = [
    ...Object.values(report.slis),
    ...Object.values(report.load),
    ...Object.values(report.kernel),
    report.queue,
    report.mailStore,
    report.routeRevision,
  ];
  expect(figures.filter(figure => figure !== null)).toEqual([]);
  expect(report.agent.failing).toEqual({host: 'hangs'});
});

test('the age of the queue is of what waits for this host, not of all that waits', () => {
  const walk = {
    maildrop: 0,
    incoming: 0,
    active: 1,
    deferred: 300,
    hold: 0,
    complete: true,
    ageMsP95: 7_200_000,
    ageMsMax: 9e6,
  } as QueueWalk;
  const of = (here: Interval['here']): unknown[] => {
    const {slis, queue} = buildReport({...NOTHING, queue: walk, here});
    return [slis.queueAgeMsP95, slis.queueAgeMsMax, queue?.deferred, queue?.here];
  };
  expect(of({waiting: 12, ageMsP95: 800.4, ageMsMax: 900.4})).toEqual([800, 900, 300, 12]);
  expect(of({waiting: 0, ageMsP95: null, ageMsMax: null})).toEqual([null, null, 300, 0]);
  expect(of(null)).toEqual([null, null, 300, null]);
});

test('rates by the interval, percentiles that occurred, probe share of probes', () => {
  const report = buildReport({
    ...NOTHING,
    mail: {
      deliveryMs: [30, 10, 20, 1000],
      deliveries: 4,
      logins: 5,
      sessions: 9,
      sessionsOpen: 8,
      dropped: 1,
      activeUsers: 3,
      busiest: {user: 'ada@x', share: 0.7},
      ...NOTHING_LOGGED,
    },
    probes: {failureShare: 0.25, deliveryMs: 120.7, loginMs: null, lmtpMs: null, idle: null},
    routes: {revision: 77, userCount: 12, relief: null},
    holdPorts: 32,
    store: STORE,
  });
  expect(report.load).toEqual({
    ...{deliveriesPerSecond: 0.4, loginsPerSecond: 0.5, imapSessions: 8, users: 12, activeUsers: 3},
    busiest: {user: 'ada@x', share: 0.7},
  });
  expect(report.slis).toMatchObject({
    deliveryMsP50: 20,
    deliveryMsP95: 1000,
    probeDeliveryMs: 121,
    probeLoginMs: null,
    probeFailureShare: 0.25,
    imapDropped: 1,
    imapSessions: 9,
  });
  expect(report).toMatchObject({routeRevision: 77, holdPorts: 32, mailStore: {totalBytes: 100, freeBytes: 50, freeInodes: 7}});
});

test('a quiet interval: rates are zero, times are unknown, no probe is no success', () => {
  const report = buildReport({
    ...NOTHING,
    mail: {deliveryMs: [], deliveries: 0, logins: 0, sessions: 0, sessionsOpen: 0, dropped: 0, activeUsers: 0, ...NOTHING_LOGGED},
    probes: {failureShare: null, deliveryMs: null, loginMs: null, lmtpMs: null, idle: null},
  });
  expect(report.load.deliveriesPerSecond).toBe(0);
  expect(report.slis).toMatchObject({deliveryMsP50: null, deliveryMsP95: null, probeFailureShare: null, imapDropped: 0});
});

test('only a backend has a mail store', () => {
  expect(buildReport({...NOTHING, role: 'edge', store: STORE}).mailStore).toBeNull();
});

test('a full report is small', () => {
  const kernel = Object.fromEntries(Object.keys(buildReport(NOTHING).kernel).map(name => [name, 0.123456789012345])) as Interval['kernel'];
  const labels = {
    os: 'debian-13',
    kernel: '6.12.48+deb13-amd64',
    hardware: 'Dell Inc. PowerEdge R6625',
    batch: 'round-9',
    rack: 'b12',
    dovecot: '2.4.1',
    postfix: '3.10.13',
  };
  expect(encode(HostReport, buildReport({...NOTHING, kernel, labels, store: STORE})).length).toBeLessThan(2_048);
});

const SETUP = {
  type: 'ext4',
  scheduler: 'mq-deadline',
  requestsMax: 1023,
  readAheadBytes: 131_072,
  writebackLatencyMs: 2,
  writeCache: true,
  rotational: false,
  faults: ['relatime' as const],
};
/** As a host with Postfix and Dovecot says it in the round that says most. */
const SYSTEM: Interval['system'] = {
  processor: {tasksRunnable: 12, tasksBlocked: 3, forksPerSecond: 48.99, userShare: 0.312, systemShare: 0.121, interruptShare: 0.0213},
  memory: {
    slabBytes: 1_234_567_890,
    ...{
      psiMemoryFull10: 0.01,
      swapUsedBytes: 1_234_567_890,
      writebackBytes: 1_234_567,
      dirtyOfBackground: 0.05387,
      dirtyOfThrottle: 0.0269,
    },
    watched: 7,
    troubles: {
      ...{majorFaults: 12.3, swapPages: 1.23, fileRefaults: 49, anonRefaults: 1.23},
      ...{directScanned: 1230, directReclaimed: 1230, compactStalls: 0.123},
    },
  },
  disk: {
    ...{
      readsPerSecond: 8.165,
      writesPerSecond: 7441,
      readBytesPerSecond: 33_450,
      writtenBytesPerSecond: 25_240_000,
      flushesPerSecond: 1909,
    },
    ...{inFlight: 12, errors: 0, lifetimeWrittenBytes: 135_286_182_912, commitMs: 3.801, commitsPerSecond: 12.34},
  },
  network: {
    watched: 19,
    openConnections: 12_345,
    troubles: {synRetransmits: 0.1234, timeouts: 1.234, lostRetransmits: 0.12},
    conntrackEntries: 12_345,
    conntrackMax: 262_144,
  },
  listeners: {
    tcp: Object.fromEntries([22, 24, 25, 143, 465, 587, 993, 2526, 4190, 24_245, 24_246].map(port => [port, [0, 4096]])),
    unixWatched: 64,
    unixWaiting: {'public/cleanup': [1, 100], '/run/dovecot/login/imap': [3, 1000]},
  },
  kernelLog: {troubles: [{trouble: 'oomKill', of: 'indexer-worker', complaints: 3}], lost: 0},
  setup: {
    store: {...SETUP, disk: 'nvme0n1'},
    queue: {...SETUP, disk: 'nvme1n1'},
  },
  lacking: {'/proc/sys/kernel ENOENT': 'hung_task_detect_count', '/sys/block/nvme0n1/queue ENOENT': 'wbt_lat_usec'},
};

test('what the kernel says leaves room for the mail system in 4 KB', () => {
  const kernel = Object.fromEntries(Object.keys(buildReport(NOTHING).kernel).map(name => [name, 0.123456789012345])) as Interval['kernel'];
  const bytes = (system: Interval['system']): number => encode(HostReport, buildReport({...NOTHING, kernel, system, store: STORE})).length;
  const usual = Object.fromEntries(Object.entries(SYSTEM).filter(([group]) => group !== 'setup' && group !== 'lacking'));
  expect(bytes(usual)).toBeLessThan(2_560);
  expect(bytes(SYSTEM)).toBeLessThan(3_200);
});

test.each([
  [[], 0.5, null],
  [[7], 0.95, 7],
  [[4, 1, 3, 2], 0.5, 2],
  [[4, 1, 3, 2], 0, 1],
  [[4, 1, 3, 2], 1, 4],
])('percentile of %j at %d is %s', (values, share, expected) => {
  expect(percentile(values, share)).toBe(expected);
});
