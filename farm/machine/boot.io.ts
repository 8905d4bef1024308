import {spawn} from 'node:child_process';
import {openSync, readdirSync, readFileSync} from 'node:fs';
import {connect} from 'node:net';
import {MailherdError} from '../../base/errors.ts';
import type {HostSpec, Layout} from '../layout.ts';
import {type HostPaths, hostPaths, type Paths} from '../paths.ts';
import {unplug} from './bridge.io.ts';
import {freeze, makeGroups, processesOf, removeGroups} from './cgroup.io.ts';
import {changeState, isAlive, type MachineState, markOf, type ProcessMark, readState} from './state.io.ts';

const BOOT_TIMEOUT_MS = 60_000;

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** Ports that answer when a host is up. */
function portsOf(spec: HostSpec): number[] {
  switch (spec.role) {
    case 'control':
      return [4_222];
    case 'edge':
      return [25, 143];
    case 'backend':
      return [24, 25, 143, 24_245];
  }
}

/**
 * Boots a host from its mounted root as a machine with its own systemd, detached from this process, and waits until its
 * services take connections.
 * @throws MailherdError COMMAND_FAILED with the end of its console when that takes too long.
 */
export async function boot(paths: Paths, layout: Layout, spec: HostSpec): Promise<MachineState> {
  const at = hostPaths(paths, spec.name);
  const startedMs = performance.now();
  const nspawn = startNspawn(at, layout, spec);
  const deadlineMs = startedMs + BOOT_TIMEOUT_MS;
  let init: ProcessMark | null = null;
  while (init === null) {
    init = initOf(spec.name, nspawn.pid);
    if (init === null && (!isAlive(nspawn) || performance.now() > deadlineMs)) throw bootFailed(at, spec, 'its systemd did not start');
    if (init === null) await sleep(20);
  }
  const machine: MachineState = {nspawn, init, bootedAtMs: Date.now(), bootMs: 0};
  await changeState(paths, state => {
    state.machines[spec.name] = machine;
  });
  for (const port of portsOf(spec)) {
    while (!(await answers(spec.address, port))) {
      if (!isAlive(init) || performance.now() > deadlineMs) throw bootFailed(at, spec, `port ${port} does not answer`);
      await sleep(50);
    }
  }
  machine.bootMs = Math.round(performance.now() - startedMs);
  await changeState(paths, state => {
    state.machines[spec.name] = machine;
  });
  return machine;
}

function bootFailed(at: HostPaths, spec: HostSpec, reason: string): MailherdError {
  const console = readFileSync(at.console, 'utf8').trim().split('\n').slice(-15).join('\n');
  return new MailherdError('COMMAND_FAILED', {command: `boot ${spec.name}`, reason, console});
}

/** --register/--keep-unit: no systemd of this machine is needed; -b: its own systemd is process 1. */
function startNspawn(at: HostPaths, layout: Layout, spec: HostSpec): ProcessMark {
  const join = makeGroups(spec.name)
    .map(path => `echo $$ > ${path}`)
    .join(' && ');
  const options = [
    '--quiet',
    '--boot',
    `--directory=${at.root}`,
    `--machine=mhfarm-${spec.name}`,
    `--hostname=${spec.name}`,
    `--network-bridge=${layout.bridge}`,
    '--register=no',
    '--keep-unit',
    '--console=pipe',
    '--settings=no',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
  ];
  const output = openSync(at.console, 'a');
  const child = spawn('sh', ['-c', `${join} && exec systemd-nspawn "$@"`, 'sh', ...options], {
    detached: true,
    stdio: ['ignore', output, output],
    env: {PATH: process.env.PATH, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1', LC_ALL: 'C.UTF-8'},
  });
  child.unref();
  const mark = child.pid === undefined ? null : markOf(child.pid);
  if (mark === null) throw bootFailed(at, spec, 'systemd-nspawn did not start');
  return mark;
}

/** The process that is number 1 inside the host (`NSpid` in proc_pid_status(5)). */
function initOf(host: string, nspawnPid: number): ProcessMark | null {
  for (const pid of processesOf(host)) {
    if (pid === nspawnPid) continue;
    try {
      const numbers = /^NSpid:\s*(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.split(/\s+/) ?? [];
      if (numbers.length > 1 && numbers.at(-1) === '1') return markOf(pid);
    } catch {
      // It ended while we looked; the next look will tell.
    }
  }
  return null;
}

/** True when something accepts a connection there within a second. */
export function answers(address: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({host: address, port, timeout: 1_000});
    const end = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
  });
}

/** True when the host is booted. */
export async function isRunning(paths: Paths, host: string): Promise<boolean> {
  const machine = (await readState(paths)).machines[host];
  return machine !== undefined && isAlive(machine.init);
}

/** It may have ended by itself, or with the systemd before it. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Cuts the power of a host: SIGKILL to its systemd ends every process in it at once, nothing is flushed or closed in order.
 * Also ends a machine of an earlier, interrupted run that no state file knows, found by its root and its
 * group. Fine when there is none.
 */
export async function powerOff(paths: Paths, host: string): Promise<void> {
  const at = hostPaths(paths, host);
  const known = (await readState(paths)).machines[host];
  const grouped = processesOf(host);
  const marks = [known?.init, known?.nspawn, ...strays(at), ...grouped.map(markOf)].filter(mark => mark !== undefined && mark !== null);
  if (grouped.length > 0) freeze(host, false);
  for (const mark of marks) if (isAlive(mark)) kill(mark.pid);
  for (let waited = 0; marks.some(isAlive) || processesOf(host).length > 0; waited += 20) {
    if (waited > 10_000) throw new MailherdError('COMMAND_FAILED', {command: `power off ${host}`, reason: 'its processes do not end'});
    await sleep(20);
  }
  await unplug(host);
  removeGroups(host);
  await changeState(paths, state => {
    delete state.machines[host];
  });
}

/** nspawn processes that were started with this root. */
function strays(at: HostPaths): (ProcessMark | null)[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(`--directory=${at.root}`);
      } catch {
        return false; // ended meanwhile
      }
    })
    .map(pid => markOf(Number(pid)));
}
