import {chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {parse} from 'yaml';
import type {Outbox} from '../../../agent/report/outbox.io.ts';
import {initCommand} from '../../../cli/init.io.ts';
import {parseNewHost, permissionsOf, usersConf} from '../../../cli/init.ts';
import {NEWEST_ROUTE} from '../../../wire/accounts.ts';
import {AGENT_EVENTS} from '../../../wire/event.ts';

let parent: string;
let dir: string;
let printed = '';

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mailherd-init-'));
  dir = join(parent, 'farm');
});
afterEach(() => {
  rmSync(parent, {recursive: true});
});

async function init(...args: string[]): Promise<void> {
  printed = '';
  const output = vi.spyOn(process.stdout, 'write').mockImplementation(chunk => {
    printed += String(chunk);
    return true;
  });
  try {
    await initCommand().parseAsync([...args, '--dir', dir], {from: 'user'});
  } finally {
    output.mockRestore();
  }
}

function files(): Record<string, string> {
  const names = readdirSync(dir, {recursive: true, withFileTypes: true}).filter(entry => entry.isFile());
  return Object.fromEntries(
    names.map(entry => join(entry.parentPath, entry.name)).map(path => [path.slice(dir.length + 1), readFileSync(path, 'utf8')]),
  );
}

test('a farm: every secret is private, tokens are stored as digests, and the operator is told what goes where', async () => {
  await init('farm', '--host', 'be01:backend', '--host', 'edge1:edge', '--listen', '10.0.0.1:4222');
  const made = files();
  expect(Object.keys(made).sort()).toEqual(
    [
      ...['agents/be01.yaml', 'agents/edge1.yaml', 'cli.yaml', 'coordinator.yaml', 'nats-server.conf', 'nats-users.conf'],
      ...['seeds/be01.seed', 'seeds/coordinator.seed', 'seeds/edge1.seed', 'seeds/observer.seed', 'tokens.yaml'],
    ].sort(),
  );
  for (const secret of Object.keys(made).filter(name => /seed$|tokens|cli|users/.test(name))) {
    expect([secret, statSync(join(dir, secret)).mode & 0o777]).toEqual([secret, 0o600]);
  }
  expect(statSync(dir).mode & 0o077).toBe(0);
  const {token} = parse(made['cli.yaml'] ?? '') as {token: string};
  expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  expect(made['tokens.yaml']).not.toContain(token);
  expect(parse(made['tokens.yaml'] ?? '')).toMatchObject([{role: 'operate', sha256: expect.stringMatching(/^[0-9a-f]{64}$/)}]);
  expect(parse(made['agents/edge1.yaml'] ?? '')).toMatchObject({host: 'edge1', role: 'edge', nats: {servers: ['10.0.0.1:4222']}});
  for (const name of ['nats-users.conf', 'cli.yaml', 'agents/be01.yaml', 'seeds/edge1.seed']) expect(printed).toContain(name);
  for (const seed of Object.keys(made).filter(name => name.endsWith('.seed'))) expect(printed).not.toContain(made[seed]?.trim());
});

test('run again it changes nothing; a new host adds its own files and its user only', async () => {
  await init('farm', '--host', 'be01:backend');
  const first = files();
  await init('farm', '--host', 'be01:backend');
  expect(files()).toEqual(first);
  await init('host', 'be02:backend');
  const second = files();
  const {'nats-users.conf': before, ...others} = first;
  expect(second).toMatchObject(others);
  expect(Object.keys(second).filter(name => !(name in first))).toEqual(expect.arrayContaining(['agents/be02.yaml', 'seeds/be02.seed']));
  const usersIn = (text: string | undefined): string[] => [...(text ?? '').matchAll(/nkey: (U\w+)/g)].map(([, key]) => key ?? '');
  expect(usersIn(second['nats-users.conf'])).toEqual(expect.arrayContaining(usersIn(before)));
  expect(usersIn(second['nats-users.conf'])).toHaveLength(usersIn(before).length + 1);
});

test('what an operator has edited stays', async () => {
  await init('farm', '--host', 'be01:backend');
  writeFileSync(join(dir, 'nats-server.conf'), '# mine\n');
  writeFileSync(join(dir, 'agents/be01.yaml'), '# mine too\n');
  await init('farm', '--host', 'be01:backend');
  expect([files()['nats-server.conf'], files()['agents/be01.yaml']]).toEqual(['# mine\n', '# mine too\n']);
});

test('refuses a secret that others may read, a seed that is none, a directory that is no farm', async () => {
  await expect(init('host', 'be01:backend')).rejects.toMatchObject({code: 'CONFIG_INVALID'});
  await expect(init('mail', 'be01:backend', '--dovecot', '2.4', ...MAIL)).rejects.toMatchObject({code: 'CONFIG_INVALID'});
  await init('farm');
  chmodSync(join(dir, 'seeds/coordinator.seed'), 0o644);
  await expect(init('farm')).rejects.toMatchObject({code: 'CONFIG_INVALID', detail: {file: join(dir, 'seeds/coordinator.seed')}});
  chmodSync(join(dir, 'seeds/coordinator.seed'), 0o600);
  writeFileSync(join(dir, 'seeds/be09.seed'), 'not a seed');
  await expect(init('farm')).rejects.toMatchObject({code: 'CONFIG_INVALID', detail: {reason: 'is no NATS seed'}});
});

const MAIL = ['--domain', 'x.example', '--address', '10.0.0.11', '--network', '10.0.0.0/24'];
const HOMES = ['--home', '/var/vmail/%d/%n', '--uid', '5000', '--gid', '5000'];

test("a mail host's files lie below their paths, with one doveadm password for all backends, and what to do is said", async () => {
  await init('farm');
  await init('mail', 'be01:backend', '--dovecot', '2.3', ...MAIL, ...HOMES);
  expect(printed).toContain(`tar -C ${dir}/mail/be01 -cf - etc`);
  expect(printed).toContain(String.raw`xargs -d '\n' postconf -e`);
  for (const step of ['!include mailherd.conf', 'doveconf -n', 'postfix check', 'doveadm auth lookup', 'mailherd agent check']) {
    expect(printed).toContain(step);
  }
  await init('mail', 'be02:backend', '--dovecot', '2.4', ...MAIL);
  expect(printed).toContain('your userdb');
  await init('mail', 'edge1:edge', '--dovecot', '2.4', '--domain', 'x.example');
  const made = files();
  const password = made['doveadm.password']?.trim() ?? '';
  expect(password).toMatch(/^[0-9a-f]{48}$/);
  const holders = Object.keys(made).filter(name => made[name]?.includes(password));
  expect(holders.sort()).toEqual([
    'doveadm.password',
    'mail/be01/etc/dovecot/mailherd-doveadm.conf.ext',
    'mail/be02/etc/dovecot/mailherd-doveadm.conf.ext',
  ]);
  for (const name of holders) expect([name, statSync(join(dir, name)).mode & 0o777]).toEqual([name, 0o600]);
  expect(printed).not.toContain(password);
  expect(
    Object.keys(made)
      .filter(name => name.startsWith('mail/edge1/etc/postfix'))
      .map(name => name.slice('mail/edge1/etc/postfix/'.length))
      .sort(),
  ).toEqual(['mailherd-main.cf', 'probe-transport', 'route-recipient.cf', 'route-replies', 'route-transport.cf']);
  expect(made['mail/be01/etc/dovecot/mailherd-sql.conf.ext']).toContain("5000 AS uid, 5000 AS gid, '/var/vmail/%d/%n' AS home");
  expect(made['mail/be02/etc/dovecot/mailherd.conf']).not.toContain('AS home');
});

test("a mail host's file that says something else stays, and no other is written", async () => {
  await init('farm');
  await init('mail', 'be01:backend', '--dovecot', '2.3', ...MAIL, ...HOMES);
  const first = files();
  await init('mail', 'be01:backend', '--dovecot', '2.3', ...MAIL, ...HOMES);
  expect(files()).toEqual(first);
  const edited = join(dir, 'mail/be01/etc/postfix/mailherd-main.cf');
  writeFileSync(edited, '# mine\n');
  const missing = join(dir, 'mail/be01/etc/dovecot/mailherd.conf');
  rmSync(missing);
  await expect(init('mail', 'be01:backend', '--dovecot', '2.3', ...MAIL, ...HOMES)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: {file: edited},
  });
  expect(readFileSync(edited, 'utf8')).toBe('# mine\n');
  expect(existsSync(missing)).toBe(false);
});

test.each([
  ['be01:control', MAIL],
  ['be01:backend', MAIL.slice(0, 4)],
  ['be01:backend', MAIL.slice(2)],
  ['be01:backend', [...MAIL, '--uid', '5000']],
  ['be01:backend', [...MAIL, '--home', "/var/vmail/'%n", '--uid', '5000', '--gid', '5000']],
  ['be01:backend', [...MAIL, '--home', '/var/vmail/%h', '--uid', '5000', '--gid', '5000']],
  ['be01:backend', [...MAIL, '--home', '/var/vmail/%n', '--uid', '0', '--gid', '5000']],
  ['edge1:edge', ['--domain', 'x y']],
])('%s with %j is no mail host', async (host, options) => {
  await init('farm');
  await expect(init('mail', host, '--dovecot', '2.4', ...options)).rejects.toMatchObject({code: 'INPUT_INVALID'});
  expect(Object.keys(files()).filter(name => name.startsWith('mail') || name === 'doveadm.password')).toEqual([]);
});

test.each([
  'be01',
  'be01:server',
  'Be01:backend',
  'be.01:backend',
  'a*:backend',
  '>:backend',
  ':edge',
  'be01:backend:x',
  'coordinator:control',
  'observer:edge',
])('%s is no host', text => {
  expect(() => parseNewHost(text)).toThrow(expect.objectContaining({code: 'INPUT_INVALID'}));
});

test("a host's permissions name nobody else and write no bucket", () => {
  const {publish, subscribe, responses} = permissionsOf('be01');
  expect(publish.filter(subject => subject.startsWith('mailherd.'))).toEqual([
    'mailherd.report.be01',
    ...AGENT_EVENTS.map(type => `mailherd.event.be01.${type}`),
    NEWEST_ROUTE,
  ]);
  expect(publish.filter(subject => /^\$KV|STREAM\.(?!MSG\.GET)|DELETE|PURGE|UPDATE|^>|\*/.test(subject))).toEqual([]);
  expect(subscribe).toEqual(['mailherd.command.be01.>', '_INBOX_be01.>']);
  expect(responses).not.toBeNull();
});

test('a host may raise every event that the code of its agent raises, and each is an event', () => {
  const folder = join(import.meta.dirname, '../../../agent');
  const files = readdirSync(folder, {recursive: true, encoding: 'utf8'}).filter(name => name.endsWith('.ts'));
  const text = files.map(name => readFileSync(join(folder, name), 'utf8')).join('\n');
  const raised = [...text.matchAll(/\b(?:event|emit|onEvent)\('(\w+)',/g)].map(([, type]) => `${type}`);
  expect(raised.length).toBeGreaterThan(8);
  expect(permissionsOf('be01').publish).toEqual(expect.arrayContaining(raised.map(type => `mailherd.event.be01.${type}`)));
  // What the coordinator says, no agent can: nor does it compile.
  const outbox = {} as Outbox;
  // @ts-expect-error
  expect(() => outbox.event('verdictChanged', {})).toThrow();
});

test('hosts and observers are in other accounts than the coordinator', () => {
  const user = (name: string): {name: string; publicKey: string} => ({name, publicKey: `U${name.toUpperCase()}`});
  const text = usersConf([user('be01'), user('coordinator'), user('observer')], {HOSTS: 'h'.repeat(32), OBSERVERS: 'o'.repeat(32)});
  const accounts = text.split(/^ {2}(?=[A-Z]+ \{$)/m).slice(1);
  expect(accounts.map(account => [account.split(' ')[0], [...account.matchAll(/nkey: (\w+)/g)].map(([, key]) => key)])).toEqual([
    ['FARM', ['UCOORDINATOR']],
    ['HOSTS', ['UBE01']],
    ['OBSERVERS', ['UOBSERVER']],
  ]);
  // The one secret of each account stands in no permission of a user.
  expect([...text.matchAll(/publish: .*/g)].join()).not.toMatch(/hhhh|oooo/);
});
