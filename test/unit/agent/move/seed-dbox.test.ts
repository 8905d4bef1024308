import {describe, expect, test} from 'vitest';
import {unsent} from '../../../../agent/move/seed-dbox.ts';

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
