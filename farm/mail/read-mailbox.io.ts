import type {ImapFlow} from 'imapflow';
import {MailherdError} from '../../base/errors.ts';
import {fewAtOnce} from '../../base/few-at-once.ts';
import type {Layout, UserSpec} from '../layout.ts';
import type {Arrival} from './felt.ts';
import {answersOf, imapClient, messageIdOf} from './imap.io.ts';
import type {FoundFolder, FoundMailbox, FoundMessage} from './judge.ts';

export interface ReadMailbox extends FoundMailbox {
  arrivals: Arrival[];
}

const TRIES = 5;
const TOGETHER = 6;

/** Reads every message of every folder of these users through the edge, a few users at once. */
export function readMailboxes(layout: Layout, wanted: readonly UserSpec[]): Promise<ReadMailbox[]> {
  return fewAtOnce(wanted, TOGETHER, user => readPatiently(layout, user));
}

/** @throws MailherdError PROBE_FAILED when the mailbox cannot be read several times in a row. */
async function readPatiently(layout: Layout, user: UserSpec): Promise<ReadMailbox> {
  let failure: unknown;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    try {
      return await readMailbox(layout, user);
    } catch (error) {
      failure = error;
      await new Promise(resolve => setTimeout(resolve, 1_000));
    }
  }
  throw new MailherdError('PROBE_FAILED', {user: user.user, reason: failure instanceof Error ? failure.message : String(failure)});
}

async function readMailbox(layout: Layout, user: UserSpec): Promise<ReadMailbox> {
  const client = imapClient(layout, user, false);
  await client.connect();
  try {
    const folders: FoundFolder[] = [];
    const arrivals: Arrival[] = [];
    for (const {path, flags} of await client.list()) {
      if (flags.has('\\Noselect') || flags.has('\\NonExistent')) continue;
      folders.push(await readFolder(client, user.user, path, arrivals));
    }
    return {user: user.user, folders, arrivals};
  } finally {
    await client.logout().catch(() => client.close());
  }
}

async function readFolder(client: ImapFlow, user: string, folder: string, arrivals: Arrival[]): Promise<FoundFolder> {
  const opened = await client.mailboxOpen(folder, {readOnly: true});
  const messages: FoundMessage[] = [];
  if (opened.exists > 0) {
    const fetched = await client.fetchAll('1:*', {uid: true, flags: true, internalDate: true, headers: ['message-id']});
    for (const each of answersOf(fetched)) {
      const messageId = messageIdOf(each.headers, each.uid);
      messages.push({uid: each.uid, messageId, flags: [...(each.flags ?? [])]});
      if (each.internalDate !== undefined) arrivals.push({user, messageId, arrivedAtMs: new Date(each.internalDate).getTime()});
    }
    if (messages.length !== opened.exists)
      throw new MailherdError('PROBE_FAILED', {user, folder, reason: 'read fewer messages than there are'});
  }
  return {folder, uidValidity: `${opened.uidValidity}`, messages};
}
