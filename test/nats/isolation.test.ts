import {randomUUID} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {jetstream, jetstreamManager} from '@nats-io/jetstream';
import {Kvm} from '@nats-io/kv';
import {createUser} from '@nats-io/nkeys';
import type {NatsConnection} from '@nats-io/transport-node';
import Type from 'typebox';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {newestRevision} from '../../agent/route/newest.io.ts';
import {systemClock} from '../../base/clock.io.ts';
import {watchMirrors} from '../../coordinator/mirrors.io.ts';
import {farmApi, NEWEST_ROUTE, readerApi} from '../../wire/accounts.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {ensureMirror, mirrorSecret, remakeMirror} from '../../wire/mirror.io.ts';
import {HostRecord} from '../../wire/record.ts';
import {Route} from '../../wire/route.ts';
import {
  commandSubject,
  commandSubjects,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  HOST_BUCKET,
  REPORT_STREAM,
  REPORT_SUBJECTS,
  ROUTE_BUCKET,
  reportSubject,
  userKey,
} from '../../wire/subjects.ts';
import {TestServer} from './server.ts';

/** What an attacker with one credential can do beyond its permissions, and what an operator may do to a server that runs. */

const Note = Type.Object({text: Type.String()});
const ROUTES = `KV_${ROUTE_BUCKET}`;

let server: TestServer;
let coordinator: NatsConnection;
let routes: Bucket<typeof Note>;
let hosts: Bucket<typeof Note>;

beforeEach(async () => {
  server = await TestServer.start();
  coordinator = await server.connect('coordinator');
  const manager = await jetstreamManager(coordinator);
  await manager.streams.add({name: REPORT_STREAM, subjects: [REPORT_SUBJECTS]});
  await manager.streams.add({name: EVENT_STREAM, subjects: [EVENT_SUBJECTS]});
  await ensureMirror(coordinator, EVENT_STREAM);
  hosts = await Bucket.open(coordinator, HOST_BUCKET, Note, {create: true});
  routes = await Bucket.open(coordinator, ROUTE_BUCKET, Note, {create: true});
  await hosts.put('be01', {text: 'a host'});
});
afterEach(() => server.end());

async function messagesIn(stream: string): Promise<number> {
  return (await (await jetstreamManager(coordinator)).streams.info(stream)).state.messages;
}

async function mirrored(account: 'HOSTS' | 'OBSERVERS', stream: string): Promise<number> {
  const answer = await coordinator.request(`${readerApi(account)}.STREAM.INFO.${stream}`);
  return answer.json<{state: {messages: number}}>().state.messages;
}

/** Everything asked before has been done when another report of the same connection has been stored. */
async function settled(nc: NatsConnection, host: string): Promise<void> {
  await jetstream(nc).publish(reportSubject(host), '{}');
  await coordinator.flush();
}

test("no reply subject of a host reaches the farm's streams", async () => {
  for (let n = 0; n < 20; n++) await routes.put(`user${n}`, {text: 'here'});
  await vi.waitFor(async () => expect(await mirrored('HOSTS', ROUTES)).toBe(20));
  const host = await server.connect('be01');
  const heard: string[] = [];
  const other = await server.connect('be02');
  other.subscribe(commandSubjects('be02'), {callback: (_error, message) => void heard.push(message.string())});
  await other.flush();
  const targets = [
    `$KV.${ROUTE_BUCKET}.user1`,
    `$JS.API.STREAM.PURGE.${ROUTES}`,
    `$JS.API.STREAM.DELETE.${ROUTES}`,
    `$JS.API.STREAM.UPDATE.${ROUTES}`,
    `$JS.FARM.API.STREAM.PURGE.${ROUTES}`,
    `$JS.API.STREAM.MSG.DELETE.${ROUTES}`,
  ];
  for (const reply of targets) {
    // Each is a request that the host may make; where the answer goes is not checked by the server.
    for (let n = 0; n < 25; n++) host.publish(reportSubject('be01'), '{}', {reply});
    host.publish(`$JS.API.STREAM.MSG.GET.${ROUTES}`, JSON.stringify({last_by_subj: `$KV.${ROUTE_BUCKET}.user2`}), {reply});
    host.publish(
      `$JS.API.CONSUMER.CREATE.${ROUTES}.spy`,
      JSON.stringify({stream_name: ROUTES, config: {name: 'spy', deliver_subject: reply}}),
      {reply},
    );
  }
  await settled(host, 'be01');
  expect(await messagesIn(REPORT_STREAM)).toBe(targets.length * 25 + 1);
  expect((await routes.entries()).map(({value}) => value.text)).toEqual(Array.from({length: 20}, () => 'here'));
  expect(await mirrored('HOSTS', ROUTES)).toBe(20);
  const reader = await Bucket.open(other, ROUTE_BUCKET, Note, {create: false});
  expect(await reader.entries()).toHaveLength(20);
  await routes.put('user20', {text: 'still followed'});
  await vi.waitFor(async () => expect((await reader.get('user20'))?.value.text).toBe('still followed'));
  expect(heard).toEqual([]);
});

test('no host learns where the mirrors ask the farm, and none may ask there', async () => {
  const refused: string[] = [];
  const host = await server.connect('be01', reason => refused.push(reason));
  const manager = await jetstreamManager(host, {checkAPI: false, timeout: 1_000});
  await expect(manager.streams.info(ROUTES)).rejects.toThrow();
  const api = farmApi(mirrorSecret(server.read('seeds/coordinator.seed'), 'HOSTS'));
  host.publish(`${api}.CONSUMER.CREATE.${ROUTES}`, '{}');
  await host.flush();
  await vi.waitFor(() => expect(refused.join()).toContain(api));
  // The name alone would do harm: it is how an answer could be sent there.
  const consumer = await manager.consumers.add(ROUTES, {name: 'mine', filter_subject: `$KV.${ROUTE_BUCKET}.>`});
  expect(JSON.stringify(consumer)).not.toContain(api);
});

test("an observer's reply subjects reach nothing of the farm's", async () => {
  const event = {text: 'event'};
  for (let n = 0; n < 10; n++) await jetstream(coordinator).publish('mailherd.event.farm.paused', JSON.stringify(event));
  await routes.put('user', {text: 'here'});
  await vi.waitFor(async () => expect(await mirrored('OBSERVERS', EVENT_STREAM)).toBe(10));
  const observer = await server.connect('observer');
  const config = {stream_name: EVENT_STREAM, config: {durable_name: 'd', name: 'd', ack_policy: 'explicit'}};
  for (const reply of [
    `$JS.API.STREAM.PURGE.${EVENT_STREAM}`,
    `$JS.API.STREAM.DELETE.${EVENT_STREAM}`,
    `$KV.${ROUTE_BUCKET}.user`,
    'mailherd.event.farm.paused',
  ]) {
    observer.publish(`$JS.API.CONSUMER.CREATE.${EVENT_STREAM}.d`, JSON.stringify(config), {reply});
    observer.publish(`$JS.API.CONSUMER.INFO.${EVENT_STREAM}.d`, '', {reply});
    observer.publish(`$JS.API.CONSUMER.MSG.NEXT.${EVENT_STREAM}.d`, '1', {reply});
  }
  await observer.flush();
  const consumer = await jetstream(observer).consumers.get(EVENT_STREAM, 'd');
  expect((await consumer.info()).num_pending).toBeLessThanOrEqual(10);
  expect(await messagesIn(EVENT_STREAM)).toBe(10);
  expect(await mirrored('OBSERVERS', EVENT_STREAM)).toBe(10);
  expect((await routes.get('user'))?.value.text).toBe('here');
});

test('many routes reach the hosts in order, and soon', async () => {
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(Array.from({length: 1_000}, (_, n) => routes.put(`user${batch * 1_000 + n}`, {text: 'x'.repeat(200)})));
  }
  await vi.waitFor(async () => expect(await mirrored('HOSTS', ROUTES)).toBe(20_000), {timeout: 20_000});
  const host = await server.connect('be01');
  const reader = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
  const revisions: number[] = [];
  const stop = new AbortController();
  await reader.watch(entry => void revisions.push(entry.revision), stop.signal);
  expect(revisions).toHaveLength(20_000);
  expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  const waits: number[] = [];
  for (let n = 0; n < 50; n++) {
    const startMs = performance.now();
    const revision = await routes.put('flip', {text: `${n}`});
    while (revisions.at(-1) !== revision) await new Promise(resolve => setImmediate(resolve));
    waits.push(performance.now() - startMs);
  }
  expect(waits.toSorted((a, b) => a - b)[25]).toBeLessThan(100);
  stop.abort();
}, 60_000);

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'hosts go on reading routes after the server was restarted by %s',
  async signal => {
    const host = await server.connect('be01');
    const reader = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
    const seen: string[] = [];
    const stop = new AbortController();
    await reader.watch(entry => void seen.push(entry.key), stop.signal);
    for (let round = 0; round < 3; round++) {
      await server.stop(signal);
      await server.run();
      await vi.waitFor(async () => void (await routes.put(`user${round}`, {text: 'x'})), {timeout: 15_000});
      await vi.waitFor(() => expect(seen).toContain(`user${round}`), {timeout: 15_000});
    }
    stop.abort();
  },
  90_000,
);

test('routes that were changed by compare-and-set reach a mirror that has missed changes, or is made anew', async () => {
  const host = await server.connect('be01');
  const reader = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
  const change = async (key: string, times: number): Promise<number> => {
    let revision = await routes.create(key, {text: '0'});
    for (let n = 1; n <= times; n++) revision = await routes.update(key, {text: `${n}`}, revision);
    return revision;
  };
  const ada = await change('ada', 2);
  await vi.waitFor(async () => expect((await reader.get('ada'))?.revision).toBe(ada));
  const ben = await change('ben', 1);
  await remakeMirror(coordinator, ROUTES);
  const eva = await routes.update('ada', {text: 'again'}, ada);
  for (const [key, revision] of [
    ['ada', eva],
    ['ben', ben],
  ] as const)
    await vi.waitFor(async () => expect((await reader.get(key))?.revision).toBe(revision), {timeout: 15_000});
  await routes.remove('ben', ben);
  await vi.waitFor(async () => expect(await reader.get('ben')).toBeNull(), {timeout: 15_000});
  expect(await routes.create('ben', {text: 'new'})).toBeGreaterThan(eva);
}, 60_000);

/** Looks after the mirrors, quickly. */
async function watch(signal: AbortSignal): Promise<void> {
  const none = (): void => undefined;
  const store = {
    hosts: await Bucket.open(coordinator, HOST_BUCKET, HostRecord, {create: true}),
    routes: await Bucket.open(coordinator, ROUTE_BUCKET, Route, {create: true}),
  };
  return watchMirrors({nc: coordinator, store, log: {debug: none, info: none, warn: none, error: none}, clock: systemClock}, signal, 50);
}

test('routes that an older release stored, and a mirror refuses, are stored anew, and mean the same', async () => {
  const kv = await new Kvm(coordinator).open(ROUTE_BUCKET);
  const [HOUR, nowMs] = [3_600_000, Date.now()];
  const route = {v: 1, host: 'be01', generation: 7, move: null, hold: null, flip: null} as const;
  const flip = {deadlineMs: nowMs + HOUR / 2, from: 'be02', moveId: randomUUID()};
  const told = [
    {...route, user: 'fay@example.org', hold: {id: randomUUID(), target: 'be02', spanMs: 1_000}},
    {...route, user: 'ada@example.org'},
    // It was stored after its deadline, and never counted.
    {...route, user: 'ben@example.org', flip: {...flip, deadlineMs: nowMs - 2 * HOUR}},
    {...route, user: 'eva@example.org', flip},
  ];
  for (const each of told) {
    const first = await kv.create(userKey(each.user), JSON.stringify({...each, host: 'be03'}));
    await kv.update(userKey(each.user), JSON.stringify(each), first);
  }
  await kv.delete(userKey('gus@example.org'), {previousSeq: await kv.create(userKey('gus@example.org'), JSON.stringify(told[1]))});
  const last = await kv.put(userKey('ida@example.org'), JSON.stringify({...route, user: 'ida@example.org'}));
  await remakeMirror(coordinator, ROUTES);
  const stop = new AbortController();
  const watching = watch(stop.signal);
  const now = async (bucket: Bucket<typeof Route>, user: string): Promise<Route | null> => (await bucket.get(userKey(user)))?.value ?? null;
  const farm = await Bucket.open(coordinator, ROUTE_BUCKET, Route, {create: true});
  const ben = {...route, user: 'ben@example.org', host: 'be02', generation: 8};
  await vi.waitFor(async () => expect(await now(farm, 'ben@example.org')).toEqual(ben), {timeout: 30_000});
  const fay = await farm.get(userKey('fay@example.org'));
  expect(fay?.value).toEqual(told[0]);
  // As its move does.
  await farm.update(userKey('fay@example.org'), {...route, user: 'fay@example.org'}, fay?.revision ?? 0);
  const hosts = await Bucket.open(await server.connect('be01'), ROUTE_BUCKET, Route, {create: false});
  await vi.waitFor(async () => expect(await now(hosts, 'fay@example.org')).toEqual({...route, user: 'fay@example.org'}), {timeout: 30_000});
  expect([await now(hosts, 'ada@example.org'), await now(hosts, 'ben@example.org')]).toEqual([told[1], ben]);
  expect((await hosts.get(userKey('ida@example.org')))?.revision).toBe(last);
  const eva = await hosts.get(userKey('eva@example.org'));
  expect(eva?.value).toMatchObject({host: 'be01', generation: 7, flip: {from: 'be02', moveId: flip.moveId}});
  expect(eva?.value.flip?.deadlineMs).toBeGreaterThan(nowMs + HOUR / 2);
  stop.abort();
  await watching;
}, 60_000);

test('a mirror that has stopped is made anew, and hosts go on reading routes', async () => {
  const host = await server.connect('be01');
  const reader = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
  const seen: string[] = [];
  const stop = new AbortController();
  await routes.put('before', {text: 'x'});
  await reader.watch(entry => void seen.push(entry.key), stop.signal);
  await vi.waitFor(() => expect(seen).toEqual(['before']), {timeout: 15_000});
  // One that asks for its messages where none are let through: it stays where it is, as one that refuses them does.
  const info = await coordinator.request(`${readerApi('HOSTS')}.STREAM.INFO.${ROUTES}`);
  const {config} = info.json<{config: {mirror: {external: object}}}>();
  const deaf = {...config, mirror: {...config.mirror, external: {...config.mirror.external, deliver: 'mailherd.nowhere'}}};
  await coordinator.request(`${readerApi('HOSTS')}.STREAM.DELETE.${ROUTES}`);
  await coordinator.request(`${readerApi('HOSTS')}.STREAM.CREATE.${ROUTES}`, JSON.stringify(deaf));
  await routes.put('after', {text: 'x'});
  const watching = watch(stop.signal);
  await vi.waitFor(() => expect(seen).toContain('after'), {timeout: 30_000});
  stop.abort();
  await watching;
}, 60_000);

test('a mirror that is gone, as where the server died while it was made anew, is made again', async () => {
  const stop = new AbortController();
  await coordinator.request(`${readerApi('HOSTS')}.STREAM.DELETE.${ROUTES}`);
  const watching = watch(stop.signal);
  await routes.put('after', {text: 'x'});
  const host = await server.connect('be01');
  const read = async (): Promise<unknown> => (await Bucket.open(host, ROUTE_BUCKET, Note, {create: false})).get('after');
  await vi.waitFor(async () => expect(await read()).toMatchObject({value: {text: 'x'}}), {timeout: 30_000});
  stop.abort();
  await watching;
}, 60_000);

test('a host that is added to a running server connects after a reload; the others notice nothing', async () => {
  const host = await server.connect('be01');
  const commands: string[] = [];
  host.subscribe(commandSubjects('be01'), {
    callback: (_error, message) => {
      commands.push(message.string());
      message.respond('done');
    },
  });
  const reader = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
  const seen: string[] = [];
  const stop = new AbortController();
  await reader.watch(entry => void seen.push(entry.key), stop.signal);
  let isLost = false;
  void (async () => {
    for await (const status of host.status()) if (status.type === 'disconnect') isLost = true;
  })();

  await server.init('host', 'be03:backend');
  await server.reload();
  const late = await server.connect('be03');
  await jetstream(late).publish(reportSubject('be03'), '{}');
  await routes.put('after', {text: 'x'});
  await vi.waitFor(() => expect(seen).toContain('after'), {timeout: 10_000});
  expect((await coordinator.request(commandSubject('be01', 'sync'), 'hello')).string()).toBe('done');
  expect((await (await Bucket.open(late, ROUTE_BUCKET, Note, {create: false})).get('after'))?.value.text).toBe('x');
  expect(isLost).toBe(false);
  stop.abort();
}, 30_000);

test('mirrors are made anew when the coordinator has another seed', async () => {
  await routes.put('user', {text: 'before'});
  writeFileSync(join(server.dir, 'seeds/coordinator.seed'), createUser().getSeed());
  await server.init('farm');
  await server.stop('SIGTERM');
  await server.run();
  const host = await server.connect('be01');
  coordinator = await server.connect('coordinator');
  routes = await Bucket.open(coordinator, ROUTE_BUCKET, Note, {create: true});
  await routes.put('user', {text: 'after'});
  await vi.waitFor(
    async () => expect((await (await Bucket.open(host, ROUTE_BUCKET, Note, {create: false})).get('user'))?.value.text).toBe('after'),
    {
      timeout: 10_000,
    },
  );
}, 30_000);

test('whether a route has changed is asked of the farm itself: a mirror that is behind, or gone, does not know', async () => {
  const revision = await routes.put(userKey('ada@example.org'), {text: 'held'});
  const host = await server.connect('be01');
  const mirror = await Bucket.open(host, ROUTE_BUCKET, Note, {create: false});
  await vi.waitFor(async () => expect((await mirror.get(userKey('ada@example.org')))?.revision).toBe(revision));
  expect(await newestRevision(host, 'ada@example.org')).toBe(revision);
  expect(await newestRevision(host, 'nobody@example.org')).toBe(null);
  await coordinator.request(`${readerApi('HOSTS')}.STREAM.DELETE.${ROUTES}`);
  const flip = await routes.put(userKey('ada@example.org'), {text: 'flipped'});
  expect(await newestRevision(host, 'ada@example.org')).toBe(flip);
  // An answer goes to the asker's account, wherever it is sent.
  for (const reply of [`$JS.API.STREAM.DELETE.${ROUTES}`, `$KV.${ROUTE_BUCKET}.user1`])
    host.publish(NEWEST_ROUTE, JSON.stringify({last_by_subj: `$KV.${ROUTE_BUCKET}.${userKey('ada@example.org')}`}), {reply});
  await settled(host, 'be01');
  expect(await routes.entries()).toHaveLength(1);
});
