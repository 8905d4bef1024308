import {createHash} from 'node:crypto';
import {lstat, mkdtemp, readdir, realpath, rename, rm, stat, statfs, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import type {Clock} from '../../base/clock.ts';
import {MailherdError} from '../../base/errors.ts';
import {syncDirectory} from '../../base/replace.io.ts';
import {type Bytes, SECOND_MS} from '../../base/units.ts';
import {NAME_BYTES_MAX} from '../../wire/schema.ts';
import {AclReader} from './acls.io.ts';
import type {KnownTexts} from './bodies.io.ts';
import {doveadm, lastLines, must} from './doveadm-run.io.ts';
import type {MailboxSize, Outside} from './host-ports.ts';
import {ManifestReader} from './manifest.io.ts';
import type {PlainStore} from './measured.ts';
import {ifGone} from './seed-archive.io.ts';
import type {MailPlace, MailPlaces} from './seed-place.io.ts';
import {deliveriesOver, endCopies, endSessions} from './sessions.io.ts';
import {parseTab} from './tab.ts';

interface DoveadmOptions {
  /** Directory of the mail store. */
  store: string;
  places: MailPlaces;
  texts: KnownTexts;
  /** Port of the doveadm service on the other backends. */
  doveadmPort: number;
  clock: Clock;
}

/** Exit codes of dsync: 2 = changes came during the pass, run it again (doveadm-sync(1)). */
const EXIT_AGAIN = 2;
const SIZES_AT_ONCE = 500;
const COPIES_END_MS = 10 * SECOND_MS;

/** The mail store through doveadm(1): dsync for copies, fetch and status for manifests. */
export function doveadmStore({store, places, texts, doveadmPort, clock}: DoveadmOptions): PlainStore {
  const acls = new AclReader(places);
  const {server} = places;
  const manifests = new ManifestReader(acls, server, texts);

  return {
    async exists(user) {
      const {home: path} = await places.of(user);
      // A disk that cannot be read is not one where nothing lies.
      return ((await readdir(path).catch(ifGone)) ?? []).length > 0;
    },

    outside: async user => outsideOf(await places.of(user), store),

    async freeBytes() {
      const {bavail, bsize} = await statfs(store);
      return bavail * bsize;
    },

    needs: user => acls.needs(user),
    offers: () => places.offered(),

    // The source keeps nothing new of a pass but its own index: on a host whose disk is slow to confirm, that is not worth waiting for.
    // What the target writes goes by the target's setting.
    backup: (user, address, full, signal) =>
      dsync(user, ['-o', 'mail_fsync=never', 'backup', ...(full ? ['-f'] : []), '-u', user, `tcp:${address}:${doveadmPort}`], signal),

    async carry(user, address, folders) {
      const syncs: string[][] = folders === null ? [[]] : [];
      // dsync brings nothing into a folder that was deleted there, or renamed, and says that all is well.
      for (const {guid, name, nameNow, first, last} of folders ?? []) {
        if (nameNow === null) await must(['move', '-u', user, 'INBOX', 'mailbox-guid', guid, 'uid', `${first}:${last}`]);
        else syncs.push(['-g', guid]);
        if (nameNow !== null && nameNow !== name) await must(['mailbox', 'rename', '-u', user, '--', name, nameNow]);
      }
      for (const only of syncs) await untilStill(user, ['sync', '-1', ...only, '-u', user, `tcp:${address}:${doveadmPort}`]);
    },

    endSessions: (user, timeoutMs) => endSessions(server, user, timeoutMs, clock),
    folders: user => manifests.folders(user),
    async deliveriesOver(user, timeoutMs) {
      const left = await deliveriesOver((await places.of(user)).home, timeoutMs, clock);
      await server.prepare('host', 1);
      return left;
    },
    endCopies: async user => endCopies(ownDirectories(await places.of(user)), COPIES_END_MS, clock),
    manifest: (user, wanted) => manifests.read(user, wanted),
    readTexts: (user, signal) => manifests.readTexts(user, signal),
    readAhead: (user, signal) => manifests.readAhead(user, signal),
    forgetTexts: user => manifests.forget(user),

    async remove(user) {
      manifests.forget(user);
      return discardAll(await places.of(user), store);
    },

    sizes: readSizes,
  };
}

function ownDirectories({home, outside}: MailPlace): string[] {
  return [home, ...outside.rest.flatMap(({root}) => root ?? [])];
}

/** @param store nothing outside of it is removed, whatever a name says. */
export async function outsideOf(
  {home, mail, outside, owner}: Pick<MailPlace, 'home' | 'mail' | 'outside' | 'owner'>,
  store: string,
): Promise<Outside> {
  const found: Outside = {mail: outside.mail, goes: [], stays: await linkedFrom(home, mail)};
  for (const {path, root} of outside.rest) {
    const [there, own] = [await lstat(path).catch(ifGone), root === null ? null : await lstat(root).catch(ifGone)];
    if (there === null && own === null) continue;
    const isHis = root !== null && own?.isDirectory() === true && own.uid === owner.uid && (await isBelow(root, store));
    const place = isHis ? root : path;
    if (isHis && !found.goes.includes(place)) found.goes.push(place);
    if (!isHis && !found.stays.includes(place) && (await holdsFiles(place))) found.stays.push(place);
  }
  return found;
}

/** Where links lead by which the home, or the mail in it, lies elsewhere: with the home only the links would be removed. */
async function linkedFrom(home: string, mail: string): Promise<string[]> {
  const link = await lstat(home).catch(ifGone);
  if (link === null) return [];
  const [realHome, realMail] = await Promise.all([home, mail].map(path => realpath(path).catch(ifGone)));
  const linked = link.isSymbolicLink() ? realHome : realMail;
  const isLinked = link.isSymbolicLink() || (realMail !== realHome && realMail?.startsWith(`${realHome}/`) === false);
  return isLinked && linked != null && (await holdsFiles(linked)) ? [linked] : [];
}

async function holdsFiles(path: string): Promise<boolean> {
  const entries = (await readdir(path, {recursive: true, withFileTypes: true}).catch(ifGone)) ?? [];
  return entries.some(entry => !entry.isDirectory());
}

/** Also when a link leads there. */
async function isBelow(path: string, directory: string): Promise<boolean> {
  return (await realpath(path)).startsWith(`${await realpath(directory)}/`);
}

async function dsync(user: string, args: string[], signal: AbortSignal | null = null): Promise<{again: boolean}> {
  const {exit, err} = await doveadm(args, signal);
  if (exit === 0) return {again: false};
  if (exit === EXIT_AGAIN) return {again: true};
  throw new MailherdError('COPY_FAILED', {user, exit, reason: lastLines(err)});
}

/** @throws MailherdError COPY_FAILED. */
async function untilStill(user: string, args: string[]): Promise<void> {
  for (let passes = 0; passes < 3; passes++) if (!(await dsync(user, args)).again) return;
  throw new MailherdError('COPY_FAILED', {user, reason: 'late mail keeps coming'});
}

/**
 * Removes a home in two steps, so that nobody ever finds half of one; what an interrupted removal left goes too. The first step is on disk
 * before the second: a power cut must not bring a home back that nobody knows any more. What lies outside of it goes in between: without its
 * control files the copy would be taken for another mailbox.
 * @returns bytes freed.
 */
async function discardAll(place: MailPlace, store: string): Promise<Bytes> {
  const {home} = place;
  const doomed = join(dirname(home), doomedName(basename(home)));
  await rm(doomed, {recursive: true, force: true});
  const isThere = (await lstat(home).catch(ifGone)) !== null;
  const {goes} = await outsideOf(place, store);
  let bytes = 0;
  for (const path of [...goes, ...(isThere ? [home] : [])]) bytes += await sizeOf(path);
  if (isThere) {
    await rename(home, doomed);
    await syncDirectory(dirname(home));
  }
  for (const path of [...goes, doomed]) await rm(path, {recursive: true, force: true});
  return bytes;
}

/** No user has capitals in his name: it is nobody else's home. Of a name that leaves no room for more, a digest stands for it. */
function doomedName(name: string): string {
  const doomed = `${name}.DISCARDED`;
  if (Buffer.byteLength(doomed) <= NAME_BYTES_MAX) return doomed;
  return `${createHash('sha256').update(name).digest('hex')}.DISCARDED`;
}

/** One program for many users: starting one for each costs ten times what Dovecot's indexes cost. A user it tells nothing of is left out. */
async function readSizes(users: readonly string[]): Promise<MailboxSize[]> {
  const sizes: MailboxSize[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'mailherd-sizes-'));
  try {
    const file = join(folder, 'users');
    for (let from = 0; from < users.length; from += SIZES_AT_ONCE) {
      await writeFile(
        file,
        users
          .slice(from, from + SIZES_AT_ONCE)
          .map(user => `${user}\n`)
          .join(''),
        {mode: 0o600},
      );
      const {exit, out, err} = await doveadm(['-f', 'tab', 'mailbox', 'status', '-F', file, '-t', 'messages vsize', '*']);
      const rows = parseTab(out);
      if (exit !== 0 && rows.length === 0)
        throw new MailherdError('COMMAND_FAILED', {command: 'doveadm mailbox status', exit, reason: lastLines(err)});
      sizes.push(...rows.map(({Username = '', vsize, messages}) => ({user: Username, bytes: Number(vsize), messages: Number(messages)})));
    }
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
  return sizes.filter(({bytes, messages}) => Number.isFinite(bytes) && Number.isFinite(messages));
}

async function sizeOf(path: string): Promise<Bytes> {
  let bytes = 0;
  for (const entry of (await readdir(path, {recursive: true, withFileTypes: true}).catch(ifGone)) ?? []) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
