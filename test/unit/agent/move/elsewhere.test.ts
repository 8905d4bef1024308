import {expect, test} from 'vitest';
import {elsewhere} from '../../../../agent/move/elsewhere.ts';

const USER = 'ada@example.org';
const HOME = '/var/vmail/example.org/ada';

test('what lies in the home goes with it', () => {
  expect(elsewhere(USER, HOME, [`${HOME}/Maildir`, `${HOME}/Maildir`, `${HOME}/Maildir`, ''])).toEqual({mail: null, rest: []});
  expect(elsewhere(USER, HOME, [HOME, HOME, '', ''])).toEqual({mail: null, rest: []});
});

test('mail elsewhere is told; a home whose name only begins alike is another', () => {
  expect(elsewhere(USER, HOME, ['/var/vmail/example.org/ada2/Maildir']).mail).toBe('/var/vmail/example.org/ada2/Maildir');
});

test("a directory is the user's alone where his whole name leads to it", () => {
  const roots = (...paths: string[]): unknown => elsewhere(USER, HOME, [HOME, ...paths]).rest.map(({root}) => root);
  expect(roots('/var/vmail/index/example.org/ada/.INBOX')).toEqual(['/var/vmail/index/example.org/ada']);
  expect(roots('/mnt/alt/ada@example.org/mailboxes/INBOX/dbox-Mails')).toEqual(['/mnt/alt/ada@example.org']);
  // Of everybody called so, of a whole domain, of nobody in particular.
  expect(roots('/idx/ada/.INBOX', '/idx/ada/example.org/x', '/idx/example.org/.INBOX', '/idx/.INBOX')).toEqual([null, null, null, null]);
  expect(elsewhere('x@x', '/home/x', ['', '/idx/x/.INBOX', '/idx/x/x/.INBOX']).rest.map(({root}) => root)).toEqual([null, '/idx/x/x']);
});

test('never what others have, though it is called like the user', () => {
  const rootOf = (user: string, path: string): unknown => elsewhere(user, '/home/1', ['', path]).rest.map(({root}) => root);
  expect(rootOf('index@example.org', '/var/vmail/index/example.org/index/.INBOX')).toEqual(['/var/vmail/index/example.org/index']);
  expect(rootOf('index@example.org', '/var/vmail/index/example.org/.INBOX')).toEqual([null]);
  expect(rootOf('a@example.org', '/idx/example.org/a/a/a/.INBOX')).toEqual(['/idx/example.org/a/a/a']);
  expect(rootOf('example.org@example.org', '/idx/example.org/example.org/.INBOX')).toEqual(['/idx/example.org/example.org']);
});

test('never what holds the home', () => {
  const {rest} = elsewhere(USER, '/var/vmail/example.org/ada/home', ['', '/var/vmail/example.org/ada/index/.INBOX']);
  expect(rest).toEqual([{path: '/var/vmail/example.org/ada/index/.INBOX', root: '/var/vmail/example.org/ada/index'}]);
});
