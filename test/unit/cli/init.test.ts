import {chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
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
  await init('farm');
  chmodSync(join(dir, 'seeds/coordinator.seed'), 0o644);
  await expect(init('farm')).rejects.toMatchObject({code: 'CONFIG_INVALID', detail: {file: join(dir, 'seeds/coordinator.seed')}});
  chmodSync(join(dir, 'seeds/coordinator.seed'), 0o600);
  writeFileSync(join(dir, 'seeds/be09.seed'), 'not a seed');
  await expect(init('farm')).rejects.toMatchObject({code: 'CONFIG_INVALID', detail: {reason: 'is no NATS seed'}});
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
