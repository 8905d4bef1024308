import {connect} from 'node:net';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS: Millis = 1 * SECOND_MS;

/** Where the mover could not help, it is asked again after that. */
const BARRED_MS: Millis = 10 * MINUTE_MS;

/** Sockets of Dovecot's own tools, with what they are greeted with. Asking them costs a fraction of what `doveadm` does. */
const GREETINGS = {'stats-reader': 'VERSION\tstats-reader-client\t2\t0', master: 'VERSION\tmaster-client\t1\t0'} as const;

/**
 * Asks Dovecot what `doveadm stats` and `doveadm service status` ask it; the same in 2.3 and 2.4. An answer ends with an empty line.
 * @param runDir base_dir of Dovecot.
 * @returns the lines after the greeting.
 * @throws MailherdError COMMAND_FAILED when nobody listens, the answer does not come, or Dovecot hangs up on what it does not like.
 */
export function askDovecot(runDir: string, socket: keyof typeof GREETINGS, requests: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const connection = connect(join(runDir, socket));
    let text = '';
    const failed = (reason: string, errno: string | null = null): void => {
      connection.destroy();
      reject(new MailherdError('COMMAND_FAILED', {command: `dovecot ${socket}`, reason, ...(errno !== null && {errno})}));
    };
    connection.setEncoding('utf8');
    connection.setTimeout(TIMEOUT_MS, () => failed(`no answer within ${TIMEOUT_MS} ms`));
    connection.once('error', (error: NodeJS.ErrnoException) => failed(error.message, error.code));
    connection.once('close', () => failed(`it hung up after ${text.length} characters`));
    connection.on('data', (part: string) => {
      text += part;
      if (text.length > ANSWER_BYTES_MAX) return failed('the answer has no end');
      if (!text.endsWith('\n\n')) return;
      connection.destroy();
      resolve(text.split('\n').slice(1, -2));
    });
    connection.write([GREETINGS[socket], ...requests].map(line => `${line}\n`).join(''));
  });
}

/** What a running Dovecot says to an agent that is not root. */
export class DovecotStatus {
  readonly #runDir: string;
  readonly #admit: () => Promise<void>;
  readonly #ask: typeof askDovecot;
  #triedMs: Millis | null = null;

  /** @param runDir base_dir of Dovecot. @param admit has the sockets, which are root's alone after each start of Dovecot, let this agent in. */
  constructor(runDir: string, admit: () => Promise<void>, ask: typeof askDovecot = askDovecot) {
    this.#runDir = runDir;
    this.#admit = admit;
    this.#ask = ask;
  }

  /** @throws MailherdError as `askDovecot`, and what `admit` throws. */
  async ask(socket: keyof typeof GREETINGS, requests: readonly string[]): Promise<string[]> {
    try {
      return await this.#ask(this.#runDir, socket, requests);
    } catch (error) {
      const isBarred = error instanceof MailherdError && error.detail.errno === 'EACCES';
      const nowMs = systemClock.monotonic();
      if (!isBarred || (this.#triedMs !== null && nowMs - this.#triedMs < BARRED_MS)) throw error;
      this.#triedMs = nowMs;
    }
    await this.#admit();
    const lines = await this.#ask(this.#runDir, socket, requests);
    this.#triedMs = null;
    return lines;
  }
}
