import {readdir, readFile, realpath} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import type {DiskFacts} from './labels.ts';

/** LVM on RAID on crypt on partitions: none is deeper. */
const DEPTH_MAX = 6;

/**
 * The disks behind a block device: itself, or what it is put together of (device mapper, RAID), each by its model and firmware as NVMe
 * (`firmware_rev`) and SCSI or SATA (`rev`) have them. Virtual disks have neither.
 * @param name as below /sys/class/block, e.g. dm-0. @param root prefix of /sys.
 * @throws the file system's errors where there is no such device.
 */
export async function readDisks(name: string, root = '', depth = 0): Promise<DiskFacts[]> {
  let folder = await realpath(join(root, '/sys/class/block', name));
  if ((await text(join(folder, 'partition'))) !== null) folder = dirname(folder);
  const parts = await readdir(join(folder, 'slaves')).catch(() => []);
  if (parts.length > 0 && depth < DEPTH_MAX) return (await Promise.all(parts.map(part => readDisks(part, root, depth + 1)))).flat();
  const of = (file: string): Promise<string | null> => text(join(folder, 'device', file));
  return [{model: await of('model'), firmware: (await of('firmware_rev')) ?? (await of('rev'))}];
}

/** The board of this host as DMI has it: maker, name, version; [] on a host without. */
export async function readBoard(root = ''): Promise<(string | null)[]> {
  return Promise.all(['board_vendor', 'board_name', 'board_version'].map(file => text(join(root, '/sys/class/dmi/id', file))));
}

/** null where there is no such file: that disk or host does not say. */
async function text(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch {
    return null;
  }
}
