import {readFileSync} from 'node:fs';
import {MailherdError} from '../../base/errors.ts';
import {processesOf} from '../machine/cgroup.io.ts';

/** Processes of a unit of a host, as this machine numbers them, the oldest first. */
export function processesOfUnit(host: string, unit: string): number[] {
  return processesOf(host)
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${unit}.service`);
      } catch {
        return false; // ended meanwhile
      }
    })
    .sort((a, b) => a - b);
}

/** The first process of a unit. @throws MailherdError HOST_STATE when it has none. */
export function mainProcess(host: string, unit: string): number {
  const [pid] = processesOfUnit(host, unit);
  if (pid === undefined) throw new MailherdError('HOST_STATE', {host, unit, reason: 'it does not run'});
  return pid;
}

/** Sends a signal to processes; those that have ended meanwhile are left out. */
export function signal(pids: readonly number[], name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
