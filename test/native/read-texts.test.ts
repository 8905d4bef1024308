import {execFile, execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {closeSync, mkdtempSync, rmSync, writeSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {describe, expect, test} from 'vitest';
import {seededRng} from '../../base/random.ts';
import {openPipe, readTexts} from '../../native/mailbox.ts';

const GUID = '62d4b4196faa056b1f0100007ee9bd88';
const OTHER = 'aad4b4196faa056b1f0100007ee9bd88';
const sha = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');
const row = (uid: number, text: string, size = Buffer.byteLength(text, 'latin1'), guid = GUID): string =>
  `mailbox-guid: ${guid}\nuid: ${uid}\nsize.physical: ${size}\ntext:\n${text}`;

/** What is read when the stream comes in pieces of these lengths, again and again. */
async function read(
  stream: string,
  pieces: readonly number[] = [Number.MAX_SAFE_INTEGER],
): Promise<{found: [string, number, string][]; odd: string}> {
  const {reading, writing} = openPipe();
  const texts = readTexts(reading);
  const bytes = Buffer.from(stream, 'latin1');
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const piece = bytes.subarray(at, at + (pieces[turn % pieces.length] ?? 1));
    for (let written = 0; written < piece.length; ) written += writeSync(writing, piece, written);
    at += piece.length;
  }
  closeSync(writing);
  const {folders, odd} = await texts;
  const found = folders.flatMap(({guid, uids, sums}) =>
    [...uids].map((uid, at): [string, number, string] => [guid, uid, sums.subarray(32 * at, 32 * (at + 1)).toString('hex')]),
  );
  return {found, odd};
}

describe('texts as doveadm prints them', () => {
  const texts = [
    'one\n',
    '',
    'with\r\nline ends\r\n',
    'lone \r here\r',
    `\n\f\n${row(1, 'a row within a text')}`,
    '\xff\x00\r\r\n',
    '\r\n',
    `${'x'.repeat(300_000)}\r\n`,
  ];
  const stream = texts.map((text, index) => row(index + 1, text)).join('\f\n');
  const digests = texts.map((text, index) => [GUID, index + 1, sha(text.replaceAll('\r\n', '\n'))]);

  test('every text once, however its lines end', async () => {
    expect(await read(stream)).toEqual({found: digests, odd: ''});
    expect(await read('')).toEqual({found: [], odd: ''});
  });

  test('with a line end behind each text', async () => {
    expect(await read(`${texts.map((text, index) => `${row(index + 1, text)}\n`).join('\f\n')}`)).toEqual({found: digests, odd: ''});
  });

  test('of one folder after the other', async () => {
    const folders = [row(7, 'a'), row(7, 'b', 1, OTHER), row(8, 'c', 1, OTHER)].join('\f\n');
    expect((await read(folders)).found).toEqual([
      [GUID, 7, sha('a')],
      [OTHER, 7, sha('b')],
      [OTHER, 8, sha('c')],
    ]);
  });

  test('in pieces of any length', async () => {
    const rng = seededRng(11);
    const short = texts.slice(0, -1);
    const shortStream = short.map((text, index) => row(index + 1, text)).join('\f\n');
    const expected = {found: digests.slice(0, short.length), odd: ''};
    expect(await read(shortStream, [1])).toEqual(expected);
    for (let turn = 0; turn < 20; turn++)
      expect(await read(shortStream, [rng.between(1, 9), rng.between(1, 300)].map(Math.floor))).toEqual(expected);
  });

  test.each([
    ['cut within a text', row(1, 'short', 50), []],
    ['cut within its head', 'mailbox-guid: 62d4', []],
    ['a text longer than its size says', row(1, 'x'.repeat(600), 3), []],
    ['no such stream', 'doveadm: error '.repeat(40), []],
    ['a number that is none', row(1, 'a').replace('uid: 1', 'uid: 99999999999'), []],
    // The second one takes in what follows: neither it nor that counts.
    ['a text shorter than its size says', [row(1, 'a'), row(2, 'short', 200), row(3, 'c'.repeat(300)), row(4, 'd')].join('\f\n'), [1]],
    ['a last text shorter than its size says', [row(1, 'a'), row(2, 'short', 6)].join('\f\n'), [1]],
  ])('%s is told; what came whole before counts', async (_what, odd, uids) => {
    const told = await read(odd);
    expect(told.odd).not.toBe('');
    expect(told.found.map(([, uid]) => uid)).toEqual(uids);
  });
});

/** Says why nothing was read, and how a writer fares then. */
const CHILD = `
import {writeSync} from 'node:fs';
import {openPipe, readTexts} from ${JSON.stringify(join(import.meta.dirname, '../../native/mailbox.ts'))};
const {reading, writing} = openPipe();
process.env.NO_THREAD = '1';
const refused = await readTexts(reading).catch(error => error.detail.op);
try {
  writeSync(writing, 'mailbox-guid: ');
} catch ({code}) {
  console.log(refused, code);
}`;

test('where no thread can be made to read it, a pipe is closed: whoever writes into it ends', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-texts-'));
  try {
    const library = join(folder, 'no-thread.so');
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared'];
    execFileSync('gcc', [...flags, '-o', library, join(import.meta.dirname, 'no-thread.c'), '-ldl']);
    const env = {...process.env, LD_PRELOAD: library};
    const {stdout} = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', CHILD], {env});
    expect(stdout).toBe('pthread_create EPIPE\n');
  } finally {
    rmSync(folder, {recursive: true});
  }
});
