import {execFileSync} from 'node:child_process';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {type TarMember, TarReader, tarEnd, tarMember} from '../../../../agent/move/seed-tar.ts';

const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Reads a stream in pieces of the given sizes, over and over. */
function readIn(stream: Uint8Array, sizes: readonly number[]): {members: TarMember[]; passed: number; reader: TarReader} {
  const members: TarMember[] = [];
  const reader = new TarReader(member => members.push(member));
  let passed = 0;
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    passed += reader.push(stream.subarray(at, at + size)).length;
    at += size;
  }
  return {members, passed, reader};
}

describe('archives', () => {
  test('are read the same however the stream is cut, and end where the summary begins', () => {
    const part = fc.string({unit: fc.constantFrom(...'abc.,:=&-'), minLength: 1, maxLength: 60}).filter(name => !/^\.+$/.test(name));
    const file = fc.record({name: fc.tuple(part, part).map(parts => parts.join('/')), content: fc.string({maxLength: 2_000})});
    fc.assert(
      fc.property(
        fc.array(file, {maxLength: 12}),
        fc.array(fc.integer({min: 1, max: 1_500}), {minLength: 1, maxLength: 5}),
        (files, sizes) => {
          const archive = concat([...files.map(({name, content}) => tarMember(name, content, 1_700_000_000)), tarEnd()]);
          const summary = '{"files":1}\n';
          const {members, passed, reader} = readIn(concat([archive, archive, Buffer.from(summary)]), sizes);
          const once = files.map(({name, content}) => ({name, isDirectory: false, bytes: Buffer.byteLength(content)}));
          expect(members).toEqual([...once, ...once]);
          expect(passed).toBe(2 * archive.length);
          expect(reader.tail()).toBe(summary);
        },
      ),
    );
  });

  test('are what tar reads too, names of more than 100 bytes as well', () => {
    const long = `.${'f'.repeat(120)}/cur/${'m'.repeat(90)}`;
    const archive = concat([tarMember('cur', null, 0), tarMember('cur/a', 'hello\n', 86_400), tarMember(long, '', 0), tarEnd()]);
    const listed = execFileSync('tar', ['--list', '--verbose', '--utc', '--numeric-owner', '--file=-'], {input: archive, encoding: 'utf8'});
    expect(listed.trim().split('\n')).toEqual([
      expect.stringMatching(/^drwx------ 0\/0 +0 1970-01-01 00:00 cur\/?$/),
      expect.stringMatching(/^-rw------- 0\/0 +6 1970-01-02 00:00 cur\/a$/),
      expect.stringContaining(long),
    ]);
    expect(() => tarMember(`cur/${'m'.repeat(101)}`, '', 0)).toThrow(/too long/);
  });

  test('that were made by tar are read', () => {
    const archive = execFileSync('tar', ['--create', '--file=-', '--format=ustar', '-C', import.meta.dirname, 'seed-tar.test.ts']);
    const {members} = readIn(archive, [777]);
    expect(members).toMatchObject([{name: 'seed-tar.test.ts', isDirectory: false}]);
  });

  test.each([
    ['a symbolic link', '2'],
    ['a hard link', '1'],
    ['a device', '3'],
    ['a pipe', '6'],
    ['a long name of GNU tar', 'L'],
    ['an extended header', 'x'],
    ['a sparse file', 'S'],
  ])('with %s are refused', (_what, type) => {
    const archive = tarMember('cur/a', 'x', 0);
    archive[156] = type.charCodeAt(0);
    expect(() => readIn(archive, [512])).toThrow(/no plain ustar archive/);
  });

  test('that break off have no summary', () => {
    const {reader} = readIn(concat([tarMember('cur/a', 'x', 0), tarEnd()]), [100]);
    expect(() => reader.tail()).toThrow(/broke off/);
  });
});
