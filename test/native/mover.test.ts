import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {chownSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type Mover, socketMover} from '../../agent/mover/client.io.ts';
import {methodsOf} from '../../agent/mover/methods.io.ts';
import {serveCall} from '../../agent/mover/serve.io.ts';
import {MailherdError} from '../../base/errors.ts';

/** Agent and mover over a real socket; what the mover would do to mailboxes is noted only. */
const QUIET = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};
const USER = 'ada@example.org';
const OFFER = {address: '10.0.0.1', port: 24_246, secret: 's'.repeat(64)};

let folder: string;
let path: string;
let server: Server;
let mover: Mover;
let done: unknown[];
let orphans: string[];
let closed: boolean[];
let connections: Socket[];
let ofStore: Record<string, (...args: never[]) => unknown>;
let ofFiles: Record<string, (...args: never[]) => unknown>;

/** Whatever is called is noted; what has no answer of its own gives nothing. */
function noted(own: () => Record<string, (...args: never[]) => unknown>): never {
  return new Proxy(
    {},
    {
      get:
        (_, name: string) =>
        async (...args: never[]) => {
          done.push([name, ...args.filter(arg => typeof arg !== 'function' && !((arg as unknown) instanceof AbortSignal))]);
          return own()[name]?.(...args);
        },
    },
  ) as never;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-mover-'));
  path = join(folder, 'mover.sock');
  [done, orphans, closed, connections, ofStore, ofFiles] = [[], [], [], [], {}, {}];
  const methods = methodsOf({store: noted(() => ofStore), files: noted(() => ofFiles), queue: noted(() => ({})), dovecotRun: folder});
  // Of this test alone: what the one before left may close a moment later.
  const [ofClosed, ofOrphans] = [closed, orphans];
  const ends = {closed: (isOfMove: boolean) => void ofClosed.push(isOfMove), orphaned: (method: string) => void ofOrphans.push(method)};
  server = createServer(socket => {
    connections.push(socket);
    serveCall(socket, {path, methods, ends, log: QUIET});
  });
  await new Promise<void>(resolve => server.listen(path, resolve));
  mover = socketMover(path);
});
afterEach(async () => {
  for (const connection of connections) connection.destroy();
  await new Promise(resolve => server.close(resolve));
  rmSync(folder, {recursive: true});
});

/** What a connection that says these lines, whatever they are, is told. */
function told(...lines: string[]): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(lines.map(line => `${line}\n`).join('')));
    let text = '';
    socket.setEncoding('utf8').on('data', part => {
      text += part;
    });
    socket.on('error', reject);
    socket.on('close', () =>
      resolve(
        text
          .split('\n')
          .filter(line => line !== '')
          .map(line => JSON.parse(line)),
      ),
    );
  });
}
const refusal = async (call: object): Promise<unknown> => (await told(JSON.stringify(call))).at(-1);
const until = async (is: () => boolean): Promise<void> => {
  while (!is()) await new Promise(resolve => setTimeout(resolve, 2));
};

describe('the allow-list', () => {
  test.each([
    ['a method that there is not', 'exec', {command: 'id'}, 'COMMAND_UNKNOWN'],
    ['what every object has', 'constructor', {}, 'COMMAND_UNKNOWN'],
    ['a user who is a path', 'remove', {user: '../../etc'}, 'INPUT_INVALID'],
    ['a user who is an option', 'remove', {user: '-A'}, 'INPUT_INVALID'],
    ['a user who is everybody', 'remove', {user: '*'}, 'INPUT_INVALID'],
    ['a user who is a whole domain', 'remove', {user: '@example.org'}, 'INPUT_INVALID'],
    ['no user', 'remove', {}, 'INPUT_INVALID'],
    ['a word more than there is', 'remove', {user: USER, path: '/etc'}, 'INPUT_INVALID'],
    ['an address that is a path', 'backup', {user: USER, address: '/tmp/x', full: false}, 'INPUT_INVALID'],
    ['an address that is an option', 'backup', {user: USER, address: '-D', full: false}, 'INPUT_INVALID'],
    ['a port of seeds in a path', 'offer', {user: USER, address: '../x', bytesMax: 1}, 'INPUT_INVALID'],
    ['a seed to a path', 'send', {user: USER, offer: {...OFFER, address: '/x'}, bytesPerSecond: null}, 'INPUT_INVALID'],
    [
      'a folder without a name',
      'carry',
      {user: USER, address: 'be1', folders: [{guid: 'a'.repeat(32), name: '', first: 1, last: 1, nameNow: 'b'}]},
      'INPUT_INVALID',
    ],
    [
      'a folder whose GUID is a query',
      'carry',
      {user: USER, address: 'be1', folders: [{guid: 'OR', name: 'a', first: 1, last: 1, nameNow: 'b'}]},
      'INPUT_INVALID',
    ],
    ['users one of whom is none', 'persist', {users: [USER, 'a/b']}, 'INPUT_INVALID'],
  ])('does not have %s', async (_what, method, request, code) => {
    expect(await refusal({method, request})).toMatchObject({ok: false, refusal: {code}});
    expect(done).toEqual([]);
  });

  test.each([['no JSON'], ['{"method":1,"request":{}}'], ['[]']])('takes no call like %s', async line => {
    expect((await told(line)).at(-1)).toMatchObject({ok: false, refusal: {code: 'INPUT_INVALID'}});
    expect(done).toEqual([]);
  });

  test('is for the owner of the socket and root alone', async () => {
    if (process.getuid?.() !== 0) return;
    const {setuid} = await asNobody();
    expect(setuid).toContain('"code":"FORBIDDEN"');
    chownSync(path, 65_534, 65_534);
    expect((await asNobody()).setuid).toContain('"ready":true');
  });

  /** What somebody else hears, whom the mode of the socket lets in. */
  async function asNobody(): Promise<{setuid: string}> {
    const {chmodSync} = await import('node:fs');
    const {spawn} = await import('node:child_process');
    chmodSync(folder, 0o755);
    chmodSync(path, 0o777);
    const script = `const s = require('net').connect(process.argv[1]); s.on('data', d => { console.log(String(d)); process.exit(); })`;
    const child = spawn(process.execPath, ['-e', script, path], {uid: 65_534, gid: 65_534, stdio: ['ignore', 'pipe', 'inherit']});
    let setuid = '';
    for await (const part of child.stdout) setuid += String(part);
    return {setuid};
  }
});

describe('a call', () => {
  test('reaches the port it stands for, and its answer and errors come back whole', async () => {
    ofStore = {
      exists: () => true,
      endSessions: () => {
        throw new MailherdError('SESSIONS_LINGER', {user: USER, sessions: 3});
      },
    };
    expect(await mover.store.exists(USER)).toBe(true);
    await expect(mover.store.endSessions(USER, 10)).rejects.toMatchObject({code: 'SESSIONS_LINGER', detail: {user: USER, sessions: 3}});
    expect(done).toEqual([
      ['exists', USER],
      ['endSessions', USER, 10],
    ]);
    await until(() => closed.length === 2);
    expect({closed, orphans}).toEqual({closed: [true, true], orphans: []});
  });

  test('of many lines comes back as it was', async () => {
    const lines = Array.from({length: 100_000}, (_, uid) => `${uid} ü ${'x'.repeat(20)}`);
    const manifest = {folders: [], subscriptions: [], sieve: [], lines};
    ofStore = {manifest: () => manifest};
    expect(await mover.store.manifest(USER, {folder: 'INBOX', texts: false})).toEqual(manifest);
  });

  test.each(['backup', 'readTexts'] as const)('is broken off by the agent, who waits for its end (%s)', async method => {
    const untilEnded = (...asked: unknown[]): Promise<never> =>
      new Promise((_, reject) =>
        (asked.at(-1) as AbortSignal).addEventListener('abort', () => reject(new MailherdError('COPY_FAILED', {reason: 'ended'}))),
      );
    ofStore = {backup: untilEnded as never, readTexts: untilEnded as never};
    const stop = new AbortController();
    const {store} = mover;
    const pass: Promise<unknown> = method === 'backup' ? store.backup(USER, 'be2', true, stop.signal) : store.readTexts(USER, stop.signal);
    pass.catch(() => undefined);
    await until(() => done.length === 1);
    stop.abort();
    await expect(pass).rejects.toMatchObject({code: 'COPY_FAILED', detail: {reason: 'ended'}});
    expect(orphans).toEqual([]);
  });

  test('whose mover dies is a coded error that says to try again, and the next one finds another mover', async () => {
    ofStore = {readTexts: () => new Promise(() => undefined)};
    const reading = mover.store.readTexts(USER, new AbortController().signal);
    reading.catch(() => undefined);
    await until(() => done.length === 1);
    for (const connection of connections.splice(0)) connection.destroy();
    await expect(reading).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {command: 'mover readTexts'}});
    ofStore = {readTexts: () => 7};
    expect(await mover.store.readTexts(USER, new AbortController().signal)).toBe(7);
  });

  test('without a mover is a coded error', async () => {
    await expect(socketMover(join(folder, 'none')).store.exists(USER)).rejects.toMatchObject({code: 'COMMAND_FAILED'});
  });

  test('whose agent dies leaves an orphan; one that was never made does not', async () => {
    ofStore = {carry: () => new Promise(() => undefined)};
    await new Promise(resolve => connect(path).on('data', resolve)).then(() => connections.splice(0).map(each => each.destroy()));
    expect(orphans).toEqual([]);
    const agent = connect(path, () =>
      agent.write(`${JSON.stringify({method: 'carry', request: {user: USER, address: 'be2', folders: null}})}\n`),
    );
    await until(() => done.length === 1);
    agent.destroy();
    await until(() => orphans.length > 0);
    expect(orphans).toEqual(['carry']);
  });
});

describe('a seed', () => {
  test('is offered, and what the agent has to note is noted before it counts as arrived', async () => {
    const course: string[] = [];
    let end: () => void = () => undefined;
    ofFiles = {
      offer: ((terms: {arrived(): Promise<void>}, over: () => void) => {
        end = () =>
          void terms
            .arrived()
            .then(() => course.push('arrived'))
            .then(over);
        return OFFER;
      }) as never,
    };
    const terms = {
      ...{user: USER, address: '10.0.0.1', bytesMax: 1e9},
      arrived: async () => void course.push('noted'),
    };
    expect(await mover.files.offer(terms)).toEqual(OFFER);
    expect(closed).toEqual([]);
    end();
    await until(() => closed.length === 1);
    expect({course, orphans}).toEqual({course: ['noted', 'arrived'], orphans: []});
  });

  test('that the agent cannot note has not arrived', async () => {
    let reason: unknown = null;
    ofFiles = {
      offer: ((terms: {arrived(): Promise<void>}, over: () => void) => {
        void terms.arrived().catch(error => {
          reason = error;
          over();
        });
        return OFFER;
      }) as never,
    };
    const arrived = (): Promise<void> => Promise.reject(new MailherdError('COPY_MISSING', {user: USER}));
    await mover.files.offer({user: USER, address: '10.0.0.1', bytesMax: 1, arrived});
    await until(() => reason !== null);
    expect(reason).toMatchObject({code: 'COPY_MISSING'});
  });

  test('whose port cannot be had is refused with the reason', async () => {
    ofFiles = {
      offer: () => {
        throw new MailherdError('COMMAND_FAILED', {command: 'listen'});
      },
    };
    const terms = {user: USER, address: '10.0.0.1', bytesMax: 1, arrived: async () => undefined};
    await expect(mover.files.offer(terms)).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {command: 'listen'}});
  });

  test('on its way is told while the answer of the target is waited for', async () => {
    let answer: (outcome: object) => void = () => undefined;
    ofFiles = {
      send: ((_user: string, _offer: object, _rate: null, gone: () => void) => {
        gone();
        return new Promise(resolve => {
          answer = resolve;
        });
      }) as never,
    };
    let isGone = false;
    const gone = (): void => {
      isGone = true;
    };
    const sent = mover.files.send(USER, OFFER, null, gone, new AbortController().signal);
    await until(() => isGone);
    answer({kind: 'seeded', messages: 2, bytes: 9});
    expect(await sent).toEqual({kind: 'seeded', messages: 2, bytes: 9});
  });
});

describe("Dovecot's status sockets", () => {
  const asAgent = {peer: {uid: 4_711, gid: 4_712}, signal: new AbortController().signal, ask: async () => undefined};
  const admit = (): Promise<null> =>
    methodsOf({store: noted(() => ({})), files: noted(() => ({})), queue: noted(() => ({})), dovecotRun: folder}).admit({}, asAgent);
  const made = (mode: number, group: number): void => {
    for (const name of ['stats-reader', 'master']) {
      writeFileSync(join(folder, name), '', {mode});
      chownSync(join(folder, name), 0, group);
    }
  };
  const rights = (): unknown[] =>
    ['stats-reader', 'master'].map(name => {
      const {uid, gid, mode} = statSync(join(folder, name));
      return [uid, gid, mode & 0o777];
    });

  test.runIf(process.getuid?.() === 0)("let the agent's group in, nobody else, and stay root's", async () => {
    made(0o600, 0);
    await admit();
    expect(rights()).toEqual([
      [0, 4_712, 0o660],
      [0, 4_712, 0o660],
    ]);
    await admit();
  });

  test.runIf(process.getuid?.() === 0)('that the configuration gave to another group stay that group’s', async () => {
    made(0o600, 0);
    const {chmodSync} = await import('node:fs');
    for (const name of ['stats-reader', 'master']) chownSync(join(folder, name), 0, 99);
    for (const name of ['stats-reader', 'master']) chmodSync(join(folder, name), 0o660);
    await expect(admit()).rejects.toMatchObject({code: 'COMMAND_FAILED'});
    expect(rights()[0]).toEqual([0, 99, 0o660]);
  });
});

describe.runIf(spawnSync('systemd-socket-activate', ['--version']).status === 0)('a mover that cannot start', () => {
  test('tells every caller why, and ends a while later as one whose configuration is wrong', async () => {
    const config = join(folder, 'agent.yaml');
    const waiting = join(folder, 'activated.sock');
    writeFileSync(config, 'host: [');
    const main = join(import.meta.dirname, '../../agent/mover/main.io.ts');
    const child = spawn('systemd-socket-activate', ['-l', waiting, process.execPath, main, '--config', config], {stdio: 'ignore'});
    const ended = once(child, 'exit');
    try {
      await until(() => existsSync(waiting));
      const calls = [USER, 'bob@example.org'].map(user => socketMover(waiting).store.exists(user));
      for (const {reason} of (await Promise.allSettled(calls)) as PromiseRejectedResult[])
        expect(reason).toMatchObject({
          code: 'COMMAND_FAILED',
          detail: {command: 'mover', reason: expect.stringContaining('CONFIG_INVALID')},
        });
      expect(await ended).toEqual([78, null]);
    } finally {
      child.kill();
    }
  });
});
