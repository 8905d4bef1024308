import {existsSync, statfsSync} from 'node:fs';
import {MailherdError} from '../base/errors.ts';
import type {Paths} from './paths.ts';

/** Programs the farm calls, with the Debian package each comes from. */
const PROGRAMS: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  nft: 'nftables',
  ip: 'iproute2',
  'mkfs.ext4': 'e2fsprogs',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  gcc: 'gcc',
};

/** Images and layers 1.5 GB, a running farm some hundred MB. */
const FREE_BYTES_MIN = 4e9;

function isOnPath(program: string): boolean {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return places.some(place => existsSync(`${place}/${program}`));
}

/** @throws MailherdError CONFIG_INVALID with everything that is missing, before anything is begun. */
export function preflight(paths: Paths): void {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push('root rights');
  if (!existsSync('/etc/debian_version')) missing.push('Debian');
  for (const [program, from] of Object.entries(PROGRAMS)) if (!isOnPath(program)) missing.push(`${program} (package ${from})`);
  for (const path of [paths.cache, paths.run]) {
    let at = path;
    while (!existsSync(at)) at = at.slice(0, at.lastIndexOf('/')) || '/';
    const {bavail, bsize} = statfsSync(at);
    if (bavail * bsize < FREE_BYTES_MIN) missing.push(`4 GB free below ${at}`);
  }
  if (!existsSync('/proc/self/ns/net')) missing.push('network namespaces in the kernel');
  if (missing.length > 0) throw new MailherdError('CONFIG_INVALID', {reason: `the farm needs ${[...new Set(missing)].join(', ')}`});
}
