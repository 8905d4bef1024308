import {jetstreamManager} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import Type from 'typebox';
import {afterAll, beforeAll, expect, test, vi} from 'vitest';
import {Bucket} from '../../wire/bucket.io.ts';
import {TestServer} from './server.ts';

const Note = Type.Object({text: Type.String()});
type NoteBucket = Bucket<typeof Note>;

let server: TestServer;
let nc: NatsConnection;
let buckets = 0;

beforeAll(async () => {
  server = await TestServer.start([]);
  nc = await server.connect('coordinator');
});
afterAll(() => server.end());

async function emptyBucket(): Promise<{bucket: NoteBucket; name: string}> {
  // The coordinator's permissions name its buckets: each test takes another one.
  const name = [
    'mailherd_moves',
    'mailherd_plans',
    'mailherd_policy',
    'mailherd_lease',
    'mailherd_hosts',
    'mailherd_routes',
    'mailherd_incidents',
  ][buckets++];
  if (name === undefined) throw new Error('more tests than buckets');
  return {bucket: await Bucket.open(nc, name, Note, {create: true}), name};
}

test('compare-and-set: one of two writers wins, the other hears of a conflict; what does not fit is told', async () => {
  const {bucket, name} = await emptyBucket();
  expect(await bucket.get('a')).toBeNull();
  const first = await bucket.create('a', {text: '1'});
  await expect(bucket.create('a', {text: '2'})).rejects.toMatchObject({code: 'STORE_CONFLICT'});
  const second = await bucket.update('a', {text: '2'}, first);
  await expect(bucket.update('a', {text: '3'}, first)).rejects.toMatchObject({code: 'STORE_CONFLICT'});
  await expect(bucket.remove('a', first)).rejects.toMatchObject({code: 'STORE_CONFLICT'});
  expect(await bucket.get('a')).toMatchObject({key: 'a', value: {text: '2'}, revision: second});

  const rivals = await Promise.allSettled([bucket.update('a', {text: 'x'}, second), bucket.update('a', {text: 'y'}, second)]);
  expect(rivals.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected']);

  const current = await bucket.get('a');
  await bucket.remove('a', current?.revision ?? 0);
  expect(await bucket.get('a')).toBeNull();
  expect(await bucket.create('a', {text: 'again'})).toBeGreaterThan(second);

  const other = await Bucket.open(nc, name, Type.Object({number: Type.Number()}), {create: false});
  await expect(other.get('a')).rejects.toMatchObject({code: 'STORE_CORRUPT'});
  const misfits: string[] = [];
  const lenient = await Bucket.open(nc, name, Type.Object({number: Type.Number()}), {create: false, onMisfit: key => misfits.push(key)});
  expect(await lenient.entries()).toEqual([]);
  expect(misfits).toEqual(['a']);
});

test('a watch resolves at once on an empty bucket and then hears of changes', async () => {
  const {bucket} = await emptyBucket();
  const seen: string[] = [];
  const stop = new AbortController();
  await bucket.watch(change => void seen.push('removed' in change ? `-${change.key}` : `${change.key}=${change.value.text}`), stop.signal);
  expect(seen).toEqual([]);
  const revision = await bucket.create('a', {text: '1'});
  await bucket.remove('a', revision);
  await vi.waitFor(() => expect(seen).toEqual(['a=1', '-a']));
  expect(await bucket.entries()).toEqual([]);
  stop.abort();
});

test('a watch resolves exactly after the present entries, removed ones among them', async () => {
  const {bucket} = await emptyBucket();
  for (let at = 0; at < 500; at += 1) await bucket.put(`k${at}`, {text: `${at}`});
  await bucket.put('k0', {text: 'new'});
  await bucket.remove('k499', (await bucket.get('k499'))?.revision ?? 0);
  for (let round = 0; round < 5; round += 1) {
    const seen = new Map<string, string>();
    const stop = new AbortController();
    await bucket.watch(change => void seen.set(change.key, 'removed' in change ? 'removed' : change.value.text), stop.signal);
    expect(seen.size).toBe(500);
    expect(seen.get('k0')).toBe('new');
    expect(seen.get('k499')).toBe('removed');
    stop.abort();
  }
  expect(await bucket.entries()).toHaveLength(499);
});

test('present entries that are overwritten meanwhile neither hold the watch up nor get lost', async () => {
  const {bucket} = await emptyBucket();
  for (let at = 0; at < 200; at += 1) await bucket.put(`k${at}`, {text: 'old'});
  const seen = new Map<string, string>();
  const stop = new AbortController();
  const watching = bucket.watch(change => void seen.set(change.key, 'removed' in change ? 'removed' : change.value.text), stop.signal);
  const writing = Promise.all(Array.from({length: 200}, (_, at) => bucket.put(`k${at}`, {text: 'new'})));
  await watching;
  expect(seen.size).toBe(200);
  await writing;
  await vi.waitFor(() => expect([...seen.values()].every(text => text === 'new')).toBe(true));
  stop.abort();
});

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'a watch goes on soon after the server was restarted by %s, without a gap',
  async signal => {
    const {bucket, name} = await emptyBucket();
    await bucket.put('a', {text: '1'});
    const seen: string[] = [];
    const stop = new AbortController();
    await bucket.watch(
      change => void seen.push('removed' in change ? `-${change.key}` : `${change.key}=${change.value.text}`),
      stop.signal,
    );
    await bucket.put('b', {text: '2'});
    await vi.waitFor(() => expect(seen).toEqual(['a=1', 'b=2']));
    await server.stop(signal);
    await server.run();
    // Another connection writes while this one may still be away.
    const other = await server.connect('coordinator');
    const again = await Bucket.open(other, name, Note, {create: false});
    await again.put('c', {text: '3'});
    await again.put('d', {text: '4'});
    await vi.waitFor(() => expect(seen).toEqual(['a=1', 'b=2', 'c=3', 'd=4']), {timeout: 10_000});
    await again.put('e', {text: '5'});
    await vi.waitFor(() => expect(seen.at(-1)).toBe('e=5'));
    expect(seen).toHaveLength(5);
    stop.abort();
  },
  30_000,
);

test('what is forgotten leaves nothing behind, and nothing of anybody else goes', async () => {
  const {bucket, name} = await emptyBucket();
  const manager = await jetstreamManager(nc, {checkAPI: false});
  const messages = async (): Promise<number> => (await manager.streams.info(`KV_${name}`)).state.messages;
  const [first] = [await bucket.create('a', {text: 'a'}), await bucket.create('b', {text: 'b'})];
  await expect(bucket.forget('a', first + 1)).rejects.toMatchObject({code: 'STORE_CONFLICT'});
  await bucket.forget('a', first);
  expect([await messages(), await bucket.get('a'), (await bucket.get('b'))?.value.text]).toEqual([1, null, 'b']);
});
