import {execFileSync} from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {KernelLog} from '../../agent/sample/kernel-log.io.ts';
import {KernelReader} from '../../native/kernel.ts';
import type {Log} from '../../wire/log.ts';

/** The log of this machine's own kernel, and a file system that really has an error. */
const log: Log = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};
let folder: string;
let told: {type: string; trouble: string; of: string; text?: string}[];
const open = (device?: string): Promise<KernelLog> =>
  KernelLog.open({
    path: join(folder, 'kernel-log.json'),
    told: {event: (type, data) => void told.push({type, ...data})},
    log,
    isContainer: false,
    ...(device !== undefined && {device}),
  });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-kmsg-'));
  told = [];
});
afterEach(() => rmSync(folder, {recursive: true}));

function canRead(): boolean {
  try {
    accessSync('/dev/kmsg', constants.W_OK);
    closeSync(openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK));
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

/**
 * Makes an ext4 in a file, mounts it, and has the kernel find an error in it.
 * @returns its device, and what its counters say then; null where that cannot be done here.
 */
async function spoilFileSystem(): Promise<{device: string; errors: bigint | undefined; firstAtSeconds: bigint | undefined} | null> {
  const [image, mount] = [join(folder, 'image'), join(folder, 'mount')];
  const run = (command: string, ...args: string[]): string =>
    execFileSync(command, args, {encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']});
  try {
    run('truncate', '-s', '8M', image);
    run('mkfs.ext4', '-q', image);
    run('mkdir', mount);
    run('mount', '-o', 'loop,errors=continue', image, mount);
  } catch {
    return null;
  }
  try {
    const device = run('findmnt', '-no', 'SOURCE', mount).trim().replace('/dev/', '');
    const trigger = `/sys/fs/ext4/${device}/trigger_fs_error`;
    if (!existsSync(trigger)) return null;
    writeFileSync(trigger, 'by a test');
    const [values] = (await new KernelReader([{set: 'ext4Past', subject: device}]).read()).parts;
    return {device, errors: values?.get('errors'), firstAtSeconds: values?.get('firstErrorAtSeconds')};
  } finally {
    run('umount', mount);
  }
}

test.runIf(canRead())('an error that the kernel finds in a file system is told once, also after a restart', async context => {
  // All that is there is read, in however many looks.
  const readAll = async (reader: KernelLog): Promise<void> => {
    for (let looks = 0; looks < 50; looks++) await reader.take();
  };
  const before = await open();
  await readAll(before);
  await before.save();
  before.close();
  // Nothing stands: this test may have run here before.
  const path = join(folder, 'kernel-log.json');
  writeFileSync(path, JSON.stringify({...JSON.parse(readFileSync(path, 'utf8')), open: []}));
  const first = await open();
  told = [];
  const spoilt = await spoilFileSystem();
  if (spoilt === null) return context.skip();
  const {device, errors, firstAtSeconds} = spoilt;
  expect(errors).toBe(1n);
  expect(Math.abs(Number(firstAtSeconds) - Date.now() / 1000)).toBeLessThan(60);
  appendFileSync('/dev/kmsg', '<3>EXT4-fs error (device forged0): written by a program\n');
  await readAll(first);
  const figures = await first.take();
  const ours = told.filter(({of}) => of === device);
  expect(ours).toMatchObject([{type: 'kernelTroubleBegan', trouble: 'fileSystemError'}]);
  expect(ours[0]?.text).toContain('by a test');
  expect(figures?.troubles).toContainEqual(expect.objectContaining({trouble: 'fileSystemError', of: device}));
  expect(JSON.stringify([told, figures])).not.toContain('forged0');

  const descriptors = readdirSync('/proc/self/fd').length;
  first.close();
  expect(readdirSync('/proc/self/fd').length).toBe(descriptors - 1);
  told = [];
  const second = await open();
  await readAll(second);
  expect(told.filter(({of}) => of === device)).toEqual([]);
  expect((await second.take())?.troubles).toContainEqual(expect.objectContaining({of: device}));
  second.close();
});

test('a log that cannot be read is a reason; one of a container is left alone', async () => {
  const reader = await open(join(folder, 'nothing'));
  await expect(reader.take()).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {reason: 'ENOENT'}});
  const contained = await KernelLog.open({
    path: join(folder, 'x.json'),
    told: {event: () => undefined},
    log,
    isContainer: true,
    device: folder,
  });
  expect(await contained.take()).toBeNull();
  expect(contained.absence).toContain('container');
  expect(existsSync(join(folder, 'x.json'))).toBe(false);
});

test('a spoilt position is begun anew', async () => {
  writeFileSync(join(folder, 'kernel-log.json'), '{"boot":1');
  const reader = await open(join(folder, 'empty'));
  writeFileSync(join(folder, 'empty'), '');
  // An end of file is no record.
  await reader.save();
  expect(JSON.parse(readFileSync(join(folder, 'kernel-log.json'), 'utf8'))).toMatchObject({sequence: 0, open: []});
  reader.close();
});
