import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';

const directory = mkdtempSync(join(tmpdir(), 'mailherd-doveadm-'));
const path = join(directory, 'doveadm-server');
const GREETING = 'VERSION\tdoveadm-server\t1\t0';
let heard: string[] = [];
let sockets: Socket[] = [];
let server: Server;

/** Dovecot's side: what it says to each line. */
let answer = (line: string): string | null => (line === GREETING ? '+\n' : '\n+\n');

beforeEach(async () => {
  heard = [];
  sockets = [];
  server = createServer(socket => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', chunk => {
      const line = chunk.toString('utf8').slice(0, -1);
      heard.push(line);
      const said = answer(line);
      if (said === null) socket.destroy();
      // In pieces, as a long answer comes.
      else for (const piece of said.match(/.{1,3}/gs) ?? []) socket.write(piece);
    });
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise(resolve => server.close(resolve));
  rmSync(path, {force: true});
});

test('values come one after the other, with what would end one escaped; the same process is asked again', async () => {
  answer = line => (line === GREETING ? '+\n' : 'Sent\t7\tü \u0001t\u0001n\u00011\t\t\n+\n');
  const doveadm = new DoveadmServer(path);
  for (let turn = 0; turn < 2; turn++)
    expect(await doveadm.values('ada@farm.example', ['mailbox status', 'a\tb\n\u0001'])).toEqual(['Sent', '7', 'ü \t\n\u0001', '']);
  const command = '\tada@farm.example\tmailbox status\ta\u0001tb\u0001n\u00011';
  expect(heard).toEqual([GREETING, command, command]);
});

test('rows by their columns', async () => {
  answer = line => (line === GREETING ? '+\n' : 'Sent\t7\tINBOX\t9\t\n+\n');
  const rows = await new DoveadmServer(path).rows('ada@farm.example', ['fetch', 'ALL'], ['mailbox', 'uid']);
  expect(rows).toEqual([
    {mailbox: 'Sent', uid: '7'},
    {mailbox: 'INBOX', uid: '9'},
  ]);
});

test('fields of a user, and a single value', async () => {
  answer = line => (line === GREETING ? '+\n' : '{"ada@farm.example":{"uid":"5000","home":"/mail/ada\\u0009"}}\n+\n');
  expect([...(await new DoveadmServer(path).fields('ada@farm.example'))]).toEqual([
    ['uid', '5000'],
    ['home', '/mail/ada\t'],
  ]);
  answer = line => (line === GREETING ? '+\n' : '/mail/ada/Maildir\t\n+\n');
  expect(await new DoveadmServer(path).value('ada@farm.example', ['mailbox path', 'INBOX'])).toBe('/mail/ada/Maildir');
});

test('what the server does not tell of a user the program is asked, which says why', async () => {
  for (const said of ['{}\n+\n', '\n-NOUSER\n', null]) {
    answer = line => (line === GREETING ? '+\n' : said);
    const doveadm = new DoveadmServer(path);
    // There is no such program here.
    await expect(doveadm.fields('ada@farm.example')).rejects.toMatchObject({code: 'COMMAND_FAILED'});
    if (said === null)
      await expect(doveadm.value('ada@farm.example', ['mailbox path', 'INBOX'])).rejects.toMatchObject({code: 'COMMAND_FAILED'});
  }
});

test('whatever is no success is none: a refusal, half an answer, a wish for a password, nobody there', async () => {
  const doveadm = new DoveadmServer(path);
  for (const [greeting, said] of [
    ['+\n', 'Sent\t\n-NOTFOUND\n'],
    ['+\n', '\n-\n'],
    ['+\n', null],
    ['-\n', '\n+\n'],
    [null, '\n+\n'],
  ] as const) {
    answer = line => (line === GREETING ? greeting : said);
    expect([greeting, said, await doveadm.values(null, ['who'])]).toEqual([greeting, said, null]);
  }
  expect(await new DoveadmServer(join(directory, 'none')).values(null, ['who'])).toBeNull();
});

test('those that ended while they waited are asked once at most', async () => {
  answer = line => (line === GREETING ? '+\n' : 'x\t\n+\n');
  const doveadm = new DoveadmServer(path);
  await doveadm.prepare('user', 2);
  expect(sockets.length).toBe(2);
  for (const socket of sockets) socket.destroy();
  let said: string[] | null = null;
  for (let tries = 0; tries <= 2 && said === null; tries++) said = await doveadm.values('ada@farm.example', ['mailbox list']);
  expect(said).toEqual(['x']);
});

test('processes made ready are used, and not those of another kind', async () => {
  answer = line => (line === GREETING ? '+\n' : '\n+\n');
  const doveadm = new DoveadmServer(path);
  await doveadm.prepare('user', 2);
  await Promise.all([doveadm.values('ada@farm.example', ['a']), doveadm.values('ben@farm.example', ['b'])]);
  expect(sockets.length).toBe(2);
  await doveadm.values(null, ['who']);
  expect(sockets.length).toBe(3);
});
