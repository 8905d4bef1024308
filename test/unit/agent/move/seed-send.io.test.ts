import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {type AddressInfo, createServer, type Server} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {KnownTexts} from '../../../../agent/move/bodies.io.ts';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import type {SeedOutcome} from '../../../../agent/move/host-ports.ts';
import type {MailPlaces} from '../../../../agent/move/seed-place.io.ts';
import {sendSeed} from '../../../../agent/move/seed-send.io.ts';

const DBOX_INBOX = 'mailboxes/INBOX/dbox-Mails';
const GUIDS = {'': 'a'.repeat(32), '.Sent': 'b'.repeat(32)};
let folder: string;
let root: string;
let target: Server;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-send-'));
  root = join(folder, 'store/Maildir');
  for (const each of ['cur', 'new', '.Sent/cur', DBOX_INBOX]) mkdirSync(join(root, each), {recursive: true});
  target = createServer({allowHalfOpen: true}, socket => {
    socket.on('error', () => undefined).resume();
    socket.end('{"refusal":null}\n{"refusal":null}\n');
  });
  await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await new Promise(resolve => target.close(resolve));
  rmSync(folder, {recursive: true});
});

async function send(format: 'maildir' | 'sdbox'): Promise<SeedOutcome> {
  const rows = async (): Promise<object[]> => Object.values(GUIDS).map(guid => ({guid, uidnext: '2'}));
  const server = {rows: format === 'maildir' ? rows : async () => [], value: async () => ''} as unknown as DoveadmServer;
  const place = {format, root, inbox: join(root, format === 'maildir' ? '' : DBOX_INBOX), dialect: {dovecot: '2.3', transforms: []}};
  const places = {server, of: async () => place, offered: async () => []} as unknown as MailPlaces;
  const offer = {address: '127.0.0.1', port: (target.address() as AddressInfo).port, secret: 's'};
  const ports = {places, texts: new KnownTexts(), gone: () => undefined};
  return await sendSeed(ports, 'ada@farm.example', offer, null, new AbortController().signal);
}

/** What the owner may put in place of a file, and nobody should wait for or read to its end. */
const ODD: [string, (path: string) => void][] = [
  ['a pipe', path => execFileSync('mkfifo', [path])],
  ['a link to what never ends', path => symlinkSync('/dev/zero', path)],
  ['a directory', path => mkdirSync(path)],
  [
    'a file of nothing but a length',
    path => {
      writeFileSync(path, '');
      truncateSync(path, 600 * 2 ** 20);
    },
  ],
];

test.each(ODD)('no seed is sent of a maildir that has %s in place of its list', async (_what, put) => {
  put(join(root, 'dovecot-uidlist'));
  expect(await send('maildir')).toMatchObject({kind: 'unfit', reason: expect.stringContaining('dovecot-uidlist')});
});

test.each(ODD)('nor of a dbox that has %s in place of an index', async (_what, put) => {
  put(join(root, DBOX_INBOX, 'dovecot.index.log'));
  expect(await send('sdbox')).toMatchObject({kind: 'unfit', reason: expect.stringContaining('dovecot.index.log')});
});

/** One message in each of two folders. */
function fill(): void {
  for (const [directory, guid] of Object.entries(GUIDS)) {
    writeFileSync(join(root, directory, 'cur/1.M1P1.host,S=4:2,S'), 'one\n');
    writeFileSync(join(root, directory, 'dovecot-uidlist'), `3 V7 N2 G${guid}\n1 :1.M1P1.host,S=4:2,S\n`);
  }
}

test('a store that lies behind a link is sent as any other', async () => {
  fill();
  renameSync(join(folder, 'store'), join(folder, 'disk'));
  symlinkSync('disk', join(folder, 'store'));
  expect(await send('maildir')).toMatchObject({kind: 'seeded', messages: 2});
});

test('a folder whose messages lie behind a link is left to Dovecot, and all of it where that is the INBOX', async () => {
  fill();
  const link = (directory: string): void => {
    renameSync(join(root, directory, 'cur'), join(folder, `elsewhere${directory}`));
    symlinkSync(join(folder, `elsewhere${directory}`), join(root, directory, 'cur'));
  };
  link('.Sent');
  expect(await send('maildir')).toMatchObject({kind: 'seeded', messages: 1});
  link('');
  expect(await send('maildir')).toMatchObject({kind: 'unfit'});
});
