import {type ChildProcess, spawn} from 'node:child_process';
import {MailherdError} from '../../base/errors.ts';

/** Whom a program runs as; null: as the agent itself. */
export type RunAs = {uid: number; gid: number} | null;

const ERROR_TEXT_MAX = 4_000;

/** How a program ended. */
export interface Ending {
  /** null: killed by a signal. */
  exit: number | null;
  err: string;
}

/**
 * A system tool, and its end. Its messages are in English.
 * @param stdout a descriptor it writes to instead of a pipe of the child's.
 */
export function start(
  command: readonly string[],
  as: RunAs,
  {cwd = '/', stdout = 'pipe'}: {cwd?: string; stdout?: 'pipe' | number} = {},
): {child: ChildProcess; ended: Promise<Ending>} {
  const [file = '', ...args] = command;
  const env = {PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'};
  const child = spawn(file, args, {cwd, env, stdio: ['pipe', stdout, 'pipe'], ...(as ?? {})});
  let err = '';
  child.stderr?.setEncoding('utf8').on('data', text => {
    err = `${err}${text}`.slice(0, ERROR_TEXT_MAX);
  });
  const ended = new Promise<Ending>((resolve, reject) => {
    child.on('error', cause => reject(new MailherdError('COMMAND_FAILED', {command: file, reason: cause.message}, {cause})));
    child.on('close', exit => resolve({exit, err}));
  });
  // Whoever awaits it later still learns of it.
  ended.catch(() => undefined);
  return {child, ended};
}

/** Runs a tool to its end. @returns what it printed. @throws MailherdError COMMAND_FAILED. */
export async function output(command: readonly string[], as: RunAs = null, cwd = '/'): Promise<string> {
  const {child, ended} = start(command, as, {cwd});
  const parts: Buffer[] = [];
  child.stdout?.on('data', part => parts.push(part));
  child.stdin?.end();
  const {exit, err} = await ended;
  if (exit === 0) return Buffer.concat(parts).toString('utf8');
  throw new MailherdError('COMMAND_FAILED', {command: command.join(' '), exit, reason: err.trim().slice(0, 500)});
}
