import {createHash} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {BodyDigests, KnownTexts} from '../../../../agent/move/bodies.io.ts';

const GUID = '62d4b4196faa056b1f0100007ee9bd88';
const sha = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');
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
