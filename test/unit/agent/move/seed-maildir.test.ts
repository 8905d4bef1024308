import {describe, expect, test} from 'vitest';
import {type FolderNames, FolderSeed, parseUidlist} from '../../../../agent/move/seed-maildir.ts';

const GUID = '04c58c39f07f056bc60000007ee9bd88';
const LIST = `3 V1795522547 N9 G${GUID}
1 :100.M0P1.h,S=10,W=11
3 W20 S19 :200.M1P1.h
5 :300.M2P1.h,S=5
`;

function seedOf(list = LIST, uidNext = 9, directory = '.Sent'): FolderSeed {
  const seed = FolderSeed.of(directory, list, new Map([[GUID, uidNext]]));
  if (seed === null) throw new Error('this list must be understood');
  return seed;
}

/** Sends the files of these names, from `cur`. @returns of each whether its text counts. */
function send(seed: FolderSeed, names: readonly string[], bytes: number): boolean[] {
  return seed.missing({cur: names, new: []}).map(([message]) => seed.sent(message, bytes));
}

const pathsOf = (seed: FolderSeed, names: FolderNames): string[] => seed.missing(names).map(([, path]) => path);

describe('texts that were read while they were sent', () => {
  test('are those of files as long as their names say, flags or none', () => {
    const seed = seedOf();
    expect(send(seed, ['100.M0P1.h,S=10,W=11:2,S'], 10)).toEqual([true]);
    expect(send(seed, ['300.M2P1.h,S=5', '900.M9P1.h,S=5'], 5)).toEqual([true]);
    expect(seed.readThrough()).toBe(5);
  });

  test.each([
    ['another length', '300.M2P1.h,S=5', 4],
    ['no length', '200.M1P1.h:2,', 19],
  ])('Dovecot reads from the first message on that has %s in its name', (_what, name, bytes) => {
    const seed = seedOf();
    expect(send(seed, ['100.M0P1.h,S=10,W=11'], 10)).toEqual([true]);
    expect(send(seed, [name], bytes)).toEqual([false]);
    expect(seed.readThrough()).toBe(name.startsWith('300') ? 4 : 2);
  });
});

describe('a uidlist', () => {
  test('is read with what stands in its header and lines', () => {
    expect(parseUidlist(LIST)).toMatchObject({guid: GUID, uidValidity: 1_795_522_547, uidNext: 9});
    expect(parseUidlist(LIST)?.entries.map(({uid, base}) => [uid, base])).toEqual([
      [1, '100.M0P1.h,S=10,W=11'],
      [3, '200.M1P1.h'],
      [5, '300.M2P1.h,S=5'],
    ]);
  });

  test('has a next UID above all of its own, whatever its header says', () => {
    expect(parseUidlist(LIST.replace('N9', 'N1'))?.uidNext).toBe(6);
  });

  test('leaves out a last line that is still being written', () => {
    expect(parseUidlist(`${LIST}7 :400.M3`)?.entries.length).toBe(3);
  });

  test.each([
    ['of another version', LIST.replace('3 V', '4 V')],
    ['without a GUID', LIST.replace(` G${GUID}`, '')],
    ['without UIDVALIDITY', LIST.replace('V1795522547', 'V0')],
    ['whose UIDs do not rise', LIST.replace('5 :300', '2 :300')],
    ['with a line of another kind', `${LIST}what is this\n`],
    ['that is empty', ''],
  ])('%s is left to dsync', (_what, text) => {
    expect(FolderSeed.of('', text, new Map([[GUID, 9]]))).toBeNull();
  });
});

describe('the seed of a folder', () => {
  test('holds messages that have a UID, each once, also while one is being renamed', () => {
    const seed = seedOf();
    const names = {cur: ['100.M0P1.h,S=10,W=11:2,', '100.M0P1.h,S=10,W=11:2,S', '999.unlisted:2,'], new: ['200.M1P1.h']};
    expect(pathsOf(seed, names).sort()).toEqual(['.Sent/cur/100.M0P1.h,S=10,W=11:2,S', '.Sent/new/200.M1P1.h']);
  });

  test('is not ahead of the index: what a delivery has listed there too late is left to dsync', () => {
    const seed = seedOf(LIST, 5);
    const names = {cur: ['100.M0P1.h,S=10,W=11:2,', '200.M1P1.h:2,'], new: ['300.M2P1.h,S=5']};
    expect(pathsOf(seed, names)).toEqual(['.Sent/cur/100.M0P1.h,S=10,W=11:2,', '.Sent/cur/200.M1P1.h:2,']);
    send(seed, [...names.cur, ...names.new], 5);
    expect(seed.uidlist()).toBe(`3 V1795522547 N5 G${GUID}\n1 :100.M0P1.h,S=10,W=11\n3 W20 S19 :200.M1P1.h\n`);
    expect(seed.summary().messages).toBe(2);
  });

  test('of a folder that the index does not have is left to dsync', () => {
    expect(FolderSeed.of('.Sent', LIST, new Map())).toBeNull();
  });

  test('asks again for what was renamed before it was sent, and lists only what was sent', () => {
    const seed = seedOf();
    send(seed, ['100.M0P1.h,S=10,W=11:2,'], 10);
    expect(pathsOf(seed, {cur: ['100.M0P1.h,S=10,W=11:2,S', '200.M1P1.h:2,F'], new: []})).toEqual(['.Sent/cur/200.M1P1.h:2,F']);
    send(seed, ['200.M1P1.h:2,F'], 20);
    expect(pathsOf(seed, {cur: ['100.M0P1.h,S=10,W=11:2,S', '200.M1P1.h:2,F'], new: []})).toEqual([]);
    expect(seed.uidlist()).toBe(`3 V1795522547 N9 G${GUID}\n1 :100.M0P1.h,S=10,W=11\n3 W20 S19 :200.M1P1.h\n`);
    expect(seed.summary()).toEqual({guid: GUID, uidValidity: 1_795_522_547, messages: 2});
  });
});

describe('a name that an archive has no room for', () => {
  const withHost = (length: number, directory: string): FolderSeed | null =>
    FolderSeed.of(directory, LIST.replace('200.M1P1.h', `200.M1P1.${'h'.repeat(length)}`), new Map([[GUID, 9]]));

  test('leaves its folder to dsync, and so does one that could become so by flags', () => {
    expect(withHost(82, '.Sent')).not.toBeNull();
    expect(withHost(83, '.Sent')).toBeNull();
    expect(withHost(82, '')).not.toBeNull();
  });

  test('may be of the folder itself', () => {
    expect(seedOf(LIST, 9, `.${'f'.repeat(154)}`).directory).toHaveLength(155);
    expect(FolderSeed.of(`.${'f'.repeat(155)}`, LIST, new Map([[GUID, 9]]))).toBeNull();
  });

  test('does not count where its message is left to dsync anyway', () => {
    expect(FolderSeed.of('.Sent', LIST.replace('300.M2P1.h', 'm'.repeat(200)), new Map([[GUID, 5]]))).not.toBeNull();
  });
});
