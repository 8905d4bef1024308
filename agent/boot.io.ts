import {existsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {notifySystemd} from '../native/binding.ts';
import type {Log} from '../wire/log.ts';

/**
 * Whether the host has booted since this was last asked. Told by a mark in the runtime directory of the service, which is gone after
 * a boot (not by the kernel's boot id: in a container that is the machine's). false outside systemd: nobody knows then.
 */
export function isFirstOfBoot(runtimeDir: string | undefined): boolean {
  if (runtimeDir === undefined) return false;
  const mark = join(runtimeDir, 'started');
  if (existsSync(mark)) return false;
  writeFileSync(mark, '');
  return true;
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
