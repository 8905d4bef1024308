import {createHash} from 'node:crypto';
import {closeSync} from 'node:fs';
import {MailherdError} from '../../base/errors.ts';
import {addTo} from '../../base/groups.ts';
import {openPipe, readTexts, TEXT_SUM_BYTES} from '../../native/mailbox.ts';
import type {FolderState, Manifest} from '../../wire/manifest.ts';
import type {AclReader} from './acls.io.ts';
import type {BodyDigests, KnownTexts} from './bodies.io.ts';
import {lastLines, must} from './doveadm-run.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import type {ManifestWish} from './host-ports.ts';
import {folderManifest, linesByFolder, type MessageLine, unreadMessage} from './manifest.ts';
import {readSieve} from './sieve.io.ts';
import {start} from './tool.io.ts';

/** Columns, in the order in which doveadm tells them, whatever was asked for first. */
const STATUS = ['mailbox', 'messages', 'uidnext', 'uidvalidity', 'highestmodseq', 'vsize', 'guid'] as const;
const STATE = ['mailbox', 'messages', 'uidnext', 'highestmodseq'] as const;
const COUNTS = ['mailbox', 'messages', 'uidnext', 'guid'] as const;
const MESSAGE = ['mailbox', 'uid', 'guid', 'size.virtual', 'date.received', 'flags'] as const;
const TRIES = 3;
/** Commands of a manifest that run side by side. */
const AT_ONCE = 4;

/**
 * Manifests by way of Dovecot's fetch, which shares nothing with dsync but the store itself. Digests of texts are remembered: they are
 * read ahead of a hold, and in it only what has come since.
 */
export class ManifestReader {
  readonly #acls: AclReader;
  readonly #server: DoveadmServer;
  readonly #texts: KnownTexts;
  readonly #ahead = new Map<string, Promise<unknown>>();

  constructor(acls: AclReader, server: DoveadmServer, texts: KnownTexts) {
    this.#acls = acls;
    this.#server = server;
    this.#texts = texts;
  }

  /** @throws MailherdError COMMAND_FAILED when a folder or a message cannot be read. */
  async read(user: string, {folder, texts}: ManifestWish): Promise<Manifest> {
    // Long after a move things may have been set up anew.
    if (!texts) this.#acls.forget(user);
    const all = await this.#acls.unrestricted(user);
    const [rows, subscribed, sieve] = await Promise.all([
      this.#folders(user, all),
      this.#subscribed(user, all),
      readSieve(this.#server, user),
    ]);
    const names = rows.map(({row}) => row.mailbox ?? '');
    const acls = await this.#acls.read(user, names);
    const digests = texts
      ? await this.#readUnknown(user, new Map(rows.map(({row, own}) => [row.guid ?? '', own.map(({uid}) => uid)])))
      : null;
    const textOf = (guid: string, uid: number): string => digests?.get(guid, uid)?.toString('hex') ?? '';
    const detailed = rows.find(({row}) => row.mailbox === folder);
    return {
      folders: rows.map(({row, own}) => ({
        ...folderManifest(row, own.length, digestOf(own)),
        texts:
          digests?.digest(
            row.guid ?? '',
            own.map(({uid}) => uid),
          ) ?? null,
        acl: acls.get(row.mailbox ?? '') ?? [],
      })),
      subscriptions: subscribed,
      sieve,
      lines: folder === null ? null : (detailed?.own ?? []).map(({uid, line}) => `${line} ${textOf(detailed?.row.guid ?? '', uid)}`.trim()),
    };
  }

  /**
   * Folders and their messages, which are asked for side by side: what a delivery of before the hold stores in between makes them differ once.
   * @throws MailherdError COMMAND_FAILED when they go on doing so.
   */
  async #folders(user: string, options: readonly string[]): Promise<{row: Record<string, string>; own: MessageLine[]}[]> {
    for (let tries = 1; ; tries++) {
      const [status, messages] = await Promise.all([
        this.#server.rows(user, ['mailbox status', STATUS.slice(1).join(' '), '*'], STATUS, options),
        this.#server.eachRow(user, ['fetch', MESSAGE.join(' '), 'ALL'], MESSAGE, options),
      ]);
      const lines = linesByFolder(messages);
      const rows = status.map(row => ({row, own: lines.get(row.mailbox ?? '') ?? []}));
      const odd = rows.find(({row, own}) => own.length !== Number(row.messages));
      if (odd === undefined) return rows;
      const reason = `${odd.row.messages} messages by status, ${odd.own.length} fetched`;
      if (tries === TRIES) throw new MailherdError('COMMAND_FAILED', {user, folder: odd.row.mailbox, reason});
    }
  }

  /** @throws MailherdError COMMAND_FAILED. */
  async folders(user: string): Promise<FolderState[]> {
    const all = await this.#acls.unrestricted(user);
    const rows = await this.#server.rows(user, ['mailbox status', STATE.slice(1).join(' '), '*'], STATE, all);
    return rows.map(({mailbox = '', messages, uidnext, highestmodseq}) => {
      return {name: mailbox, messages: Number(messages), uidNext: Number(uidnext), highestModseq: Number(highestmodseq)};
    });
  }

  /**
   * Reads what is not known yet of the texts. @param signal breaks it off; what reads them ahead has a signal of its own.
   * @returns how many messages there are. @throws MailherdError COMMAND_FAILED.
   */
  async readTexts(user: string, signal: AbortSignal | null = null): Promise<number> {
    const ahead = this.#ahead.get(user);
    this.#ahead.delete(user);
    await unlessEnded(user, ahead, signal);
    return this.#readUnread(user, signal);
  }

  /** The same, before anybody needs them. Never rejects: a failure is told to whoever reads them next, that it was broken off is not. */
  async readAhead(user: string, signal: AbortSignal | null = null): Promise<void> {
    if (isEnded(signal)) return;
    const reading = this.#texts.of(user).isEmpty ? this.#readAll(user, signal) : this.#readUnread(user, signal);
    this.#ahead.set(user, reading);
    await reading.catch(ignoreEnd);
    if (isEnded(signal) && this.#ahead.get(user) === reading) this.#ahead.delete(user);
  }

  /** Of a mailbox of which nothing is known: what there is need not be asked for first. */
  async #readAll(user: string, signal: AbortSignal | null): Promise<void> {
    const digests = this.#texts.of(user);
    digests.isBroken = true;
    const folders = await fetchTexts(user, await this.#acls.unrestricted(user), ['ALL'], digests, signal);
    digests.isBroken = false;
    for (const {guid, uids} of folders) digests.readThrough(guid, uids.at(-1) ?? 0);
  }

  async #readUnread(user: string, signal: AbortSignal | null): Promise<number> {
    const all = await this.#acls.unrestricted(user);
    const folders = await this.#server.rows(user, ['mailbox status', COUNTS.slice(1).join(' '), '*'], COUNTS, all);
    await this.#acls.read(
      user,
      folders.map(({mailbox = ''}) => mailbox),
    );
    const digests = this.#texts.of(user);
    const nextUids = new Map(folders.map(({guid = '', uidnext}) => [guid, Number(uidnext)]));
    const query = digests.isBroken ? digests.query(await this.#uids(user, all)) : digests.queryBelow(nextUids);
    digests.isBroken = true;
    await this.#fetch(user, query, digests, signal);
    digests.isBroken = false;
    for (const [guid, next] of nextUids) digests.readThrough(guid, next - 1);
    await this.#server.prepare('user', AT_ONCE);
    return folders.reduce((sum, {messages}) => sum + Number(messages), 0);
  }

  /** Of all messages, ascending, by folder GUID. */
  async #uids(user: string, options: readonly string[]): Promise<ReadonlyMap<string, readonly number[]>> {
    const messages = await this.#server.eachRow(user, ['fetch', 'mailbox-guid uid', 'ALL'], ['mailbox-guid', 'uid'], options);
    const uids = new Map<string, number[]>();
    for (const {'mailbox-guid': guid = '', uid} of messages) addTo(uids, guid, Number(uid));
    for (const own of uids.values()) own.sort((a, b) => a - b);
    return uids;
  }

  forget(user: string): void {
    this.#acls.forget(user);
    this.#texts.forget(user);
    this.#ahead.delete(user);
  }

  async #subscribed(user: string, options: readonly string[]): Promise<string[]> {
    const names = options.length === 0 ? await this.#server.values(user, ['mailbox list', '-s']) : null;
    // Without `-f tab`, which leaves a tab in a name as it is.
    return names ?? (await must([...options, 'mailbox', 'list', '-u', user, '-s'])).split('\n').filter(name => name !== '');
  }

  async #readUnknown(user: string, uids: ReadonlyMap<string, readonly number[]>): Promise<BodyDigests> {
    const digests = this.#texts.of(user);
    await this.#fetch(user, digests.query(uids), digests);
    return digests;
  }

  async #fetch(user: string, query: readonly string[] | null, digests: BodyDigests, signal: AbortSignal | null = null): Promise<void> {
    if (query !== null) await fetchTexts(user, await this.#acls.unrestricted(user), query, digests, signal);
  }
}

/** Fields of a text, in the order in which `readTexts` reads them. */
const TEXT = 'mailbox-guid uid size.physical text';

/**
 * What it has read when something is odd, Dovecot complains or it is broken off is remembered all the same.
 * @param signal has the program killed; it is gone when this settles.
 * @returns the folders of these messages, whose UIDs ascend. @throws MailherdError MESSAGE_UNREADABLE, COMMAND_FAILED.
 */
async function fetchTexts(
  user: string,
  options: readonly string[],
  query: readonly string[],
  digests: BodyDigests,
  signal: AbortSignal | null,
): Promise<readonly {guid: string; uids: Uint32Array}[]> {
  if (isEnded(signal)) throw endedReading(user);
  const {reading, writing} = openPipe();
  const texts = readTexts(reading);
  const {child, ended} = startInto(writing, ['doveadm', ...options, '-f', 'pager', 'fetch', '-u', user, TEXT, ...query]);
  child.stdin?.end();
  const kill = (): boolean => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill);
  // To its end, whatever came: what Dovecot then says tells which message cannot be read, and why.
  const [{folders, odd, uid}, {exit, err}] = await Promise.all([texts, ended]).finally(() => signal?.removeEventListener('abort', kill));
  for (const {guid, uids, sums} of folders) for (const [at, each] of uids.entries()) digests.put(guid, each, sums, at * TEXT_SUM_BYTES);
  const unread = unreadMessage(err);
  if (unread !== null) throw new MailherdError('MESSAGE_UNREADABLE', {user, ...unread});
  const reason = exit !== 0 || err !== '' ? lastLines(err) : odd;
  if (exit !== 0 || reason !== '')
    throw new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', user, exit, reason, uid: reason === odd ? uid : null});
  return folders;
}

/** A program that writes into a pipe, whose end here is closed: it comes to its end when the program does. */
function startInto(writing: number, command: readonly string[]): ReturnType<typeof start> {
  try {
    return start(command, null, {stdout: writing});
  } finally {
    closeSync(writing);
  }
}

const isEnded = (signal: AbortSignal | null): boolean => signal?.aborted === true;

function endedReading(user: string): MailherdError {
  return new MailherdError('COMMAND_FAILED', {command: 'doveadm fetch', user, reason: 'ended'});
}

/** @throws MailherdError COMMAND_FAILED as soon as the signal comes. */
async function unlessEnded(user: string, work: Promise<unknown> | undefined, signal: AbortSignal | null): Promise<void> {
  const over = new AbortController();
  const end = new Promise<never>((_, reject) => {
    if (isEnded(signal)) reject(endedReading(user));
    signal?.addEventListener('abort', () => reject(endedReading(user)), {signal: over.signal});
  });
  await Promise.race([work, end]).finally(() => over.abort());
}

/** Whoever reads next is told. */
const ignoreEnd = (): void => undefined;

/** SHA-256 of the lines, with a line end between any two. */
function digestOf(messages: readonly MessageLine[]): string {
  const hash = createHash('sha256');
  for (const [index, {line}] of messages.entries()) hash.update(index === 0 ? line : `\n${line}`);
  return hash.digest('hex');
}
