import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdir, readdir, rename, rm, writeFile} from 'node:fs/promises';
import type {Release} from '../layout.ts';
import type {Paths} from '../paths.ts';
import {run} from '../run.io.ts';
import {buildCommand, type Recipe, recipe} from './recipe.ts';

/**
 * Runs a command in mount and process namespaces of its own: what it mounts is gone with it, and all its children end when it or
 * this process ends, however that comes (unshare(1), setpriv(1)).
 */
export const ALONE: readonly string[] = [
  ...['setpriv', '--pdeathsig', 'KILL'],
  ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'],
];

/** First 12 hex digits of SHA-256, enough to tell the few things in a cache apart. */
export function shortHash(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex').slice(0, 12);
}

/** Where the image of that recipe lies when it is built; the name changes with the recipe. */
export function imageDirectory(paths: Paths, of: Recipe): string {
  return `${paths.cache}/image-${of.release}-${shortHash(JSON.stringify(of))}`;
}

/**
 * The image of a release, built when it is not in the cache. It is built under another name and renamed when complete, so a
 * cut build leaves nothing that could be taken for an image; half-built trees of earlier runs are removed first.
 * No service starts: packages are configured in the tree only, where systemd does not run.
 * @returns its directory. @throws MailherdError COMMAND_FAILED when a package cannot be fetched or configured.
 */
export async function ensureImage(paths: Paths, release: Release, say: (line: string) => void): Promise<string> {
  const wanted = recipe(release);
  const directory = imageDirectory(paths, wanted);
  if (existsSync(`${directory}/.complete`)) return directory;
  await mkdir(paths.cache, {recursive: true});
  await removeHalfBuilt(paths, `building-${release}-`);
  const building = `${paths.cache}/building-${release}-${process.pid}`;
  const startedMs = performance.now();
  say(`${release}: building the image (about a minute, 450 MB)`);
  await run([...ALONE, ...buildCommand(wanted, building)], {env: {...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC'}});
  await writeFile(`${building}/.complete`, `${JSON.stringify(wanted)}\n`);
  await rm(directory, {recursive: true, force: true});
  await rename(building, directory);
  say(`${release}: image built in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  return directory;
}

/** Removes trees whose builder (its pid ends the name) is gone. */
export async function removeHalfBuilt(paths: Paths, prefix: string): Promise<void> {
  for (const name of await readdir(paths.cache)) {
    if (!name.startsWith(prefix)) continue;
    const builder = Number(name.slice(name.lastIndexOf('-') + 1));
    if (Number.isInteger(builder) && existsSync(`/proc/${builder}`)) continue;
    await run(['rm', '-rf', '--one-file-system', `${paths.cache}/${name}`]);
  }
}
