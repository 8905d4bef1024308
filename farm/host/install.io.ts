import {chmod, chown, mkdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import type {HostFile} from './file.ts';

/** Numeric ids of a host's own users and groups, which differ between releases. */
export interface Owners {
  users: ReadonlyMap<string, number>;
  groups: ReadonlyMap<string, number>;
}

/** Reads /etc/passwd and /etc/group of the tree at `root`. */
export async function readOwners(root: string): Promise<Owners> {
  const read = async (path: string): Promise<Map<string, number>> =>
    new Map(
      (await readFile(path, 'utf8'))
        .split('\n')
        .map(line => line.split(':'))
        .filter(fields => fields.length > 2)
        .map(([name = '', , id]) => [name, Number(id)]),
    );
  return {users: await read(`${root}/etc/passwd`), groups: await read(`${root}/etc/group`)};
}

function idOf(ids: ReadonlyMap<string, number>, name: string, what: string): number {
  const id = ids.get(name);
  if (id === undefined) throw new MailherdError('CONFIG_INVALID', {reason: `the image has no ${what} ${name}`});
  return id;
}

/** Sets owner and group by name. @throws MailherdError CONFIG_INVALID when the tree has no such user or group. */
export async function giveTo(owners: Owners, path: string, owner: string, group: string): Promise<void> {
  await chown(path, idOf(owners.users, owner, 'user'), idOf(owners.groups, group, 'group'));
}

/** Writes the files into the tree at `root`, making directories as needed. */
export async function installFiles(root: string, owners: Owners, files: readonly HostFile[]): Promise<void> {
  for (const each of files) {
    const path = `${root}${each.path}`;
    await mkdir(dirname(path), {recursive: true});
    // Closed to others before the secret is in it
    await writeFile(path, '', {mode: 0o600});
    await writeFile(path, each.text);
    await giveTo(owners, path, each.owner, each.group);
    await chmod(path, each.mode);
  }
}

/** Makes a directory that belongs to `owner`. */
export async function installDirectory(
  root: string,
  owners: Owners,
  path: string,
  mode: number,
  owner: string,
  group: string,
): Promise<void> {
  await mkdir(`${root}${path}`, {recursive: true});
  await giveTo(owners, `${root}${path}`, owner, group);
  await chmod(`${root}${path}`, mode);
}

/** Has systemd start these units at boot, as `systemctl enable` does for units of multi-user.target. */
export async function enableUnits(root: string, units: readonly string[]): Promise<void> {
  const wants = `${root}/etc/systemd/system/multi-user.target.wants`;
  await mkdir(wants, {recursive: true});
  for (const unit of units) {
    await rm(`${wants}/${unit}`, {force: true});
    await symlink(`/lib/systemd/system/${unit}`, `${wants}/${unit}`);
  }
}
