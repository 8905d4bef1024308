import {realpath} from 'node:fs/promises';
import {connect} from 'node:net';
import {fromRefusal, MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import {SeedAnswer, type SeedHello, type SeedSummary} from '../../wire/seed.ts';
import type {KnownTexts} from './bodies.io.ts';
import type {SeedOffer, SeedOutcome} from './host-ports.ts';
import type {Rate} from './rate.ts';
import {ifGone, SeedArchive, type SeedParcel} from './seed-archive.io.ts';
import {DboxParcel} from './seed-dbox.io.ts';
import {SeedLine} from './seed-line.io.ts';
import {MaildirParcel} from './seed-maildir.io.ts';
import type {MailPlaces} from './seed-place.io.ts';

const CONNECT_MS = 10 * SECOND_MS;

/**
 * Sends a user's mailbox as files to the target's agent. Where files are messages as they are, their texts are known by then: the
 * manifests need not have Dovecot read them again.
 * @param rate at which it may; null: no limit. @param signal breaks it off.
 * @returns why it was not sent, where dsync must do it all. @throws MailherdError COPY_FAILED when it broke off.
 */
export async function sendSeed(
  {places, texts, gone}: {places: MailPlaces; texts: KnownTexts; gone: () => void},
  user: string,
  offer: SeedOffer,
  rate: Rate | null,
  signal: AbortSignal,
): Promise<SeedOutcome> {
  const place = await places.of(user);
  const {format, dialect} = place;
  if (format === null) return {kind: 'unfit', reason: 'neither a maildir nor dbox'};
  const hello: SeedHello = {v: 1, secret: offer.secret, format, ...dialect};
  const socket = await connected(offer);
  const end = (): void => void socket.destroy(new MailherdError('COPY_FAILED', {user, reason: 'the move backs out'}));
  signal.addEventListener('abort', end);
  try {
    if (signal.aborted) end();
    const line = new SeedLine(socket, rate);
    await line.say(`${JSON.stringify(hello)}\n`);
    // The store itself may lie behind a link; what comes into the way from here on is followed no more.
    const root = await realpath(place.root).catch(ifGone);
    if (root === null) return {kind: 'unfit', reason: 'it is not there'};
    const parcel: SeedParcel | null =
      format === 'maildir'
        ? await MaildirParcel.of(user, root, places.server, dialect.transforms.length === 0 ? texts.of(user) : null)
        : await DboxParcel.of(user, {...place, root}, places.server, await places.offered());
    if (parcel === null)
      return {
        kind: 'unfit',
        reason: 'what of it can go as files is not all that must: folders are not understood, or names too long for an archive',
      };
    const {refusal} = await line.hear(SeedAnswer, 'answer to the hello');
    if (refusal !== null) throw fromRefusal(refusal);
    const archive = new SeedArchive(line, parcel);
    const found = await parcel.send(archive);
    await archive.end();
    await line.say(`${JSON.stringify({files: archive.files, ...found} satisfies SeedSummary)}\n`);
    socket.end();
    gone();
    const last = await line.hear(SeedAnswer, 'answer to the summary');
    if (last.refusal !== null) throw fromRefusal(last.refusal);
    return {kind: 'seeded', messages: found.folders.reduce((sum, folder) => sum + folder.messages, 0), bytes: archive.bytes};
  } catch (cause) {
    if (cause instanceof MailherdError && cause.code === 'SEED_UNFIT') return {kind: 'unfit', reason: String(cause.detail.reason)};
    // The system's own errors: a target that died resets the connection.
    throw cause instanceof MailherdError ? cause : new MailherdError('COPY_FAILED', {user, reason: String(cause)}, {cause});
  } finally {
    signal.removeEventListener('abort', end);
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
