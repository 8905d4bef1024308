import type {NatsConnection} from '@nats-io/transport-node';
import Type from 'typebox';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Bucket, type Entry, type Removal} from '../../wire/bucket.io.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {memoryLog, PlainServer} from './plain-server.ts';

const Thing = Type.Object({n: Type.Number()});
type Seen = Entry<Type.Static<typeof Thing>> | Removal;
const BUCKET = 'mailherd_test';

let server: PlainServer;
let stop: AbortController;
const open: NatsConnection[] = [];

beforeEach(async () => {
  server = await PlainServer.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  for (const nc of open.splice(0)) await nc.close();
  await server.remove();
});

async function client(log = memoryLog()): Promise<NatsConnection> {
  const nc = await connectNats({servers: [server.url], seedFile: null, name: 'test', inboxPrefix: '_INBOX_test'}, log, stop.signal);
  open.push(nc);
  return nc;
}

function bucket(nc: NatsConnection): Promise<Bucket<typeof Thing>> {
  return Bucket.open(nc, BUCKET, Thing, {create: true});
}

/** Collects what a watch delivers and lets a test wait for a state of it. */
class Collector {
  readonly seen: Seen[] = [];
  #wake: () => void = () => undefined;

  readonly take = (entry: Seen): void => {
    this.seen.push(entry);
    this.#wake();
  };

  get numbers(): number[] {
    return this.seen.map(entry => ('removed' in entry ? -1 : entry.value.n));
  }

  async until(isReached: (seen: readonly Seen[]) => boolean): Promise<void> {
    while (!isReached(this.seen)) {
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'a watch under load survives a server ended by %s: nothing missed, repeated or out of order',
  async signal => {
    const writer = await bucket(await client());
    const reader = await bucket(await client());
    const collector = new Collector();
    await reader.watch(collector.take, stop.signal);
    const acknowledged: number[] = [];
    let isWriting = true;
    const writing = (async () => {
      for (let n = 0; isWriting; n++) {
        try {
          // A key of its own each: every one must be seen, however long the reader was away.
          acknowledged.push(await writer.create(`k${n}`, {n}));
        } catch {
          await new Promise(resolve => setTimeout(resolve, 50));
        }
      }
    })();
    for (let round = 0; round < 2; round++) {
      const target = acknowledged.length + 200;
      await collector.until(seen => seen.length >= target);
      await server.down(signal);
      await server.up();
      // Another is back before the reader.
      const early = await bucket(await client());
      for (let n = 0; n < 50; n++) acknowledged.push(await early.create(`early${round}-${n}`, {n}));
    }
    const target = collector.seen.length + 200;
    await collector.until(seen => seen.length >= target);
    isWriting = false;
    await writing;
    const last = Math.max(...acknowledged);
    await collector.until(seen => (seen.at(-1)?.revision ?? 0) >= last);
    const revisions = collector.seen.map(entry => entry.revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    const seen = new Set(revisions);
    expect(acknowledged.filter(revision => !seen.has(revision))).toEqual([]);
  },
  60_000,
);

test('a bucket made anew is read from its start', async () => {
  const log = memoryLog();
  const nc = await client(log);
  const things = await bucket(nc);
  for (let n = 0; n < 10; n++) await things.put('a', {n});
  const collector = new Collector();
  await things.watch(collector.take, stop.signal);
  await nc.request(`$JS.API.STREAM.DELETE.KV_${BUCKET}`);
  await (await bucket(nc)).put('b', {n: 100});
  await collector.until(seen => seen.length === 2);
  expect(collector.seen[1]).toMatchObject({key: 'b', value: {n: 100}, revision: 1});
  expect(log.lines.some(line => JSON.stringify(line.fields).includes('reading all of it again'))).toBe(true);
}, 30_000);

test.each([
  ['another entry stands where the last one stood', 12, true],
  ['nothing stands there, and nothing of its key came since', 11, true],
  ['only the key that was read last was written again', 10, false],
] as const)(
  'a bucket of which an older state has grown beyond what was read is read from its start: %s',
  async (_, moves, isNoticed) => {
    const log = memoryLog();
    const nc = await client(log);
    const things = await bucket(nc);
    for (let n = 1; n <= 9; n++) await things.put('b', {n});
    await things.put('a', {n: 10});
    const collector = new Collector();
    const told: boolean[] = [];
    await things.watch(collector.take, stop.signal, isSure => told.push(isSure));
    await nc.request(`$JS.API.STREAM.DELETE.KV_${BUCKET}`);
    const again = await bucket(nc);
    // One of an entry of its own is lost on whoever goes on behind the last number.
    await again.put('lost', {n: 100});
    for (let n = 2; n <= 9; n++) await again.put('b', {n});
    if (moves === 12) for (const n of [10, 11, 12]) await again.put(n === 10 ? 'c' : 'd', {n});
    else for (const n of [10, 11]) await again.put(moves === 11 ? 'c' : 'a', {n});
    if (!isNoticed) {
      await collector.until(seen => seen.at(-1)?.revision === 11);
      return;
    }
    await collector.until(seen => seen.some(entry => 'value' in entry && entry.value.n === 100));
    expect(told).toEqual([moves === 12]);
    expect(log.lines.some(line => JSON.stringify(line.fields).includes('reading all of it again'))).toBe(true);
  },
  30_000,
);

test('a server that stands still is noticed and taken up again', async () => {
  const reader = await bucket(await client());
  const log = memoryLog();
  const watched = await bucket(await client(log));
  const collector = new Collector();
  await watched.watch(collector.take, stop.signal);
  server.kill('SIGSTOP');
  while (!log.lines.some(line => JSON.stringify(line.fields).includes('silence'))) await new Promise(resolve => setTimeout(resolve, 20));
  server.kill('SIGCONT');
  await reader.put('a', {n: 1});
  await collector.until(seen => seen.length > 0);
  expect(collector.numbers).toEqual([1]);
}, 60_000);

test('connects to a server that comes up later, and says what it waits for', async () => {
  await server.down();
  const log = memoryLog();
  const connecting = client(log);
  while (log.lines.length === 0) await new Promise(resolve => setImmediate(resolve));
  expect(log.lines[0]).toMatchObject({level: 'warn', message: expect.stringContaining('trying again'), fields: {servers: [server.url]}});
  await server.up();
  expect(await (await bucket(await connecting)).put('a', {n: 1})).toBe(1);
}, 30_000);

test('waiting for the first connection ends with the signal', async () => {
  await server.down();
  const connecting = client();
  stop.abort();
  await expect(connecting).rejects.toMatchObject({code: 'CANCELLED'});
});

test('absent bucket, server away', async () => {
  const nc = await client();
  await expect(Bucket.open(nc, BUCKET, Thing, {create: false})).rejects.toMatchObject({code: 'NATS_DOWN'});
  const things = await bucket(nc);
  await server.down();
  await expect(things.put('a', {n: 1})).rejects.toMatchObject({code: 'NATS_DOWN'});
}, 20_000);

test('a revision of 0 is a mistake of the caller, not a condition that is left out', async () => {
  const things = await bucket(await client());
  await things.create('a', {n: 1});
  await expect(async () => things.remove('a', 0)).rejects.toThrow('only what exists');
  await expect(async () => things.update('a', {n: 2}, 0)).rejects.toThrow('only what exists');
});

test('a watch waits for a handler before it hands over the next', async () => {
  const things = await bucket(await client());
  for (let n = 0; n < 20; n++) await things.put(`k${n}`, {n});
  let running = 0;
  let most = 0;
  const order: number[] = [];
  await things.watch(async entry => {
    running++;
    most = Math.max(most, running);
    await new Promise(resolve => setImmediate(resolve));
    running--;
    if (!('removed' in entry)) order.push(entry.value.n);
  }, stop.signal);
  expect(order).toEqual(Array.from({length: 20}, (_, n) => n));
  expect(most).toBe(1);
});

test('an entry whose handler fails comes again, before what follows it', async () => {
  const log = memoryLog();
  const things = await bucket(await client(log));
  await things.put('a', {n: 1});
  let failures = 0;
  const collector = new Collector();
  await things.watch(entry => {
    if (!('removed' in entry) && entry.value.n === 2 && failures++ === 0) throw new Error('disk full');
    collector.take(entry);
  }, stop.signal);
  await things.put('b', {n: 2});
  await things.put('c', {n: 3});
  await collector.until(seen => seen.length === 3);
  expect(collector.numbers).toEqual([1, 2, 3]);
  expect(log.lines.filter(line => line.level === 'warn').map(line => line.fields)).toMatchObject([{reason: 'disk full'}]);
});

test('a misfit is told with key and reason, and the rest goes on', async () => {
  const nc = await client();
  const misfits: string[] = [];
  const things = await Bucket.open(nc, BUCKET, Thing, {create: true, onMisfit: (key, reason) => misfits.push(`${key}: ${reason}`)});
  await things.put('a', {n: 1});
  await nc.request(`$KV.${BUCKET}.bad`, 'not json');
  await things.put('b', {n: 2});
  expect((await things.entries()).map(entry => entry.key)).toEqual(['a', 'b']);
  expect(misfits).toEqual([expect.stringContaining('bad: INPUT_INVALID')]);
});

test('a watch ends with its signal, or refuses to begin', async () => {
  const things = await bucket(await client());
  const collector = new Collector();
  const own = new AbortController();
  await things.watch(collector.take, own.signal);
  own.abort();
  await things.put('a', {n: 1});
  await things.get('a');
  expect(collector.seen).toEqual([]);
  await expect(things.watch(collector.take, own.signal)).rejects.toMatchObject({code: 'CANCELLED'});
});

test('the timestamp is the same to the millisecond by watch and by get', async () => {
  const things = await bucket(await client());
  await Promise.all(Array.from({length: 300}, (_, n) => things.put(`k${n}`, {n})));
  for (const entry of await things.entries()) expect((await things.get(entry.key))?.storedAtMs).toBe(entry.storedAtMs);
});

test('20,000 entries are read in order and in time', async () => {
  const things = await bucket(await client());
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(Array.from({length: 1_000}, (_, n) => things.put(`user${batch * 1_000 + n}`, {n: batch * 1_000 + n})));
  }
  const startMs = performance.now();
  const collector = new Collector();
  await things.watch(collector.take, stop.signal);
  const revisions = collector.seen.map(entry => entry.revision);
  expect(revisions).toHaveLength(20_000);
  expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  expect(performance.now() - startMs).toBeLessThan(20_000);
}, 60_000);
