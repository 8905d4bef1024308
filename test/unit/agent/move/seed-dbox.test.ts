import {describe, expect, test} from 'vitest';
import {fitsArchive, unsent} from '../../../../agent/move/seed-dbox.ts';

describe('files that grow', () => {
  const file = (version: string, mtimeMs: number) => ({version, mtimeMs, bytes: 1});
  const now = new Map([
    ['old', file('a', 1_000)],
    ['grown', file('b2', 1_000)],
    ['racy', file('c', 9_500)],
    ['new', file('d', 1_000)],
  ]);

  test('are sent again when they were written to since, or so shortly before that it cannot be told', () => {
    const sent = new Map([...now].filter(([name]) => name !== 'new').map(([name, each]) => [name, {...each, begunMs: 10_000}]));
    sent.set('grown', {...file('b1', 1_000), begunMs: 10_000});
    expect(unsent(now, sent)).toEqual(['grown', 'racy', 'new']);
  });
});

test('a folder goes whose name, and those above and in it, an archive has room for', () => {
  const folder = (...lengths: number[]): string => ['mailboxes', ...lengths.map(length => 'f'.repeat(length)), 'dbox-Mails'].join('/');
  expect([folder(5), folder(100), folder(70, 70)].map(fitsArchive)).toEqual([true, true, true]);
  expect([folder(101), folder(70, 80), folder(5, 200)].map(fitsArchive)).toEqual([false, false, false]);
});
