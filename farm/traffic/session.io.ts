import type {ImapFlow} from 'imapflow';
import type {Rng} from '../../base/random.ts';
import type {Layout, UserSpec} from '../layout.ts';
import type {CorpusMessage} from '../mail/corpus.io.ts';
import {answersOf, imapClient, messageIdOf} from '../mail/imap.io.ts';
import type {Ledger} from '../mail/ledger.io.ts';
import {composeMail} from '../mail/message.ts';
import {pause} from './sender.io.ts';

export interface SessionOptions {
  layout: Layout;
  corpus: readonly CorpusMessage[];
  ledger: Ledger;
  rng: Rng;
  run: string;
  signal: AbortSignal;
}

const FOLDERS = ['INBOX', 'INBOX', 'INBOX', 'Sent', 'Entwürfe & Ideen', 'Archive/2002/Summer Party'] as const;
const FLAGS = ['\\Flagged', '\\Seen', '\\Answered', '$Label1'] as const;
const OPERATIONS = {from: 5, to: 25};
const PAUSE_MS = {from: 100, to: 900};
const FETCH_LAST = 12;

/** A message as this session saw it last. */
interface Seen {
  uid: number;
  flags: Set<string>;
}

interface Open {
  client: ImapFlow;
  user: string;
  folder: string;
  uidValidity: string;
  messages: Seen[];
}

let appendCount = 0;

/**
 * One sitting of one user at a mail program: log in, read, flag, file, log out. The caller sees to it that a user has only one
 * such program at a time: what it was told about flags is then the truth.
 * @returns true when it came to its own end, false when it was cut off or could not log in.
 */
export async function runSession(options: SessionOptions, user: UserSpec): Promise<boolean> {
  const {ledger, rng, signal} = options;
  const client = imapClient(options.layout, user, false);
  const startedMs = performance.now();
  try {
    await client.connect();
  } catch (error) {
    ledger.note({kind: 'loginFailed', user: user.user, tookMs: performance.now() - startedMs, reason: reasonOf(error)});
    client.close();
    return false;
  }
  ledger.note({kind: 'login', user: user.user, tookMs: performance.now() - startedMs});
  try {
    const open = await openFolder(options, client, user.user, rng.pick(FOLDERS));
    const operations = OPERATIONS.from + rng.below(OPERATIONS.to - OPERATIONS.from);
    for (let done = 0; done < operations && !signal.aborted; done++) {
      await operate(options, open);
      await pause(rng.between(PAUSE_MS.from, PAUSE_MS.to), signal);
    }
    await client.logout();
    return true;
  } catch (error) {
    ledger.note({kind: 'dropped', user: user.user, isOrderly: client.byeReason !== undefined, reason: client.byeReason ?? reasonOf(error)});
    client.close();
    return false;
  }
}

export function reasonOf(error: unknown): string {
  const {message, responseText, code} = error as {message?: string; responseText?: string; code?: string};
  return [code, responseText ?? message].filter(part => part !== undefined).join(': ') || String(error);
}

async function openFolder(options: SessionOptions, client: ImapFlow, user: string, folder: string): Promise<Open> {
  const opened = await client.mailboxOpen(folder);
  const open: Open = {client, user, folder, uidValidity: `${opened.uidValidity}`, messages: []};
  await look(options, open);
  return open;
}

async function operate(options: SessionOptions, open: Open): Promise<void> {
  const chance = options.rng.unit();
  if (chance < 0.5 && open.messages.length > 0) await changeFlag(options, open, options.rng.pick(open.messages));
  else if (chance < 0.7) await append(options, open);
  else await look(options, open);
}

/** Reads the last messages of the folder, with flags. */
async function look({ledger}: SessionOptions, open: Open): Promise<void> {
  const {client, user, folder, uidValidity} = open;
  const exists = client.mailbox === false ? 0 : client.mailbox.exists;
  if (exists === 0) return;
  const range = `${Math.max(1, exists - FETCH_LAST + 1)}:*`;
  const fetched = await client.fetchAll(range, {uid: true, flags: true, headers: ['message-id']});
  open.messages = [];
  for (const each of answersOf(fetched)) {
    const flags = each.flags ?? new Set<string>();
    open.messages.push({uid: each.uid, flags});
    ledger.note({
      kind: 'known',
      user,
      folder,
      uidValidity,
      uid: each.uid,
      messageId: messageIdOf(each.headers, each.uid),
      flags: [...flags],
    });
  }
}

async function changeFlag({ledger, rng}: SessionOptions, open: Open, message: Seen): Promise<void> {
  const {client, user, folder, uidValidity} = open;
  const flag = rng.pick(FLAGS);
  const isSet = !message.flags.has(flag);
  const at = {user, folder, uidValidity, uid: message.uid, flag};
  let isDone: boolean;
  try {
    const change = isSet ? client.messageFlagsAdd.bind(client) : client.messageFlagsRemove.bind(client);
    isDone = await change(`${message.uid}`, [flag], {uid: true});
  } catch (error) {
    ledger.note({kind: 'unsureFlag', ...at, reason: reasonOf(error)});
    throw error;
  }
  if (!isDone || !client.usable) {
    ledger.note({kind: 'unsureFlag', ...at, reason: 'not acknowledged'});
    return;
  }
  ledger.note({kind: 'flagged', ...at, isSet});
  if (isSet) message.flags.add(flag);
  else message.flags.delete(flag);
}

async function append({ledger, rng, layout, corpus, run}: SessionOptions, open: Open): Promise<void> {
  const {client, user} = open;
  const folder = rng.pick(FOLDERS);
  const messageId = `<${run}.append.${++appendCount}@${layout.domain}>`;
  const text = composeMail(rng.pick(corpus).text, {
    from: user,
    to: `friend@${layout.outsideDomain}`,
    messageId,
    date: new Date(),
    isFiled: false,
  });
  const flags = ['\\Seen'];
  try {
    const answer = await client.append(folder, text, flags);
    if (answer === false || answer.uid === undefined || answer.uidValidity === undefined) {
      ledger.note({kind: 'unsureAppend', user, folder, messageId, reason: 'no APPENDUID'});
      return;
    }
    ledger.note({kind: 'appended', user, folder, uidValidity: `${answer.uidValidity}`, uid: answer.uid, messageId, flags});
  } catch (error) {
    ledger.note({kind: 'unsureAppend', user, folder, messageId, reason: reasonOf(error)});
    throw error;
  }
}
