import {readFile} from 'node:fs/promises';
import Type from 'typebox';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {replaceFile} from '../../base/replace.io.ts';
import {type Instant, MINUTE_MS} from '../../base/units.ts';
import {decode, encode} from '../../wire/codec.ts';
import type {AgentEventType, EventData} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import type {LogFigures} from '../../wire/mail-figures.ts';
import type {Load} from '../../wire/report.ts';
import type {Activity} from './activity.ts';
import {Busiest} from './busiest.ts';
import {JournalReader} from './journal.io.ts';
import {CLEAR_AFTER_MS, Limits, OpenLimit} from './limits.ts';
import {FilePosition, LogFileReader} from './log-file.io.ts';
import {type MailEvent, parseFileLine, parseMailLine} from './maillog.ts';
import {isDelivery, type MailLogFigures, MailTally} from './tally.ts';

const SAVE_EVERY_MS = MINUTE_MS;
const LIMITS_TOLD_MAX = 8;

/** Where the readers stood, which sessions they knew and which limits, so that a restart neither misses nor repeats a line. */
const Position = Type.Object({
  cursor: Type.Optional(Type.String()),
  sinceUs: Type.Optional(Type.String({pattern: '^\\d{1,18}$'})),
  files: Type.Optional(Type.Array(FilePosition)),
  open: Type.Array(Type.Tuple([Type.String(), Type.String()])),
  limits: Type.Optional(Type.Array(OpenLimit)),
});
type Position = Type.Static<typeof Position>;

interface MailLogOptions {
  /** File that keeps the position. */
  path: string;
  /** Log files to follow; none: the journal. */
  files: readonly string[];
  /** What the probes do is neither load nor a user's experience. */
  isProbe: (user: string) => boolean;
  /** Told of what is stored in each mailbox and of each login, where mailboxes live. */
  activity: Activity | null;
  onEvent: <T extends AgentEventType>(type: T, data: EventData<T>) => void;
  log: Log;
  signal: AbortSignal;
  /** The program and its first arguments; tests put their own here. */
  journalctl?: readonly string[];
  journalSocket?: string;
  pollMs?: number;
}

/** What follows a log: it says why it does not, if so, and once each time why lines may be missing. */
interface Reader {
  readonly failure: string | null;
  takeLoss(): string | null;
  run(): Promise<void>;
}

/** Follows the log of Postfix and Dovecot, in the journal or in files, for as long as the signal lasts. */
export class MailLog {
  readonly #options: MailLogOptions;
  readonly #startedAtMs = systemClock.now();
  readonly #tally: MailTally;
  readonly #limits: Limits;
  readonly #journal: JournalReader | null;
  readonly #files: LogFileReader[];
  readonly #busiest = new Busiest();
  #storesAreLogged = false;
  #gaps = 0;

  private constructor(options: MailLogOptions, position: Position | null) {
    this.#options = options;
    const {files, log, signal} = options;
    this.#tally = new MailTally(position?.open);
    this.#limits = new Limits(position?.limits);
    const onLine = (...line: [identifier: string, message: string, atMs: Instant, isOld: boolean]): void => this.#take(...line);
    const stood = {cursor: position?.cursor ?? null, sinceUs: position?.sinceUs ?? null};
    this.#journal = files.length > 0 ? null : new JournalReader({...options, ...stood, onLine, log, signal});
    this.#files = files.map(
      path =>
        new LogFileReader({
          ...options,
          path,
          position: position?.files?.find(one => one.path === path) ?? null,
          onLine: (line, isOld) => {
            const parts = parseFileLine(line);
            // The time in a line has no year, or another clock's zone: what was written before the start is told by where it stands.
            if (parts !== null) onLine(parts.identifier, parts.message, isOld ? 0 : systemClock.now(), isOld);
          },
        }),
    );
    for (const reader of this.#readers)
      void reader.run().catch(error => log.error({error: String(error)}, 'the mail log is no longer followed'));
    void this.#saveRegularly();
  }

  static async open(options: MailLogOptions): Promise<MailLog> {
    return new MailLog(options, await load(options));
  }

  get #readers(): Reader[] {
    return this.#journal === null ? this.#files : [this.#journal];
  }

  /**
   * Figures since the last call.
   * @throws MailherdError COMMAND_FAILED while there is no journal or it cannot be followed, or a file cannot be read, and once when lines may
   * be missing; what came before is then discarded.
   */
  async take(): Promise<MailLogFigures & Pick<Load, 'busiest'> & {figures: LogFigures}> {
    for (const {limit, service, complaints, sinceMs, lastMs} of this.#limits.clear(systemClock.now())) {
      this.#options.onEvent('limitCleared', {limit, service, complaints, lastedMs: Math.max(lastMs - sinceMs, 0)});
    }
    const taken = this.#tally.take();
    const losses = this.#readers.flatMap(reader => reader.takeLoss() ?? []);
    this.#gaps += losses.length;
    const failure = this.#failure() ?? losses[0] ?? null;
    if (failure !== null) {
      throw new MailherdError('COMMAND_FAILED', {command: this.#journal === null ? 'read' : 'journalctl', reason: failure});
    }
    const limits = this.#limits.open.slice(0, LIMITS_TOLD_MAX).map(({limit, service, complaints}) => ({limit, service, complaints}));
    const busiest = this.#busiest.take(systemClock.now());
    return {
      ...taken,
      ...(busiest !== null && {busiest}),
      figures: {deliveries: taken.attempts, ends: taken.ends, screened: taken.screened, limits, gaps: this.#gaps},
    };
  }

  /** Users who have a session now; null while the log is not followed. */
  online(): ReadonlySet<string> | null {
    return this.#failure() === null ? this.#tally.online() : null;
  }

  #failure(): string | null {
    return this.#readers.map(reader => reader.failure).find(reason => reason !== null) ?? null;
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
    const {cursor, sinceUs} = this.#journal ?? {cursor: null, sinceUs: null};
    const files = this.#files.flatMap(reader => reader.position ?? []);
    if (cursor === null && files.length === 0) return;
    const limits = this.#limits.open;
    const position = {
      ...(cursor === null ? {files} : {cursor}),
      ...(sinceUs === null ? {} : {sinceUs}),
      open: this.#tally.openSessions(),
      ...(limits.length === 0 ? {} : {limits}),
    };
    await replaceFile(this.#options.path, encode(Position, position));
  }

  #take(identifier: string, message: string, atMs: Instant, isOld: boolean): void {
    const event = parseMailLine(identifier, message);
    if (event === null || ('user' in event && this.#options.isProbe(event.user))) return;
    if (event.kind === 'limit') this.#complained(event, atMs);
    this.#noteActivity(event, atMs);
    if (isOld) this.#tally.replay(event);
    else this.#tally.add(event);
  }

  /**
   * What was logged while no agent ran counts as well. Dovecot's own line names the mailbox itself, no alias, and on the host where it
   * lies, which a proxy's Postfix cannot know: what Postfix says counts only where Dovecot says nothing.
   */
  #noteActivity(event: MailEvent, atMs: Instant): void {
    const {activity} = this.#options;
    if (event.kind === 'stored') this.#storesAreLogged = true;
    const isStore = event.kind === 'stored' || (isDelivery(event) && !this.#storesAreLogged);
    if (activity === null || (event.kind !== 'login' && !isStore)) return;
    const nowMs = systemClock.now();
    const what = isStore ? 'deliveries' : 'sessions';
    activity.add(event.user, what, atMs === 0 ? nowMs : Math.min(atMs, nowMs));
    // When an old line of a file was written nobody knows: it may be of hours ago.
    if (atMs !== 0) this.#busiest.add(event.user, what, Math.min(atMs, nowMs));
  }

  #complained({limit, service, max}: Extract<MailEvent, {kind: 'limit'}>, atMs: Instant): void {
    const opened = this.#limits.saw({limit, service: service.slice(0, 40), max}, atMs === 0 ? this.#startedAtMs : atMs);
    if (opened === null) return;
    this.#options.onEvent('limitReached', {limit, service: opened.service, max, clearAfterMs: CLEAR_AFTER_MS[limit]});
  }
}

/** Where a former agent stopped; null: nowhere, or nobody knows. */
async function load({path, log}: MailLogOptions): Promise<Position | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({error: String(error)}, 'position in the mail log is unreadable, beginning from now');
    return null;
  }
  try {
    return decode(Position, text, path);
  } catch (error) {
    log.warn({error: String(error)}, 'position in the mail log is spoilt, beginning from now');
    return null;
  }
}
