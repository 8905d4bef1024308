import {existsSync, readlinkSync, rmSync, symlinkSync} from 'node:fs';
import {stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Instant} from '../base/units.ts';
import {notifySystemd} from '../native/binding.ts';
import type {Log} from '../wire/log.ts';

/**
 * By this name a backend's Dovecot looks for the directory of the route table, in the runtime directory of the service, which is gone after a
 * boot: until the agent of this boot has opened the table every lookup fails for now, however long that takes. A person opens it by the same
 * link (docs/MOVE.md).
 */
const DOOR = 'routes';

/**
 * Whether the host has booted since the table was last opened, told by its door (not by the kernel's boot id: in a container that is the
 * machine's). false outside systemd: nobody knows then.
 */
export function isFirstOfBoot(runtimeDir: string | undefined): boolean {
  return runtimeDir !== undefined && !existsSync(join(runtimeDir, DOOR));
}

/** Lets Dovecot read the table in `directory`; nothing outside systemd. @throws the system's errors. */
export function openDoor(runtimeDir: string | undefined, directory: string): void {
  if (runtimeDir === undefined) return;
  const door = join(runtimeDir, DOOR);
  if (existsSync(door) && readlinkSync(door) === directory) return;
  rmSync(door, {force: true});
  symlinkSync(directory, door);
}

const CURRENT_MARK = 'routes-current';

/** When this disk last had the routes of the farm, to a minute or two; null where that is not known. */
export async function lastCurrent(stateDir: string): Promise<Instant | null> {
  try {
    return (await stat(join(stateDir, CURRENT_MARK))).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Says that it has them now. @throws the system's errors. */
export async function markCurrent(stateDir: string): Promise<void> {
  await writeFile(join(stateDir, CURRENT_MARK), '');
}

/** Tells systemd that Postfix and Dovecot may start. */
export function tellReady(log: Log): void {
  try {
    tellSystemd('READY=1');
  } catch (error) {
    log.error({err: error}, 'systemd could not be told of the start');
  }
}

/** One state as in sd_notify(3). Nothing outside systemd. @throws MailherdError NATIVE_FAILED when nobody takes it. */
export function tellSystemd(state: string): void {
  const {NOTIFY_SOCKET: socket} = process.env;
  if (socket !== undefined) notifySystemd(socket, state);
}
