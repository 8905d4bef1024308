import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {decode} from '../../wire/codec.ts';
import {type SeedHello, SeedSummary} from '../../wire/seed.ts';
import {must} from './doveadm-run.io.ts';
import type {SeedTerms} from './host-ports.ts';
import {whyNotFound, whyUnfit} from './seed-fit.ts';
import {type SeedLine, write} from './seed-line.io.ts';
import {isMaildirPath} from './seed-maildir.ts';
import {type MailPlace, syncPlace} from './seed-place.io.ts';
import {TarReader} from './seed-tar.ts';
import {parseTab} from './tab.ts';
import {output, start} from './tool.io.ts';

/** What a seed was, and how long it took to come and be unpacked, and to be found by Dovecot and put on disk. */
export interface Unpacked {
  files: number;
  unpackedMs: Millis;
  provedMs: Millis;
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
  signal: AbortSignal,
): Promise<Unpacked> {
  const reason = place.inbox.endsWith('/dbox-Mails') ? 'the target does not keep maildirs' : whyUnfit(hello, place.dialect);
  if (reason !== null) throw new MailherdError('SEED_UNFIT', {user: terms.user, reason});
  await output(['mkdir', '-p', '-m', '0700', place.home, place.inbox], place.owner);
  await line.say('{"refusal":null}\n');
  const begun = performance.now();
  const {files, folders} = await unpack(line, place, terms.bytesMax, signal);
  const unpackedMs = performance.now() - begun;
  const status = must(['-f', 'tab', 'mailbox', 'status', '-u', terms.user, 'guid uidvalidity messages', '*']);
  const [found] = await Promise.all([status, syncPlace(place)]);
  const missing = whyNotFound(folders, parseTab(found));
  if (missing !== null)
    throw new MailherdError('COPY_FAILED', {user: terms.user, files, reason: `Dovecot does not find the seed: ${missing}`});
  return {files, unpackedMs: Math.round(unpackedMs), provedMs: Math.round(performance.now() - begun - unpackedMs)};
}

async function unpack(line: SeedLine, {inbox, owner}: MailPlace, bytesMax: number, signal: AbortSignal): Promise<SeedSummary> {
  const seen = {files: 0, bytes: 0};
  const reader = new TarReader(({name, isDirectory, bytes}) => {
    if (!isMaildirPath(name, isDirectory)) throw new MailherdError('COPY_FAILED', {reason: 'no maildir holds that', name});
    if (isDirectory) return;
    seen.files++;
    seen.bytes += bytes;
    if (seen.bytes > bytesMax) throw new MailherdError('COPY_FAILED', {reason: 'larger than expected', bytesMax});
  });
  const tar = ['tar', '--extract', '--file=-', '--ignore-zeros', '--no-same-owner', '--no-same-permissions', '--keep-old-files'];
  const {child, ended} = start(tar, owner, inbox);
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
    return summary;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    // Not before it is gone may anybody remove what it wrote.
    await ended.catch(() => undefined);
  }
}
