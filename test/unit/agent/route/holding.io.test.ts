import {once} from 'node:events';
import {createServer, connect as dial, type Server, type Socket} from 'node:net';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {HoldingPorts} from '../../../../agent/route/holding.io.ts';

const none = (): void => undefined;
const log = {debug: none, info: none, warn: none, error: none};
let stop: AbortController;
let backend: Server;
let imapPort: number;
let holding: HoldingPorts;

beforeEach(async () => {
  stop = new AbortController();
  backend = createServer(socket => {
    socket.write('* OK ready\r\n');
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  imapPort = portOf(backend);
  holding = await HoldingPorts.open({ports: 2, sessionsMax: 3, imapPort, log, signal: stop.signal});
});
afterEach(() => {
  stop.abort();
  backend.close();
});

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** A proxy's connection and all it was sent so far. */
async function login(port: number | null): Promise<{socket: Socket; read: () => string}> {
  if (port === null) throw new Error('no port');
  const socket = dial(port, '127.0.0.1');
  let text = '';
  socket.on('data', data => {
    text += String(data);
  });
  await once(socket, 'connect');
  return {socket, read: () => text};
}

test('a login waits without a greeting, and is joined with the backend on release, as are those that come a little later', async () => {
  const port = holding.take('ada');
  const early = await login(port);
  const nothing = await login(holding.take('ben'));
  expect(early.read()).toBe('');
  holding.release('ada', '127.0.0.1');
  await vi.waitFor(() => expect(early.read()).toBe('* OK ready\r\n'));
  early.socket.write('a NOOP\r\n');
  await vi.waitFor(() => expect(early.read()).toBe('* OK ready\r\na NOOP\r\n'));
  const late = await login(port);
  await vi.waitFor(() => expect(late.read()).toBe('* OK ready\r\n'));
  // Another user's hold goes on.
  expect(nothing.read()).toBe('');
});

test('a user keeps the same port, and a third one gets none', () => {
  const port = holding.take('ada');
  expect(holding.take('ada')).toBe(port);
  expect(holding.take('ben')).not.toBe(port);
  expect(holding.take('cleo')).toBeNull();
});

test('a user who is held again right after the end waits again', async () => {
  const port = holding.take('ada');
  holding.release('ada', '127.0.0.1');
  expect(holding.take('ada')).toBe(port);
  const again = await login(port);
  const closed = vi.fn();
  again.socket.on('close', closed);
  expect(again.read()).toBe('');
  stop.abort();
  await vi.waitFor(() => expect(closed).toHaveBeenCalled());
});

test('a backend that dies before its greeting is dialled again', async () => {
  backend.removeAllListeners('connection');
  let dials = 0;
  backend.on('connection', socket => (++dials === 1 ? socket.destroy() : socket.write('* OK back again\r\n')));
  const held = await login(holding.take('ada'));
  holding.release('ada', '127.0.0.1');
  await vi.waitFor(() => expect(held.read()).toBe('* OK back again\r\n'), 5_000);
  expect(dials).toBe(2);
});

test('a backend that does not answer ends the login, so that the proxy tries again', async () => {
  const held = await login(holding.take('ada'));
  const closed = once(held.socket, 'close');
  backend.close();
  holding.release('ada', '127.0.0.1');
  await closed;
});

test('where too many sessions pass through, the oldest ends and no other', async () => {
  const port = holding.take('ada');
  holding.release('ada', '127.0.0.1');
  const sessions = [];
  for (let count = 0; count < 4; count++) {
    const session = await login(port);
    await vi.waitFor(() => expect(session.read()).toBe('* OK ready\r\n'));
    sessions.push(session);
  }
  const [oldest, ...others] = sessions;
  await vi.waitFor(() => expect(oldest?.socket.readableEnded || oldest?.socket.destroyed).toBe(true));
  for (const {socket, read} of others) {
    socket.write('a NOOP\r\n');
    await vi.waitFor(() => expect(read()).toBe('* OK ready\r\na NOOP\r\n'));
  }
});

test('for a user who is no more nobody waits, and his port is free', async () => {
  const port = holding.take('ada');
  const {socket} = await login(port);
  holding.take('ben');
  holding.drop('ada');
  await once(socket, 'close');
  expect(holding.take('cleo')).toBe(port);
});
