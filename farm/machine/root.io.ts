import {existsSync} from 'node:fs';
import {mkdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import type {HostPaths} from '../paths.ts';
import {run} from '../run.io.ts';

/** Size of a host's mail store, a file system of its own in a sparse file: it can be measured, slowed and filled by itself. */
const STORE_BYTES = 2 * 1_024 ** 3;

/** Mount points at or below `path`, innermost first. */
async function mountsBelow(path: string): Promise<string[]> {
  const table = await readFile('/proc/self/mounts', 'utf8');
  return table
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(point => point === path || point.startsWith(`${path}/`))
    .reverse();
}

/**
 * A fresh root for a host: an empty layer above the given ones (topmost first), and an empty mail store. What was there before
 * is thrown away.
 */
export async function makeRoot(at: HostPaths, lowers: readonly string[]): Promise<void> {
  await discardRoot(at);
  for (const each of [at.upper, at.work, at.root]) await mkdir(each, {recursive: true});
  await writeFile(`${at.dir}/lowers.json`, JSON.stringify(lowers));
  await writeFile(at.storeImage, '');
  await truncate(at.storeImage, STORE_BYTES);
  await run([
    'mkfs.ext4',
    '-q',
    '-F',
    '-m',
    '0',
    '-E',
    'lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=5000:5000',
    at.storeImage,
  ]);
  await mountRoot(at);
  await rm(`${at.store}/lost+found`, {recursive: true, force: true});
}

/** Mounts a root that `makeRoot` made, when it is not mounted. */
export async function mountRoot(at: HostPaths): Promise<void> {
  const mounted = await mountsBelow(at.root);
  const lowers = JSON.parse(await readFile(`${at.dir}/lowers.json`, 'utf8')) as string[];
  const options = `lowerdir=${lowers.join(':')},upperdir=${at.upper},workdir=${at.work}`;
  if (!mounted.includes(at.root)) await run(['mount', '-t', 'overlay', 'mailherd-farm', '-o', options, at.root]);
  if (!mounted.includes(at.store)) await run(['mount', '-o', 'loop,noatime', at.storeImage, at.store]);
}

/** Unmounts and deletes the root and everything in it; fine when there is none. */
export async function discardRoot(at: HostPaths): Promise<void> {
  for (const point of await mountsBelow(at.root)) await run(['umount', point]);
  if (existsSync(at.dir)) await run(['rm', '-rf', '--one-file-system', at.dir]);
}
