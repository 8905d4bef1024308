import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {BodyDigests} from '../../../../agent/move/bodies.io.ts';
import {readFileTexts, readFolders, untilNoneIsMissing} from '../../../../agent/move/maildir-files.io.ts';

const INBOX = '04c58c39f07f056bc60000007ee9bd88';
const SENT = '14c58c39f07f056bc60000007ee9bd88';
/** By folder; their UIDs are 1, 2, 3, ... */
const TEXTS = {[INBOX]: ['one\r\n', 'two\n', 'three'], [SENT]: ['a', 'b']} as const;
const sha = (text: string): string => createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');

let maildir = '';
const directoryOf = (guid: string): string => join(maildir, guid === INBOX ? '' : '.Sent');
const NEXT_UIDS = new Map(Object.entries(TEXTS).map(([guid, texts]) => [guid, texts.length + 1]));
const nameOf = (text: string, at: number): string => `10${at}.M0P1.h,S=${text.length}`;

beforeEach(() => {
  maildir = mkdtempSync(join(tmpdir(), 'maildir-'));
  for (const [guid, texts] of Object.entries(TEXTS)) {
    for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(directoryOf(guid), part), {recursive: true});
    const lines = texts.map((text, at) => `${at + 1} :${nameOf(text, at)}\n`);
    writeFileSync(join(directoryOf(guid), 'dovecot-uidlist'), `3 V1795522547 N${texts.length + 1} G${guid}\n${lines.join('')}`);
    // The last one has just come.
    for (const [at, text] of texts.entries())
      writeFileSync(join(directoryOf(guid), at + 1 < texts.length ? `cur/${nameOf(text, at)}:2,S` : `new/${nameOf(text, at)}`), text);
  }
});

afterEach(() => rmSync(maildir, {recursive: true, force: true}));

async function read(): Promise<BodyDigests> {
  const texts = new BodyDigests();
  await readFileTexts(maildir, NEXT_UIDS, texts);
  return texts;
}

/** What Dovecot is left to read. */
const left = (texts: BodyDigests): string | undefined =>
  texts
    .queryBelow(NEXT_UIDS)
    ?.filter(word => word.includes(':'))
    .join(' ');

test('texts of all folders are known by their files; of each Dovecot reads the last one', async () => {
  const texts = await read();
  for (const [guid, all] of Object.entries(TEXTS))
    for (const [at, text] of all.entries()) expect(texts.get(guid, at + 1)?.toString('hex'), text).toBe(sha(text));
  expect(left(texts)).toBe('3:3 2:2');
});

test('from a file on that is not as long as its name says Dovecot reads on', async () => {
  writeFileSync(join(maildir, 'cur', `${nameOf('two\n', 1)}:2,S`), 'tw');
  const texts = await read();
  expect(texts.get(INBOX, 2)).toBeNull();
  expect(left(texts)).toContain('1:3');
});

test('a message that is expunged meanwhile is missed by nobody', async () => {
  rmSync(join(maildir, 'cur', `${nameOf('one\r\n', 0)}:2,S`));
  expect(left(await read())).toBe('3:3 2:2');
});

test('a file that is renamed while it is looked for is found in the next round, and not for ever', async () => {
  const folders = await readFolders(maildir, NEXT_UIDS);
  const [from, to] = ['', 'F'].map(more => join(maildir, 'cur', `${nameOf('two\n', 1)}:2,${more}S`)) as [string, string];
  const asked: string[][] = [];
  await untilNoneIsMissing(maildir, folders, async files => {
    if (asked.length === 0) renameSync(from, to);
    asked.push(files.map(({path}) => path));
    for (const {folder, message, path} of files)
      if (!path.endsWith(',S') || asked.length > 1 || !path.includes('101')) folder.take(message, 1);
  });
  expect(asked).toEqual([expect.arrayContaining([expect.stringMatching(/^cur.101.*,S$/)]), [expect.stringMatching(/^cur.101.*,FS$/)]]);
  const again = await readFolders(maildir, NEXT_UIDS);
  await expect(untilNoneIsMissing(maildir, again, async () => undefined)).rejects.toMatchObject({code: 'COPY_FAILED'});
});
