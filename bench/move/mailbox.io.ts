import {closeSync, fchownSync, futimesSync, openSync, writeSync} from 'node:fs';
import {seededRng} from '../../base/random.ts';
import type {CorpusMessage} from '../../farm/mail/corpus.io.ts';
import {makeOwned, VMAIL, writeOwned} from '../../farm/mail/owned.io.ts';

const FOLDERS = ['', '.Sent', '.Archive.2002', '.Lists'] as const;
const KEYWORDS = ['$Label1', '$Forwarded', 'todo-later'] as const;

/**
 * A maildir of `count` messages, more than half of them in the INBOX, the rest in three folders, as a delivery would have
 * stored them: sizes in the names. A third is read, some have keywords.
 * @returns bytes of the messages.
 */
export async function fillMaildir(maildir: string, count: number, corpus: readonly CorpusMessage[], seed: number): Promise<number> {
  const rng = seededRng(seed);
  for (const folder of FOLDERS) {
    for (const part of ['cur', 'new', 'tmp']) await makeOwned(`${maildir}/${folder}/${part}`);
    await writeOwned(`${maildir}/${folder}/dovecot-keywords`, KEYWORDS.map((keyword, index) => `${index} ${keyword}\n`).join(''));
    if (folder !== '') await writeOwned(`${maildir}/${folder}/maildirfolder`, '');
  }
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    // Its own id each, so that a ledger can tell them apart.
    const found = corpus[rng.below(corpus.length)]?.text ?? '';
    const text = `Message-ID: <${seed}.${index}@bench.example>\n${found.replace(/^message-id:.*\r?\n/im, '')}`;
    const size = Buffer.byteLength(text);
    const seconds = 1_700_000_000 + index * 60;
    const letters = `${rng.unit() < 0.3 ? 'S' : ''}${rng.unit() < 0.1 ? String.fromCharCode(97 + rng.below(KEYWORDS.length)) : ''}`;
    const folder = rng.unit() < 0.6 ? '' : FOLDERS[1 + rng.below(FOLDERS.length - 1)];
    const name = `${seconds}.M${index}P1.bench,S=${size},W=${size + text.split('\n').length - 1}:2,${letters}`;
    writeMessage(`${maildir}/${folder}/cur/${name}`, text, seconds);
    bytes += size;
  }
  return bytes;
}

/** At once: a turn of the event loop for each step of 100,000 files costs minutes. */
function writeMessage(path: string, text: string, seconds: number): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, text);
    fchownSync(file, VMAIL, VMAIL);
    futimesSync(file, seconds, seconds);
  } finally {
    closeSync(file);
  }
}
