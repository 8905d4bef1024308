import {expect, test} from 'vitest';
import {linesByFolder, messageLine} from '../../../../agent/move/manifest.ts';
import {parseTab, valueRows} from '../../../../agent/move/tab.ts';

test('rows by column name, with escapes', () => {
  expect(parseTab('mailbox\tuid\nEntw\u00fcrfe & Ideen\t1\na\u0001tb\u0001nc\u00011d\t2\n')).toEqual([
    {mailbox: 'Entwürfe & Ideen', uid: '1'},
    {mailbox: 'a\tb\nc\u0001d', uid: '2'},
  ]);
  expect(parseTab('')).toEqual([]);
  expect(parseTab('a\tb\nonly')).toEqual([{a: 'only', b: ''}]);
});

test('a message line does not depend on the order of flags nor on \\Recent', () => {
  const row = {uid: '7', guid: 'g', 'size.virtual': '10', 'date.received': '2026-01-01 00:00:00'};
  expect(messageLine({...row, flags: '\\Seen \\Recent todo'})).toBe(messageLine({...row, flags: 'todo \\Seen'}));
  expect(messageLine({...row, flags: 'todo'})).not.toBe(messageLine({...row, flags: ''}));
});

test('lines are sorted by UID as a number', () => {
  const row = (uid: string) => ({mailbox: 'INBOX', uid, guid: `g${uid}`, flags: ''});
  expect(
    linesByFolder([row('10'), row('9')])
      .get('INBOX')
      ?.map(({uid, line}) => [uid, line.split(' ')[0]]),
  ).toEqual([
    [9, '9'],
    [10, '10'],
  ]);
});

test("an answer of doveadm's own server, a row at a time; what has no tab behind it is none", () => {
  expect([...valueRows('Ablage\t1\ta\u0001tb\t\t2\t\t', ['mailbox', 'uid', 'flags'])]).toEqual([
    {mailbox: 'Ablage', uid: '1', flags: 'a\tb'},
    {mailbox: '', uid: '2', flags: ''},
  ]);
  expect([...valueRows('a\tb\tc\trest', ['one', 'other'])]).toEqual([{one: 'a', other: 'b'}]);
  expect([...valueRows('', ['one'])]).toEqual([]);
});
