import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {MailherdError} from '../../base/errors.ts';
import type {Instant, Millis} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {HostRecord} from '../../wire/record.ts';
import {assertWipeToken} from './life.ts';

/** After SIGTERM the driver has this long to end before SIGKILL. */
const TERM_MS = 10_000;
/** A timer of Node's that is longer fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface ReinstallOrder {
  record: HostRecord;
  release: string;
  token: string;
  nowMs: Instant;
  timeoutMs: Millis;
}

/**
 * Runs the operator's reinstall driver: `command... HOST RELEASE`, no shell, MAILHERD_WIPE_TOKEN in its environment; its output goes to
 * the log line by line. The whole process group is ended on timeout or abort.
 * @throws MailherdError WIPE_TOKEN before anything runs; REINSTALL_FAILED with exit code, signal or reason.
 */
export async function reinstall(command: readonly string[], order: ReinstallOrder, log: Log, signal: AbortSignal): Promise<void> {
  const {record, release, token, nowMs, timeoutMs} = order;
  const {host} = record;
  assertWipeToken(record, token, nowMs);
  if (record.stage !== 'reinstalling') throw new MailherdError('HOST_STATE', {host, stage: record.stage, wish: 'reinstall'});
  const [program, ...words] = command;
  if (program === undefined) throw new MailherdError('REINSTALL_FAILED', {host, reason: 'no reinstallCommand is configured'});
  const end = AbortSignal.any([signal, AbortSignal.timeout(Math.min(timeoutMs, TIMER_MS_MAX))]);
  const {PATH, LANG} = process.env;
  const child = spawn(program, [...words, host, release], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {PATH, LANG, MAILHERD_WIPE_TOKEN: token},
    detached: true,
  });
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({input: stream}).on('line', line => {
      const clean = line.replaceAll(token, '(token)');
      tail.push(clean);
      tail.splice(0, tail.length - 5);
      log.info({host, release, line: clean}, 'reinstall driver');
    });
  }
  const {code, killedBy, reason} = await ended(child, end);
  if (code === 0) return;
  const why = end.aborted ? (signal.aborted ? 'stopped' : `no end after ${timeoutMs} ms`) : reason;
  throw new MailherdError('REINSTALL_FAILED', {host, release, code, signal: killedBy, reason: why, output: tail.join(' | ').slice(0, 500)});
}

interface Ended {
  code: number | null;
  killedBy: string | null;
  reason: string | null;
}

function ended(child: ReturnType<typeof spawn>, end: AbortSignal): Promise<Ended> {
  return new Promise(resolve => {
    let hardEnd: NodeJS.Timeout | undefined;
    const kill = (name: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    };
    const stop = (): void => {
      kill('SIGTERM');
      hardEnd = setTimeout(kill, TERM_MS, 'SIGKILL');
    };
    const done = (outcome: Ended): void => {
      clearTimeout(hardEnd);
      end.removeEventListener('abort', stop);
      resolve(outcome);
    };
    child.on('error', error => done({code: null, killedBy: null, reason: error.message}));
    child.on('close', (code, killedBy) => done({code, killedBy, reason: null}));
    end.addEventListener('abort', stop);
    if (end.aborted) stop();
  });
}
