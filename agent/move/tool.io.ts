import {type ChildProcess, spawn} from 'node:child_process';
import type {Socket} from 'node:net';
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
 * @param connection is its descriptor 3, and read by nobody here any more. Not below: the runtime would have it block.
 */
export function start(
  command: readonly string[],
  as: RunAs,
  {cwd = '/', stdout = 'pipe', connection = null}: {cwd?: string; stdout?: 'pipe' | number; connection?: Socket | null} = {},
): {child: ChildProcess; ended: Promise<Ending>} {
  const [file = '', ...args] = command;
  const env = {PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'};
  const child = spawn(file, args, {cwd, env, stdio: ['pipe', stdout, 'pipe', ...(connection === null ? [] : [connection])], ...(as ?? {})});
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
  child.stdin?.end();
  const [out, {exit, err}] = await Promise.all([printed(child), ended]);
  if (exit === 0) return out;
  throw new MailherdError('COMMAND_FAILED', {command: command.join(' '), exit, reason: err.trim().slice(0, 500)});
}

/** All that a program prints until it ends, or closes its output. */
export async function printed({stdout}: ChildProcess): Promise<string> {
  const parts: Buffer[] = [];
  stdout?.on('data', part => parts.push(part));
  await new Promise<void>(resolve => stdout?.on('close', resolve) ?? resolve());
  return Buffer.concat(parts).toString('utf8');
}
