import {mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Store, StoreReader} from '../../native/binding.ts';

let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'mailherd-store-')));
  for (const folder of ['proc/self', 'sys/dev/block', 'sys/class/block', 'sys/block', 'data/vmail', 'var'])
    mkdirSync(join(root, folder), {recursive: true});
  symlinkSync('/data/vmail', join(root, 'var/outside'));
});
afterEach(() => rmSync(root, {recursive: true}));

function read(path: string): Promise<Store> {
  return new StoreReader(path, root).read();
}

function mounts(...lines: string[]): void {
  writeFileSync(join(root, 'proc/self/mountinfo'), lines.map(line => `${line}\n`).join(''));
}

/** A disk with one partition, as sysfs shows them. */
function disk(name: string, number: string, partition: string, partitionNumber: string): void {
  const folder = join(root, 'sys/devices', name);
  mkdirSync(join(folder, partition), {recursive: true});
  writeFileSync(join(folder, partition, 'partition'), '1\n');
  symlinkSync(folder, join(root, 'sys/block', name));
  for (const [key, target] of [
    [number, folder],
    [partitionNumber, join(folder, partition)],
  ] as const) {
    symlinkSync(target, join(root, 'sys/dev/block', key));
  }
  symlinkSync(join(folder, partition), join(root, 'sys/class/block', partition));
}

const ROOT_MOUNT = '27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw';

test('the disk of the longest mount that holds the path, not its partition', async () => {
  disk('sda', '8:0', 'sda1', '8:1');
  disk('nvme0n1', '259:0', 'nvme0n1p1', '259:1');
  // not in the order of their length: a mount moved by pivot_root comes last
  mounts('30 27 259:1 / /data rw,noatime - xfs /dev/nvme0n1p1 rw', '31 27 8:0 / /data/vmailer rw - ext4 /dev/sda rw', ROOT_MOUNT);
  expect((await read('/data/vmail')).disk).toBe('nvme0n1');
  expect((await read('/var')).disk).toBe('sda');
});

test('of two mounts on one point the later counts; blanks in names are unescaped', async () => {
  disk('sda', '8:0', 'sda1', '8:1');
  disk('sdb', '8:16', 'sdb1', '8:17');
  mkdirSync(join(root, 'mail store'));
  mounts(ROOT_MOUNT, '30 27 8:1 / /mail\\040store rw - ext4 /dev/sda1 rw', '31 27 8:17 / /mail\\040store rw - ext4 /dev/sdb1 rw');
  expect((await read('/mail store')).disk).toBe('sdb');
});

test('btrfs has a device number of its own: its source tells the disk', async () => {
  disk('sda', '8:0', 'sda1', '8:1');
  disk('sdb', '8:16', 'sdb1', '8:17');
  mounts(ROOT_MOUNT, '30 27 0:44 /@ /data rw - btrfs /dev/sdb1 rw');
  expect((await read('/data/vmail')).disk).toBe('sdb');
});

test('an overlay names no disk: the only one it is, of several none', async () => {
  mounts('27 1 0:50 / / rw - overlay overlay rw');
  disk('vda', '254:0', 'vda1', '254:1');
  mkdirSync(join(root, 'sys/block/loop0'));
  mkdirSync(join(root, 'sys/block/zram0'));
  expect((await read('/data/vmail')).disk).toBe('vda');
  disk('vdb', '254:16', 'vdb1', '254:17');
  expect((await read('/data/vmail')).disk).toBeNull();
});

test.each([['nothing'], ['1 2'], ['27 1 8:1 / / rw'], ['27 1 8:1 / / rw - ext4'], ['- - - - - - - -']])(
  'a mountinfo of %j is survived',
  async line => {
    mounts(line);
    expect(await read('/data/vmail')).toMatchObject({disk: null});
  },
);

test('space is what an ordinary user may take; a path that is not there is an error', async () => {
  const store = await read('/data/vmail');
  expect(store.totalBytes).toBeGreaterThan(store.freeBytes);
  expect(store.freeBytes).toBeGreaterThan(0);
  await expect(read('/nowhere')).rejects.toMatchObject({
    code: 'NATIVE_FAILED',
    detail: {code: 'ENOENT', op: 'statvfs', path: `${root}/nowhere`},
  });
});
