import {existsSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {parseAgentConfig} from '../../agent/config.ts';
import {openRouteTable} from '../../agent/route/table.io.ts';
import {runAgent} from '../../agent/run.io.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {HostRecord} from '../../wire/record.ts';
import {Route} from '../../wire/route.ts';
import {HOST_BUCKET, ROUTE_BUCKET, userKey} from '../../wire/subjects.ts';
import {memoryLog, PlainServer} from './plain-server.ts';

const ROUTE: Route = {v: 1, user: 'ada@example.org', host: 'be1', generation: 1, move: null, hold: null, flip: null};
const WAIT = {timeout: 20_000, interval: 20};

let folder: string;
let routesDb: string;
let server: PlainServer;
let stop: AbortController;
let running: Promise<void>;
const log = memoryLog();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-agent-'));
  routesDb = join(folder, 'routes', 'routes.db');
  mkdirSync(join(folder, 'routes'));
  server = await PlainServer.start();
  await server.down();
  stop = new AbortController();
  log.lines.length = 0;
  running = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  await running;
  await server.remove();
  rmSync(folder, {recursive: true});
});

/** What an earlier run left on disk. */
async function leaveTable(): Promise<void> {
  const before = new AbortController();
  const options = {path: routesDb, host: 'edge1', probeUser: null, fenceMs: 0, holding: null, log, signal: before.signal};
  const table = openRouteTable(options);
  table.putHost('be1', '10.0.0.1');
  table.putHost('be2', '10.0.0.2');
  table.take({entry: {key: userKey(ROUTE.user), revision: 1, storedAtMs: Date.now(), value: ROUTE}});
  await table.reached(1, 1_000);
  before.abort();
}

function startAgent(): void {
  const config = parseAgentConfig(
    `{host: edge1, role: edge, nats: {servers: ['${server.url}'], seedFile: null}, stateDir: ${join(folder, 'state')},
      routesDb: ${routesDb}, probe: {intervalMs: 3600000}}`,
    'agent.yaml',
  );
  running = runAgent(config, log, stop);
}

/** As a proxy asks: a reader of its own, which changes nothing. */
function address(): unknown {
  const db = new DatabaseSync(routesDb, {readOnly: true});
  try {
    return db.prepare('SELECT address FROM edge WHERE user = ?').get(ROUTE.user)?.address;
  } finally {
    db.close();
  }
}

const said = (text: string): number => log.lines.filter(line => line.message.includes(text)).length;

test('I5: after a boot without NATS the last known routes can be read; they follow once NATS is there', async () => {
  await leaveTable();
  // Nobody has it open: a reader that may not write would find no index of the log.
  expect(existsSync(`${routesDb}-shm`)).toBe(false);
  startAgent();
  await vi.waitFor(() => expect(said('NATS cannot be reached')).toBe(1), WAIT);
  expect(existsSync(`${routesDb}-shm`)).toBe(true);
  expect(address()).toBe('10.0.0.1');

  await server.up();
  await vi.waitFor(() => expect(said('routes cannot be followed yet')).toBe(1), WAIT);
  expect(address()).toBe('10.0.0.1');

  const config = {servers: [server.url], seedFile: null, name: 'test', inboxPrefix: '_INBOX_test'};
  const nc = await connectNats(config, log, stop.signal);
  try {
    await Bucket.open(nc, HOST_BUCKET, HostRecord, {create: true});
    const routes = await Bucket.open(nc, ROUTE_BUCKET, Route, {create: true});
    await routes.put(userKey(ROUTE.user), {...ROUTE, host: 'be2', generation: 2});
    await vi.waitFor(() => expect(address()).toBe('10.0.0.2'), WAIT);
  } finally {
    await nc.close();
  }
  expect(said('routes cannot be followed yet')).toBe(1);
}, 60_000);

test('an agent that never found NATS ends when it is told to', async () => {
  startAgent();
  await vi.waitFor(() => expect(said('NATS cannot be reached')).toBe(1), WAIT);
  stop.abort();
  await running;
  expect(existsSync(`${routesDb}-shm`)).toBe(false);
});
