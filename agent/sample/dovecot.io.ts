import {connect} from 'node:net';
import {join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS: Millis = 1 * SECOND_MS;

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
    const failed = (reason: string): void => {
      connection.destroy();
      reject(new MailherdError('COMMAND_FAILED', {command: `dovecot ${socket}`, reason}));
    };
    connection.setEncoding('utf8');
    connection.setTimeout(TIMEOUT_MS, () => failed(`no answer within ${TIMEOUT_MS} ms`));
    connection.once('error', error => failed(error.message));
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
