import {existsSync} from 'node:fs';
import {lstat, readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import {type PackedFiles, TEXT_SUM_BYTES} from '../../native/mailbox.ts';
import type {SeedFolder} from '../../wire/seed.ts';
import type {BodyDigests} from './bodies.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import {ListReader} from './plain-file.io.ts';
import {ifGone, type SeedArchive, type SeedParcel} from './seed-archive.io.ts';
import {type FolderNames, FolderSeed, type SeedMessage} from './seed-maildir.ts';

/** Files that are renamed while they are being sent go in another round. */
const ROUNDS_MAX = 8;
/**
 * A maildir: the messages that have their UIDs, with flags and dates in names and times, and no index, cache or log: Dovecot makes them
 * anew there, whatever its release.
 */
export class MaildirParcel implements SeedParcel {
  readonly #inbox: string;
  readonly #folders: readonly FolderSeed[];
  readonly #texts: BodyDigests | null;
  /** Whose the files are that are being sent. */
  #asked: {folder: FolderSeed; message: SeedMessage; path: string}[] = [];
  readonly areTexts: boolean;

  /**
   * @param inbox directory of the INBOX; its real path. @param texts learns what files say; null where they are not just texts.
   * @returns null when its INBOX cannot go. @throws MailherdError SEED_UNFIT, COMMAND_FAILED
   */
  static async of(user: string, inbox: string, server: DoveadmServer, texts: BodyDigests | null): Promise<MaildirParcel | null> {
    const folders = (await hasOwnMessages(inbox)) ? await readFolders(user, inbox, server) : [];
    // Dovecot makes an INBOX of its own where it finds the other folders, and dsync cannot delete that.
    return folders[0]?.directory === '' ? new MaildirParcel(inbox, folders, texts) : null;
  }

  private constructor(inbox: string, folders: readonly FolderSeed[], texts: BodyDigests | null) {
    this.#inbox = inbox;
    this.#folders = folders;
    this.#texts = texts;
    this.areTexts = texts !== null;
  }

  sent({files, sizes, sums}: PackedFiles): void {
    for (const [at, place] of files.entries()) {
      const asked = this.#asked[place];
      if (asked === undefined || !asked.folder.sent(asked.message, sizes[at] ?? 0) || sums.length === 0) continue;
      this.#texts?.put(asked.folder.guid, asked.message.uid, sums, at * TEXT_SUM_BYTES);
    }
  }

  async send(archive: SeedArchive): Promise<{folders: SeedFolder[]; gone: string[]}> {
    const folders = this.#folders;
    for (const folder of folders) {
      for (const part of ['cur', 'new', 'tmp']) await archive.passMember(folder.path(part), null, 0);
    }
    for (let rounds = 0; ; rounds++) {
      const names = await Promise.all(folders.map(folder => namesOf(join(this.#inbox, folder.directory))));
      this.#asked = folders.flatMap((folder, at) =>
        folder.missing(names[at] ?? {cur: [], new: []}).map(([message, path]) => ({folder, message, path})),
      );
      if (this.#asked.length === 0) break;
      if (rounds === ROUNDS_MAX)
        throw new MailherdError('COPY_FAILED', {reason: 'files are renamed faster than they can be sent', left: this.#asked.length});
      // Without keywords, which are left to dsync. Dovecot would find those in the names by itself and log them as its own change; where a
      // pass then takes one away, that is logged as dsync's, which the dsync of a later move leaves out (dsync-transaction-log-scan.c): it
      // would give the keyword back, and that move could not be verified for as long as the log lasts.
      const paths = this.#asked.map(({path}) => path);
      await archive.passFiles(this.#inbox, paths, true);
    }
    for (const folder of folders) {
      await sendBesides(folder, archive);
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
  const lists = new ListReader(inbox);
  const folders: FolderSeed[] = [];
  for (const directory of ['', ...below.map(({name}) => name)]) {
    const list = join(directory, 'dovecot-uidlist');
    if (!(await hasOwnMessages(join(inbox, directory))) || !existsSync(join(inbox, list))) continue;
    const folder = FolderSeed.of(directory, (await lists.read(list)).toString('utf8'), nextUids);
    if (folder !== null) folders.push(folder);
  }
  return folders;
}

/** Not behind links, by which others' files may be meant: nothing that lies there is listed or sent. */
async function hasOwnMessages(directory: string): Promise<boolean> {
  const [cur, unseen] = await Promise.all(['cur', 'new'].map(part => lstat(join(directory, part)).catch(ifGone)));
  return cur?.isDirectory() === true && unseen?.isDirectory() !== false;
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
async function sendBesides(folder: FolderSeed, archive: SeedArchive): Promise<void> {
  const now = Math.floor(systemClock.now() / SECOND_MS);
  if (folder.directory !== '') await archive.passMember(folder.path('maildirfolder'), '', now);
  await archive.passMember(folder.path('dovecot-uidlist'), folder.uidlist(), now);
}
