import {expect, test} from 'vitest';
import {elsewhere} from '../../../../agent/move/elsewhere.ts';

const USER = 'ada@example.org';
const STORE = '/var/vmail';
const HOME = `${STORE}/example.org/ada`;

const ofUser = (user: string, home: string, ...paths: string[]) => elsewhere(user, home, STORE, paths);

test('what lies in the home goes with it', () => {
  expect(ofUser(USER, HOME, `${HOME}/Maildir`, `${HOME}/Maildir`, `${HOME}/Maildir`, '')).toEqual({mail: null, rest: []});
  expect(ofUser(USER, HOME, HOME, HOME, '', '')).toEqual({mail: null, rest: []});
});

test('mail elsewhere is told; a home whose name only begins alike is another', () => {
  expect(ofUser(USER, HOME, `${STORE}/example.org/ada2/Maildir`).mail).toBe(`${STORE}/example.org/ada2/Maildir`);
});

test.each([
  ['index/example.org/ada/.INBOX', 'index/example.org/ada'],
  ['index/example.org/a/ada/.INBOX', 'index/example.org/a/ada'],
  ['index/ada@example.org/.INBOX', 'index/ada@example.org'],
  ['alt/ada@example.org/mdbox/mailboxes/INBOX/dbox-Mails', 'alt/ada@example.org'],
  // Of everybody called so, of a whole domain, of nobody in particular.
  ['idx/ada/.INBOX', null],
  ['idx/ada/example.org/.INBOX', null],
  ['idx/example.org/.INBOX', null],
  ['idx/.INBOX', null],
  // What follows may be another's.
  ['idx/example.org/ada/ada.x/.INBOX', null],
])("in the store %s is the user's alone: %s", (path, root) => {
  expect(ofUser(USER, HOME, HOME, `${STORE}/${path}`).rest).toEqual([
    {path: `${STORE}/${path}`, root: root === null ? null : `${STORE}/${root}`},
  ]);
});

test.each([
  ['index@example.org', 'index/example.org/index/.INBOX', 'index/example.org/index'],
  ['index@example.org', 'index/example.org/.INBOX', null],
  ['a@example.org', 'idx/example.org/a/a/a/.INBOX', 'idx/example.org/a/a/a'],
  ['a@example.org', 'idx/example.org/a/a_1/.INBOX', null],
  ['example.org@example.org', 'idx/example.org/example.org/.INBOX', 'idx/example.org/example.org'],
  ['example.org@example.org', 'idx/example.org/.INBOX', null],
  // A login without a domain may be called as a domain is.
  ['example.org', 'idx/example.org/.INBOX', null],
  ['x@x', 'idx/x/.INBOX', null],
])('never what others have, though it is called like %s: %s', (user, path, root) => {
  expect(ofUser(user, `${STORE}/homes/1`, '', `${STORE}/${path}`).rest[0]?.root).toBe(root === null ? null : `${STORE}/${root}`);
});

test('names above the store, and what is not in it, count for nothing', () => {
  const store = '/srv/example.org';
  const rootOf = (path: string): unknown => elsewhere(USER, `${store}/homes/1`, store, ['', path]).rest[0]?.root;
  expect(rootOf(`${store}/idx/ada/.INBOX`)).toBeNull();
  expect(rootOf('/mnt/idx/example.org/ada/.INBOX')).toBeNull();
});

test('never what holds the home', () => {
  const {rest} = ofUser(USER, `${HOME}/home`, '', `${HOME}/index/.INBOX`, `${HOME}/.INBOX`);
  expect(rest).toEqual([
    {path: `${HOME}/index/.INBOX`, root: `${HOME}/index`},
    {path: `${HOME}/.INBOX`, root: `${HOME}/.INBOX`},
  ]);
});
