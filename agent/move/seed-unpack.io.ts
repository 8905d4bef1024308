import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {built} from '../../native/binding.ts';
import {decode} from '../../wire/codec.ts';
import {type SeedFormat, type SeedHello, SeedSummary} from '../../wire/seed.ts';
import type {DiskSync} from './disk-sync.io.ts';
import {doveadm, lastLines} from './doveadm-run.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import type {SeedTerms} from './host-ports.ts';
import {whyNotFound, whyUnfit} from './seed-fit.ts';
import type {SeedLine} from './seed-line.io.ts';
import type {MailPlace} from './seed-place.io.ts';
import {output, printed, start} from './tool.io.ts';

/** Takes what a mailbox of its format holds, as its owner: `native/unpack/unpack.cc`. */
const UNPACK = 'mailherd-unpack';

/** What a seed was, how long it took to come and be unpacked, and to be found by Dovecot, and what goes on. */
export interface Unpacked {
  files: number;
  unpackedMs: Millis;
  foundMs: Millis;
  /** Putting it on disk. */
  syncing: Promise<void>;
}

/**
 * Takes one seed from the hello on: unpacks it as the owner of the mailbox, has Dovecot find it, and begins to put it on disk.
 * @param signal ends it at once. @throws MailherdError SEED_UNFIT when dsync must do it all; COPY_FAILED, COMMAND_FAILED when it broke
 * off, was cut short, is too large, or holds what no maildir holds. What was unpacked by then stays for the caller to remove.
 */
export async function unpackSeed(
  line: SeedLine,
  hello: SeedHello,
  place: MailPlace,
  terms: SeedTerms,
  {server, disks}: {server: DoveadmServer; disks: DiskSync},
  signal: AbortSignal,
): Promise<Unpacked> {
  const {format} = hello;
  const reason = place.format === format ? whyUnfit(format, hello, place.dialect) : `the target does not keep ${format}`;
  if (reason !== null) throw new MailherdError('SEED_UNFIT', {user: terms.user, reason});
  await output(['mkdir', '-p', '-m', '0700', place.home, place.root], place.owner);
  const begun = performance.now();
  const {files, folders} = await unpack(line, format, place, terms.bytesMax, signal);
  const unpackedMs = performance.now() - begun;
  // The disk is slow, the processor has nothing else to do meanwhile.
  const syncing = disks.place(place);
  // Whoever awaits it later still learns of it.
  syncing.catch(() => undefined);
  const missing = whyNotFound(folders, await look(terms.user, format, server, signal));
  if (missing !== null)
    throw new MailherdError('COPY_FAILED', {user: terms.user, files, reason: `Dovecot does not find the seed: ${missing}`});
  const foundMs = Math.round(performance.now() - begun - unpackedMs);
  return {files, unpackedMs: Math.round(unpackedMs), foundMs, syncing};
}

/**
 * What Dovecot finds. Where indexes came along they are believed only if it finds every message that they name, and complains of nothing,
 * which it would before it mends: a copy that is torn must not become anybody's mailbox.
 */
async function look(user: string, format: SeedFormat, server: DoveadmServer, signal: AbortSignal): Promise<Record<string, string>[]> {
  if (format !== 'maildir') {
    const {exit, err} = await doveadm(['-f', 'tab', 'fetch', '-u', user, 'uid guid size.physical date.saved', 'ALL'], signal);
    if (exit !== 0 || err !== '')
      throw new MailherdError('COPY_FAILED', {user, exit, reason: `Dovecot does not take the seed: ${lastLines(err)}`});
  }
  return server.rows(user, ['mailbox status', 'messages uidvalidity guid', '*'], ['mailbox', 'messages', 'uidvalidity', 'guid']);
}

/** @throws MailherdError COPY_FAILED, COMMAND_FAILED. */
async function unpack(
  line: SeedLine,
  format: SeedFormat,
  {root, owner}: MailPlace,
  bytesMax: number,
  signal: AbortSignal,
): Promise<SeedSummary> {
  const command = [built(UNPACK), format, `${Math.floor(bytesMax)}`];
  const {child, ended} = start(command, owner, {cwd: root, connection: line.handOver()});
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    // Of one that ends before it reads its exit code tells.
    child.stdin?.on('error', kill);
    const [out] = await Promise.all([printed(child), line.say('{"refusal":null}\n')]);
    const [files, ...text] = out.split('\n');
    const summary = out === '' ? null : decode(SeedSummary, text.join('\n'), 'summary of a seed');
    child.stdin?.end(summary?.gone.map(path => `${path}\0`).join(''));
    const {exit, err} = await ended;
    if (exit !== 0 || summary === null) throw new MailherdError('COPY_FAILED', {reason: err.trim(), exit, bytesMax});
    if (summary.files !== Number(files)) throw new MailherdError('COPY_FAILED', {reason: 'files are missing', files, sent: summary.files});
    return summary;
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    // Not before it is gone may anybody remove what it wrote.
    await ended.catch(() => undefined);
  }
}
