import {execFile} from 'node:child_process';
import {MailherdError} from '../../base/errors.ts';

/** sysexits.h: EX_NOUSER. */
const EXIT_NO_USER = 67;
const OUTPUT_BYTES_MAX = 1024 * 1024 * 1024;

/** How doveadm(1) ended. */
interface Outcome {
  exit: number;
  out: string;
  err: string;
}

/** Runs doveadm to its end, whatever that is. @throws MailherdError COMMAND_FAILED when it could not be run or was killed. */
export function doveadm(args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile('doveadm', args, {maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8'}, (error, out, err) => {
      if (error !== null && typeof error.code !== 'number') {
        reject(new MailherdError('COMMAND_FAILED', {command: `doveadm ${args[0]}`, reason: error.message}, {cause: error}));
      } else resolve({exit: error === null ? 0 : Number(error.code), out, err});
    });
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
