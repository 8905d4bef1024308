import {expect, test} from 'vitest';
import {Span} from '../../../../agent/sample/span.ts';
import {figuresOf, systemFacts} from '../../../../agent/tune/facts.ts';

function counters(values: Record<string, number>): Map<string, bigint> {
  return new Map(Object.entries(values).map(([name, value]) => [name, BigInt(value)]));
}

function span(before: Record<string, number>, after: Record<string, number>, ms: number): Span {
  return new Span({values: counters(before), atMs: 0}, {values: counters(after), atMs: ms}, 90_000);
}

test('rates of the reading behind the report, and levels', () => {
  const before = {softnetDrops: 17, softnetSqueezes: 12, diskReads: 10, diskSectorsRead: 80, diskSectorsWritten: 400};
  const after = {softnetDrops: 37, softnetSqueezes: 12, diskReads: 14, diskSectorsRead: 112, diskSectorsWritten: 420};
  const host = span(before, {...after, dirtyBytes: 100 * 4_096, writebackBytes: 8_192}, 10_000);
  const levels = {dirtyPagesBackground: 1_000, dirtyPagesMax: 2_000, conntrackEntries: 5};
  const summed = span(
    {tcpSynQueueDrops: 4, tcpSynQueueCookies: 6, pagesSwappedIn: 9},
    {tcpSynQueueDrops: 4, tcpSynQueueCookies: 66, pagesSwappedIn: 3, ...levels},
    30_000,
  );
  const figures = figuresOf({host, summed, limits: counters({conntrackBuckets: 4_096})});
  expect(figures).toEqual({
    diskReadBytes: 8 * 512,
    diskReadsPerSecond: 0.4,
    diskWrittenBytesPerSecond: 2 * 512,
    dirtyBytes: 100 * 4_096,
    writebackBytes: 8_192,
    dirtyBackgroundBytes: 1_000 * 4_096,
    dirtyLimitBytes: 2_000 * 4_096,
    dirtyShare: 0.05,
    refaultsPerSecond: null,
    // It went backwards.
    swapInsPerSecond: null,
    compactStallsPerSecond: null,
    softnetDropsPerSecond: 2,
    softnetSqueezesPerSecond: 0,
    synDropsPerSecond: 2,
    conntrackUsed: 5,
    conntrackBuckets: 4_096,
  });
  expect(figuresOf({host, summed: null, limits: new Map()})).toMatchObject({synDropsPerSecond: null, conntrackBuckets: null});
});

test('nothing read is absent, not zero', () => {
  expect(new Set(Object.values(figuresOf(null)))).toEqual(new Set([null]));
});

test('accept queues, ports, files and inotify as reports have them; what is left out is not zero', () => {
  const none = {listeners: null, inotify: null, ports: null, filesUsed: null, listeningPorts: []};
  expect(systemFacts(undefined, [])).toEqual(none);
  expect(systemFacts({}, [2_526])).toEqual({...none, listeningPorts: [2_526]});
  const listeners = {
    tcp: {25: [90, 100] as [number, number]},
    unixWatched: 4,
    unixWaiting: {'login/imap': [3, 10] as [number, number]},
  };
  const files = {services: {}, inotify: {1000: [9, 40] as [number, number], 5000: [3, 900] as [number, number]}, lookedShare: 1};
  const outbound = {toSmtp: {}, portsMax: 100, portsTaken: {'10.0.0.1': 7, '10.0.0.2': 9}, complete: true};
  expect(systemFacts({listeners, files, outbound, limits: {openFiles: 5_107}}, [24])).toEqual({
    listeners: [
      {name: '25', queued: 90, limit: 100},
      {name: 'login/imap', queued: 3, limit: 10},
    ],
    listeningPorts: [24, 25],
    inotify: {instances: 9, watches: 900},
    ports: {address: '10.0.0.2', used: 9},
    filesUsed: 5_107,
  });
});
