import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {MailherdError} from '../../base/errors.ts';
import type {Layout} from '../layout.ts';
import type {Paths} from '../paths.ts';
import {run, tryRun} from '../run.io.ts';
import {changeState} from './state.io.ts';

/** Inotify instances a user id may have (inotify(7)); IMAP IDLE takes one a session, and all hosts share one mail user. */
const INOTIFY = {path: '/proc/sys/fs/inotify/max_user_instances', atLeast: 4_096};

/**
 * The farm's own bridge with this machine's address on it. No route leads out of it and nothing is forwarded: hosts get no
 * gateway, and this machine drops what they would send elsewhere.
 * @throws MailherdError COMMAND_FAILED, or CONFIG_INVALID when another interface has that network already.
 */
export async function ensureBridge(layout: Layout): Promise<void> {
  const prefix = layout.network.slice(layout.network.indexOf('/'));
  const address = `${layout.machineAddress}${prefix}`;
  if (!existsSync(`/sys/class/net/${layout.bridge}`)) {
    const taken = await run(['ip', '-o', '-4', 'route', 'show', layout.network]);
    if (taken.trim() !== '')
      throw new MailherdError('CONFIG_INVALID', {reason: `network ${layout.network} is in use on this machine: ${taken.trim()}`});
    // An address of its own: a bridge without one takes that of its first port, and changes it when a host goes away; all other
    // hosts would then talk to an address that is gone until they ask again, up to a minute later.
    await run(['ip', 'link', 'add', layout.bridge, 'address', macOf(layout.machineAddress), 'type', 'bridge']);
  }
  await run(['ip', 'address', 'replace', address, 'dev', layout.bridge]);
  await run(['ip', 'link', 'set', layout.bridge, 'up']);
  await run(['nft', '-f', '-'], {
    input: `table inet mailherd_${layout.bridge}
delete table inet mailherd_${layout.bridge}
table inet mailherd_${layout.bridge} {
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname "${layout.bridge}" oifname != "${layout.bridge}" drop
    oifname "${layout.bridge}" iifname != "${layout.bridge}" drop
  }
}
`,
  });
}

/** A locally administered hardware address made of an IPv4 address. */
function macOf(address: string): string {
  return ['02', 'fa', ...address.split('.').map(part => Number(part).toString(16).padStart(2, '0'))].join(':');
}

/** The end of a host's cable on this machine, as systemd-nspawn names it: cut to what an interface name may have. */
function cableOf(host: string): string {
  return `vb-mhfarm-${host}`.slice(0, 15);
}

/** Takes a host's cable away at once; the kernel would do it some time after the host's last process is gone. */
export async function unplug(host: string): Promise<void> {
  if (existsSync(`/sys/class/net/${cableOf(host)}`)) await tryRun(['ip', 'link', 'delete', cableOf(host)]);
}

/** Removes bridge and filter; fine when there are none. */
export async function removeBridge(layout: Layout): Promise<void> {
  if (existsSync(`/sys/class/net/${layout.bridge}`)) await run(['ip', 'link', 'delete', layout.bridge]);
  await tryRun(['nft', 'delete', 'table', 'inet', `mailherd_${layout.bridge}`]);
}

/** Raises (never lowers) what many hosts in one kernel share, and notes the old value first. */
export async function raiseLimits(paths: Paths): Promise<void> {
  const before = readFileSync(INOTIFY.path, 'utf8').trim();
  if (Number(before) >= INOTIFY.atLeast) return;
  await changeState(paths, state => {
    state.sysctls[INOTIFY.path] ??= before;
  });
  writeFileSync(INOTIFY.path, `${INOTIFY.atLeast}\n`);
}

/** Puts the noted values back where nobody changed them since. */
export function restoreLimits(sysctls: Readonly<Record<string, string>>): void {
  for (const [path, before] of Object.entries(sysctls)) {
    const isOurs = path === INOTIFY.path && readFileSync(path, 'utf8').trim() === `${INOTIFY.atLeast}`;
    if (isOurs) writeFileSync(path, `${before}\n`);
  }
}
