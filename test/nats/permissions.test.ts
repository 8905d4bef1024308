import {execFile} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {AckPolicy, jetstream, jetstreamManager} from '@nats-io/jetstream';
import {type NatsConnection, nkeys} from '@nats-io/transport-node';
import Type from 'typebox';
import {afterAll, afterEach, beforeAll, expect, test, vi} from 'vitest';
import {buildReport} from '../../agent/report/build.ts';
import {natsChannel} from '../../agent/report/channel.io.ts';
import {Outbox} from '../../agent/report/outbox.io.ts';
import {Spool} from '../../agent/report/spool.io.ts';
import {type Rng, seededRng} from '../../base/random.ts';
import {commander} from '../../coordinator/command.io.ts';
import {Bucket} from '../../wire/bucket.io.ts';
import {ensureMirror} from '../../wire/mirror.io.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {sendReply} from '../../wire/reply.io.ts';
import {
  commandSubject,
  commandSubjects,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  eventSubject,
  HOST_BUCKET,
  MOVE_BUCKET,
  REPORT_STREAM,
  REPORT_SUBJECTS,
  ROUTE_BUCKET,
  reportSubject,
} from '../../wire/subjects.ts';
import {NOTHING} from '../unit/agent/report/interval.ts';
import {memoryLog} from './plain-server.ts';
import {TestServer} from './server.ts';

const WAIT = {timeout: 30_000, interval: 50};
/** What was refused rests for up to a minute. */
const PATIENT = {timeout: 90_000, interval: 50};
/** A minute must not take a minute. */
const hurried: Rng = {...seededRng(1), between: low => low / 100, fork: () => hurried};
const Note = Type.Object({text: Type.String()});

let server: TestServer;
let coordinator: NatsConnection;
let host: NatsConnection;
let observer: NatsConnection;
let refused: string[] = [];

beforeAll(async () => {
  server = await TestServer.start();
  const note = (reason: string): void => {
    refused.push(reason);
  };
  coordinator = await server.connect('coordinator', note);
  const manager = await jetstreamManager(coordinator);
  await manager.streams.add({name: REPORT_STREAM, subjects: [REPORT_SUBJECTS]});
  await manager.streams.add({name: EVENT_STREAM, subjects: [EVENT_SUBJECTS]});
  await ensureMirror(coordinator, EVENT_STREAM);
  for (const name of [HOST_BUCKET, ROUTE_BUCKET, MOVE_BUCKET]) await Bucket.open(coordinator, name, Note, {create: true});
  host = await server.connect('be01', note);
  observer = await server.connect('observer', note);
});
afterAll(() => server.end());
afterEach(() => {
  refused = [];
});

async function storedIn(stream: string): Promise<number> {
  return (await (await jetstreamManager(coordinator)).streams.info(stream)).state.messages;
}

/** The server says so asynchronously, and the client hands it on. */
async function expectRefused(kind: 'publish' | 'subscription', subject: string): Promise<void> {
  await vi.waitFor(
    () => expect(refused.join('\n').toLowerCase()).toContain(`permissions violation for ${kind} to \\"${subject.toLowerCase()}`),
    {
      timeout: 5_000,
    },
  );
}

test('a host stores its own reports and events', async () => {
  const js = jetstream(host);
  await js.publish(reportSubject('be01'), '{}', {msgID: 'r1'});
  expect((await js.publish(reportSubject('be01'), '{}', {msgID: 'r1'})).duplicate).toBe(true);
  await js.publish(eventSubject('be01', 'agentStarted'), '{}');
  expect([await storedIn(REPORT_STREAM), await storedIn(EVENT_STREAM)]).toEqual([1, 1]);
  expect(refused).toEqual([]);
});

test('an agent is told at once that a message of its is refused, why, and what to do', async () => {
  const channel = natsChannel(host);
  const subject = eventSubject('be01', 'verdictChanged');
  const refusal = (word: string): object => ({code: 'PUBLISH_REFUSED', detail: {reason: expect.stringContaining(word)}});
  await expect(channel.publish({subject, id: 'x1', data: {}})).rejects.toMatchObject(refusal('Permissions Violation'));
  const large = {subject: reportSubject('be01'), id: 'x2', data: 'x'.repeat(2_000_000)};
  await expect(channel.publish(large)).rejects.toMatchObject(refusal('max_payload'));
  await channel.publish({subject: eventSubject('be01', 'kernelTroubleBegan'), id: 'x3', data: {}});
});

test('who waits for NATS is told that it answers and does not know him, which silence is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-stranger-'));
  const seedFile = join(folder, 'seed');
  writeFileSync(seedFile, nkeys.createUser().getSeed(), {mode: 0o600});
  const refusals = async (url: string): Promise<number> => {
    const stop = new AbortController();
    const onRefused = vi.fn(() => stop.abort());
    setTimeout(() => stop.abort(), 3_000);
    const config = {servers: [url], seedFile, name: 'stranger', inboxPrefix: '_INBOX.stranger'};
    await expect(connectNats(config, memoryLog(), stop.signal, onRefused)).rejects.toMatchObject({code: 'CANCELLED'});
    return onRefused.mock.calls.length;
  };
  try {
    expect(await refusals(server.url)).toBe(1);
    expect(await refusals('nats://127.0.0.1:1')).toBe(0);
  } finally {
    rmSync(folder, {recursive: true});
  }
});

test('reports flow beside an event that is refused, and it arrives once its right is there', async () => {
  const own = await TestServer.start();
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-refused-'));
  const stop = new AbortController();
  const manager = await jetstreamManager(await own.connect('coordinator'));
  const stored = async (stream: string): Promise<number> => (await manager.streams.info(stream)).state.messages;
  try {
    await manager.streams.add({name: REPORT_STREAM, subjects: [REPORT_SUBJECTS]});
    await manager.streams.add({name: EVENT_STREAM, subjects: [EVENT_SUBJECTS]});
    const users = join(own.dir, 'nats-users.conf');
    const whole = readFileSync(users, 'utf8');
    writeFileSync(users, whole.replaceAll('be01.limitReached', 'be01.somethingElse'));
    await own.reload();
    const spools = {spool: new Spool(join(folder, 'spool'), 1e6), aside: new Spool(join(folder, 'aside'), 1e6)};
    const box = new Outbox({host: 'be01', generation: 1, ...spools, rng: hurried, log: memoryLog(), signal: stop.signal});
    box.connect(natsChannel(await own.connect('be01')));
    box.event('limitReached', {limit: 'x', service: 'imap', max: 1, clearAfterMs: 1});
    await vi.waitFor(() => expect(box.refused).toBe(1), WAIT);
    for (let at = 1; at <= 5; at++) box.report(buildReport({...NOTHING, sequence: at}));
    await vi.waitFor(async () => expect(await stored(REPORT_STREAM)).toBe(5), WAIT);
    expect(await stored(EVENT_STREAM)).toBe(0);
    writeFileSync(users, whole);
    await own.reload();
    await vi.waitFor(async () => expect(await stored(EVENT_STREAM)).toBe(1), PATIENT);
    await vi.waitFor(() => expect(box).toMatchObject({refused: 0, spooled: 0, dropped: 0, failing: null}), PATIENT);
    stop.abort();
    await box.done;
  } finally {
    stop.abort();
    await own.end();
    rmSync(folder, {recursive: true});
  }
}, 120_000);

test.each([
  reportSubject('be02'),
  eventSubject('be02', 'agentStarted'),
  eventSubject('farm', 'evacuated'),
  eventSubject('be01', 'verdictChanged'),
  commandSubject('be02', 'hold'),
])('a host may not publish %s', async subject => {
  const before = [await storedIn(REPORT_STREAM), await storedIn(EVENT_STREAM)];
  host.publish(subject, '{}');
  await host.flush();
  await expectRefused('publish', subject);
  expect([await storedIn(REPORT_STREAM), await storedIn(EVENT_STREAM)]).toEqual(before);
});

test('a host answers a command with many replies', async () => {
  const subscription = host.subscribe(commandSubjects('be01'), {
    callback: (_error, message) => {
      for (let at = 0; at < 500; at += 1) message.respond(`${at}`);
    },
  });
  await host.flush();
  let replies = 0;
  const inbox = coordinator.subscribe('_INBOX_coordinator.test', {
    callback: () => {
      replies += 1;
    },
  });
  coordinator.publish(commandSubject('be01', 'copy'), '{}', {reply: '_INBOX_coordinator.test'});
  await vi.waitFor(() => expect(replies).toBe(500), {timeout: 5_000});
  expect(refused).toEqual([]);
  subscription.unsubscribe();
  inbox.unsubscribe();
});

test('a host answers with more than a message of NATS holds', async () => {
  const lines = Array.from({length: 40_000}, (_, uid) => `${uid} ${'x'.repeat(120)}`);
  const manifest = {folders: [], subscriptions: [], sieve: [], lines};
  const subscription = host.subscribe(commandSubjects('be01'), {
    callback: (_error, message) => {
      sendReply(message, {working: true});
      sendReply(message, {ok: true, answer: {manifest, tookMs: 1}});
    },
  });
  await host.flush();
  const ask = commander(coordinator, '_INBOX_coordinator');
  const request = {
    v: 1,
    token: 1,
    user: 'ada@example.org',
    moveId: '00000000-0000-4000-8000-000000000001',
    folder: null,
    texts: false,
  } as const;
  expect((await ask('be01', 'manifest', request, 10_000)).manifest).toEqual(manifest);
  expect(refused).toEqual([]);
  subscription.unsubscribe();
});

test.each([
  commandSubjects('be02'),
  'mailherd.command.>',
  '_INBOX_be02.>',
  '_INBOX_coordinator.>',
  '_INBOX.>',
  '>',
  REPORT_SUBJECTS,
  EVENT_SUBJECTS,
  `$KV.${ROUTE_BUCKET}.>`,
])('a host may not listen to %s', async subject => {
  const subscription = host.subscribe(subject, {callback: () => undefined});
  await host.flush();
  await expectRefused('subscription', subject);
  subscription.unsubscribe();
});

test.each([HOST_BUCKET, ROUTE_BUCKET])('a host reads and watches %s and cannot write it', async name => {
  const writer = await Bucket.open(coordinator, name, Note, {create: false});
  const revision = await writer.create('a', {text: '1'});
  const reader = await Bucket.open(host, name, Note, {create: false});
  // What hosts read is a mirror: it follows, within milliseconds.
  await vi.waitFor(async () => expect((await reader.get('a'))?.value.text).toBe('1'));
  expect(await reader.get('none')).toBeNull();
  expect((await reader.entries()).map(({key}) => key)).toEqual(['a']);
  const seen: string[] = [];
  const stop = new AbortController();
  await reader.watch(change => {
    seen.push(change.key);
  }, stop.signal);
  await writer.put('b', {text: '2'});
  await vi.waitFor(() => expect(seen).toEqual(['a', 'b']));
  expect(refused).toEqual([]);

  await expect(reader.update('a', {text: 'stolen'}, revision)).rejects.toMatchObject({code: 'NATS_DOWN'});
  await expect(reader.put('c', {text: 'stolen'})).rejects.toMatchObject({code: 'NATS_DOWN'});
  expect((await writer.entries()).map(({key, value}) => `${key}=${value.text}`)).toEqual(['a=1', 'b=2']);
  stop.abort();
});

test('a host gets at no other bucket or stream, and changes none', async () => {
  await expect(Bucket.open(host, MOVE_BUCKET, Note, {create: false})).rejects.toMatchObject({code: 'NATS_DOWN'});
  const manager = await jetstreamManager(host, {checkAPI: false, timeout: 1_000});
  await expect(manager.streams.getMessage(REPORT_STREAM, {seq: 1})).rejects.toThrow();
  await expect(manager.streams.purge(`KV_${ROUTE_BUCKET}`)).rejects.toThrow();
  await expect(manager.streams.delete(`KV_${ROUTE_BUCKET}`)).rejects.toThrow();
  await expect(manager.consumers.add(EVENT_STREAM, {name: 'spy', ack_policy: AckPolicy.None})).rejects.toThrow();
  expect(await storedIn(`KV_${ROUTE_BUCKET}`)).toBeGreaterThan(0);
}, 30_000);

test('an observer consumes events durably, once each, as the documented example does', async () => {
  const read = async (): Promise<string[]> => {
    const seed = join(server.dir, 'seeds', 'observer.seed');
    const args = ['docs/consume-events.mjs', server.url, seed, 'billing', '--once'];
    const {stdout} = await promisify(execFile)(process.execPath, args);
    return stdout.split('\n').filter(line => line !== '');
  };
  expect(await read()).toHaveLength(await storedIn(EVENT_STREAM));
  await jetstream(host).publish(eventSubject('be01', 'agentStarted'), '{"n":2}');
  await vi.waitFor(async () => expect(await storedIn(EVENT_STREAM)).toBeGreaterThan(0));
  // Another run of the same observer goes on where the first one stopped.
  expect(await read()).toEqual(['{"n":2}']);
}, 30_000);

test('an observer can do nothing else', async () => {
  const manager = await jetstreamManager(observer, {checkAPI: false, timeout: 1_000});
  for (const stream of [REPORT_STREAM, `KV_${ROUTE_BUCKET}`]) {
    await expect(manager.consumers.add(stream, {name: 'spy', ack_policy: AckPolicy.None})).rejects.toThrow();
    await expect(manager.streams.info(stream)).rejects.toThrow();
  }
  await expect(manager.streams.purge(EVENT_STREAM)).rejects.toThrow();
  await expect(manager.streams.getMessage(EVENT_STREAM, {seq: 1})).rejects.toThrow();
  await expect(manager.consumers.delete(EVENT_STREAM, 'billing')).rejects.toThrow();
  for (const subject of [eventSubject('farm', 'evacuated'), commandSubject('be01', 'hold'), `$KV.${ROUTE_BUCKET}.a`]) {
    observer.publish(subject, '{}');
    await observer.flush();
    await expectRefused('publish', subject);
  }
  const subscription = observer.subscribe('mailherd.>', {callback: () => undefined});
  await observer.flush();
  await expectRefused('subscription', 'mailherd.>');
  subscription.unsubscribe();
}, 60_000);
