import {rmSync} from 'node:fs';
import {systemClock} from '../../base/clock.io.ts';
import {seededRng} from '../../base/random.ts';
import type {Farm} from '../farm.io.ts';
import type {UserSpec} from '../layout.ts';
import {readCorpus} from '../mail/corpus.io.ts';
import {imapClient} from '../mail/imap.io.ts';
import {type Ledger, openLedger} from '../mail/ledger.io.ts';
import {readMailboxes} from '../mail/read-mailbox.io.ts';
import {startOutside} from '../traffic/outside.io.ts';
import {pause, runSender} from '../traffic/sender.io.ts';
import {reasonOf, runSession, type SessionOptions} from '../traffic/session.io.ts';
import {watch} from '../traffic/watcher.io.ts';

const MAILS_PER_SECOND = 4;
const CORPUS_COUNT = 60;
const PROBE_GAP_MS = 200;

export interface UserTraffic {
  /** Messages that lay twice in the mailbox already: an earlier cell's Postfix had sent them again. */
  twiceBefore: ReadonlySet<string>;
  /** Ends it in order: every answer is awaited. The rest of the world goes on taking mail until `close`. */
  stop: () => Promise<void>;
  close: () => Promise<void>;
}

/**
 * Everything one user can do through the edge at once: mail comes in, one mail program flags and files, one waits for mail, one logs
 * in again and again. All of it, and how the mailbox was before, stands in a ledger of its own.
 */
export async function startUserTraffic({layout}: Farm, user: UserSpec, ledgerPath: string, seed: number): Promise<UserTraffic> {
  const corpus = await readCorpus(CORPUS_COUNT);
  rmSync(ledgerPath, {force: true});
  const ledger = openLedger(ledgerPath);
  const twiceBefore = await noteMailbox(layout, user, ledger);
  const outside = await startOutside(layout, ledger);
  const ending = new AbortController();
  const {signal} = ending;
  const rng = seededRng(seed);
  const run = `m${seed.toString(36)}`;
  const options: SessionOptions = {layout, corpus, ledger, rng: rng.fork('sessions'), run, signal};
  const running = Promise.all([
    runSender({layout, users: [user], corpus, ledger, rng: rng.fork('sender'), run, perSecond: () => MAILS_PER_SECOND, signal}),
    again(signal, () => runSession(options, user)),
    again(signal, () => logIn(options, user)),
    watch({...options, rng: rng.fork('watcher')}, user),
  ]);
  return {
    twiceBefore,
    stop: async () => {
      ending.abort();
      await running;
    },
    close: async () => {
      await outside.close();
      ledger.close();
    },
  };
}

/** @returns messages that are there more than once. */
async function noteMailbox(layout: Farm['layout'], user: UserSpec, ledger: Ledger): Promise<Set<string>> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const {folders} of await readMailboxes(layout, [user])) {
    for (const {folder, uidValidity, messages} of folders) {
      for (const {uid, messageId, flags} of messages) {
        if (seen.has(messageId)) twice.add(messageId);
        seen.add(messageId);
        ledger.note({kind: 'known', user: user.user, folder, uidValidity, uid, messageId, flags: [...flags]});
      }
    }
  }
  return twice;
}

async function again(signal: AbortSignal, act: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await act();
    await pause(PROBE_GAP_MS, signal);
  }
}

async function logIn({layout, ledger}: SessionOptions, user: UserSpec): Promise<void> {
  const client = imapClient(layout, user, false);
  const startedMs = systemClock.monotonic();
  try {
    await client.connect();
    await client.mailboxOpen('INBOX', {readOnly: true});
    ledger.note({kind: 'login', user: user.user, tookMs: systemClock.monotonic() - startedMs});
    await client.logout();
  } catch (error) {
    ledger.note({kind: 'loginFailed', user: user.user, tookMs: systemClock.monotonic() - startedMs, reason: reasonOf(error)});
  } finally {
    client.close();
  }
}
