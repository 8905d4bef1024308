import {createHash} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {BodyDigests, BodyReader, KnownTexts} from '../../../../agent/move/bodies.io.ts';
import {seededRng} from '../../../../base/random.ts';

const GUID = '62d4b4196faa056b1f0100007ee9bd88';
const sha = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');
const row = (uid: number, text: string, size = Buffer.byteLength(text, 'latin1')): string =>
  `mailbox-guid: ${GUID}\nuid: ${uid}\nsize.physical: ${size}\ntext:\n${text}\n`;

/** What a reader finds when the stream comes in pieces of these lengths, again and again. */
function read(stream: string, pieces: readonly number[] = [Number.MAX_SAFE_INTEGER]): [number, string][] {
  const found: [number, string][] = [];
  const reader = new BodyReader((guid, uid, digest) => {
    expect(guid).toBe(GUID);
    found.push([uid, digest.toString('hex')]);
  });
  const bytes = Buffer.from(stream, 'latin1');
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = pieces[turn % pieces.length] ?? 1;
    reader.push(bytes.subarray(at, at + length));
    at += length;
  }
  reader.end();
  return found;
}

describe('texts as doveadm prints them', () => {
  const texts = ['one\n', '', 'with\r\nline ends\r\n', 'lone \r here\r', `\n\f\n${row(1, 'a row within a text')}`, '\xff\x00\r\r\n'];
  const stream = texts.map((text, index) => row(index + 1, text)).join('\f\n');
  const digests = texts.map((text, index) => [index + 1, sha(text.replaceAll('\r\n', '\n'))]);

  test('every text once, however its lines end', () => {
    expect(read(stream)).toEqual(digests);
    expect(read('')).toEqual([]);
  });

  test('in pieces of any length', () => {
    const rng = seededRng(11);
    expect(read(stream, [1])).toEqual(digests);
    for (let turn = 0; turn < 50; turn++) expect(read(stream, [rng.between(1, 9), rng.between(1, 300)].map(Math.floor))).toEqual(digests);
  });

  test.each([
    ['cut within a text', row(1, 'short', 50)],
    ['cut within its head', 'mailbox-guid: 62d4'],
    ['a text longer than its size says', row(1, 'x'.repeat(600), 3)],
    ['no such stream', 'doveadm: error '.repeat(40)],
  ])('%s is an error', (_what, odd) => {
    expect(() => read(odd)).toThrow(expect.objectContaining({code: 'COMMAND_FAILED'}));
  });
});

describe('digests of texts', () => {
  const known = new BodyDigests();
  for (let uid = 1; uid <= 300; uid++) known.put(GUID, uid, createHash('sha256').update(`${uid}`).digest());

  test('are kept by folder and UID', () => {
    expect(known.get(GUID, 300)?.toString('hex')).toBe(sha('300'));
    expect(known.get(GUID, 301)).toBeNull();
    expect(known.get('aa', 1)).toBeNull();
  });

  test('only what is not known is asked for', () => {
    expect(known.query(new Map([[GUID, [1, 300]]]))).toBeNull();
    expect(known.query(new Map([[GUID, [299, 300, 301, 350]]]))).toEqual(['(', 'mailbox-guid', GUID, 'uid', '301:350', ')']);
    const two = known.query(
      new Map([
        [GUID, [400]],
        ['aa', [1, 2]],
      ]),
    );
    expect(two).toEqual(['(', 'mailbox-guid', GUID, 'uid', '400:400', ')', 'OR', '(', 'mailbox-guid', 'aa', 'uid', '1:2', ')']);
  });

  test('of one folder change with each text and each UID; what is not known is an error', () => {
    expect(known.digest(GUID, [1, 2])).toBe(known.digest(GUID, [1, 2]));
    expect(known.digest(GUID, [1, 2])).not.toBe(known.digest(GUID, [1, 3]));
    expect(() => known.digest(GUID, [1, 999])).toThrow(expect.objectContaining({code: 'COMMAND_FAILED'}));
  });
});

describe('texts that are read ahead', () => {
  test('are those above what was read through, of any folder', () => {
    const known = new BodyDigests();
    const next = new Map([
      [GUID, 10],
      ['empty', 1],
      ['b', 3],
    ]);
    expect(known.queryBelow(next)?.join(' ')).toBe(`( mailbox-guid ${GUID} uid 1:9 ) OR ( mailbox-guid b uid 1:2 )`);
    known.put(GUID, 9, Buffer.alloc(32));
    // One that is known does not tell of those below it.
    expect(known.queryBelow(new Map([[GUID, 10]]))).toContain('1:9');
    known.readThrough(GUID, 8);
    known.readThrough(GUID, 4);
    expect(known.queryBelow(new Map([[GUID, 10]]))).toContain('9:9');
    known.readThrough(GUID, 9);
    expect(known.queryBelow(new Map([[GUID, 10]]))).toBeNull();
  });

  test('are remembered of 64 users, and forgotten when told to', () => {
    const texts = new KnownTexts();
    texts.of('ada').readThrough(GUID, 5);
    expect(texts.of('ada').queryBelow(new Map([[GUID, 6]]))).toBeNull();
    texts.forget('ada');
    expect(texts.of('ada').queryBelow(new Map([[GUID, 6]]))).not.toBeNull();
    texts.of('ada').readThrough(GUID, 5);
    for (let user = 0; user < 64; user++) texts.of(`${user}`);
    expect(texts.of('ada').queryBelow(new Map([[GUID, 6]]))).not.toBeNull();
  });
});
