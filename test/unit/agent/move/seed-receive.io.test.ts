import {chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {type AddressInfo, connect, createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {DiskSync} from '../../../../agent/move/disk-sync.io.ts';
import {DoveadmServer} from '../../../../agent/move/doveadm-server.io.ts';
import type {SeedOffer} from '../../../../agent/move/host-ports.ts';
import {type ReaderAhead, SeedReceiver} from '../../../../agent/move/seed-receive.io.ts';
import {tarEnd, tarMember} from '../../../../agent/move/seed-tar.ts';

const NOBODY = 65_534;
const USER = 'ada@farm.example';
const DIALECT = {dovecot: '2.3', transforms: []};
const QUIET = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};

let store = '';
let opened: SeedReceiver | null = null;
/** Offers by which nothing comes any more. */
let over = 0;
let arrived = 0;

beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'seed-'));
  chmodSync(store, 0o755);
  if (process.getuid?.() === 0) chownSync(store, NOBODY, NOBODY);
  over = 0;
  arrived = 0;
});

afterEach(async () => {
  await opened?.end(USER);
  rmSync(store, {recursive: true, force: true});
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const {port} = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

interface Dovecot {
  rows?: DoveadmServer['rows'];
  readAhead?: ReaderAhead;
}

async function open(
  bytesMax = 1e6,
  {rows, readAhead = async () => undefined}: Dovecot = {},
): Promise<{receiver: SeedReceiver; offer: SeedOffer}> {
  const receiver = new SeedReceiver({
    port: await freePort(),
    server: rows === undefined ? new DoveadmServer(join(store, 'doveadm-server')) : ({rows} as DoveadmServer),
    disks: new DiskSync(),
    readAhead,
    log: QUIET,
  });
  opened = receiver;
  const owner = process.getuid?.() === 0 ? {uid: NOBODY, gid: NOBODY} : {uid: process.getuid?.() ?? 1, gid: process.getgid?.() ?? 1};
  const root = `${store}/home/Maildir`;
  const place = {
    home: `${store}/home`,
    mail: root,
    inbox: root,
    outside: {mail: null, rest: []},
    control: root,
    root,
    format: 'maildir' as const,
    owner,
    dialect: DIALECT,
  };
  const terms = {
    user: USER,
    address: '127.0.0.1',
    bytesMax,
    arrived: async () => {
      arrived++;
    },
  };
  return {receiver, offer: await receiver.offer(terms, place, () => over++)};
}

/** Says the hello, the rest once that was answered, and waits for the other side to close. @returns the lines it said. */
function talk({address, port}: SeedOffer, [hello = '', ...rest]: readonly (Uint8Array | string)[], isEnded = true): Promise<string[]> {
  return new Promise(resolve => {
    const socket: Socket = connect({host: address, port, allowHalfOpen: true});
    let said = '';
    socket.on('error', () => socket.destroy());
    const sayRest = (): void => {
      for (const part of rest.splice(0)) socket.write(part);
      if (isEnded) socket.end();
    };
    socket.on('data', data => {
      said += data;
      if (rest.length > 0) sayRest();
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve(said.split('\n').filter(line => line !== '')));
    socket.write(hello);
    if (rest.length === 0) sayRest();
  });
}

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise(resolve => setTimeout(resolve, 5));
}

const hello = (offer: SeedOffer, more: object = {}): string =>
  `${JSON.stringify({v: 1, secret: offer.secret, format: 'maildir', ...DIALECT, ...more})}\n`;
const summary = (files: number): string => `${JSON.stringify({files, folders: [], gone: []})}\n`;
const refusalOf = (line: string | undefined): {code: string; detail: Record<string, unknown>} | null => JSON.parse(line ?? '{}').refusal;

/** What the receiver said to an archive of one file of that name. */
async function refusalFor(name: string): Promise<unknown> {
  const {offer} = await open();
  const member = tarMember(name, 'text\n', 0);
  const lines = await talk(offer, [hello(offer), member, tarEnd(), summary(1)]);
  return refusalOf(lines[1])?.detail.reason;
}

describe('the port for seeds', () => {
  test('tells a stranger nothing, and keeps the offer for who has the secret', async () => {
    const {offer} = await open();
    expect(await talk(offer, [hello({...offer, secret: 'x'.repeat(64)})])).toEqual([]);
    expect(await talk(offer, ['GET / HTTP/1.1\r\n\r\n'])).toEqual([]);
    expect(await talk(offer, ['x'.repeat(10_000)], false)).toEqual([]);
    expect((await talk(offer, [hello(offer)])).map(refusalOf)).toMatchObject([null, {code: 'COPY_FAILED'}]);
  });

  test('takes one connection, and is closed when no offer is open', async () => {
    const {offer} = await open();
    await talk(offer, [hello(offer)]);
    expect(await talk(offer, [hello(offer)])).toEqual([]);
    await expect(
      new Promise((resolve, reject) => connect({host: offer.address, port: offer.port}).on('connect', resolve).on('error', reject)),
    ).rejects.toMatchObject({code: 'ECONNREFUSED'});
  });

  test('ends a seed in the middle: nothing is written after that, and nothing has arrived', async () => {
    const {receiver, offer} = await open();
    const said = talk(offer, [hello(offer), tarMember('cur', null, 0), tarMember('cur/a', 'text\n', 0)], false);
    await until(() => existsSync(`${store}/home/Maildir`));
    await receiver.end(USER);
    rmSync(`${store}/home`, {recursive: true});
    await said;
    expect(existsSync(`${store}/home`)).toBe(false);
    expect(arrived).toBe(0);
  });

  test('ends the reading of a seed that has come: nobody waits until all of it is read, and nobody reads any more then', async () => {
    const course: string[] = [];
    const readAhead = async (_user: string, signal: AbortSignal): Promise<void> => {
      course.push('reading');
      await new Promise(resolve => signal.addEventListener('abort', resolve));
      await new Promise(resolve => setTimeout(resolve, 20));
      course.push('read no more');
    };
    const {receiver, offer} = await open(1e6, {rows: async () => [], readAhead});
    const lines = await new Promise<string[]>(resolve => {
      void talk(offer, [hello(offer), tarEnd(), summary(0)]).then(resolve);
      void until(() => arrived === 1)
        .then(() => receiver.end(USER))
        .then(() => course.push('ended'));
    });
    expect(lines.map(refusalOf)).toEqual([null, null]);
    await until(() => course.length === 3);
    expect(course).toEqual(['reading', 'read no more', 'ended']);
  });

  test('begins to read nothing of a seed that was ended while Dovecot looked for it', async () => {
    const course: string[] = [];
    let answer: (rows: Record<string, string>[]) => void = () => undefined;
    const rows = (): Promise<Record<string, string>[]> => {
      course.push('looked for');
      return new Promise(resolve => {
        answer = resolve;
      });
    };
    const {receiver, offer} = await open(1e6, {rows, readAhead: async () => void course.push('reading')});
    void talk(offer, [hello(offer), tarEnd(), summary(0)]);
    await until(() => course.length === 1);
    const ended = receiver.end(USER);
    answer([]);
    await ended;
    expect([course, arrived]).toEqual([['looked for'], 0]);
  });

  test('refuses who does not wait for the answer to his hello', async () => {
    const {offer} = await open();
    const lines = await talk(offer, [`${hello(offer)}${'x'.repeat(600)}`]);
    expect(lines.map(refusalOf)).toMatchObject([{code: 'INPUT_INVALID'}]);
  });

  test('refuses files it cannot read, with a code that says so', async () => {
    const {offer} = await open();
    const lines = await talk(offer, [hello(offer, {transforms: ['compress']})]);
    expect(lines.map(refusalOf)).toMatchObject([{code: 'SEED_UNFIT'}]);
    expect(existsSync(`${store}/home`)).toBe(false);
  });
});

describe('an archive', () => {
  test.each(['../escape', '.Sent/../../escape', '.dovecot.sieve', 'cur/a/b', 'dovecot.index'])('never writes %s', async name => {
    expect(await refusalFor(name)).toBe(`no maildir holds that: ${name}`);
    expect(readdirSync(store)).toEqual(['home']);
    expect(readdirSync(`${store}/home/Maildir`)).toEqual([]);
  });

  test('that is larger than agreed, short of files, or broken off has not arrived', async () => {
    const large = await open(4);
    const lines = await talk(large.offer, [hello(large.offer), tarMember('cur/a', 'text\n', 0), tarEnd(), summary(1)]);
    expect(refusalOf(lines[1])?.detail).toMatchObject({reason: 'larger than expected', bytesMax: 4});
    const short = await open();
    const said = await talk(short.offer, [hello(short.offer), tarMember('cur/a', 'text\n', 0), tarEnd(), summary(2)]);
    expect(refusalOf(said[1])?.detail.reason).toBe('files are missing');
    const broken = await open();
    const heard = await talk(broken.offer, [hello(broken.offer), tarMember('cur/b', 'text\n', 0), tarEnd()]);
    expect(refusalOf(heard[1])?.detail.reason).toBe('the stream broke off');
    expect(arrived).toBe(0);
  });
});
