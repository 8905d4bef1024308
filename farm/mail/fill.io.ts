import {symlink, utimes} from 'node:fs/promises';
import {seededRng} from '../../base/random.ts';
import {type Layout, type UserSpec, users} from '../layout.ts';
import {hostPaths, type Paths} from '../paths.ts';
import {type CorpusMessage, readCorpus} from './corpus.io.ts';
import {maildirName, type PlannedFolder, planMailbox, SIEVE_SCRIPT} from './mailbox-plan.ts';
import {homeOf, makeOwned, writeOwned} from './owned.io.ts';

const CORPUS_COUNT = 2_000;

/**
 * Puts every customer's mailbox of that host into its store, as a migration from another Maildir server would: Dovecot takes
 * the files over when it first opens them. The host may run or not.
 * @returns messages written.
 */
export async function fillHost(paths: Paths, layout: Layout, host: string, seed: number): Promise<number> {
  const corpus = await readCorpus(CORPUS_COUNT);
  const here = users(layout).filter(each => each.host === host);
  const store = hostPaths(paths, host).store;
  let written = 0;
  for (const each of here) written += await fillMailbox(store, each, corpus, seed);
  return written;
}

async function fillMailbox(store: string, {user}: UserSpec, corpus: readonly CorpusMessage[], seed: number): Promise<number> {
  const home = homeOf(store, user);
  const maildir = `${home}/Maildir`;
  const plan = planMailbox(seededRng(seed).fork(user), corpus.length, Date.now());
  await makeOwned(maildir);
  for (const folder of plan) await fillFolder(`${maildir}/${maildirName(folder.path)}`, folder, corpus);
  const subscribed = plan.filter(folder => folder.isSubscribed && folder.path !== 'INBOX').map(folder => maildirName(folder.path).slice(1));
  await writeOwned(`${maildir}/subscriptions`, `${['INBOX', ...subscribed].join('\n')}\n`);
  await makeOwned(`${home}/sieve`);
  await writeOwned(`${home}/sieve/filter.sieve`, SIEVE_SCRIPT);
  await symlink('sieve/filter.sieve', `${home}/.dovecot.sieve`);
  return plan.reduce((sum, folder) => sum + folder.messages.length, 0);
}

/** One Maildir folder: flags and keywords stand in the file names (letters a-z count the keywords), the date is the file's. */
async function fillFolder(directory: string, folder: PlannedFolder, corpus: readonly CorpusMessage[]): Promise<void> {
  for (const part of ['cur', 'new', 'tmp']) await makeOwned(`${directory}/${part}`);
  if (folder.path !== 'INBOX') await writeOwned(`${directory}/maildirfolder`, '');
  const known: string[] = [];
  for (const [index, message] of folder.messages.entries()) {
    for (const keyword of message.keywords) if (!known.includes(keyword)) known.push(keyword);
    const letters = message.keywords.map(keyword => String.fromCharCode(97 + known.indexOf(keyword))).sort();
    const text = corpus[message.corpus]?.text ?? '';
    const size = Buffer.byteLength(text);
    const sizeOnWire = size + text.split('\n').length - 1;
    const seconds = Math.floor(message.receivedAtMs / 1_000);
    const name = `${seconds}.M${index}P1.migrated,S=${size},W=${sizeOnWire}:2,${message.flags}${letters.join('')}`;
    await writeOwned(`${directory}/cur/${name}`, text);
    await utimes(`${directory}/cur/${name}`, seconds, seconds);
  }
  if (known.length > 0) await writeOwned(`${directory}/dovecot-keywords`, known.map((keyword, index) => `${index} ${keyword}\n`).join(''));
}
