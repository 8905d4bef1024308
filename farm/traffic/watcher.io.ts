import type {ImapFlow} from 'imapflow';
import type {UserSpec} from '../layout.ts';
import {answersOf, imapClient, messageIdOf} from '../mail/imap.io.ts';
import {pause} from './sender.io.ts';
import {reasonOf, type SessionOptions} from './session.io.ts';

const RECONNECT_MS = {from: 300, to: 1_500};

/**
 * A mail program that waits for new mail in INBOX (IDLE) and comes back whenever it is cut off, until the signal. It changes
 * nothing; it notes when it was told of each message.
 */
export async function watch(options: SessionOptions, user: UserSpec): Promise<void> {
  const {rng, signal} = options;
  const place = {nextUid: 0};
  while (!signal.aborted) {
    await watchOnce(options, user, place);
    await pause(rng.between(RECONNECT_MS.from, RECONNECT_MS.to), signal);
  }
}

async function watchOnce({layout, ledger, signal}: SessionOptions, {user, password}: UserSpec, place: {nextUid: number}): Promise<void> {
  const client = imapClient(layout, {user, password}, true);
  const startedMs = performance.now();
  let isOurs = false;
  const end = (): void => {
    isOurs = true;
    void client.logout().catch(() => client.close());
  };
  const closed = new Promise<void>(resolve => client.once('close', resolve));
  try {
    await client.connect();
  } catch (error) {
    ledger.note({kind: 'loginFailed', user, tookMs: performance.now() - startedMs, reason: reasonOf(error)});
    client.close();
    return;
  }
  ledger.note({kind: 'login', user, tookMs: performance.now() - startedMs});
  signal.addEventListener('abort', end);
  if (signal.aborted) end();
  let failure: unknown;
  const note = (error: unknown): void => {
    failure ??= error;
    client.close();
  };
  try {
    const opened = await client.mailboxOpen('INBOX', {readOnly: true});
    if (place.nextUid === 0) place.nextUid = opened.uidNext;
    let reading: Promise<void> = readNew(client, place, user, ledger);
    client.on('exists', () => {
      reading = reading.then(() => readNew(client, place, user, ledger)).catch(note);
    });
    await reading;
    await closed;
  } catch (error) {
    note(error);
  }
  signal.removeEventListener('abort', end);
  if (!isOurs) {
    const reason = client.byeReason ?? (failure === undefined ? 'connection closed' : reasonOf(failure));
    ledger.note({kind: 'dropped', user, isOrderly: client.byeReason !== undefined, reason});
  }
}

async function readNew(client: ImapFlow, place: {nextUid: number}, user: string, ledger: SessionOptions['ledger']): Promise<void> {
  if (client.mailbox === false) return;
  const uidValidity = `${client.mailbox.uidValidity}`;
  const fetched = await client.fetchAll(`${place.nextUid}:*`, {uid: true, headers: ['message-id']}, {uid: true});
  for (const each of answersOf(fetched)) {
    // `n:*` always names the last message, even when it is older (RFC 3501 section 9)
    if (each.uid < place.nextUid) continue;
    const messageId = messageIdOf(each.headers, each.uid);
    ledger.note({kind: 'seen', user, messageId});
    ledger.note({kind: 'known', user, folder: 'INBOX', uidValidity, uid: each.uid, messageId, flags: null});
    place.nextUid = each.uid + 1;
  }
}
