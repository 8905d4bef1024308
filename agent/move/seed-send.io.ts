import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {connect} from 'node:net';
import {join} from 'node:path';
import {systemClock} from '../../base/clock.io.ts';
import {fromRefusal, MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import {SeedAnswer, type SeedHello, type SeedSummary} from '../../wire/seed.ts';
import {must} from './doveadm-run.io.ts';
import type {SeedOffer, SeedOutcome} from './host-ports.ts';
import {SeedLine, write} from './seed-line.io.ts';
import {type FolderNames, FolderSeed} from './seed-maildir.ts';
import {mailPlace} from './seed-place.io.ts';
import {TarReader, tarEnd, tarMember} from './seed-tar.ts';
import {start} from './tool.io.ts';

const CONNECT_MS = 10 * SECOND_MS;
/** So many messages are left to dsync, which gives them a UID first. */
const UNLISTED_MAX = 50;
/**
 * Keywords (the small letters) are left to dsync. Dovecot would find those in the names by itself and log them as its own change; where a
 * pass then takes one away, that is logged as dsync's, which the dsync of a later move leaves out (dsync-transaction-log-scan.c): it would
 * give the keyword back, and that move could not be verified for as long as the log lasts.
 */
const WITHOUT_KEYWORDS = String.raw`s/\(:2,[A-Z]*\)[a-z]*$/\1/`;
/** Files that are renamed while they are being sent go in another round. */
const ROUNDS_MAX = 8;
/** What tar may say of a file that is gone or renamed; whatever else it says, the archive may be wrong. */
const GONE =
  /: (?:Cannot (?:stat|open): No such file or directory|File removed before we read it|file changed as we read it|Exiting with failure status due to previous errors)$/;

/**
 * Sends a user's maildir to the target's agent: the messages that have their UIDs, with flags and dates in names and times, and
 * no index, cache or log: Dovecot makes them anew there, whatever its release.
 * @returns why it was not sent, where dsync must do it all. @throws MailherdError COPY_FAILED when it broke off.
 */
export async function sendSeed(store: string, user: string, offer: SeedOffer): Promise<SeedOutcome> {
  const {inbox, dialect} = await mailPlace(user, store);
  if (!existsSync(join(inbox, 'cur'))) return {kind: 'unfit', reason: 'not a maildir'};
  const hello: SeedHello = {v: 1, secret: offer.secret, format: 'maildir', ...dialect};
  const socket = await connected(offer);
  try {
    const line = new SeedLine(socket);
    await line.say(`${JSON.stringify(hello)}\n`);
    const folders = await readFolders(user, inbox);
    if (folders.length === 0) return {kind: 'unfit', reason: 'no folder with a dovecot-uidlist that is understood'};
    const {refusal} = await line.hear(SeedAnswer, 'answer to the hello');
    if (refusal?.code === 'SEED_UNFIT') return {kind: 'unfit', reason: String(refusal.detail.reason)};
    if (refusal !== null) throw fromRefusal(refusal);
    const sent = await sendFolders(line, inbox, folders);
    const summary: SeedSummary = {files: sent.files, folders: folders.map(folder => folder.summary())};
    await line.say(`${JSON.stringify(summary)}\n`);
    socket.end();
    const last = await line.hear(SeedAnswer, 'answer to the summary');
    if (last.refusal !== null) throw fromRefusal(last.refusal);
    return {kind: 'seeded', messages: summary.folders.reduce((sum, folder) => sum + folder.messages, 0), bytes: sent.bytes};
  } catch (cause) {
    // The system's own errors: a target that died resets the connection.
    throw cause instanceof MailherdError ? cause : new MailherdError('COPY_FAILED', {user, reason: String(cause)}, {cause});
  } finally {
    // Without the summary the target takes nothing of it.
    socket.destroy();
  }
}

function connected({address, port}: SeedOffer): Promise<ReturnType<typeof connect>> {
  return new Promise((resolve, reject) => {
    const socket = connect({host: address, port, allowHalfOpen: true, noDelay: true});
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new MailherdError('COPY_FAILED', {reason, address, port}));
    };
    socket.setTimeout(CONNECT_MS, () => fail('the target does not answer'));
    socket.once('error', error => fail(error.message));
    socket.once('connect', () => {
      socket.removeAllListeners('timeout');
      resolve(socket);
    });
  });
}

/** The folders that can go, their messages with UIDs. */
async function readFolders(user: string, inbox: string): Promise<FolderSeed[]> {
  const {folders, unlisted} = await openFolders(inbox);
  if (unlisted <= UNLISTED_MAX) return folders;
  // Gives every message its UID and every folder its GUID.
  await must(['mailbox', 'status', '-u', user, 'guid uidnext messages', '*']);
  return (await openFolders(inbox)).folders;
}

/** @returns the folders that can go, and how many messages in any have no UID yet. */
async function openFolders(inbox: string): Promise<{folders: FolderSeed[]; unlisted: number}> {
  const below = (await readdir(inbox, {withFileTypes: true})).filter(entry => entry.isDirectory() && entry.name.startsWith('.'));
  const folders: FolderSeed[] = [];
  let unlisted = 0;
  for (const directory of ['', ...below.map(({name}) => name)]) {
    const path = join(inbox, directory);
    if (!existsSync(join(path, 'cur'))) continue;
    const list = join(path, 'dovecot-uidlist');
    const folder = FolderSeed.of(directory, existsSync(list) ? await readFile(list, 'utf8') : '');
    const names = await namesOf(path);
    unlisted += folder === null ? names.cur.length + names.new.length : folder.unlisted(names);
    if (folder !== null) folders.push(folder);
  }
  return {folders, unlisted};
}

async function sendFolders(line: SeedLine, inbox: string, folders: readonly FolderSeed[]): Promise<{files: number; bytes: number}> {
  const sent = {files: 0, bytes: 0};
  const byDirectory = new Map(folders.map(folder => [folder.directory, folder]));
  const reader = new TarReader(({name, isDirectory, bytes}) => {
    if (isDirectory) return;
    sent.files++;
    sent.bytes += bytes;
    const [message = '', part, directory = ''] = name.split('/').reverse();
    if (part === 'cur' || part === 'new') byDirectory.get(directory)?.sent(message);
  });
  const pass = async (bytes: Uint8Array): Promise<void> => {
    reader.push(bytes);
    await line.say(bytes);
  };
  for (const folder of folders) {
    for (const part of ['cur', 'new', 'tmp']) await pass(tarMember(folder.path(part), null, 0));
  }
  for (let rounds = 0; ; rounds++) {
    const missing = (await Promise.all(folders.map(async folder => folder.missing(await namesOf(join(inbox, folder.directory)))))).flat();
    if (missing.length === 0) break;
    if (rounds === ROUNDS_MAX)
      throw new MailherdError('COPY_FAILED', {reason: 'files are renamed faster than they can be sent', left: missing.length});
    await sendFiles(inbox, missing, pass);
  }
  for (const folder of folders) await sendBesides(folder, pass);
  await pass(tarEnd());
  return sent;
}

async function namesOf(directory: string): Promise<FolderNames> {
  const [cur, unseen] = await Promise.all([
    readdir(join(directory, 'cur')),
    existsSync(join(directory, 'new')) ? readdir(join(directory, 'new')) : [],
  ]);
  return {cur, new: unseen};
}

async function sendFiles(inbox: string, paths: readonly string[], pass: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const {child, ended} = start(
    [
      'tar',
      '--create',
      '--file=-',
      '--format=ustar',
      '--no-recursion',
      '--blocking-factor=128',
      `--transform=${WITHOUT_KEYWORDS}`,
      '--null',
      '--verbatim-files-from',
      '--files-from=-',
    ],
    null,
    inbox,
    GONE,
  );
  const {stdin, stdout} = child;
  if (stdin === null || stdout === null) throw new MailherdError('COMMAND_FAILED', {command: 'tar', reason: 'no pipes'});
  try {
    // It reads names while it writes files: neither may wait for the other.
    const named = write(stdin, paths.map(path => `${path}\0`).join('')).then(() => stdin.end());
    named.catch(() => undefined);
    for await (const chunk of stdout) await pass(chunk as Buffer);
    await named;
  } catch (error) {
    // Only then: it may still be on its way out when its output has come to an end.
    child.kill('SIGKILL');
    throw error;
  }
  const {exit, err} = await ended;
  if (exit === null || exit > 2 || err !== '') throw new MailherdError('COPY_FAILED', {reason: `tar: ${err.trim()}`, exit});
}

/** What stands beside the messages of a folder; read after them, since their names refer to it. */
async function sendBesides(folder: FolderSeed, pass: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  const now = Math.floor(systemClock.now() / SECOND_MS);
  if (folder.directory !== '') await pass(tarMember(folder.path('maildirfolder'), '', now));
  await pass(tarMember(folder.path('dovecot-uidlist'), folder.uidlist(), now));
}
