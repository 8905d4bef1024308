import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {createInterface} from 'node:readline';
import Type from 'typebox';
import {systemClock} from '../../base/clock.io.ts';
import {type Instant, SECOND_MS} from '../../base/units.ts';
import {fits} from '../../wire/codec.ts';
import type {Log} from '../../wire/log.ts';

/** Debian 12 runs Postfix as an instance of a template, Debian 13 as one plain unit. */
const UNITS = ['postfix@-.service', 'postfix.service', 'dovecot.service'];
const RETRY_MS_MIN = 1 * SECOND_MS;
const RETRY_MS_MAX = 30 * SECOND_MS;

/** There while journald runs. Without it `journalctl --follow` waits in silence, which must not look like a quiet host. */
const JOURNAL_SOCKET = '/run/systemd/journal/socket';

const MACHINE_ID = '/etc/machine-id';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const JournalEntry = Type.Object({
  MESSAGE: Type.String(),
  SYSLOG_IDENTIFIER: Type.String(),
  __CURSOR: Type.String(),
  __REALTIME_TIMESTAMP: Type.String(),
  __MONOTONIC_TIMESTAMP: Type.String(),
  _BOOT_ID: Type.String(),
});

interface JournalOptions {
  /** Where to go on; null: from now. */
  cursor: string | null;
  /** When the line of the cursor was logged, microseconds since 1970; null: not known. */
  sinceUs: string | null;
  /** @param isOld the line was written before this reader began. */
  onLine: (identifier: string, message: string, atMs: Instant, isOld: boolean) => void;
  log: Log;
  signal: AbortSignal;
  /** The program and its first arguments; tests put their own here. */
  journalctl?: readonly string[];
  journalSocket?: string;
}

/** Follows the journal of Postfix and Dovecot through a `journalctl` child, for as long as the signal lasts. */
export class JournalReader {
  readonly #options: JournalOptions;
  readonly #startedAtMs = systemClock.now();
  /** By the clock that nobody sets, which the journal has too. */
  readonly #startedAtUs = process.hrtime.bigint() / 1_000n;
  readonly #boot = readFileSync(BOOT_ID, 'utf8').trim().replaceAll('-', '');
  /** Lines come in their order: behind one that is new all are. */
  #isOld = true;
  #cursor: string | null;
  #sinceUs: string | null;
  #loss: string | null = null;
  #child: ChildProcess | null = null;
  #failure = 'not started yet';
  #fruitless = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#cursor = options.cursor;
    this.#sinceUs = options.sinceUs;
  }

  /** Of the last line that was handed on; null before any. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** When that line was logged, microseconds since 1970. */
  get sinceUs(): string | null {
    return this.#sinceUs;
  }

  /** Why lines may be missing, once each time. */
  takeLoss(): string | null {
    const loss = this.#loss;
    this.#loss = null;
    return loss;
  }

  /** Why nothing is read now; null while all is well. */
  get failure(): string | null {
    const socket = this.#options.journalSocket ?? JOURNAL_SOCKET;
    if (!existsSync(socket)) return `journald does not run: no ${socket}`;
    return this.#child === null ? this.#failure : null;
  }

  /** Resolves when the signal aborts. */
  async run(): Promise<void> {
    const {signal, log} = this.#options;
    const machineId = (await readFile(MACHINE_ID, 'utf8')).trim();
    let pauseMs = RETRY_MS_MIN;
    while (!signal.aborted) {
      const lines = await this.#follow(machineId);
      if (signal.aborted) return;
      log.warn({reason: this.#failure}, 'the journal reader ended, starting it again');
      // A cursor that the journal no longer knows can make each start fail at once.
      this.#fruitless = lines === 0 ? this.#fruitless + 1 : 0;
      if (this.#fruitless === 3 && this.#cursor !== null) this.#loseCursor();
      pauseMs = lines > 0 ? RETRY_MS_MIN : Math.min(pauseMs * 2, RETRY_MS_MAX);
      await systemClock.sleep(pauseMs, signal);
    }
  }

  /** What the journal still has is read on by its time. */
  #loseCursor(): void {
    const from = this.#sinceUs === null ? 'now' : new Date(Number(this.#sinceUs) / 1000).toISOString();
    this.#loss = `the journal does not take the position any more: read on from ${from}, lines may be missing`;
    this.#options.log.error({cursor: this.#cursor, reason: this.#failure}, this.#loss);
    this.#cursor = null;
  }

  /** Where to begin, as journalctl takes it. */
  get #from(): string {
    if (this.#cursor !== null) return `--after-cursor=${this.#cursor}`;
    if (this.#sinceUs === null) return '--since=now';
    const behindUs = BigInt(this.#sinceUs) + 1n;
    return `--since=@${behindUs / 1_000_000n}.${String(behindUs % 1_000_000n).padStart(6, '0')}`;
  }

  /** Runs one reader until it ends; returns how many lines it gave. */
  #follow(machineId: string): Promise<number> {
    const [program = 'journalctl', ...first] = this.#options.journalctl ?? ['journalctl'];
    // Not --lines=0: with it journalctl of systemd 252 follows nothing when the journal has no line of these units yet.
    const from = ['--no-tail', this.#from];
    const fields = '--output-fields=MESSAGE,SYSLOG_IDENTIFIER';
    // --follow alone is "of this boot", and a sandboxed service in a container sees another boot id than its journal has: nothing
    // would ever match. --merge is of all boots, and of all machines, hence the machine's id.
    const scope = ['--merge', `_MACHINE_ID=${machineId}`];
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
    this.#sinceUs = entry.__REALTIME_TIMESTAMP;
    const atMs = Number(entry.__REALTIME_TIMESTAMP) / 1000;
    this.#isOld &&= this.#isBefore(entry, atMs);
    this.#options.onLine(entry.SYSLOG_IDENTIFIER, entry.MESSAGE, atMs, this.#isOld);
  }

  /**
   * Whether it was logged before this reader began. The time of the day may have been set back since, so it counts only where the boot is
   * not known to be this one: it may be an earlier one, or we are in a container, whose journal has a boot id of its own.
   */
  #isBefore({__MONOTONIC_TIMESTAMP, _BOOT_ID}: Type.Static<typeof JournalEntry>, atMs: Instant): boolean {
    return BigInt(__MONOTONIC_TIMESTAMP) < this.#startedAtUs || (_BOOT_ID !== this.#boot && atMs < this.#startedAtMs);
  }
}
