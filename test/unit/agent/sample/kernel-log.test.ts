import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {KERNEL_TROUBLES, kernelMessageOf, parseKernelRecord, QUIET_AFTER_MS} from '../../../../agent/sample/kernel-messages.ts';
import {type KernelLogPosition, KernelTroubles} from '../../../../agent/sample/kernel-troubles.ts';

const SAID: [string, string, string][] = [
  ['Out of memory: Killed process 812 (imap) total-vm:104388kB, anon-rss:812kB, file-rss:0kB', 'oomKill', 'imap'],
  ['Memory cgroup out of memory: Killed process 9 (indexer-worker) total-vm:1kB, UID:5000', 'oomKill', 'indexer-worker'],
  ['Memory cgroup out of memory: Kill process 9 (lmtp) score 1000 or sacrifice child', 'oomKill', 'lmtp'],
  ['INFO: task imap:1234 blocked for more than 120 seconds.', 'hungTask', 'imap'],
  ['INFO: task jbd2/vda1-8:201 blocked for more than 122 seconds.', 'hungTask', 'jbd2/vda1-8'],
  ['I/O error, dev sda, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2', 'diskError', 'sda'],
  ['blk_update_request: I/O error, dev vdb, sector 0', 'diskError', 'vdb'],
  ['blk_update_request: critical medium error, dev sdc, sector 9 op 0x0:(READ) flags 0x0', 'diskError', 'sdc'],
  ['Buffer I/O error on dev dm-0, logical block 12, lost async page write', 'diskError', 'dm-0'],
  ['nvme nvme0: I/O 23 QID 4 timeout, aborting', 'diskError', 'nvme0'],
  ['nvme nvme1: I/O tag 23 (0017) opcode 0x2 (I/O Cmd) QID 4 timeout, aborting req_op:READ(0) size:4096', 'diskError', 'nvme1'],
  ['md/raid1:md0: Disk failure on sda1, disabling device.', 'diskError', 'md0'],
  ['EXT4-fs error (device vda1): ext4_find_entry:1455: inode #2: comm lmtp: reading directory lblock 0', 'fileSystemError', 'vda1'],
  ['EXT4-fs (vda1): error count since last fsck: 3', 'fileSystemError', 'vda1'],
  ['EXT4-fs (dm-3): Remounting filesystem read-only', 'fileSystemError', 'dm-3'],
  ['Aborting journal on device vda1-8.', 'fileSystemError', 'vda1'],
  ['JBD2: Detected IO errors 5 while flushing file data on vda1-8', 'fileSystemError', 'vda1'],
  ['XFS (vdb): Metadata corruption detected at xfs_agf_read_verify+0x1/0x2 [xfs], xfs_agf block 0x1', 'fileSystemError', 'vdb'],
  ['XFS (vdb): log I/O error -5', 'fileSystemError', 'vdb'],
  ['XFS (vdb): Filesystem has been shut down due to log error (0x2).', 'fileSystemError', 'vdb'],
  ['BTRFS error (device sdb): bdev /dev/sdb errs: wr 1, rd 0, flush 0, corrupt 0, gen 0', 'fileSystemError', 'sdb'],
  ['NETDEV WATCHDOG: eth0 (virtio_net): transmit queue 0 timed out', 'transmitTimeout', 'eth0'],
  ['virtio_net virtio0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5012 ms', 'transmitTimeout', 'eth0'],
  ['e1000e 0000:00:19.0 eno1: NIC Link is Down', 'linkDown', 'eno1'],
  ['tg3 0000:03:00.0 eth1: Link is down', 'linkDown', 'eth1'],
  ['mlx5_core 0000:81:00.0 ens1f0np0: Link down', 'linkDown', 'ens1f0np0'],
];
const NOTHING = [
  'EXT4-fs (vda1): mounted filesystem with ordered data mode',
  'EXT4-fs (vda1): re-mounted. Opts: noatime',
  'XFS (vdb): Mounting V5 Filesystem',
  'XFS (vdb): Ending clean mount',
  'ata1: SATA link down (SStatus 0 SControl 300)',
  'IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready',
  'operation not supported error, dev loop0, sector 0 op 0x9:(WRITE_ZEROES)',
  'audit: type=1400 apparmor="DENIED" name="I/O"',
  'oom_reaper: reaped process 812 (imap), now anon-rss:0kB',
  'sh (1234): drop_caches: 3',
];

describe('messages', () => {
  test.each(SAID)('%s', (text, trouble, of) => {
    expect(kernelMessageOf(text)).toEqual({trouble, of, isOver: false});
  });

  test.each(NOTHING)('nothing: %s', text => {
    expect(kernelMessageOf(text)).toBeNull();
  });

  test.each(['6.1', '6.12', '6.18'])('what Linux %s said of troubles that were made, and nothing else of what it said', kernel => {
    const said = readFileSync(join(import.meta.dirname, `../../../native/fixtures/linux-${kernel}/dev/kmsg`), 'utf8');
    const records = said.split('\n').flatMap(line => parseKernelRecord(line) ?? []);
    const told = records.flatMap(({isKernel, text}) => (isKernel ? (kernelMessageOf(text) ?? []) : []));
    expect(records.length).toBeGreaterThan(100);
    expect([...new Set(told.map(({trouble, of}) => `${trouble} ${of}`))]).toEqual([
      ...['oomKill tail', 'fileSystemError vda', 'hungTask dd', 'diskError vde'],
    ]);
  });

  test('each trouble has an example here', () => {
    expect(new Set(SAID.map(([, trouble]) => trouble))).toEqual(new Set(KERNEL_TROUBLES));
  });

  test('a link that is up again', () => {
    expect(kernelMessageOf('e1000e 0000:00:19.0 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx')).toEqual({
      ...{trouble: 'linkDown', of: 'eno1', isOver: true},
    });
  });

  test('a record, with properties behind it; programs write to the same log', () => {
    expect(parseKernelRecord('4,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n DEVICE=n1\n')).toEqual({
      ...{sequence: 339, atUs: 5_140_900, isKernel: true, text: 'NET: Registered'},
    });
    expect(parseKernelRecord('30,340,5690716,-,caller=T1;systemd[1]: up')).toMatchObject({isKernel: false});
    for (const line of ['', 'x', '4,339', '4,339,1,-', '-1,1,1,-;x', '4,339,99999999999999999,-;x'])
      expect(parseKernelRecord(line)).toBeNull();
  });

  test('whatever stands in the log: no failure, nothing longer than it may be', () => {
    // As they are read: bytes taken for UTF-8.
    const noise = fc.uint8Array({maxLength: 60}).map(bytes => Buffer.from(bytes).toString('utf8'));
    const near = fc
      .tuple(fc.constantFrom(...SAID.map(([text]) => text)), fc.nat(40), noise)
      .map(([text, at, put]) => text.slice(0, at) + put + text.slice(at));
    fc.assert(
      fc.property(fc.oneof(near, noise, fc.constantFrom('a'.repeat(9_000), 'critical '.repeat(1_000), 'x: '.repeat(3_000))), text => {
        const message = kernelMessageOf(text);
        expect(message?.of.length ?? 0).toBeLessThanOrEqual(40);
        parseKernelRecord(`3,1,1,-;${text}`);
      }),
    );
  });
});

const START_MS = 1_000_000_000;
const FAILED = 'I/O error, dev sda, sector 1 op 0x0:(READ)';
const UP = 'e1000e 0000:00:19.0 eno1: NIC Link is Up 1000 Mbps';
const DOWN = 'e1000e 0000:00:19.0 eno1: NIC Link is Down';

/** A log whose records come at the second they are given, counted from the agent's start. */
function log(position: KernelLogPosition | null = null, boot = 'b1') {
  const told: string[] = [];
  const event = (type: string, data: {trouble: string; of: string}): void => void told.push(`${type.slice(13)} ${data.trouble} ${data.of}`);
  const troubles = new KernelTroubles(boot, {event}, position, START_MS);
  let sequence = position?.boot === boot ? position.sequence : 0;
  return {
    troubles,
    told,
    say(text: string, second: number, priority = 3): boolean {
      // The kernel's clock stood at an hour when the agent started.
      const atUs = (3_600 + second) * 1e6;
      return troubles.take(`${priority},${sequence++},${atUs},-;${text}\n`, START_MS, us => 3_600_000 - us / 1_000);
    },
    skip(count: number): void {
      sequence += count;
    },
  };
}

test('a trouble is told when it begins and when it has been quiet for its time', () => {
  const {troubles, told, say} = log();
  expect(say(FAILED, 1)).toBe(true);
  expect(say(FAILED, 2)).toBe(false);
  troubles.settle(START_MS + 5_000);
  expect(told).toEqual(['Began diskError sda']);
  expect(troubles.open).toMatchObject([{trouble: 'diskError', of: 'sda', complaints: 2}]);
  troubles.settle(START_MS + QUIET_AFTER_MS.diskError - 1);
  expect(told).toHaveLength(1);
  troubles.settle(START_MS + QUIET_AFTER_MS.diskError + 2_000);
  expect(told).toEqual(['Began diskError sda', 'Ended diskError sda']);
});

test('a link that flaps is told each time; one that came up before anybody looked is not', () => {
  const {troubles, told, say} = log();
  say(DOWN, -600);
  say(UP, -500);
  say('XFS (vdb): log I/O error -5', -400);
  say(FAILED, -3_600);
  expect(troubles.standing(START_MS).map(({of}) => of)).toEqual(['vdb']);
  troubles.settle(START_MS);
  // Of an hour ago, and quiet since: over.
  expect(told).toEqual(['Began fileSystemError vdb']);
  say(DOWN, 1);
  say(UP, 2);
  troubles.settle(START_MS);
  expect(told.slice(1)).toEqual(['Began linkDown eno1', 'Ended linkDown eno1']);
});

test('what programs write is not believed', () => {
  const {troubles, told, say} = log();
  for (const priority of [8, 14, 30]) say(FAILED, 1, priority);
  troubles.settle(START_MS);
  expect(told).toEqual([]);
});

test('a restart goes on where it was; a boot ends what stood', () => {
  const before = log();
  before.say(FAILED, 1);
  before.troubles.settle(START_MS);
  const position = before.troubles.position;
  const after = log(position);
  // The log is read from its beginning: nothing counts twice.
  expect(after.troubles.take(`3,0,3601000000,-;${FAILED}`, START_MS, () => 0)).toBe(false);
  after.say(FAILED, 3);
  after.troubles.settle(START_MS);
  expect(after.told).toEqual([]);
  expect(after.troubles.open[0]?.complaints).toBe(2);
  const booted = log(position, 'b2');
  expect(booted.told).toEqual(['Ended diskError sda']);
  expect(booted.say(FAILED, 1)).toBe(true);
});

test('what was overwritten is counted, troubles without end are bounded', () => {
  const {troubles, say, skip} = log();
  skip(5_000);
  say('first that is left', 1);
  expect(troubles.lost).toBe(0);
  skip(7);
  say('next', 2);
  expect(troubles.lost).toBe(7);
  for (let at = 0; at < 500; at++) say(`I/O error, dev sd${at}, sector 1`, 3);
  expect(troubles.open.length).toBeLessThanOrEqual(64);
});

test('a clock that jumps makes no negative age and ends nothing', () => {
  const {troubles, told} = log();
  troubles.take(`3,0,1,-;${FAILED}`, START_MS, () => -5_000);
  expect(troubles.open[0]?.sinceMs).toBe(START_MS);
  troubles.settle(1);
  expect(told).toEqual(['Began diskError sda']);
});
