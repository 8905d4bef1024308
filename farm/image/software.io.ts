import {existsSync, statSync} from 'node:fs';
import {copyFile, mkdir, readdir, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {basename} from 'node:path';
import type {Release} from '../layout.ts';
import type {Paths} from '../paths.ts';
import {run} from '../run.io.ts';
import {ALONE, ensureImage, removeHalfBuilt, shortHash} from './build.io.ts';

/**
 * The layer that a Debian package adds to a release's image, made when it is not in the cache: dpkg installs it inside a
 * throw-away machine without network and without systemd, so that nothing starts; what that wrote is the layer.
 * @param deb path of the package. @returns the layer's directory. @throws MailherdError COMMAND_FAILED with what dpkg said.
 */
export async function ensureSoftware(paths: Paths, release: Release, deb: string, say: (line: string) => void): Promise<string> {
  const image = await ensureImage(paths, release, say);
  const key = shortHash(`${basename(image)} ${shortHash(await readFile(deb))}`);
  const directory = `${paths.cache}/software-${release}-${key}`;
  if (existsSync(`${directory}.complete`)) return directory;
  await removeHalfBuilt(paths, `software-building-${release}-`);
  const building = `${paths.cache}/software-building-${release}-${process.pid}`;
  for (const part of ['upper', 'work', 'root']) await mkdir(`${building}/${part}`, {recursive: true});
  const startedMs = performance.now();
  const inside = '/var/tmp/mailherd.deb';
  await mkdir(`${building}/upper/var/tmp`, {recursive: true});
  await copyFile(deb, `${building}/upper${inside}`);
  const script = `mount -t overlay mailherd-farm -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" "$2/root"
exec systemd-nspawn --quiet --directory="$2/root" --machine=mhfarm-install-$3 --register=no --keep-unit --private-network \\
  --settings=no --link-journal=no --resolv-conf=off --timezone=off --console=pipe --setenv=DEBIAN_FRONTEND=noninteractive \\
  dpkg --install ${inside}`;
  await run([...ALONE, 'sh', '-ec', script, 'sh', image, building, release]);
  await rm(`${building}/upper${inside}`);
  await rm(directory, {recursive: true, force: true});
  await rename(`${building}/upper`, directory);
  await writeFile(`${directory}.complete`, `${deb}\n`);
  await run(['rm', '-rf', '--one-file-system', building]);
  await prune(paths, release);
  say(`${release}: software installed in ${Math.round((performance.now() - startedMs) / 100) / 10} s`);
  return directory;
}

const LAYERS_KEPT = 3;

/** Removes old layers: every build of the package makes one. Those of a running farm stay. */
async function prune(paths: Paths, release: Release): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const markers = (await readdir(paths.cache)).filter(name => name.startsWith(`software-${release}-`) && name.endsWith('.complete'));
  // Another farm on this machine may remove the same ones just now.
  const builtMs = (name: string): number => statSync(`${paths.cache}/${name}`, {throwIfNoEntry: false})?.mtimeMs ?? 0;
  const dated = markers.map(name => ({name, builtMs: builtMs(name)}));
  const old = dated.sort((a, b) => b.builtMs - a.builtMs).slice(LAYERS_KEPT);
  for (const {name} of old) {
    const directory = `${paths.cache}/${name.slice(0, -'.complete'.length)}`;
    if (mounts.includes(directory)) continue;
    await rm(`${paths.cache}/${name}`, {force: true});
    await run(['rm', '-rf', '--one-file-system', directory]);
  }
}
