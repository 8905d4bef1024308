import {cpSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {followRoutes} from '../../agent/route/follow.io.ts';
import {ProbeRoutes} from '../../agent/route/probe-routes.ts';
import {openRouteTable, type SqliteRouteTable} from '../../agent/route/table.io.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {Route} from '../../wire/route.ts';
import {ROUTE_BUCKET, userKey} from '../../wire/subjects.ts';
import {memoryLog} from './plain-server.ts';
import {TestServer} from './server.ts';
import {TestCoordinator} from './test-coordinator.ts';

const WAIT = {timeout: 25_000, interval: 50};
const [ADA, EVE, BOB] = ['ada@example.org', 'eve@example.org', 'bob@example.org'] as const;

let server: TestServer;
let coordinator: TestCoordinator;
let folder: string;
let stop: AbortController;
const log = memoryLog();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-restore-'));
  stop = new AbortController();
  log.lines.length = 0;
  server = await TestServer.start(['be01', 'be02']);
  coordinator = await TestCoordinator.start(server, 'ctl1');
  for (const [host, address] of [
    ['be01', '127.0.0.1'],
    ['be02', '127.0.0.2'],
  ])
    await ask('/v1/hosts', {host, role: 'backend', address}, 201);
  for (const [user, host] of [
    [ADA, 'be01'],
    [EVE, 'be02'],
  ])
    await add(user ?? '', host ?? '');
});
afterEach(async () => {
  stop.abort();
  await coordinator.stop();
  await server.end();
  rmSync(folder, {recursive: true});
});

/** Once it leads, it does so. */
async function ask(path: string, body: object, status: number): Promise<void> {
  await vi.waitFor(async () => expect((await coordinator.call('POST', path, body)).status).toBe(status), WAIT);
}

const add = (user: string, host: string): Promise<void> => ask('/v1/users', {user, host}, 201);

/** The route table of a host, as its agent keeps it. */
async function hostTable(host: string): Promise<SqliteRouteTable> {
  mkdirSync(join(folder, host));
  const path = join(folder, host, 'routes.db');
  const table = openRouteTable({path, host, probeUser: null, fenceMs: 0, holding: null, log, signal: stop.signal});
  await followRoutes(await server.connect(host), table, new ProbeRoutes({host, role: 'backend'}, table), log, stop.signal);
  return table;
}

async function routeOf(user: string): Promise<{value: Route; revision: number; bucket: Bucket<typeof Route>}> {
  const bucket = await Bucket.open(await server.connect('coordinator'), ROUTE_BUCKET, Route, {create: false});
  const entry = await bucket.get(userKey(user));
  if (entry === null) throw new Error(`${user} has no route`);
  return {value: entry.value, revision: entry.revision, bucket};
}

/** What is left of a move once it is over. */
async function flipTo(user: string, host: string): Promise<void> {
  const {value, revision, bucket} = await routeOf(user);
  await bucket.update(userKey(user), {...value, host, generation: value.generation + 1}, revision);
}

const known = async (user: string): Promise<unknown> => (await coordinator.call<{host?: string}>('GET', `/v1/users/${user}`)).json.host;

test('NATS loses its disk and an older state is brought back: hosts keep the newer word, everybody goes on, and the way back by hand leads there', async () => {
  const tables = [await hostTable('be01'), await hostTable('be02')];
  const hosts = (user: string): unknown => tables.map(table => table.row(user)?.host);
  await vi.waitFor(
    () =>
      expect([hosts(ADA), hosts(EVE)]).toEqual([
        ['be01', 'be01'],
        ['be02', 'be02'],
      ]),
    WAIT,
  );

  // The backup, as docs/OPERATE.md has it: the server is stopped for it.
  const [store, backup] = [join(server.dir, 'store'), join(folder, 'backup')];
  await server.stop('SIGTERM');
  cpSync(store, backup, {recursive: true});
  await server.run();
  const allHeard = (): void =>
    expect([hosts(ADA), hosts(EVE), hosts(BOB)]).toEqual([
      ['be02', 'be02'],
      ['be01', 'be01'],
      ['be01', 'be01'],
    ]);
  await flipTo(ADA, 'be02');
  await add(BOB, 'be01');
  for (let count = 0; count < 5; count++) await flipTo(EVE, count % 2 === 0 ? 'be01' : 'be02');
  await vi.waitFor(allHeard, WAIT);

  await server.stop('SIGKILL');
  rmSync(store, {recursive: true});
  cpSync(backup, store, {recursive: true});
  await server.run();

  // A coordinator ends: systemd starts it anew.
  await coordinator.ended();
  expect(coordinator.log).toContain('NATS has another state of the store');
  coordinator = await TestCoordinator.start(server, 'ctl1');
  await ask('/v1/pause', {reason: 'a store was brought back'}, 200);
  await vi.waitFor(async () => expect([await known(ADA), await known(EVE), await known(BOB)]).toEqual(['be01', 'be02', undefined]), WAIT);
  const said = (text: string): boolean => log.lines.some(({message}) => message.includes(text));
  await vi.waitFor(() => expect([said('another state of the routes'), said('they stay')]).toEqual([true, true]), WAIT);
  expect([hosts(ADA), hosts(EVE), hosts(BOB)]).toEqual([
    ['be02', 'be02'],
    ['be01', 'be01'],
    ['be01', 'be01'],
  ]);

  // By hand: whoever is elsewhere than the bucket says is taken out of it and added where he is.
  const rows = new DatabaseSync(join(folder, 'be02', 'routes.db'), {readOnly: true});
  const where = rows.prepare('SELECT user, host FROM routes ORDER BY user').all() as {user: string; host: string}[];
  rows.close();
  expect(where.map(({user, host}) => `${user} ${host}`)).toEqual([`${ADA} be02`, `${BOB} be01`, `${EVE} be01`]);
  for (const {user, host} of where) {
    const found = await known(user);
    if (found === host) continue;
    if (found !== undefined) {
      const {revision, bucket} = await routeOf(user);
      await bucket.remove(userKey(user), revision);
      await vi.waitFor(async () => expect(await known(user)).toBeUndefined(), WAIT);
    }
    await add(user, host);
  }
  await vi.waitFor(async () => expect([await known(ADA), await known(EVE), await known(BOB)]).toEqual(['be02', 'be01', 'be01']), WAIT);
  await vi.waitFor(allHeard, WAIT);

  // And whatever is written from now on reaches everybody.
  await flipTo(ADA, 'be01');
  await vi.waitFor(() => expect(hosts(ADA)).toEqual(['be01', 'be01']), WAIT);
  const {revision} = await routeOf(ADA);
  for (const table of tables) await table.reached(revision, 20_000);
  await vi.waitFor(async () => expect(await known(ADA)).toBe('be01'), WAIT);
}, 120_000);
