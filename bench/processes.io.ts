import {readdirSync, readFileSync} from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU of one process with all its threads since it began, user and system, in ms (resolution 10 ms); null when it is gone. Source: proc_pid_stat(5). */
export function cpuMsOf(pid: number): number | null {
  const fields = statOf(pid);
  return fields === null ? null : ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** CPU of all processes below `pid`: of those that live, and of those that ended and were waited for. Never goes back. */
export function cpuMsBelow(pid: number): number {
  let sum = ticksMs(statOf(pid), [13, 14]);
  for (const child of childrenOf(pid)) sum += ticksMs(statOf(child), [11, 12]) + cpuMsBelow(child);
  return sum;
}

function ticksMs(fields: string[] | null, at: readonly number[]): number {
  return fields === null ? 0 : (at.reduce((total, field) => total + Number(fields[field]), 0) * 1000) / TICKS_PER_SECOND;
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(candidate => statOf(candidate)?.[1] === String(pid));
}

/** The fields after the name, which may itself hold blanks and brackets: state, parent, ... */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
