import {expect, test} from 'vitest';
import {countersOf, figuresOf, mountOf, portsOf, systemFacts} from '../../../../agent/tune/facts.ts';

const TEXTS = new Map([
  [
    '/proc/vmstat',
    'nr_dirty 100\nnr_dirty_background_threshold 1000\nnr_dirty_threshold 2000\nnr_writeback 3\npswpin 7\ncompact_stall 1\n',
  ],
  ['/proc/diskstats', '   8  0 sda 10 0 80 5 20 0 400 9 0 5 5\n   8  1 sda1 1 0 8 1 2 0 4 1 0 1 1\n'],
  ['/proc/net/netstat', 'TcpExt: SyncookiesSent TCPReqQFullDoCookies TCPReqQFullDrop\nTcpExt: 0 4 6\nIpExt: X\nIpExt: 1\n'],
  ['/proc/net/softnet_stat', '000000ff 00000010 00000002 00000000\n000000ff 00000001 0000000a 00000000\n'],
  ['/proc/net/sockstat', 'sockets: used 9\nTCP: inuse 30 orphan 0 tw 12 alloc 40 mem 1\n'],
  ['/proc/sys/fs/file-nr', '5107 0 2466170'],
]);

test('counters and rates', () => {
  const first = countersOf(TEXTS, 'sda');
  expect(Object.fromEntries(first)).toMatchObject({
    synDrops: 10,
    softnetDrops: 17,
    softnetSqueezes: 12,
    diskReads: 10,
    diskReadSectors: 80,
    diskWriteSectors: 400,
    socketsUsed: 42,
    filesUsed: 5_107,
  });
  const later = new Map([...first, ['softnetDrops', 37], ['diskReads', 14], ['diskReadSectors', 112], ['synDrops', 3]]);
  const figures = figuresOf({counters: first, atMs: 1_000}, later, 11_000);
  expect(figures).toMatchObject({
    softnetDropsPerSecond: 2,
    diskReadBytes: 8 * 512,
    diskReadsPerSecond: 0.4,
    synDropsPerSecond: null,
    dirtyShare: 0.05,
    dirtyLimitBytes: 2_000 * 4_096,
    filesUsed: 5_107,
    conntrackUsed: null,
  });
  expect(figuresOf(null, first, 0)).toMatchObject({softnetDropsPerSecond: null, dirtyShare: 0.05});
});

test('garbage is absent, not zero', () => {
  const garbage = new Map([...TEXTS.keys()].map(path => [path, 'TcpExt: \u0000\n-1 99999999999999999999999\nnr_dirty -5\nTCP: x']));
  expect([...countersOf(garbage, 'sda')]).toEqual([]);
  expect([...countersOf(new Map(), null)]).toEqual([]);
  expect(mountOf('garbage\n\n - - -', '/var/vmail')).toBe(null);
  expect(portsOf(['garbage', ''], 1, 2)).toEqual({busiest: null, listening: []});
});

test('the mount that is seen at a place', () => {
  const mountinfo = [
    '22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro',
    '30 22 8:2 / /var rw,noatime shared:1 - xfs /dev/sda2 rw',
    '31 30 8:3 / /var/vmail rw,relatime - ext4 /dev/sda3 rw,nobarrier',
  ].join('\n');
  expect(mountOf(mountinfo, '/var/vmail')).toEqual({type: 'ext4', options: ['rw', 'relatime', 'rw', 'nobarrier']});
  expect(mountOf(mountinfo, '/var/vmailbox')?.type).toBe('xfs');
  expect(mountOf(mountinfo, '/srv')?.options).toContain('errors=remount-ro');
});

test('ports by source address, and who listens', () => {
  const row = (local: string, state: string): string =>
    `   0: ${local} 0200000A:0019 ${state} 00000000:00000000 00:00000000 00000000 0 0 1`;
  const table = [
    '  sl  local_address rem_address   st',
    row('0100000A:8000', '01'),
    row('0100000A:8001', '06'),
    row('0100000A:8001', '01'),
    row('0300000A:8002', '01'),
    row('00000000:0019', '0A'),
    row('0100000A:0019', '01'),
  ].join('\n');
  expect(portsOf([table], 32_768, 60_999)).toEqual({busiest: {address: '0100000A', used: 2}, listening: [25]});
});

test('accept queues and inotify as reports have them; what is left out is not zero', () => {
  expect(systemFacts(undefined)).toEqual({listeners: null, inotify: null});
  expect(systemFacts({})).toEqual({listeners: null, inotify: null});
  const listeners = {
    tcp: {'*:25': [90, 100] as [number, number]},
    unixWatched: 4,
    unixWaiting: {'login/imap': [3, 10] as [number, number]},
  };
  const files = {services: {}, inotify: {1000: [9, 40] as [number, number], 5000: [3, 900] as [number, number]}, lookedShare: 1};
  expect(systemFacts({listeners, files})).toEqual({
    listeners: [
      {name: '*:25', queued: 90, limit: 100},
      {name: 'login/imap', queued: 3, limit: 10},
    ],
    inotify: {instances: 9, watches: 900},
  });
});
