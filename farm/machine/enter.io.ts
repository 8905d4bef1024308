import {spawn} from 'node:child_process';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, type Millis} from '../../base/units.ts';
import type {Paths} from '../paths.ts';
import {type RunResult, run, tryRun} from '../run.io.ts';
import {isAlive, readState} from './state.io.ts';

const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8', 'HOME=/root'];

const TIMEOUT_MS = 2 * MINUTE_MS;

/** The command line that runs `command` inside a host. @throws MailherdError HOST_STATE when it is not booted. */
async function entering(paths: Paths, host: string, command: readonly string[]): Promise<string[]> {
  const machine = (await readState(paths)).machines[host];
  if (machine === undefined || !isAlive(machine.init)) throw new MailherdError('HOST_STATE', {host, reason: 'it is not running'});
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--root', '--wdns=/'];
  return ['nsenter', '--target', `${machine.init.pid}`, ...namespaces, '--', 'env', '-i', ...ENVIRONMENT, ...command];
}

/** Runs a command inside a host. @param timeoutMs it is ended after that. @returns stdout. @throws MailherdError HOST_STATE, COMMAND_FAILED. */
export async function runIn(
  paths: Paths,
  host: string,
  command: readonly string[],
  {timeoutMs = TIMEOUT_MS, ...input}: {input?: string; timeoutMs?: Millis} = {},
): Promise<string> {
  return run(await entering(paths, host, command), {...input, timeoutMs});
}

/** Like runIn, its exit code is the caller's to judge. */
export async function tryRunIn(paths: Paths, host: string, command: readonly string[]): Promise<RunResult> {
  return tryRun(await entering(paths, host, command), {timeoutMs: TIMEOUT_MS});
}

/** A shell (or command) inside a host on this terminal. @returns its exit code. */
export async function shellIn(paths: Paths, host: string, command: readonly string[]): Promise<number> {
  const line = await entering(paths, host, [`TERM=${process.env.TERM ?? 'dumb'}`, ...(command.length === 0 ? ['bash', '-l'] : command)]);
  return new Promise((resolve, reject) => {
    const child = spawn(line[0] ?? '', line.slice(1), {stdio: 'inherit'});
    child.on('error', reject);
    child.on('close', code => resolve(code ?? 128));
  });
}
