import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {readFile, rename, writeFile} from 'node:fs/promises';
import {createInterface} from 'node:readline';
import Type from 'typebox';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {decode, encode, fits} from '../../wire/codec.ts';
import type {Log} from '../../wire/log.ts';
import {type MailEvent, parseMailLine} from './maillog.ts';
import {type MailFigures, MailTally} from './tally.ts';

/** Debian 12 runs Postfix as an instance of a template, Debian 13 as one plain unit. */
const UNITS = ['postfix@-.service', 'postfix.service', 'dovecot.service'];
const RETRY_MS_MIN = 1 * SECOND_MS;
const RETRY_MS_MAX = 30 * SECOND_MS;
const SAVE_EVERY_MS = MINUTE_MS;

/** There while journald runs. Without it `journalctl --follow` waits in silence, which must not look like a quiet host. */
const JOURNAL_SOCKET = '/run/systemd/journal/socket';

const MACHINE_ID = '/etc/machine-id';

/** Where the reader stood and which sessions it knew, so that a restart neither misses nor repeats a line. */
const Position = Type.Object({cursor: Type.String(), open: Type.Array(Type.Tuple([Type.String(), Type.String()]))});
const JournalEntry = Type.Object({
  MESSAGE: Type.String(),
  SYSLOG_IDENTIFIER: Type.String(),
  __CURSOR: Type.String(),
  __REALTIME_TIMESTAMP: Type.String(),
});

interface FollowOptions {
  /** File that keeps the position. */
  path: string;
  /** What the probes do is neither load nor a user's experience. */
  isProbe: (user: string) => boolean;
  log: Log;
  signal: AbortSignal;
  /** The program and its first arguments; tests put their own here. */
  journalctl?: readonly string[];
  journalSocket?: string;
}

/** Follows the journal of Postfix and Dovecot through a `journalctl` child, for as long as the signal lasts. */
export class MailLog {
  readonly #options: FollowOptions;
  readonly #startedAtMs = systemClock.now();
  #tally = new MailTally();
  #cursor: string | null = null;
  #child: ChildProcess | null = null;
  #failure = 'not started yet';
  #fruitless = 0;
  #machineId = '';

  private constructor(options: FollowOptions) {
    this.#options = options;
  }

  static async open(options: FollowOptions): Promise<MailLog> {
    const mailLog = new MailLog(options);
    mailLog.#machineId = (await readFile(MACHINE_ID, 'utf8')).trim();
    await mailLog.#load();
    void mailLog.#run();
    void mailLog.#saveRegularly();
    return mailLog;
  }

  /**
   * Figures since the last call.
   * @throws MailherdError COMMAND_FAILED while there is no journal or it cannot be followed; what came before is then discarded.
   */
  async take(): Promise<MailFigures> {
    const figures = this.#tally.take();
    const socket = this.#options.journalSocket ?? JOURNAL_SOCKET;
    if (!existsSync(socket))
      throw new MailherdError('COMMAND_FAILED', {command: 'journalctl', reason: `journald does not run: no ${socket}`});
    if (this.#child === null) throw new MailherdError('COMMAND_FAILED', {command: 'journalctl', reason: this.#failure});
    return figures;
  }

  async #load(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#options.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#options.log.warn({error: String(error)}, 'position in the mail log is unreadable, beginning from now');
      return;
    }
    try {
      const position = decode(Position, text, this.#options.path);
      this.#cursor = position.cursor;
      this.#tally = new MailTally(position.open);
    } catch (error) {
      this.#options.log.warn({error: String(error)}, 'position in the mail log is spoilt, beginning from now');
    }
  }

  async #saveRegularly(): Promise<void> {
    const {signal, log} = this.#options;
    do {
      await systemClock.sleep(SAVE_EVERY_MS, signal);
      await this.save().catch(error => log.warn({error: String(error)}, 'position in the mail log could not be saved'));
    } while (!signal.aborted);
  }

  /** Writes the position; done each minute and at the end. */
  async save(): Promise<void> {
    if (this.#cursor === null) return;
    const {path} = this.#options;
    await writeFile(`${path}.new`, encode(Position, {cursor: this.#cursor, open: this.#tally.openSessions()}), {mode: 0o600});
    await rename(`${path}.new`, path);
  }

  async #run(): Promise<void> {
    const {signal, log} = this.#options;
    let pauseMs = RETRY_MS_MIN;
    while (!signal.aborted) {
      const lines = await this.#follow();
      if (signal.aborted) return;
      log.warn({reason: this.#failure}, 'the journal reader ended, starting it again');
      // A cursor that the journal no longer knows can make each start fail at once.
      this.#fruitless = lines === 0 ? this.#fruitless + 1 : 0;
      if (this.#fruitless === 3) this.#cursor = null;
      pauseMs = lines > 0 ? RETRY_MS_MIN : Math.min(pauseMs * 2, RETRY_MS_MAX);
      await systemClock.sleep(pauseMs, signal);
    }
  }

  /** Runs one reader until it ends; returns how many lines it gave. */
  #follow(): Promise<number> {
    const [program = 'journalctl', ...first] = this.#options.journalctl ?? ['journalctl'];
    // Not --lines=0: with it journalctl of systemd 252 follows nothing when the journal has no line of these units yet.
    const from = this.#cursor === null ? ['--no-tail', '--since=now'] : ['--no-tail', `--after-cursor=${this.#cursor}`];
    const fields = '--output-fields=MESSAGE,SYSLOG_IDENTIFIER';
    // --follow alone is "of this boot", and a sandboxed service in a container sees another boot id than its journal has: nothing
    // would ever match. --merge is of all boots, and of all machines, hence the machine's id.
    const scope = ['--merge', `_MACHINE_ID=${this.#machineId}`];
    const child = spawn(
      program,
      [...first, '--follow', '--quiet', '--output=json', fields, ...scope, ...from, ...UNITS.map(unit => `_SYSTEMD_UNIT=${unit}`)],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.#child = child;
    const stop = (): boolean => child.kill();
    this.#options.signal.addEventListener('abort', stop);
    let count = 0;
    let complaint = '';
    child.stderr.on('data', chunk => {
      complaint = String(chunk).trim().slice(0, 150);
    });
    const lines = createInterface({input: child.stdout});
    lines.on('line', line => {
      count++;
      this.#take(line);
    });
    return new Promise(resolve => {
      const ended = (reason: string): void => {
        // A program that cannot be started says "error" and then "close".
        if (this.#child !== child) return;
        this.#options.signal.removeEventListener('abort', stop);
        this.#child = null;
        this.#failure = complaint === '' ? reason : complaint;
        resolve(count);
      };
      child.once('error', error => ended(error.message));
      child.once('close', (code, signal) => ended(`ended with ${code ?? signal}`));
    });
  }

  #take(line: string): void {
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      // journalctl was cut off in the middle of a line; its successor reads that entry again.
      return;
    }
    // Entries whose text is not UTF-8 come as arrays of bytes: none of the lines we know.
    if (!fits(JournalEntry, entry)) return;
    this.#cursor = entry.__CURSOR;
    const event = parseMailLine(entry.SYSLOG_IDENTIFIER, entry.MESSAGE);
    if (event === null || this.#options.isProbe(event.user)) return;
    if (Number(entry.__REALTIME_TIMESTAMP) / 1000 < this.#startedAtMs) this.#tally.replay(event);
    else this.#tally.add(event satisfies MailEvent);
  }
}
