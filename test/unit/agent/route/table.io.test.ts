import {chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import type {HoldingPorts} from '../../../../agent/route/holding.io.ts';
import {openRouteTable, type SqliteRouteTable} from '../../../../agent/route/table.io.ts';
import type {Route} from '../../../../wire/route.ts';

const none = (): void => undefined;
const log = {debug: none, info: none, warn: none, error: none};
const ROUTE: Route = {v: 1, user: 'ada@example.org', host: 'be1', generation: 1, move: null, hold: null, flip: null};
const MOVE = {id: '00000000-0000-4000-8000-000000000001', source: 'be1', target: 'be2', token: 1};
let folder: string;
let stop: AbortController;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-table-'));
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(folder, {recursive: true});
});

function open(
  host: string,
  holding: Partial<Pick<HoldingPorts, 'take' | 'release' | 'drop'>> | null = null,
  fenceMs = 0,
): SqliteRouteTable {
  const options = {path: join(folder, 'routes.db'), host, probeUser: null, fenceMs, log, signal: stop.signal};
  return openRouteTable({...options, holding: holding as HoldingPorts | null});
}

async function put(table: SqliteRouteTable, revision: number, route: Route, storedAtMs = Date.now()): Promise<void> {
  table.take({entry: {key: route.user, revision, storedAtMs, value: route}});
  await table.reached(revision, 1_000);
}

function ask(sql: string): unknown {
  const db = new DatabaseSync(join(folder, 'routes.db'), {readOnly: true});
  try {
    return db.prepare(sql).get();
  } finally {
    db.close();
  }
}

test('mail waits here for mailboxes of this host, on an edge for all of the farm', async () => {
  const table = open('be1');
  await put(table, 1, ROUTE);
  await put(table, 2, {...ROUTE, user: 'bob@example.org', host: 'be2'});
  const asked = ['ada@example.org', 'ada+news@example.org', 'bob@example.org', 'nobody@example.org', 'ada@else.example'];
  expect(asked.map(address => table.isMailHere(address, 'backend'))).toEqual([true, true, false, false, false]);
  expect(asked.map(address => table.isMailHere(address, 'edge'))).toEqual([true, true, true, false, false]);
});

test('what a large farm stores at once comes into force in parts, with room for all else between', async () => {
  const table = open('be1');
  const count = 2_500;
  for (let at = 1; at <= count; at++)
    table.take({entry: {key: String(at), revision: at, storedAtMs: Date.now(), value: {...ROUTE, user: `${at}@example.org`}}});
  const seen = [table.revision()];
  const look = (): void => {
    seen.push(table.revision());
    if (table.revision() < count) setImmediate(look);
  };
  setImmediate(look);
  await table.reached(count, 10_000);
  seen.push(table.revision());
  expect(Math.max(...seen.map((revision, at) => revision - (seen[at - 1] ?? 0)))).toBeLessThanOrEqual(1_000);
  expect([seen.at(-1), table.userCount()]).toEqual([count, count]);
});

test('routes are current when all that were taken are in force', async () => {
  const table = open('be1');
  for (let at = 1; at <= 2_500; at++)
    table.take({entry: {key: String(at), revision: at, storedAtMs: Date.now(), value: {...ROUTE, user: `${at}@example.org`}}});
  await table.current();
  expect([table.revision(), table.userCount()]).toEqual([2_500, 2_500]);
});

test('the readers of the directory may read and write it, also when someone else had made the file', () => {
  const path = join(folder, 'routes.db');
  writeFileSync(path, '');
  chmodSync(path, 0o600);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(folder, 12_345, 54_321);
  const {uid, gid} = statSync(folder);
  open('be1');
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    expect(statSync(file).mode & 0o777).toBe(0o666);
    if (isRoot) expect(statSync(file)).toMatchObject({uid, gid});
  }
});

test('mail is put off until the route changes', async () => {
  const table = open('be1');
  await put(table, 1, ROUTE);
  table.defer(ROUTE.user, 60_000);
  expect(ask('SELECT user FROM deferred')).toEqual({user: ROUTE.user});
  await put(table, 2, {...ROUTE, user: 'ben@example.org'});
  expect(ask('SELECT user FROM deferred')).toEqual({user: ROUTE.user});
  await put(table, 3, {...ROUTE, generation: 2});
  expect(ask('SELECT user FROM deferred')).toBeUndefined();
});

test('an edge keeps logins waiting from the hold until the target has taken over', async () => {
  const holding = {take: vi.fn(() => 40_001), release: vi.fn()};
  const table = open('edge1', holding);
  table.putHost('be1', '10.0.0.1');
  table.putHost('be2', '10.0.0.2');
  const edge = (): unknown => ask('SELECT address, hold_port AS port FROM edge');
  await put(table, 1, ROUTE);
  expect(edge()).toEqual({address: '10.0.0.1', port: null});
  await put(table, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 30_000}});
  expect(edge()).toEqual({address: '10.0.0.2', port: 40_001});
  const flip = {deadlineMs: Date.now() + 20_000, from: 'be1', moveId: MOVE.id};
  await put(table, 3, {...ROUTE, host: 'be2', generation: 2, move: MOVE, flip});
  expect(edge()).toEqual({address: '10.0.0.2', port: 40_001});
  holding.release.mockClear();
  await put(table, 4, {...ROUTE, host: 'be2', generation: 2});
  expect(edge()).toEqual({address: '10.0.0.2', port: null});
  expect(holding.release.mock.calls).toEqual([[ROUTE.user, '10.0.0.2']]);
});

test('a hold that nobody ends lets those who wait go back to the source when its span is over', async () => {
  const holding = {take: vi.fn(() => 40_001), release: vi.fn()};
  const table = open('edge1', holding);
  table.putHost('be1', '10.0.0.1');
  await put(table, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 1_000}});
  expect(holding.release).not.toHaveBeenCalled();
  await vi.waitFor(() => expect(holding.release.mock.calls).toEqual([[ROUTE.user, '10.0.0.1']]), {timeout: 5_000});
});

test('the target serves from the flip on, without waiting for anybody', async () => {
  const table = open('be2');
  table.putHost('be2', '10.0.0.2');
  const flip = {deadlineMs: Date.now() + 20_000, from: 'be1', moveId: MOVE.id};
  await put(table, 3, {...ROUTE, host: 'be2', generation: 2, move: MOVE, flip});
  expect(ask('SELECT mine FROM backend')).toEqual({mine: 1});
});

test('ports of an agent that is gone are forgotten', async () => {
  const first = open('edge1', {take: () => 40_001, release: none});
  await put(first, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 30_000}});
  stop.abort();
  stop = new AbortController();
  open('edge1');
  expect(ask('SELECT hold_port AS port FROM routes')).toEqual({port: null});
});

test('a host that boots serves nobody until its routes are current: its disk may be an old one', async () => {
  await put(open('be1'), 2, ROUTE);
  const mine = (): unknown => ask('SELECT mine FROM backend');
  expect(mine()).toEqual({mine: 1});
  stop.abort();
  stop = new AbortController();
  const table = open('be1', null, 30_000);
  expect(mine()).toEqual({mine: 0});
  await table.current();
  expect(mine()).toEqual({mine: 1});
});

test('without NATS the fence of a boot ends by itself, also where the clock is set back meanwhile', async () => {
  await put(open('be1'), 2, ROUTE);
  stop.abort();
  stop = new AbortController();
  const clockIsAhead = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
  vi.useFakeTimers({toFake: ['setTimeout']});
  open('be1', null, 30_000);
  clockIsAhead.mockRestore();
  const mine = (): unknown => ask('SELECT mine FROM backend');
  vi.advanceTimersByTime(29_000);
  expect(mine()).toEqual({mine: 0});
  vi.advanceTimersByTime(2_000);
  vi.useRealTimers();
  expect(mine()).toEqual({mine: 1});
});

test('who was held when the host went down is not served with the others when it boots without NATS', async () => {
  const long = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
  const before = open('be1');
  await put(before, 1, {...ROUTE, user: 'ben@example.org'});
  await put(before, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 30_000}});
  long.mockRestore();
  stop.abort();
  stop = new AbortController();
  open('be1', null, 30_000);
  const served = (): unknown => ask('SELECT group_concat(user) AS users FROM backend WHERE mine');
  expect(served()).toEqual({users: null});
  stop.abort();
  stop = new AbortController();
  await open('be1').current();
  expect(served()).toEqual({users: 'ben@example.org'});
});

test('whom NATS refuses serves nobody on after a boot; once it serves it goes on', async () => {
  await put(open('be1'), 2, ROUTE);
  stop.abort();
  stop = new AbortController();
  vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
  const table = open('be1', null, 30_000);
  const mine = (): unknown => ask('SELECT mine FROM backend');
  vi.advanceTimersByTime(20_000);
  table.refused();
  vi.advanceTimersByTime(20_000);
  expect(mine()).toEqual({mine: 0});
  await table.current();
  table.refused();
  vi.useRealTimers();
  expect(mine()).toEqual({mine: 1});
});

test('what an agent that is gone had put off is put off no longer, whatever the clock says', () => {
  const clockIsAhead = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
  open('be1').defer(ROUTE.user, 15_000);
  clockIsAhead.mockRestore();
  expect(ask('SELECT user FROM deferred')).toEqual({user: ROUTE.user});
  stop.abort();
  stop = new AbortController();
  open('be1');
  expect(ask('SELECT user FROM deferred')).toBeUndefined();
});

test('a source that cannot learn whether the user has moved asks again and again, and says so once', async () => {
  const warn = vi.spyOn(log, 'warn');
  const table = open('be1');
  const ask = vi.fn(() => Promise.reject(new Error('NATS is away')));
  table.askBy(ask);
  await put(table, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 0}});
  await vi.waitFor(() => expect(ask.mock.calls.length).toBeGreaterThan(2), {timeout: 10_000});
  expect(warn).toHaveBeenCalledTimes(1);
  warn.mockRestore();
});

test('a source that learns that something newer is stored stays fenced until it hears what, however long that takes', async () => {
  const table = open('be1');
  const ask = vi.fn(() => Promise.resolve(3));
  table.askBy(ask);
  await put(table, 2, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 0}});
  const fencedUntil = table.row(ROUTE.user)?.heldUntil ?? 0;
  await vi.waitFor(() => expect(table.row(ROUTE.user)?.heldUntil).toBeGreaterThan(fencedUntil), {timeout: 10_000});
  await vi.waitFor(() => expect(ask.mock.calls.length).toBeGreaterThan(2), {timeout: 10_000});
  await put(table, 3, {...ROUTE, host: 'be2', generation: 2});
  expect(table.row(ROUTE.user)).toMatchObject({host: 'be2', heldUntil: 0});
});

test("routes of probes stay what they are, count as no user, and follow the probe's turns", async () => {
  const table = open('ed1');
  table.putHost('be1', '10.0.0.1');
  table.putHost('be2', '10.0.0.2');
  table.pin('probe@ed1.mailherd.invalid', 'be1');
  expect(table.userCount()).toBe(0);
  table.pin('probe@here.mailherd.invalid', 'ed1');
  expect([table.userCount(), table.usersHere()]).toEqual([0, []]);
  const address = (): unknown => ask("SELECT address FROM edge WHERE user = 'probe@ed1.mailherd.invalid'");
  expect(address()).toEqual({address: '10.0.0.1'});
  table.pin('probe@ed1.mailherd.invalid', 'be2');
  expect(address()).toEqual({address: '10.0.0.2'});
  expect(table.addresses()).toEqual(['10.0.0.1', '10.0.0.2']);
});

test("another host's table is refused", () => {
  open('be1');
  expect(() => open('be2')).toThrow(/CONFIG_INVALID/);
});

test('a route of the past is not taken, whatever its revision: NATS may have lost its last writes; of a user who was removed any is', async () => {
  const table = open('be1');
  await put(table, 7, {...ROUTE, host: 'be2', generation: 3});
  for (const revision of [5, 9]) {
    await put(table, revision, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 30_000}, generation: 2});
    expect(table.row(ROUTE.user)).toMatchObject({host: 'be2', generation: 3, heldUntil: 0});
  }
  expect(table.revision()).toBe(9);
  await put(table, 10, {...ROUTE, host: 'be3', generation: 4});
  expect(table.row(ROUTE.user)).toMatchObject({host: 'be3', generation: 4});
  table.take({removedKey: Buffer.from(ROUTE.user).toString('base64url'), revision: 11});
  await put(table, 12, ROUTE);
  expect(table.row(ROUTE.user)).toMatchObject({host: 'be1', generation: 1});
});

test('a user who is removed while he is held keeps no port of the edge', async () => {
  const holding = {take: vi.fn(() => 40_001), release: vi.fn(), drop: vi.fn()};
  const table = open('edge1', holding);
  await put(table, 1, {...ROUTE, move: MOVE, hold: {id: MOVE.id, target: 'be2', spanMs: 30_000}});
  table.take({removedKey: Buffer.from(ROUTE.user).toString('base64url'), revision: 2});
  await table.reached(2, 1_000);
  expect(holding.drop.mock.calls).toEqual([[ROUTE.user]]);
});
