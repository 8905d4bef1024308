import {existsSync} from 'node:fs';
import {readdir, readFile, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {PackedFiles} from '../../native/mailbox.ts';
import type {Feature} from '../../wire/command.ts';
import {SEED_GONE_MAX, type SeedFolder} from '../../wire/seed.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import {ListReader} from './plain-file.io.ts';
import {ifGone, type SeedArchive, type SeedParcel} from './seed-archive.io.ts';
import {type FileVersion, fitsArchive, unsent} from './seed-dbox.ts';
import {uidsIn} from './seed-index.ts';
import type {MailPlace} from './seed-place.io.ts';
import {listSieve} from './sieve.io.ts';

/** Copies of indexes that do not fit, and files that vanish while they are sent, are tried again so often, after so long. */
const ROUNDS_MAX = 20;
const ROUND_MS = 50;
const FOLDERS = 'mailboxes';
const MAP = 'storage/dovecot.map.index';

interface IndexCopy {
  /** Path below the root, without `.log`. */
  path: string;
  /** null: there is only the log yet. */
  index: Uint8Array | null;
  log: Uint8Array;
  uids: ReadonlySet<number>;
}

/** All indexes as they were at one moment. */
interface Indexes {
  directories: readonly string[];
  copies: readonly IndexCopy[];
  /** The messages then, which are all that they name and no others. */
  messages: ReadonlyMap<string, FileVersion>;
}

/**
 * A mailbox as sdbox (a file `u.<uid>` a message) or mdbox (many messages in a file `storage/m.<n>`, found by way of a map). UIDs and flags
 * are in indexes, which therefore go too, but no caches. No lock is taken: messages go first; then copies of all indexes are made, of
 * which it can be told that nothing was written meanwhile; then the messages that these name and that have not gone yet, and files that have
 * grown, up to the length that they had then.
 */
export class DboxParcel implements SeedParcel {
  readonly areTexts = false;
  readonly #user: string;
  readonly #root: string;
  readonly #server: DoveadmServer;
  readonly #isMulti: boolean;
  /** What shows doveadm folders that are hidden from their owner. */
  readonly #hidden: readonly string[];
  readonly #made = new Set<string>();
  readonly #asked = new Map<string, FileVersion & {begunMs: number}>();
  #paths: readonly string[] = [];
  readonly #sent = new Map<string, FileVersion & {begunMs: number}>();

  /**
   * @returns null when it lies in more places than one, a folder's name is too long for an archive, or when its logs may tell of attributes (Sieve scripts, METADATA), which are no files
   * of it: by such a log dsync takes them for there already, and leaves them out. @throws MailherdError COMMAND_FAILED
   */
  static async of(
    user: string,
    {inbox, root, format}: MailPlace,
    server: DoveadmServer,
    offered: readonly Feature[],
  ): Promise<DboxParcel | null> {
    const isHere = existsSync(join(inbox, 'dovecot.index.log')) && (format === 'sdbox' || existsSync(join(root, `${MAP}.log`)));
    if (!isHere || offered.includes('metadata')) return null;
    const elsewhere = await server.value(user, ['mailbox path', '-t', 'alt-mailbox', 'INBOX']);
    const scripts = await listSieve(server, user);
    if (elsewhere !== '' || scripts.length > 0) return null;
    const parcel = new DboxParcel(user, root, server, format === 'mdbox', offered.includes('acl'));
    return (await parcel.#directories()).every(fitsArchive) ? parcel : null;
  }

  private constructor(user: string, root: string, server: DoveadmServer, isMulti: boolean, hasAcls: boolean) {
    this.#user = user;
    this.#root = root;
    this.#server = server;
    this.#isMulti = isMulti;
    this.#hidden = hasAcls ? ['-o', 'plugin/acl=', '-o', 'acl_driver='] : [];
  }

  sent({files}: PackedFiles): void {
    for (const place of files) this.#note(this.#paths[place] ?? '');
  }

  #note(path: string): void {
    const asked = this.#asked.get(path);
    if (asked !== undefined) this.#sent.set(path, asked);
  }

  async send(archive: SeedArchive): Promise<{folders: SeedFolder[]; gone: string[]}> {
    const directories = await this.#directories();
    await this.#passDirectories(archive, directories);
    await this.#passAll(archive, await this.#messages(directories));
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const indexes = await this.#readIndexes();
      const gone = indexes === null ? null : await this.#complete(archive, indexes);
      const folders = indexes === null || gone === null ? null : await this.#summary(indexes);
      if (indexes !== null && gone !== null && folders !== null) {
        await this.#passIndexes(archive, indexes);
        return {folders, gone};
      }
      await systemClock.sleep(ROUND_MS);
    }
    throw new MailherdError('COPY_FAILED', {reason: 'the mailbox changes faster than its indexes can be copied', rounds: ROUNDS_MAX});
  }

  /** Directories of folders with messages, below the root. */
  async #directories(below = FOLDERS): Promise<string[]> {
    const entries = await readdir(join(this.#root, below), {withFileTypes: true});
    const found = entries.filter(entry => entry.isDirectory()).map(({name}) => `${below}/${name}`);
    const deeper = found.filter(path => !path.endsWith('/dbox-Mails')).map(path => this.#directories(path));
    return [...found.filter(path => existsSync(join(this.#root, path, 'dovecot.index.log'))), ...(await Promise.all(deeper)).flat()];
  }

  /** Message files by their paths. Those of sdbox never change. */
  async #messages(directories: readonly string[]): Promise<Map<string, FileVersion>> {
    const found = new Map<string, FileVersion>();
    for (const directory of this.#isMulti ? ['storage'] : directories) {
      for (const name of await readdir(join(this.#root, directory))) {
        if (!/^[mu]\.\d+$/.test(name)) continue;
        const path = `${directory}/${name}`;
        const version = this.#isMulti ? await this.#version(path) : NEVER_WRITTEN_TO;
        if (version !== null) found.set(path, version);
      }
    }
    return found;
  }

  /** @returns null when it is gone. */
  async #version(path: string): Promise<FileVersion | null> {
    const found = await stat(join(this.#root, path)).catch(ifGone);
    if (found === null) return null;
    const {ino, size, mtimeMs, ctimeMs} = found;
    return {version: [ino, size, mtimeMs, ctimeMs].join(' '), bytes: size, mtimeMs};
  }

  #ask(messages: ReadonlyMap<string, FileVersion>): void {
    const begunMs = systemClock.now();
    this.#asked.clear();
    for (const [path, version] of messages) this.#asked.set(path, {...version, begunMs});
    this.#paths = [...messages.keys()];
  }

  /** @returns false when some of them were gone. */
  async #passAll(archive: SeedArchive, messages: ReadonlyMap<string, FileVersion>): Promise<boolean> {
    this.#ask(messages);
    const before = archive.files;
    if (messages.size > 0) await archive.passFiles(this.#root, this.#paths);
    return archive.files === before + messages.size;
  }

  /** @returns false when one of them was gone. */
  async #passBeginnings(archive: SeedArchive, messages: ReadonlyMap<string, FileVersion>): Promise<boolean> {
    this.#ask(messages);
    for (const [path, {bytes, mtimeMs}] of messages) {
      if (!(await archive.passBeginning(this.#root, path, bytes, Math.floor(mtimeMs / SECOND_MS)))) return false;
      this.#note(path);
    }
    return true;
  }

  /** @returns null when something was written meanwhile, or ends in the middle of a change. */
  async #readIndexes(): Promise<Indexes | null> {
    const directories = await this.#directories();
    const paths = [...directories.map(directory => `${directory}/dovecot.index`), ...(this.#isMulti ? [MAP] : [])];
    const before = await this.#versions(paths);
    const stored = this.#isMulti ? await this.#messages([]) : null;
    if (stored !== null && (await isLocked(this.#root, [`${MAP}.log`, ...stored.keys()]))) return null;
    const lists = new ListReader(this.#root);
    const copies: IndexCopy[] = [];
    for (const path of paths) {
      const [index, log] = await Promise.all([lists.read(path).catch(ifGone), lists.read(`${path}.log`).catch(ifGone)]);
      const uids = log === null ? null : uidsIn(index, log);
      if (log === null || uids === null) return null;
      copies.push({path, index, log, uids});
    }
    if ((await this.#versions(paths)) !== before) return null;
    const named = directories.flatMap((path, at) =>
      [...(copies[at]?.uids ?? [])].map(uid => [`${path}/u.${uid}`, NEVER_WRITTEN_TO] as const),
    );
    return {directories, copies, messages: stored ?? new Map(named)};
  }

  async #versions(indexes: readonly string[]): Promise<string> {
    const versions = await Promise.all(indexes.flatMap(path => [this.#version(path), this.#version(`${path}.log`)]));
    return versions.map(found => found?.version).join('\n');
  }

  /** Sends what these indexes name and has not gone yet. @returns what has, and they do not name; null when some of it is gone by now. */
  async #complete(archive: SeedArchive, {messages}: Indexes): Promise<string[] | null> {
    const missing = new Map(unsent(messages, this.#sent).map(path => [path, messages.get(path) ?? NEVER_WRITTEN_TO]));
    if (!(await (this.#isMulti ? this.#passBeginnings(archive, missing) : this.#passAll(archive, missing)))) return null;
    const gone = [...this.#sent.keys()].filter(path => !messages.has(path));
    if (gone.length > SEED_GONE_MAX) throw new MailherdError('COPY_FAILED', {reason: 'too much was removed meanwhile', files: gone.length});
    return gone;
  }

  /** @returns null when folders have come or gone: the map has their messages too. */
  async #summary({directories, copies}: Indexes): Promise<SeedFolder[] | null> {
    const columns = ['mailbox', 'uidvalidity', 'guid'];
    const rows = await this.#server.rows(this.#user, ['mailbox status', 'uidvalidity guid', '*'], columns, this.#hidden);
    if ([...(await this.#directories())].sort().join() !== [...directories].sort().join()) return null;
    const folders: SeedFolder[] = [];
    for (const copy of copies.filter(({path}) => path !== MAP)) {
      // It stands in no other folder's index.
      const row = rows.find(({guid = ''}) =>
        [copy.index, copy.log].some(part => part !== null && Buffer.from(part).includes(guid, 0, 'hex')),
      );
      if (row?.guid === undefined || row.guid === '') return null;
      folders.push({guid: row.guid, uidValidity: Number(row.uidvalidity), messages: copy.uids.size});
    }
    return folders;
  }

  /** With whatever lies above them, so that nobody but their owner may read them. */
  async #passDirectories(archive: SeedArchive, directories: readonly string[]): Promise<void> {
    const all = new Set(this.#isMulti ? ['storage'] : []);
    for (const directory of directories) {
      const parts = directory.split('/');
      for (let depth = 1; depth <= parts.length; depth++) all.add(parts.slice(0, depth).join('/'));
    }
    for (const path of all) {
      if (!this.#made.has(path)) await archive.passMember(path, null, 0);
      this.#made.add(path);
    }
  }

  async #passIndexes(archive: SeedArchive, {directories, copies}: Indexes): Promise<void> {
    await this.#passDirectories(archive, directories);
    const seconds = Math.floor(systemClock.now() / SECOND_MS);
    for (const {path, index, log} of copies) {
      if (index !== null) await archive.passMember(path, index, seconds);
      await archive.passMember(`${path}.log`, log, seconds);
    }
  }
}

const NEVER_WRITTEN_TO: FileVersion = {version: '', bytes: 0, mtimeMs: Number.NEGATIVE_INFINITY};

/**
 * Whoever saves or purges has the file of the message locked, and the map from its first change to the last one of the folder: while
 * nobody does, files, map and folders agree. Locks are fcntl's or flock's, or a file beside, by Dovecot's `lock_method`.
 */
async function isLocked(root: string, paths: readonly string[]): Promise<boolean> {
  const found = await Promise.all(paths.map(path => stat(join(root, path)).catch(() => null)));
  const inodes = new Set(found.map(each => `${each?.ino}`));
  const locks = (await readFile('/proc/locks', 'utf8')).matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g);
  return [...locks].some(([, inode = '']) => inodes.has(inode)) || paths.some(path => existsSync(join(root, `${path}.lock`)));
}
