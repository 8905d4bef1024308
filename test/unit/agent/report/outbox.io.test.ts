import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {buildReport} from '../../../../agent/report/build.ts';
import type {Channel} from '../../../../agent/report/channel.io.ts';
import type {Parcel} from '../../../../agent/report/frame.io.ts';
import {Outbox} from '../../../../agent/report/outbox.io.ts';
import {Spool} from '../../../../agent/report/spool.io.ts';
import {MailherdError} from '../../../../base/errors.ts';
import {parse} from '../../../../wire/codec.ts';
import {FarmEvent} from '../../../../wire/event.ts';
import type {HostReport} from '../../../../wire/report.ts';
import {NOTHING} from './interval.ts';

const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};
/** The shortest of each pause, so that tests need not wait. */
const rng = {unit: () => 0, between: () => 0, below: () => 0, pick: <T>(items: readonly T[]) => items[0] as T, fork: () => rng};

let folder: string;
let spool: Spool;
let aside: Spool;
let stop: AbortController;
let outbox: Outbox;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-outbox-'));
  spool = new Spool(join(folder, 'spool'), 1_000_000);
  aside = new Spool(join(folder, 'aside'), 1_000_000);
  stop = new AbortController();
  outbox = new Outbox({host: 'be01', generation: 3, spool, aside, rng, log, signal: stop.signal});
});
afterEach(async () => {
  stop.abort();
  await outbox.done;
  rmSync(folder, {recursive: true});
});

/** A way whose state the test sets; `arrived` is what the other end has stored, each id once. */
function way(): Channel & {up: boolean; arrived: string[]; loseAcks: number; rise: () => void} {
  const stored = new Set<string>();
  let callback: () => void = () => undefined;
  const channel = {
    up: true,
    arrived: [] as string[],
    loseAcks: 0,
    rise(): void {
      channel.up = true;
      callback();
    },
    isUp: () => channel.up,
    onUp: (next: () => void) => {
      callback = next;
    },
    async publish({id}: Parcel) {
      if (!channel.up) throw new Error('down');
      if (!stored.has(id)) channel.arrived.push(id);
      stored.add(id);
      if (channel.loseAcks-- > 0) throw new Error('timeout');
    },
  };
  return channel;
}

function report(sequence: number): HostReport {
  return buildReport({...NOTHING, generation: 3, sequence});
}

test('without a way everything is kept; once there is one, the newest goes first and nothing is missing', async () => {
  for (let at = 1; at <= 5; at++) {
    outbox.report(report(at));
    await vi.waitFor(() => expect(spool.count).toBe(at));
  }
  expect(outbox.spooled).toBe(5);
  const channel = way();
  outbox.connect(channel);
  await vi.waitFor(() => expect(channel.arrived).toEqual([5, 4, 3, 2, 1].map(at => `be01-3-${at}`)));
  await vi.waitFor(() => expect(outbox.spooled).toBe(0));
});

test('a report of now goes before those of an outage', async () => {
  const channel = way();
  outbox.connect(channel);
  channel.up = false;
  outbox.report(report(1));
  outbox.report(report(2));
  await vi.waitFor(() => expect(spool.count).toBe(2));
  outbox.report(report(3));
  channel.rise();
  await vi.waitFor(() => expect(outbox.spooled).toBe(0));
  expect(channel.arrived[0]).toBe('be01-3-3');
  expect([...channel.arrived].sort()).toEqual(['be01-3-1', 'be01-3-2', 'be01-3-3']);
});

test('a lost acknowledgement means the same id again, so that it counts once', async () => {
  const channel = way();
  channel.loseAcks = 2;
  outbox.connect(channel);
  outbox.report(report(1));
  await vi.waitFor(() => expect(channel.loseAcks).toBeLessThan(0));
  await vi.waitFor(() => expect(outbox.spooled).toBe(0));
  expect(channel.arrived).toEqual(['be01-3-1']);
});

test('what is still here at the end is on disk', async () => {
  outbox.report(report(1));
  outbox.report(report(2));
  stop.abort();
  await outbox.done;
  const again = new Spool(join(folder, 'spool'), 1_000_000);
  await again.load();
  expect(again.count).toBe(2);
  await again.close();
});

test('a disk that takes nothing costs the oldest in memory, never the agent', async () => {
  vi.spyOn(spool, 'push').mockRejectedValue(new Error('ENOSPC'));
  for (let at = 1; at <= 600; at++) outbox.report(report(at));
  await vi.waitFor(() => expect(log.error).toHaveBeenCalled());
  expect(outbox.dropped).toBeGreaterThanOrEqual(99);
  expect(outbox.failing).toBe('ENOSPC');
  vi.mocked(spool.push).mockRestore();
  const channel = way();
  outbox.connect(channel);
  await vi.waitFor(() => expect(outbox.spooled).toBe(0));
  expect(channel.arrived).toContain('be01-3-600');
});

test('a disk that hangs holds up nothing that can be published, and is used again once it answers', async () => {
  let answer: () => void = () => undefined;
  const push = vi.spyOn(spool, 'push').mockImplementationOnce(
    () =>
      new Promise((_, reject) => {
        answer = () => reject(new Error('EIO'));
      }),
  );
  vi.useFakeTimers();
  try {
    outbox.report(report(1));
    await vi.waitFor(() => expect(push).toHaveBeenCalled());
    await vi.advanceTimersByTimeAsync(5_000);
    expect(outbox.failing).toMatch(/no answer of the disk/);
    const channel = way();
    outbox.connect(channel);
    await vi.waitFor(() => expect(channel.arrived).toEqual(['be01-3-1']));
    channel.up = false;
    outbox.report(report(2));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(push).toHaveBeenCalledTimes(1);
    answer();
    await vi.waitFor(() => expect(spool.count).toBe(1));
    expect(outbox.failing).toBeNull();
  } finally {
    vi.useRealTimers();
  }
});

test('a server that refuses is asked again later, and meanwhile everything is kept on disk in order', async () => {
  const channel = way();
  let asked = 0;
  channel.publish = async () => {
    asked++;
    throw new Error('no responders');
  };
  outbox.connect(channel);
  vi.spyOn(rng, 'between').mockReturnValue(3_600_000);
  for (let at = 1; at <= 4; at++) outbox.report(report(at));
  await vi.waitFor(() => expect(spool.count).toBe(4));
  vi.mocked(rng.between).mockRestore();
  expect(asked).toBe(1);
  expect((await spool.newest())?.id).toBe('be01-3-4');
});

/** A way that does not take some messages. */
function wayWithout(isRefused: (id: string) => boolean, error: (id: string) => Error): ReturnType<typeof way> & {tries: string[]} {
  const channel = {...way(), tries: [] as string[]};
  const publish = channel.publish;
  channel.publish = async parcel => {
    channel.tries.push(parcel.id);
    if (channel.isUp() && isRefused(parcel.id)) throw error(parcel.id);
    await publish(parcel);
  };
  return channel;
}

const denied = (id: string): Error => new MailherdError('PUBLISH_REFUSED', {subject: id, reason: 'Permissions Violation', do: 'mend it'});

test.each([
  ['says so', denied],
  ['fails with each time, and with no other', () => new Error('503')],
])('a message that the server %s goes aside, and all others go on', async (_, error) => {
  log.error.mockClear();
  for (let at = 1; at <= 20; at++) outbox.report(report(at));
  await vi.waitFor(() => expect(spool.count).toBe(20));
  // Nothing that was refused is tried a second time here.
  const between = vi.spyOn(rng, 'between').mockImplementation(((low: number) => (low >= 60_000 ? low : 0)) as () => number);
  let now = 20;
  const channel = wayWithout(id => id === 'be01-3-15', error);
  outbox.connect(channel);
  const fresh = setInterval(() => outbox.report(report(++now)), 20);
  await vi.waitFor(() => expect(channel.arrived).toContain('be01-3-1'), 5_000);
  clearInterval(fresh);
  await vi.waitFor(() => expect(outbox.spooled).toBe(0));
  expect(channel.arrived).toHaveLength(now - 1);
  expect(outbox).toMatchObject({refused: 1, dropped: 0, failing: error('be01-3-15').message});
  expect(log.error).toHaveBeenCalledTimes(1);
  between.mockRestore();
});

test('what was refused comes when the rights are mended, after all else, over a restart too', async () => {
  const between = vi.spyOn(rng, 'between').mockImplementation(((low: number) => (low >= 60_000 ? low : 0)) as () => number);
  let isMended = false;
  const channel = wayWithout(id => !isMended && id.includes('-e'), denied);
  outbox.connect(channel);
  for (let at = 1; at <= 3; at++) outbox.event('agentStarted', {generation: 3, version: '0.1.0'});
  outbox.report(report(1));
  await vi.waitFor(() => expect(outbox).toMatchObject({refused: 3, spooled: 0}));
  stop.abort();
  await outbox.done;

  const triedBefore = channel.tries.length;
  stop = new AbortController();
  const again = {spool: new Spool(join(folder, 'spool'), 1_000_000), aside: new Spool(join(folder, 'aside'), 1_000_000)};
  outbox = new Outbox({host: 'be01', generation: 4, ...again, rng, log, signal: stop.signal});
  outbox.connect(channel);
  // One round at the start finds them refused still.
  await vi.waitFor(() => expect(channel.tries.length).toBeGreaterThanOrEqual(triedBefore + 3));
  await vi.waitFor(() => expect(outbox).toMatchObject({refused: 3, spooled: 0}));
  isMended = true;
  channel.rise();
  await vi.waitFor(() => expect(outbox).toMatchObject({refused: 0, spooled: 0, failing: null, dropped: 0}));
  expect(channel.arrived.filter(id => id.includes('-e'))).toHaveLength(3);
  between.mockRestore();
});

test('a host that may not report at all tries more and more slowly, and loses nothing', async () => {
  const pauses: number[] = [];
  const between = vi.spyOn(rng, 'between').mockImplementation(((low: number, high: number) => {
    if (high === 2 * low) pauses.push(low);
    return 0;
  }) as () => number);
  const channel = wayWithout(() => true, denied);
  for (let at = 1; at <= 12; at++) outbox.report(report(at));
  await vi.waitFor(() => expect(spool.count).toBe(12));
  outbox.connect(channel);
  await vi.waitFor(() => expect(pauses.length).toBeGreaterThan(11));
  expect(pauses.slice(0, 9)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  stop.abort();
  await outbox.done;
  const kept = [new Spool(join(folder, 'spool'), 1_000_000), new Spool(join(folder, 'aside'), 1_000_000)];
  for (const one of kept) await one.load();
  expect(kept.reduce((sum, {count}) => sum + count, 0)).toBeGreaterThanOrEqual(12);
  for (const one of kept) await one.close();
  between.mockRestore();
});

test('events fit their schema and never share an id', async () => {
  const channel = way();
  const seen: unknown[] = [];
  channel.publish = async parcel => void seen.push(parcel);
  outbox.connect(channel);
  outbox.event('agentStarted', {generation: 3, version: '0.1.0'});
  outbox.event('agentStarted', {generation: 3, version: '0.1.0'});
  await vi.waitFor(() => expect(seen).toHaveLength(2));
  const parcels = seen as Parcel[];
  for (const {subject, data, id} of parcels) {
    expect(subject).toBe('mailherd.event.be01.agentStarted');
    expect(parse(FarmEvent, data, 'event').id).toBe(id);
  }
  expect(new Set(parcels.map(({id}) => id)).size).toBe(2);
});
