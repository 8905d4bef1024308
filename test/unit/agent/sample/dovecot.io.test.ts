import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {askDovecot, DovecotStatus} from '../../../../agent/sample/dovecot.io.ts';
import {MailherdError} from '../../../../base/errors.ts';

let folder: string;
let server: Server | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-dovecot-'));
});
afterEach(async () => {
  await new Promise(resolve => (server === null ? resolve(null) : server.close(resolve)));
  server = null;
  rmSync(folder, {recursive: true});
});

/** Answers the first piece of what it is asked by `answer`. */
async function listen(answer: (asked: string, socket: Socket) => void): Promise<void> {
  server = createServer(socket => {
    socket.once('data', asked => answer(String(asked), socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>(resolve => server?.listen(join(folder, 'stats-reader'), resolve));
}
const ask = () => askDovecot(folder, 'stats-reader', ['DUMP\tcount']);

test('greets, asks, and reads until the empty line, in whatever pieces it comes', async () => {
  let heard = '';
  await listen((asked, socket) => {
    heard = asked;
    socket.write('VERSION\tstats-reader-server\t2\t0\nimap\t');
    setImmediate(() => socket.write('3\n\n'));
  });
  expect(await ask()).toEqual(['imap\t3']);
  expect(heard).toBe('VERSION\tstats-reader-client\t2\t0\nDUMP\tcount\n');
});

test('nothing to tell is an empty answer', async () => {
  await listen((_, socket) => socket.write('VERSION\tstats-reader-server\t2\t0\n\n'));
  expect(await ask()).toEqual([]);
});

test.each([
  ['hangs up', (_: string, socket: Socket) => socket.end('VERSION\n-no'), 'it hung up after 11 characters'],
  ['says nothing', () => undefined, 'no answer within 1000 ms'],
  ['never ends', (_: string, socket: Socket) => socket.write('x'.repeat(5_000_000)), 'the answer has no end'],
])('one that %s is a reason', async (_what, answer, reason) => {
  await listen(answer);
  await expect(ask()).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {command: 'dovecot stats-reader', reason}});
});

test('one that is not there is a reason', async () => {
  await expect(ask()).rejects.toMatchObject({code: 'COMMAND_FAILED', detail: {reason: expect.stringContaining('ENOENT')}});
});

describe('sockets that are closed to the agent', () => {
  const barred = new MailherdError('COMMAND_FAILED', {errno: 'EACCES'});
  /** Dovecot answers while it is open; the mover opens it, if it can. */
  function host(mayOpen: boolean): {status: DovecotStatus; asked: string[]; begin: () => void} {
    const asked: string[] = [];
    let isOpen = false;
    const admit = async (): Promise<void> => {
      asked.push('mover');
      isOpen = mayOpen;
    };
    const status = new DovecotStatus('/run/dovecot', admit, async (_, socket) => {
      asked.push(socket);
      if (!isOpen) throw barred;
      return ['line'];
    });
    return {status, asked, begin: () => (isOpen = false)};
  }

  test('are opened by the mover, again after each start of Dovecot', async () => {
    const {status, asked, begin} = host(true);
    for (let start = 0; start < 2; start++) {
      begin();
      expect(await status.ask('master', [])).toEqual(['line']);
      expect(await status.ask('master', [])).toEqual(['line']);
    }
    expect(asked).toEqual(['master', 'mover', 'master', 'master', 'master', 'mover', 'master', 'master']);
  });

  test('do not have the mover started again and again where it cannot open them', async () => {
    const {status, asked} = host(false);
    for (let round = 0; round < 3; round++) await expect(status.ask('master', [])).rejects.toBe(barred);
    expect(asked.filter(each => each === 'mover')).toHaveLength(1);
  });
});
