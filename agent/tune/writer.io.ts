import {connect} from 'node:net';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';

/** Where systemd listens for the writer. */
export const WRITER_SOCKET = '/run/mailherd-tune.sock';
/** A write to the kernel takes no time; what takes longer hangs. */
const ANSWER_MS_MAX = 5 * SECOND_MS;
const ANSWER_BYTES_MAX = 65_536;

/** A value that the writer holds for us. */
export interface Held {
  knob: string;
  old: string;
  value: string;
  secondsLeft: number;
  reason: string;
}

export type Undone =
  | {kind: 'restored'; value: string}
  /** Somebody else has written it since: it stays as it is. */
  | {kind: 'released'; value: string}
  /** The disk, or the boot, is gone, or the writer has put it back by itself. */
  | {kind: 'forgotten'};

/** What the tuner needs of the one program that may write kernel values (`native/tune/`). */
export interface Writer {
  list(): Promise<Held[]>;
  /** @throws MailherdError TUNE_REFUSED with the writer's code; nothing is changed then. */
  set(knob: string, expected: string, value: string, seconds: number, reason: string): Promise<void>;
  renew(knob: string, seconds: number): Promise<void>;
  undo(knob: string): Promise<Undone>;
}

/** The writer behind a unix socket; each request is a connection of its own. All throw MailherdError TUNE_REFUSED. */
export function socketWriter(path: string = WRITER_SOCKET): Writer {
  return {
    async list() {
      const lines = await ask(path, ['list']);
      return lines.flatMap(([word, knob, old, value, seconds, ...reason]) => {
        if (word !== 'held' || knob === undefined || old === undefined || value === undefined) return [];
        return [{knob, old, value, secondsLeft: Number(seconds), reason: reason.join(' ')}];
      });
    },
    async set(knob, expected, value, seconds, reason) {
      await ask(path, ['set', knob, expected, value, String(seconds), reason.replace(/\s+/g, ' ').slice(0, 300)]);
    },
    async renew(knob, seconds) {
      await ask(path, ['renew', knob, String(seconds)]);
    },
    async undo(knob) {
      try {
        const [, kind, value = ''] = (await ask(path, ['undo', knob])).at(-1) ?? [];
        return kind === 'restored' || kind === 'released' ? {kind, value} : {kind: 'forgotten'};
      } catch (error) {
        if (error instanceof MailherdError && error.detail.code === 'NOT_HELD') return {kind: 'forgotten'};
        throw error;
      }
    },
  };
}

/** One request; the answer's lines as fields, the last of them begins with `ok`. */
function ask(path: string, fields: readonly string[]): Promise<string[][]> {
  return new Promise((resolve, reject) => {
    const refuse = (code: string, reason: string): void => {
      reject(new MailherdError('TUNE_REFUSED', {knob: fields[1] ?? null, code, reason}));
      socket.destroy();
    };
    let text = '';
    const socket = connect(path, () => socket.write(`${fields.join('\t')}\n`));
    socket.setEncoding('utf8');
    socket.setTimeout(ANSWER_MS_MAX, () => refuse('NO_WRITER', `no answer within ${ANSWER_MS_MAX} ms`));
    socket.on('error', error => refuse('NO_WRITER', error.message));
    socket.on('data', chunk => {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) refuse('NO_WRITER', 'the answer has no end');
    });
    socket.on('end', () => {
      const lines = text
        .split('\n')
        .filter(line => line !== '')
        .map(line => line.split('\t'));
      const [word, code = 'NO_WRITER', reason = ''] = lines.at(-1) ?? [];
      if (word === 'ok') resolve(lines);
      else refuse(code, reason);
    });
  });
}
