import {execFileSync} from 'node:child_process';
import {closeSync, constants, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {type AddressInfo, createServer, type Server} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {KnownTexts} from '../../../../agent/move/bodies.io.ts';
import type {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import type {SeedOutcome} from '../../../../agent/move/host-ports.ts';
import {ListReader} from '../../../../agent/move/plain-file.io.ts';
import {SeedArchive} from '../../../../agent/move/seed-archive.io.ts';
import type {MailPlaces} from '../../../../agent/move/seed-place.io.ts';
import {sendSeed} from '../../../../agent/move/seed-send.io.ts';

const INBOX = 'mailboxes/INBOX/dbox-Mails';
let root: string;
let target: Server;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-plain-'));
  for (const each of ['cur', INBOX]) mkdirSync(join(root, each), {recursive: true});
  target = createServer({allowHalfOpen: true}, socket =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('{"refusal":null}\n'),
  );
  await new Promise<void>(resolve => target.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await new Promise(resolve => target.close(resolve));
  rmSync(root, {recursive: true});
});

function pipe(path: string): void {
  execFileSync('mkfifo', [join(root, path)]);
}

/** What the owner may put in place of a file, and nobody should wait for or read to its end. */
const ODD: [string, (path: string) => void][] = [
  ['a pipe', pipe],
  ['a link to what never ends', path => symlinkSync('/dev/zero', join(root, path))],
  ['a directory', path => mkdirSync(join(root, path))],
  [
    'a file of nothing but a length',
    path => {
      writeFileSync(join(root, path), '');
      truncateSync(join(root, path), 600 * 2 ** 20);
    },
  ],
];

async function send(format: 'maildir' | 'sdbox'): Promise<SeedOutcome> {
  const server = {rows: async () => [], value: async () => ''} as unknown as DoveadmServer;
  const place = {format, root, inbox: join(root, format === 'maildir' ? '' : INBOX), dialect: {dovecot: '2.3', transforms: []}};
  const places = {server, of: async () => place, offered: async () => []} as unknown as MailPlaces;
  const offer = {address: '127.0.0.1', port: (target.address() as AddressInfo).port, secret: 's'};
  const ports = {places, texts: new KnownTexts(), gone: () => undefined};
  return await sendSeed(ports, 'ada@farm.example', offer, null, new AbortController().signal);
}

test.each(ODD)('no seed is sent of a maildir that has %s in place of its list', async (_what, put) => {
  put('dovecot-uidlist');
  expect(await send('maildir')).toMatchObject({kind: 'unfit', reason: expect.stringContaining('dovecot-uidlist')});
});

test.each(ODD)('nor of a dbox that has %s in place of an index', async (_what, put) => {
  put(`${INBOX}/dovecot.index.log`);
  expect(await send('sdbox')).toMatchObject({kind: 'unfit', reason: expect.stringContaining('dovecot.index.log')});
});

test('a file of mdbox of which the beginning goes is a plain one', async () => {
  mkdirSync(join(root, 'storage'));
  pipe('storage/m.1');
  symlinkSync('/etc/passwd', join(root, 'storage/m.2'));
  const archive = new SeedArchive({say: async () => undefined}, {sent: () => undefined, areTexts: false});
  for (const path of ['storage/m.1', 'storage/m.2'])
    await expect(archive.passBeginning(root, path, 5, 0)).rejects.toMatchObject({code: 'SEED_UNFIT'});
  expect(await archive.passBeginning(root, 'storage/m.3', 5, 0)).toBe(false);
});

test('lists are read as they are; together they have a limit', async () => {
  writeFileSync(join(root, 'one'), 'one');
  for (const path of ['two', 'three']) {
    closeSync(openSync(join(root, path), constants.O_CREAT | constants.O_WRONLY));
    truncateSync(join(root, path), 70 * 2 ** 20);
  }
  const lists = new ListReader(root);
  expect((await lists.read('one')).toString()).toBe('one');
  expect(await lists.read('two')).toHaveLength(70 * 2 ** 20);
  await expect(lists.read('three')).rejects.toMatchObject({code: 'SEED_UNFIT'});
  await expect(lists.read('none')).rejects.toMatchObject({code: 'ENOENT'});
});
