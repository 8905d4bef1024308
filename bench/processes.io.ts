import {readdirSync, readFileSync} from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU of one process with all its threads since it began, user and system, in ms (resolution 10 ms); null when it is gone. Source: proc_pid_stat(5). */
export function cpuMsOf(pid: number): number | null {
  const fields = statOf(pid);
  return fields === null ? null : ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** CPU of all processes below `pid` that live, and of their own children that ended and were waited for. */
export function cpuMsBelow(pid: number): number {
  let sum = 0;
  for (const child of childrenOf(pid)) {
    const fields = statOf(child);
    if (fields === null) continue;
    sum += ([11, 12, 13, 14].reduce((total, at) => total + Number(fields[at]), 0) * 1000) / TICKS_PER_SECOND;
    sum += cpuMsBelow(child);
  }
  return sum;
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
