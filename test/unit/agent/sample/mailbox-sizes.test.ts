import {beforeEach, expect, test} from 'vitest';
import {MailboxSizes} from '../../../../agent/sample/mailbox-sizes.ts';

const MINUTE_MS = 60_000;
let nowMs: number;
let asked: string[][];
let bytes: number;
let active: Map<string, number>;
let online: Set<string> | null;
let sizes: MailboxSizes;

beforeEach(() => {
  nowMs = 1e12;
  asked = [];
  bytes = 100;
  active = new Map();
  online = new Set();
  sizes = new MailboxSizes({
    read: async users => {
      asked.push([...users]);
      return users.filter(user => user !== 'unknown').map(user => ({user, bytes, messages: 1}));
    },
    lastActiveMs: user => active.get(user) ?? null,
    online: () => online,
    clock: {now: () => nowMs, monotonic: () => nowMs, sleep: () => Promise.resolve()},
  });
});

const of = (users: string[]) => sizes.of(users, new Set(users));

test('read once, then only where something has happened or goes on', async () => {
  await of(['a', 'b', 'c', 'd']);
  nowMs += 10 * MINUTE_MS;
  active.set('b', nowMs - MINUTE_MS);
  active.set('d', nowMs - 20 * MINUTE_MS);
  online = new Set(['c']);
  bytes = 200;
  expect(await of(['a', 'b', 'c', 'd'])).toEqual([
    {user: 'a', bytes: 100, messages: 1},
    {user: 'b', bytes: 200, messages: 1},
    {user: 'c', bytes: 200, messages: 1},
    {user: 'd', bytes: 100, messages: 1},
  ]);
  expect(asked).toEqual([
    ['a', 'b', 'c', 'd'],
    ['b', 'c'],
  ]);
});

test('what happened right before the last look is looked at again', async () => {
  active.set('a', nowMs - 1_000);
  await of(['a']);
  nowMs += MINUTE_MS;
  await of(['a']);
  expect(asked).toHaveLength(2);
});

test('once a day anyway, and always while nobody watches', async () => {
  await of(['a']);
  nowMs += 25 * 60 * MINUTE_MS;
  await of(['a']);
  online = null;
  await of(['a']);
  nowMs -= 1_000_000;
  online = new Set();
  await of(['a']);
  expect(asked).toHaveLength(4);
});

test('a user of whom nothing is known is left out, and one who came and went is asked for again', async () => {
  expect(await of(['unknown', 'a'])).toEqual([{user: 'a', bytes: 100, messages: 1}]);
  await of(['b']);
  await of(['a', 'b']);
  expect(asked).toEqual([['unknown', 'a'], ['b'], ['a']]);
});

test('a page of those who live here makes nobody else forgotten', async () => {
  const here = new Set(['a', 'b']);
  for (const user of ['a', 'b', 'a', 'b']) await sizes.of([user], here);
  expect(asked).toEqual([['a'], ['b']]);
});
