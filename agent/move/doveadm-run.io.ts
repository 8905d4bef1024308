import {execFile} from 'node:child_process';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';

/** sysexits.h: EX_NOUSER. */
const EXIT_NO_USER = 67;
const OUTPUT_BYTES_MAX = 1024 * 1024 * 1024;

/** How doveadm(1) ended. */
interface Outcome {
  exit: number;
  out: string;
  err: string;
}

/** What is asked to end has so long for it. */
const END_MS = 5 * SECOND_MS;

/**
 * Runs doveadm to its end, whatever that is.
 * @param signal ends it; the promise settles when it has ended.
 * @throws MailherdError COMMAND_FAILED when it could not be run or was killed.
 */
export function doveadm(args: string[], signal: AbortSignal | null = null): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = execFile('doveadm', args, {maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8'}, (error, out, err) => {
      signal?.removeEventListener('abort', end);
      clearTimeout(killing);
      if (error !== null && typeof error.code !== 'number') {
        reject(new MailherdError('COMMAND_FAILED', {command: `doveadm ${args[0]}`, reason: error.message}, {cause: error}));
      } else resolve({exit: error === null ? 0 : Number(error.code), out, err});
    });
    let killing: NodeJS.Timeout | undefined;
    // dsync looks for a signal only now and then; its indexes outlive a kill.
    const end = (): void => {
      child.kill();
      killing = setTimeout(() => child.kill('SIGKILL'), END_MS);
    };
    if (signal?.aborted === true) end();
    else signal?.addEventListener('abort', end);
  });
}

/** @returns what it printed. @throws MailherdError USER_UNSERVED when Dovecot knows no such user, COMMAND_FAILED when it failed otherwise. */
export async function must(args: string[]): Promise<string> {
  const {exit, out, err} = await doveadm(args);
  if (exit === EXIT_NO_USER) throw new MailherdError('USER_UNSERVED', {command: `doveadm ${args.join(' ')}`, reason: lastLines(err)});
  if (exit !== 0) throw new MailherdError('COMMAND_FAILED', {command: `doveadm ${args.join(' ')}`, exit, reason: lastLines(err)});
  return out;
}

export function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' | ').slice(-500);
}
