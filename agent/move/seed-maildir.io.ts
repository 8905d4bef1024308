import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {PackedFiles} from '../../native/mailbox.ts';
import type {SeedFolder} from '../../wire/seed.ts';
import type {BodyDigests} from './bodies.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import {type MaildirFile, noteFiles, readFolders, untilNoneIsMissing} from './maildir-files.io.ts';
import type {SeedArchive, SeedParcel} from './seed-archive.io.ts';
import type {FolderSeed} from './seed-maildir.ts';

/**
 * A maildir: the messages that have their UIDs, with flags and dates in names and times, and no index, cache or log: Dovecot makes them
 * anew there, whatever its release.
 */
export class MaildirParcel implements SeedParcel {
  readonly #inbox: string;
  readonly #folders: readonly FolderSeed[];
  readonly #texts: BodyDigests | null;
  /** That are being sent. */
  #asked: readonly MaildirFile[] = [];
  readonly areTexts: boolean;

  /** @param inbox directory of the INBOX. @param texts learns what files say; null where they are not just texts. @returns null when no folder can go. @throws MailherdError COMMAND_FAILED */
  static async of(user: string, inbox: string, server: DoveadmServer, texts: BodyDigests | null): Promise<MaildirParcel | null> {
    if (!existsSync(join(inbox, 'cur'))) return null;
    const folders = await readFolders(inbox, await readNextUids(user, server));
    return folders.length === 0 ? null : new MaildirParcel(inbox, folders, texts);
  }

  private constructor(inbox: string, folders: readonly FolderSeed[], texts: BodyDigests | null) {
    this.#inbox = inbox;
    this.#folders = folders;
    this.#texts = texts;
    this.areTexts = texts !== null;
  }

  sent(packed: PackedFiles): void {
    noteFiles(this.#asked, packed, this.#texts);
  }

  async send(archive: SeedArchive): Promise<{folders: SeedFolder[]; gone: string[]}> {
    const folders = this.#folders;
    for (const folder of folders) {
      for (const part of ['cur', 'new', 'tmp']) await archive.passMember(folder.path(part), null, 0);
    }
    await untilNoneIsMissing(this.#inbox, folders, asked => {
      this.#asked = asked;
      // Without keywords, which are left to dsync. Dovecot would find those in the names by itself and log them as its own change; where a
      // pass then takes one away, that is logged as dsync's, which the dsync of a later move leaves out (dsync-transaction-log-scan.c): it
      // would give the keyword back, and that move could not be verified for as long as the log lasts.
      return archive.passFiles(
        this.#inbox,
        asked.map(({path}) => path),
        true,
      );
    });
    for (const folder of folders) {
      await sendBesides(folder, archive);
      // What is not among them by now was expunged.
      this.#texts?.readThrough(folder.guid, folder.readThrough());
    }
    return {folders: folders.map(folder => folder.summary()), gone: []};
  }
}

async function readNextUids(user: string, server: DoveadmServer): Promise<ReadonlyMap<string, number>> {
  const rows = await server.rows(user, ['mailbox status', 'messages uidnext guid', '*'], ['mailbox', 'messages', 'uidnext', 'guid']);
  return new Map(rows.map(({guid = '', uidnext}) => [guid, Number(uidnext)]));
}

/** What stands beside the messages of a folder; read after them, since their names refer to it. */
async function sendBesides(folder: FolderSeed, archive: SeedArchive): Promise<void> {
  const now = Math.floor(systemClock.now() / SECOND_MS);
  if (folder.directory !== '') await archive.passMember(folder.path('maildirfolder'), '', now);
  await archive.passMember(folder.path('dovecot-uidlist'), folder.uidlist(), now);
}
