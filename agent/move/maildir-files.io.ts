import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {MailherdError} from '../../base/errors.ts';
import {FilePacker, type PackedFiles, TEXT_SUM_BYTES} from '../../native/mailbox.ts';
import type {BodyDigests} from './bodies.io.ts';
import {type FolderNames, FolderSeed, type SeedMessage} from './seed-maildir.ts';

/** Files that are renamed while they are being read are looked for in another round. */
const ROUNDS_MAX = 8;

/** A message's file. */
export interface MaildirFile {
  folder: FolderSeed;
  message: SeedMessage;
  /** Below the maildir. */
  path: string;
}

/**
 * The folders whose messages can be told by their files. @param inbox directory of the INBOX.
 * @param nextUids by folder GUID, asked before: that gives every message its UID and every folder its GUID.
 */
export async function readFolders(inbox: string, nextUids: ReadonlyMap<string, number>): Promise<FolderSeed[]> {
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

/** @param take takes files, and notes those that were there (`noteFiles`). @throws MailherdError COPY_FAILED when they are renamed faster than that. */
export async function untilNoneIsMissing(
  inbox: string,
  folders: readonly FolderSeed[],
  take: (asked: readonly MaildirFile[]) => Promise<void>,
): Promise<void> {
  for (let rounds = 0; ; rounds++) {
    const names = await Promise.all(folders.map(folder => namesOf(join(inbox, folder.directory))));
    const asked = folders.flatMap((folder, at) =>
      folder.missing(names[at] ?? {cur: [], new: []}).map(([message, path]) => ({folder, message, path})),
    );
    if (asked.length === 0) return;
    if (rounds === ROUNDS_MAX)
      throw new MailherdError('COPY_FAILED', {reason: 'files are renamed faster than they can be read', left: asked.length});
    await take(asked);
  }
}

async function namesOf(directory: string): Promise<FolderNames> {
  const [cur, unseen] = await Promise.all([
    readdir(join(directory, 'cur')),
    existsSync(join(directory, 'new')) ? readdir(join(directory, 'new')) : [],
  ]);
  return {cur, new: unseen};
}

/** @param asked of which `files` are places. @param texts learns what files say that are as long as their names say; null: nobody does. */
export function noteFiles(asked: readonly MaildirFile[], {files, sizes, sums}: PackedFiles, texts: BodyDigests | null): void {
  for (const [at, place] of files.entries()) {
    const file = asked[place];
    if (file === undefined || !file.folder.take(file.message, sizes[at] ?? 0) || sums.length === 0) continue;
    texts?.put(file.folder.guid, file.message.uid, sums, at * TEXT_SUM_BYTES);
  }
}

/**
 * Learns the texts of a maildir from its files, where these are just texts. The last message of each folder, and whatever its file does not tell, is left
 * for Dovecot to read: whether it can is told by one as well as by all.
 * @param inbox directory of the INBOX. @param nextUids by folder GUID.
 * @throws MailherdError COPY_FAILED, NATIVE_FAILED, or the system's error: Dovecot has the word on what is wrong.
 */
export async function readFileTexts(inbox: string, nextUids: ReadonlyMap<string, number>, texts: BodyDigests): Promise<void> {
  const folders = await readFolders(inbox, nextUids);
  await untilNoneIsMissing(inbox, folders, async asked => {
    const packer = new FilePacker(
      inbox,
      asked.map(({path}) => path),
      {hasSums: true, dropsKeywords: false},
    );
    for (let isLast = false; !isLast; ) {
      const packed = await packer.next();
      noteFiles(asked, packed, texts);
      isLast = packed.isLast;
    }
  });
  for (const folder of folders) texts.readThrough(folder.guid, folder.readThrough() - 1);
}
