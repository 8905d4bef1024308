import {DatabaseSync} from 'node:sqlite';
import {beforeEach, describe, expect, it} from 'vitest';
import {BACKEND_ITERATE, backendPassdb, backendUserdb, EDGE_RECIPIENT, EDGE_TRANSPORT, edgePassdb} from '../../../wire/route-queries.ts';
import {ROUTES_DB_SCHEMA} from '../../../wire/routes-db.ts';

/** The queries run against the real schema, as SQLite inside Dovecot and Postfix would run them. */
let db: DatabaseSync;

const HELD = Date.now() / 1_000 + 60;
const PAST = Date.now() / 1_000 - 1;

beforeEach(() => {
  db = new DatabaseSync(':memory:');
  db.exec(ROUTES_DB_SCHEMA);
  db.exec(`INSERT INTO self (name) VALUES ('be1')`);
  db.exec(`INSERT INTO hosts VALUES ('be1', '10.0.0.1'), ('be2', '10.0.0.2')`);
  const put = db.prepare('INSERT INTO routes (user, host, generation, held_until, held_target) VALUES (?, ?, 1, ?, ?)');
  put.run('mine@x', 'be1', 0, null);
  put.run('other@x', 'be2', 0, null);
  put.run('held@x', 'be1', HELD, 'be2');
  put.run('over@x', 'be1', PAST, 'be2');
  put.run('homeless@x', 'be9', 0, null);
});

const MAILBOXES = {home: '/var/vmail/home', uid: 5000, gid: 5001};
const passdb = (user: string, protocol: string) => db.prepare(backendPassdb({user, protocol})).get();
const userdb = (user: string, protocol: string) => db.prepare(backendUserdb({user, protocol}, MAILBOXES)).get();

describe('login at a backend', () => {
  it('lets the password decide when the mailbox is here', () => {
    for (const user of ['mine@x', 'over@x']) {
      expect(passdb(user, 'imap')).toMatchObject({
        user,
        password: null,
        noauthenticate: 'y',
        nopassword: null,
        proxy_maybe: null,
        host: null,
      });
    }
  });

  it.each(['other@x', 'held@x', 'homeless@x', 'unknown@x'])('fails for %s as a query does, which is a temporary failure', user => {
    expect(() => passdb(user, 'imap')).toThrow(/overflow/);
    expect(() => passdb(user, 'sieve')).toThrow(/overflow/);
    for (const protocol of ['imap', 'pop3', 'submission', 'lda']) expect(userdb(user, protocol)).toMatchObject({tempfail: 'y'});
  });
});

describe('mail at a backend', () => {
  it('says where the user lives, and never asks for a password', () => {
    expect(passdb('mine@x', 'lmtp')).toMatchObject({
      password: null,
      nopassword: 'y',
      noauthenticate: null,
      proxy_maybe: 'y',
      host: '10.0.0.1',
      port: 24,
    });
    expect(passdb('other@x', 'lmtp')).toMatchObject({proxy_maybe: 'y', host: '10.0.0.2'});
    expect(passdb('held@x', 'lmtp')).toMatchObject({host: '10.0.0.1'});
  });

  it.each(['homeless@x', 'unknown@x'])('fails temporarily for %s', user => {
    expect(() => passdb(user, 'lmtp')).toThrow(/overflow/);
  });

  it('is put off for a held user and for one who lives elsewhere', () => {
    expect(userdb('mine@x', 'lmtp')).toMatchObject({tempfail: null});
    for (const user of ['held@x', 'other@x', 'unknown@x']) expect(userdb(user, 'lmtp')).toMatchObject({tempfail: 'y'});
  });
});

it('puts off mail alone where deliveries wait, no longer than they shall', () => {
  const defer = db.prepare('INSERT INTO deferrals VALUES (?, ?)');
  defer.run('mine@x', HELD);
  defer.run('over@x', PAST);
  expect(userdb('mine@x', 'lmtp')).toMatchObject({tempfail: 'y'});
  for (const protocol of ['imap', 'sieve', 'doveadm']) expect(userdb('mine@x', protocol)).toMatchObject({tempfail: null});
  expect(userdb('over@x', 'lmtp')).toMatchObject({tempfail: null});
});

it('lets doveadm in while the fence is up, since a copy is made then', () => {
  for (const user of ['mine@x', 'other@x', 'held@x'])
    expect(userdb(user, 'doveadm')).toMatchObject({tempfail: null, uid: 5000, gid: 5001, home: '/var/vmail/home'});
});

it('leaves home and owner to a userdb of the operator, and fails as a query does where the fence holds', () => {
  const own = (user: string, protocol: string) => db.prepare(backendUserdb({user, protocol}, null)).get();
  expect(own('mine@x', 'lmtp')).toEqual({fence: null});
  expect(own('held@x', 'doveadm')).toEqual({fence: null});
  for (const user of ['held@x', 'other@x', 'unknown@x']) expect(() => own(user, 'lmtp')).toThrow(/overflow/);
  db.prepare('INSERT INTO deferrals VALUES (?, ?)').run('mine@x', HELD);
  expect(() => own('mine@x', 'lmtp')).toThrow(/overflow/);
});

it('lists who is routed here, held or not', () => {
  expect(db.prepare(BACKEND_ITERATE).all()).toEqual([{user: 'held@x'}, {user: 'mine@x'}, {user: 'over@x'}]);
});

describe('edge', () => {
  const login = (user: string, protocol = 'imap') => db.prepare(edgePassdb({user, protocol})).get();
  const ask = (query: string, user: string) => Object.values(db.prepare(query.replaceAll('%s', user)).get() ?? {})[0];

  it('sends logins where the user lives, held ones already to the target', () => {
    expect(login('mine@x')).toMatchObject({nopassword: 'y', proxy: 'y', host: '10.0.0.1', port: 143});
    expect(login('held@x')).toMatchObject({host: '10.0.0.2'});
    expect(login('over@x')).toMatchObject({host: '10.0.0.1'});
    const ports = ['sieve', 'pop3', 'submission'].map(protocol => login('mine@x', protocol)?.port);
    expect(ports).toEqual([4190, 110, 587]);
  });

  it('keeps IMAP logins of a held user waiting at its own port, no longer than the hold', () => {
    db.exec('UPDATE routes SET hold_port = 40001');
    expect(login('held@x')).toMatchObject({host: '127.0.0.1', port: 40_001});
    expect(login('held@x', 'sieve')).toMatchObject({host: '10.0.0.2', port: 4190});
    expect(login('over@x')).toMatchObject({host: '10.0.0.1', port: 143});
    expect(login('mine@x')).toMatchObject({host: '10.0.0.1', port: 143});
  });

  it('knows nothing of an unknown user, and fails temporarily for one whose host it does not know', () => {
    expect(login('unknown@x')).toBeUndefined();
    expect(() => login('homeless@x')).toThrow(/overflow/);
  });

  it('turns nobody away for good after a boot until its routes are current', () => {
    db.exec(`UPDATE self SET fenced_until = ${HELD}`);
    expect(() => login('unknown@x')).toThrow(/overflow/);
    expect(() => ask(EDGE_RECIPIENT, 'unknown@x')).toThrow(/overflow/);
    expect(login('mine@x')).toMatchObject({host: '10.0.0.1'});
    expect(ask(EDGE_RECIPIENT, 'mine@x')).toBe('OK');
    db.exec(`UPDATE self SET fenced_until = ${PAST}`);
    expect(login('unknown@x')).toBeUndefined();
    expect(ask(EDGE_RECIPIENT, 'unknown@x')).toBeUndefined();
  });

  it('gives Postfix the next hop only when there is one', () => {
    expect(ask(EDGE_TRANSPORT, 'held@x')).toBe('smtp:[10.0.0.2]:25');
    expect(ask(EDGE_TRANSPORT, 'homeless@x')).toBeUndefined();
    expect(ask(EDGE_RECIPIENT, 'homeless@x')).toBe('OK');
    expect(ask(EDGE_RECIPIENT, 'unknown@x')).toBeUndefined();
  });
});
