import {expect, test} from 'vitest';
import {unprepared} from '../../../agent/move/relief.ts';
import {dovecot23} from '../../../wire/mail-config/dovecot-23.ts';
import {dovecot24} from '../../../wire/mail-config/dovecot-24.ts';
import {postfixParameters, postfixTables} from '../../../wire/mail-config/postfix.ts';
import type {BackendSite, ConfigFile, EdgeSite} from '../../../wire/mail-config/site.ts';
import * as queries from '../../../wire/route-queries.ts';

const EDGE: EdgeSite = {role: 'edge', domains: ['one.example', 'two.example']};
const BACKEND: BackendSite = {
  role: 'backend',
  domains: ['one.example', 'two.example'],
  address: '10.0.0.11',
  networks: ['10.0.0.0/24', '10.0.1.0/24'],
  mailboxes: {home: '/srv/%d/%n', uid: 2000, gid: 2001},
  doveadmPassword: 'hush',
};
const OWN: BackendSite = {...BACKEND, mailboxes: null};

const both = [dovecot23, dovecot24];
const textOf = (files: ConfigFile[], path: string): string => files.find(file => file.path === path)?.text ?? '';
const all = (files: ConfigFile[]): string => files.map(({text}) => text).join('\n');
/** Settings outside of blocks. */
const settings = (text: string): string[] => text.split('\n').filter(line => /^\w+ = /.test(line));

test.each(both)('a backend asks the fence first and for good, never a cache', dovecot => {
  const text = textOf(dovecot(BACKEND), '/etc/dovecot/mailherd.conf');
  expect(settings(text)).toEqual(
    expect.arrayContaining([
      'auth_cache_size = 0',
      'auth_failure_delay = 0',
      'login_trusted_networks = 127.0.0.0/8 10.0.0.0/24 10.0.1.0/24',
      'lmtp_proxy = yes',
      'shutdown_clients = no',
    ]),
  );
  const passdb = /^passdb [\s\S]*?^}/m.exec(text)?.[0];
  expect(passdb).toContain('result_failure = return-fail');
  expect(passdb).toContain('result_internalfail = return-fail');
  for (const port of ['port = 24\n', 'port = 24245\n']) expect(text).toContain(port);
  expect(text.match(/^(passdb|userdb) /gm)).toEqual(['passdb ', 'userdb ']);
});

test.each(both)('a backend finds the table by the door that the agent opens, an edge where it lies', dovecot => {
  expect(all(dovecot(BACKEND))).toContain(queries.ROUTES_DB_SINCE_BOOT);
  expect(all(dovecot(BACKEND))).not.toContain(queries.ROUTES_DB);
  expect(all(dovecot(EDGE))).toContain(queries.ROUTES_DB);
  expect(all(dovecot(EDGE))).not.toContain(queries.ROUTES_DB_SINCE_BOOT);
});

test('queries and homes are in the words of each Dovecot', () => {
  const [old, recent] = [all(dovecot23(BACKEND)), all(dovecot24(BACKEND))];
  const mailboxes = {home: '/srv/%d/%n', uid: 2000, gid: 2001};
  const words = {user: '%u', protocol: '%s'};
  expect(old).toContain(`password_query = ${queries.backendPassdb(words)}\n`);
  expect(old).toContain(`user_query = ${queries.backendUserdb(words, mailboxes)}\n`);
  const newWords = {user: '%{user}', protocol: '%{protocol}'};
  expect(recent).toContain(`passdb_sql_query = ${queries.backendPassdb(newWords)}\n`);
  expect(recent).toContain(
    `userdb_sql_query = ${queries.backendUserdb(newWords, {...mailboxes, home: '/srv/%{user | domain}/%{user | username}'})}\n`,
  );
  expect(recent).not.toMatch(/%[a-z]/);
  for (const text of [old, recent]) expect(text).toContain(`iterate_query = ${queries.BACKEND_ITERATE}\n`);
  expect(all(dovecot23(EDGE))).toContain(`password_query = ${queries.edgePassdb(words)}\n`);
  expect(all(dovecot24(EDGE))).toContain(`passdb_sql_query = ${queries.edgePassdb(newWords)}\n`);
});

test.each(both)("a userdb of the operator's own goes on after the fence only where that lets it", dovecot => {
  const userdb = (site: BackendSite): string => /^userdb [\s\S]*?^}/m.exec(textOf(dovecot(site), '/etc/dovecot/mailherd.conf'))?.[0] ?? '';
  for (const line of ['result_success = continue-ok', 'result_failure = return-fail', 'result_internalfail = return-fail']) {
    expect(userdb(OWN)).toContain(line);
    expect(userdb(BACKEND)).not.toContain(line);
  }
  // Dovecot 2.3 dies of it there
  expect(all(dovecot(OWN))).not.toContain('tempfail');
  expect(all(dovecot(BACKEND))).toContain('AS tempfail');
});

test.each(both)("an edge's logins wait for a host that refuses for a moment; it keeps no secret", dovecot => {
  const files = dovecot(EDGE);
  expect(settings(all(files))).toEqual(expect.arrayContaining(['auth_cache_size = 0', 'login_proxy_max_reconnects = 20']));
  expect(all(files)).not.toMatch(/^userdb|login_trusted_networks|doveadm/m);
  expect(files.filter(({isSecret}) => isSecret)).toEqual([]);
});

test.each(both)('the password of doveadm stands in a secret file only', dovecot => {
  const holders = dovecot(BACKEND).filter(({text}) => text.includes('hush'));
  expect(holders).toEqual([{path: '/etc/dovecot/mailherd-doveadm.conf.ext', text: 'doveadm_password = hush\n', isSecret: true}]);
  expect(all(dovecot(BACKEND))).toContain('!include mailherd-doveadm.conf.ext');
});

test.each([BACKEND, EDGE])('Postfix of $role: every table that is named is there, and no other', site => {
  const named = [...postfixParameters(site).matchAll(/\/etc\/postfix\/[\w.-]+/g)].map(([path]) => path);
  expect(new Set(postfixTables(site).map(({path}) => path))).toEqual(new Set(named));
  for (const {path, text} of postfixTables(site).filter(table => table.path.endsWith('.cf'))) {
    expect([path, text]).toEqual([path, expect.stringMatching(/^dbpath = \/var\/lib\/mailherd\/routes\/routes\.db\nquery = SELECT .*\n$/)]);
  }
});

test('Postfix of a backend can be relieved, and hands everything to its own LMTP', () => {
  const parameters = postfixParameters(BACKEND);
  expect(unprepared(parameters)).toEqual([]);
  expect(settings(parameters)).toEqual(
    expect.arrayContaining([
      'relay_domains = one.example two.example',
      'relay_transport = lmtp:[10.0.0.11]:24',
      'mynetworks = 127.0.0.0/8 10.0.0.0/24 10.0.1.0/24',
    ]),
  );
});

test('Postfix of an edge goes by the table, and refuses nobody for good whom it may not know yet', () => {
  expect(settings(postfixParameters(EDGE))).toEqual([
    'relay_domains = one.example two.example',
    'relay_recipient_maps = proxy:sqlite:/etc/postfix/route-recipient.cf',
    'unknown_relay_recipient_reject_code = 450',
    'transport_maps = texthash:/etc/postfix/probe-transport, proxy:sqlite:/etc/postfix/route-transport.cf',
    'relay_transport = retry:4.4.4 no route yet',
    'smtp_reply_filter = regexp:/etc/postfix/route-replies',
  ]);
});

test.each([
  ['554 5.4.0 Error: too many hops', '451 4.4.6 Error: too many hops', '451 4.4.6 Error: too many hops'],
  ['554 5.4.6 mail loop', '451 4.4.6 mail loop', '451 4.4.6 mail loop'],
  ['550 5.1.1 <a@b> User unknown', '451 4.1.1 <a@b> User unknown', '550 5.1.1 <a@b> User unknown'],
  ['554 5.7.1 spam', '554 5.7.1 spam', '554 5.7.1 spam'],
])('of replies "%s" is "%s" at a backend, "%s" at an edge', (reply, atBackend, atEdge) => {
  const filtered = (site: BackendSite | EdgeSite): string =>
    textOf(postfixTables(site), '/etc/postfix/route-replies')
      .split('\n')
      .flatMap(line => [...line.matchAll(/^\/(.*)\/ (.*)$/g)])
      .reduce((text, [, pattern = '', to = '']) => text.replace(new RegExp(pattern), to), reply);
  expect([filtered(BACKEND), filtered(EDGE)]).toEqual([atBackend, atEdge]);
});
