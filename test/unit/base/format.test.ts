import {expect, test} from 'vitest';
import {facts, few, percent, size, span, table, tint} from '../../../base/format.ts';

test.each([
  [null, '-'],
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [999_499, '999 kB'],
  [999_999, '1.0 MB'],
  [12_345_678_901, '12.3 GB'],
])('size of %s', (bytes, text) => expect(size(bytes)).toBe(text));

test.each([
  [null, '-'],
  [0, '0 ms'],
  [999.6, '1.0 s'],
  [59_949, '59.9 s'],
  [59_999, '1 m 00 s'],
  [185_000, '3 m 05 s'],
  [7_800_000, '2 h 10 m'],
  [442_800_000, '5 d 3 h'],
])('span of %s', (ms, text) => expect(span(ms)).toBe(text));

test.each([
  [0, '0.0 %'],
  [0.0123, '1.23 %'],
  [0.5, '50.0 %'],
])('share %s', (share, text) => expect(percent(share)).toBe(text));

test('tables have no frames and no trailing blanks, numbers align right', () => {
  expect(
    table(
      ['HOST', 'USERS#'],
      [
        ['be01', '7'],
        ['be02', '1200'],
      ],
    ),
  ).toBe('HOST  USERS\nbe01      7\nbe02   1200');
});

test('control characters from the farm never reach the terminal; our colours do, where wanted', () => {
  const coloured = tint('sick', 'bad', {colour: true, nowMs: 0});
  expect(table(['A'], [['x\u001b]0;evil\u0007y\nz'], [coloured]])).toBe(`A\nx?]0;evil?y?z\n${coloured}`);
  expect(facts([['Reason', 'a\u001b[2Jb\r']])).toBe('Reason  a?[2Jb?');
  expect(tint('sick', 'bad', {colour: false, nowMs: 0})).toBe('sick');
});

test('characters that take two columns, and colours that take none, keep columns straight', () => {
  const look = {colour: true, nowMs: 0};
  expect(
    table(
      ['A', 'B'],
      [
        ['\u65e5\u672c', '1'],
        [tint('abcd', 'bad', look), '2'],
        ['x', '3'],
      ],
    ).split('\n'),
  ).toEqual(['A     B', '\u65e5\u672c  1', `${tint('abcd', 'bad', look)}  2`, 'x     3']);
  expect([few(['a', 'b'], 2), few(['a', 'b', 'c'], 2)]).toEqual(['a, b', 'a, b and 1 more']);
});
