import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {SeedFolder} from '../../wire/seed.ts';
import type {BodyDigests} from './bodies.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import type {SeedArchive, SeedParcel} from './seed-archive.io.ts';
import {type FolderNames, FolderSeed} from './seed-maildir.ts';
import {tarMember} from './seed-tar.ts';

/**
 * Keywords (the small letters) are left to dsync. Dovecot would find those in the names by itself and log them as its own change; where a
 * pass then takes one away, that is logged as dsync's, which the dsync of a later move leaves out (dsync-transaction-log-scan.c): it would
 * give the keyword back, and that move could not be verified for as long as the log lasts.
 */
const WITHOUT_KEYWORDS = String.raw`s/\(:2,[A-Z]*\)[a-z]*$/\1/`;
/** Files that are renamed while they are being sent go in another round. */
const ROUNDS_MAX = 8;
/**
 * A maildir: the messages that have their UIDs, with flags and dates in names and times, and no index, cache or log: Dovecot makes them
 * anew there, whatever its release.
 */
export class MaildirParcel implements SeedParcel {
  readonly #inbox: string;
  readonly #folders: ReadonlyMap<string, FolderSeed>;
  readonly #texts: BodyDigests | null;
  readonly read: SeedParcel['read'];

  /** @param inbox directory of the INBOX. @param texts learns what files say; null where they are not just texts. @returns null when no folder can go. @throws MailherdError COMMAND_FAILED */
  static async of(user: string, inbox: string, server: DoveadmServer, texts: BodyDigests | null): Promise<MaildirParcel | null> {
    const folders = existsSync(join(inbox, 'cur')) ? await readFolders(user, inbox, server) : [];
    return folders.length === 0 ? null : new MaildirParcel(inbox, folders, texts);
  }

  private constructor(inbox: string, folders: readonly FolderSeed[], texts: BodyDigests | null) {
    this.#inbox = inbox;
    this.#folders = new Map(folders.map(folder => [folder.directory, folder]));
    this.#texts = texts;
    this.read = texts === null ? null : (name, digest, bytes) => this.#read(texts, name, digest, bytes);
  }

  sent(name: string): void {
    const [folder, message] = this.#find(name);
    folder?.sent(message);
  }

  #read(texts: BodyDigests, name: string, digest: Buffer, bytes: Bytes): void {
    const [folder, message] = this.#find(name);
    const uid = folder?.read(message, bytes) ?? null;
    if (folder !== null && uid !== null) texts.put(folder.guid, uid, digest);
  }

  /** @returns no folder for what is no message. */
  #find(name: string): [folder: FolderSeed | null, message: string] {
    const [message = '', part, directory = ''] = name.split('/').reverse();
    return [part === 'cur' || part === 'new' ? (this.#folders.get(directory) ?? null) : null, message];
  }

  async send(archive: SeedArchive): Promise<{folders: SeedFolder[]; gone: string[]}> {
    const folders = [...this.#folders.values()];
    for (const folder of folders) {
      for (const part of ['cur', 'new', 'tmp']) await archive.pass(tarMember(folder.path(part), null, 0));
    }
    for (let rounds = 0; ; rounds++) {
      const names = folders.map(async folder => folder.missing(await namesOf(join(this.#inbox, folder.directory))));
      const missing = (await Promise.all(names)).flat();
      if (missing.length === 0) break;
      if (rounds === ROUNDS_MAX)
        throw new MailherdError('COPY_FAILED', {reason: 'files are renamed faster than they can be sent', left: missing.length});
      await archive.passFiles(this.#inbox, missing, [`--transform=${WITHOUT_KEYWORDS}`]);
    }
    for (const folder of folders) {
      await sendBesides(folder, bytes => archive.pass(bytes));
      // What is not among them by now was expunged.
      this.#texts?.readThrough(folder.guid, folder.readThrough());
    }
    return {folders: folders.map(folder => folder.summary()), gone: []};
  }
}

/** The folders that can go. */
async function readFolders(user: string, inbox: string, server: DoveadmServer): Promise<FolderSeed[]> {
  const nextUids = await readNextUids(user, server);
  const below = (await readdir(inbox, {withFileTypes: true})).filter(entry => entry.isDirectory() && entry.name.startsWith('.'));
  const folders: FolderSeed[] = [];
  for (const directory of ['', ...below.map(({name}) => name)]) {
    const path = join(inbox, directory);
    const list = join(path, 'dovecot-uidlist');
    if (!existsSync(join(path, 'cur')) || !existsSync(list)) continue;
    const folder = FolderSeed.of(directory, await readFile(list, 'utf8'), nextUids);
    if (folder !== null) folders.push(folder);
  }
  return folders;
}

/** By folder GUID; asking for it gives every message its UID and every folder its GUID. */
async function readNextUids(user: string, server: DoveadmServer): Promise<ReadonlyMap<string, number>> {
  const rows = await server.rows(user, ['mailbox status', 'messages uidnext guid', '*'], ['mailbox', 'messages', 'uidnext', 'guid']);
  return new Map(rows.map(({guid = '', uidnext}) => [guid, Number(uidnext)]));
}

async function namesOf(directory: string): Promise<FolderNames> {
  const [cur, unseen] = await Promise.all([
    readdir(join(directory, 'cur')),
    existsSync(join(directory, 'new')) ? readdir(join(directory, 'new')) : [],
  ]);
  return {cur, new: unseen};
}

/** What stands beside the messages of a folder; read after them, since their names refer to it. */
async function sendBesides(folder: FolderSeed, pass: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const now = Math.floor(systemClock.now() / SECOND_MS);
  if (folder.directory !== '') await pass(tarMember(folder.path('maildirfolder'), '', now));
  await pass(tarMember(folder.path('dovecot-uidlist'), folder.uidlist(), now));
}
