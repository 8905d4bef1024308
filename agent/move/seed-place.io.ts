import {existsSync} from 'node:fs';
import {readdir, stat} from 'node:fs/promises';
import {join, relative, resolve} from 'node:path';
import {setNewest} from '../../base/bounded.ts';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, type Millis} from '../../base/units.ts';
import type {Feature} from '../../wire/command.ts';
import type {SeedFormat} from '../../wire/seed.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import {type Elsewhere, elsewhere} from './elsewhere.ts';
import {offeredIn} from './features.ts';
import {cachesOf} from './location.ts';
import {ifGone} from './seed-archive.io.ts';
import {DBOX_INBOX, formatOf, type MailDialect, readDialect, readDriver} from './seed-fit.ts';
import {hasSieve} from './sieve.io.ts';
import {output, type RunAs} from './tool.io.ts';

/** Where and as whom a user's mail lies on this host, as Dovecot says. */
export interface MailPlace {
  home: string;
  /** Directory of the messages of the INBOX. */
  mail: string;
  /** Directory of the index of the INBOX, and for a mailbox that goes as files of its messages. */
  inbox: string;
  /** Directory of what belongs to the INBOX and is no message. */
  control: string;
  /** What is not in the home. */
  outside: Elsewhere;
  /** null: none that goes as files. */
  format: SeedFormat | null;
  /** What the files of a seed lie below. */
  root: string;
  owner: NonNullable<RunAs>;
  dialect: MailDialect;
}

const CONFIGURATION = '/etc/dovecot';
const REMEMBERED_MS: Millis = MINUTE_MS;
const ANSWERS_MAX = 1_000;

/**
 * What Dovecot's tools say of its configuration and its users. Each answer costs a program or three, and a move needs the same ones again
 * and again: they are remembered while the files of the configuration stay as they are, and no longer than a minute.
 */
export class MailPlaces {
  readonly server: DoveadmServer;
  readonly #store: string;
  readonly #answers = new Map<string, {atMs: Millis; answer: Promise<unknown>}>();
  #state = '';

  /** @param store directory of the mail store; nothing outside it is touched. @param server asked where it can tell. */
  constructor(store: string, server: DoveadmServer) {
    this.server = server;
    this.#store = resolve(store);
  }

  /** Asks Dovecot; makes nothing. @throws MailherdError USER_UNSERVED, HOME_SHARED, COMMAND_FAILED. */
  of(user: string): Promise<MailPlace> {
    return this.#remembered(`place ${user}`, () => this.#ask(user));
  }

  /** What doveadm, and with it dsync, keeps on this host. @throws MailherdError COMMAND_FAILED. */
  async offered(): Promise<Feature[]> {
    const [settings, isSieved] = await Promise.all([this.settings('doveadm'), this.#remembered('sieve', hasSieve)]);
    return [...offeredIn(settings), ...(isSieved ? (['sieve'] as const) : [])];
  }

  /** Output of `doveconf -n`. @param protocol what of it counts there alone; null: all of it. @throws MailherdError COMMAND_FAILED */
  settings(protocol: string | null = null): Promise<string> {
    const filter = protocol === null ? [] : ['-f', `protocol=${protocol}`];
    return this.#remembered(`settings ${protocol}`, () => output(['doveconf', '-n', ...filter]));
  }

  async #ask(user: string): Promise<MailPlace> {
    const settings = this.settings();
    settings.catch(() => undefined);
    const fields = await this.server.fields(user);
    const ask = (type: string): Promise<string> => this.server.value(user, ['mailbox path', '-t', type, 'INBOX']);
    const [mail, control, index, alt] = [await ask('mailbox'), await ask('control'), await ask('index'), await ask('alt-mailbox')];
    const doveconf = await settings;
    const dialect = readDialect(doveconf);
    if (dialect === null) throw new MailherdError('COMMAND_FAILED', {command: 'doveconf -n', reason: 'its first line names no release'});
    const field = (name: string): string => fields.get(name) ?? '';
    const home = resolve(field('home'));
    if (!home.startsWith(`${this.#store}/`)) throw new MailherdError('COMMAND_FAILED', {user, home, reason: `outside ${this.#store}`});
    const location = field('mail') === '' ? null : field('mail');
    const caches = dialect.dovecot === '2.3' ? (cachesOf(location, doveconf, user, home) ?? '') : await ask('index-cache');
    // None for indexes in memory.
    const inbox = resolve(index === '' ? mail : index);
    await refuseShared(user, home, inbox);
    const outsideOf = (...paths: string[]): Elsewhere => {
      return elsewhere(
        user,
        home,
        this.#store,
        paths.map(each => (each === '' ? '' : resolve(each))),
      );
    };
    // A seed goes by the index, and is for mailboxes that have all but caches in one place.
    const isTogether = index !== '' && inbox.startsWith(`${home}/`) && outsideOf(mail, control, index, alt).rest.length === 0;
    const format = !isTogether ? null : formatOf(inbox, field('mail_driver') || field('mail').split(':')[0] || readDriver(doveconf));
    return {
      home,
      mail: resolve(mail),
      inbox,
      control: resolve(control),
      outside: outsideOf(mail, control, index, alt, caches),
      format,
      root: format === 'maildir' ? inbox : inbox.replace(DBOX_INBOX, ''),
      owner: {uid: Number(field('uid')), gid: Number(field('gid'))},
      dialect,
    };
  }

  async #remembered<T>(question: string, ask: () => Promise<T>): Promise<T> {
    const state = await configurationState(CONFIGURATION);
    if (state !== this.#state) this.#answers.clear();
    this.#state = state;
    const nowMs = systemClock.monotonic();
    const known = this.#answers.get(question);
    if (known !== undefined && nowMs - known.atMs < REMEMBERED_MS) return known.answer as Promise<T>;
    const answer = ask();
    setNewest(this.#answers, question, {atMs: nowMs, answer}, ANSWERS_MAX);
    answer.catch(() => this.#answers.delete(question));
    return answer;
  }
}

/** Lies in the root of a user's mail, in every format, and in no folder of it. */
const MARK_OF_ROOT = 'dovecot-uidvalidity';

/**
 * Where homes are named after domain and local part, a login that is the name of a domain has the homes of all its users in his own: what is
 * done to his would be done to theirs. @throws MailherdError HOME_SHARED
 */
export async function refuseShared(user: string, home: string, inbox: string): Promise<void> {
  const below = relative(home, inbox);
  const isBelow = below !== '' && below !== '..' && !below.startsWith('../');
  const [folder = ''] = isBelow ? below.split('/') : [];
  const entries = (await readdir(home, {withFileTypes: true}).catch(ifGone)) ?? [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith('.') || entry.name === folder) continue;
    const child = join(home, entry.name);
    const marks = [join(child, MARK_OF_ROOT), ...(folder === '' ? [] : [join(child, folder, MARK_OF_ROOT), join(child, folder, 'cur')])];
    if (marks.some(mark => existsSync(mark))) throw new MailherdError('HOME_SHARED', {user, home, other: child});
  }
}

/** Which files there are and when they were written. */
async function configurationState(directory: string): Promise<string> {
  const entries = await readdir(directory, {recursive: true, withFileTypes: true}).catch(() => []);
  const files = entries.filter(entry => !entry.isDirectory()).map(entry => join(entry.parentPath, entry.name));
  const states = await Promise.all(
    files.map(async file => {
      const {size, mtimeMs, ctimeMs, ino} = await stat(file).catch(() => ({size: 0, mtimeMs: 0, ctimeMs: 0, ino: 0}));
      return `${file} ${size} ${mtimeMs} ${ctimeMs} ${ino}`;
    }),
  );
  return states.sort().join('\n');
}
