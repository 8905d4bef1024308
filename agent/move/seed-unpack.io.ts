import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {type SeedFormat, type SeedHello, SeedSummary} from '../../wire/seed.ts';
import {doveadm, lastLines} from './doveadm-run.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import type {SeedTerms} from './host-ports.ts';
import {isDboxPath} from './seed-dbox.ts';
import {whyNotFound, whyUnfit} from './seed-fit.ts';
import {type SeedLine, write} from './seed-line.io.ts';
import {isMaildirPath} from './seed-maildir.ts';
import {type MailPlace, syncPlace} from './seed-place.io.ts';
import {TarReader} from './seed-tar.ts';
import {output, start} from './tool.io.ts';

/** What a seed was, and how long it took to come and be unpacked, and to be found by Dovecot and put on disk. */
export interface Unpacked {
  files: number;
  unpackedMs: Millis;
  provedMs: Millis;
  /** Reading its texts, which goes on. Never rejects. */
  reading: Promise<void>;
}

/**
 * Takes one seed from the hello on: unpacks it as the owner of the mailbox, has Dovecot find it, and puts it on disk.
 * @param signal ends it at once. @throws MailherdError SEED_UNFIT when dsync must do it all; COPY_FAILED, COMMAND_FAILED when it broke
 * off, was cut short, is too large, or holds what no maildir holds. What was unpacked by then stays for the caller to remove.
 */
export async function unpackSeed(
  line: SeedLine,
  hello: SeedHello,
  place: MailPlace,
  terms: SeedTerms,
  server: DoveadmServer,
  signal: AbortSignal,
): Promise<Unpacked> {
  const {format} = hello;
  const reason = place.format === format ? whyUnfit(format, hello, place.dialect) : `the target does not keep ${format}`;
  if (reason !== null) throw new MailherdError('SEED_UNFIT', {user: terms.user, reason});
  await output(['mkdir', '-p', '-m', '0700', place.home, place.root], place.owner);
  await line.say('{"refusal":null}\n');
  const begun = performance.now();
  const {files, folders, gone} = await unpack(line, format, place, terms.bytesMax, signal);
  if (gone.length > 0) await output(['rm', '--', ...gone], place.owner, place.root);
  const unpackedMs = performance.now() - begun;
  const looking = look(terms.user, format, server);
  // The disk is slow, the processor has nothing else to do meanwhile.
  const reading = looking.then(
    () => terms.readAhead(),
    () => undefined,
  );
  try {
    const [found] = await Promise.all([looking, syncPlace(place)]);
    const missing = whyNotFound(folders, found);
    if (missing !== null)
      throw new MailherdError('COPY_FAILED', {user: terms.user, files, reason: `Dovecot does not find the seed: ${missing}`});
  } catch (error) {
    // Dovecot writes its indexes where the caller is about to remove everything.
    await reading;
    throw error;
  }
  return {files, unpackedMs: Math.round(unpackedMs), provedMs: Math.round(performance.now() - begun - unpackedMs), reading};
}

/**
 * What Dovecot finds. Where indexes came along they are believed only if it finds every message that they name, and complains of nothing,
 * which it would before it mends: a copy that is torn must not become anybody's mailbox.
 */
async function look(user: string, format: SeedFormat, server: DoveadmServer): Promise<Record<string, string>[]> {
  if (format !== 'maildir') {
    const {exit, err} = await doveadm(['-f', 'tab', 'fetch', '-u', user, 'uid guid size.physical date.saved', 'ALL']);
    if (exit !== 0 || err !== '')
      throw new MailherdError('COPY_FAILED', {user, exit, reason: `Dovecot does not take the seed: ${lastLines(err)}`});
  }
  return server.rows(user, ['mailbox status', 'messages uidvalidity guid', '*'], ['mailbox', 'messages', 'uidvalidity', 'guid']);
}

async function unpack(
  line: SeedLine,
  format: SeedFormat,
  {root, owner}: MailPlace,
  bytesMax: number,
  signal: AbortSignal,
): Promise<SeedSummary> {
  const seen = {files: 0, bytes: 0};
  const isPath = (path: string, isDirectory: boolean): boolean =>
    format === 'maildir' ? isMaildirPath(path, isDirectory) : isDboxPath(format, path, isDirectory);
  const reader = new TarReader(({name, isDirectory, bytes}) => {
    if (!isPath(name, isDirectory)) throw new MailherdError('COPY_FAILED', {reason: `no ${format} holds that`, name});
    if (isDirectory) return;
    seen.files++;
    seen.bytes += bytes;
    if (seen.bytes > bytesMax) throw new MailherdError('COPY_FAILED', {reason: 'larger than expected', bytesMax});
  });
  const tar = ['tar', '--extract', '--file=-', '--blocking-factor=128', '--ignore-zeros', '--no-same-owner', '--no-same-permissions'];
  // Files that grow are sent again.
  const again = format === 'mdbox' ? '--overwrite' : '--keep-old-files';
  const {child, ended} = start([...tar, again], owner, {cwd: root});
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    if (child.stdin === null) throw new MailherdError('COMMAND_FAILED', {command: 'tar', reason: 'no pipes'});
    child.stdin.on('error', kill);
    child.stdout?.resume();
    for (;;) {
      const chunk = await line.read();
      if (chunk === null) break;
      const part = reader.push(chunk);
      if (part.length > 0) await write(child.stdin, part);
    }
    const summary = decode(SeedSummary, reader.tail(), 'summary of a seed');
    child.stdin.end();
    const {exit, err} = await ended;
    if (exit !== 0 || err !== '') throw new MailherdError('COPY_FAILED', {reason: `tar: ${err.trim().slice(-300)}`, exit});
    if (summary.files !== seen.files) throw new MailherdError('COPY_FAILED', {reason: 'files are missing', ...seen, sent: summary.files});
    const odd = summary.gone.find(path => !isPath(path, false));
    if (odd !== undefined) throw new MailherdError('COPY_FAILED', {reason: `no ${format} holds that`, name: odd});
    return summary;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    // Not before it is gone may anybody remove what it wrote.
    await ended.catch(() => undefined);
  }
}
