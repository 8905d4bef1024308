import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {jetstream, jetstreamManager} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {buildReport} from '../../agent/report/build.ts';
import {natsChannel} from '../../agent/report/channel.io.ts';
import {Outbox} from '../../agent/report/outbox.io.ts';
import {Spool} from '../../agent/report/spool.io.ts';
import {type Rng, seededRng} from '../../base/random.ts';
import type {FleetHost} from '../../coordinator/fleet.ts';
import {Intake} from '../../coordinator/report/intake.ts';
import {connectNats} from '../../wire/nats.io.ts';
import type {HostReport} from '../../wire/report.ts';
import {DEDUPE_WINDOW_MS, REPORT_STREAM, REPORT_SUBJECTS} from '../../wire/subjects.ts';
import {NOTHING} from '../unit/agent/report/interval.ts';
import {memoryLog, PlainServer} from './plain-server.ts';

const HOST = 'be01';
const INTERVAL_MS = 10_000;
/** Before, in and after an hour without NATS. */
const BEFORE = 30;
const AWAY = 360;
const AFTER = 5;
const WAIT = {timeout: 60_000, interval: 50};

let folder: string;
let server: PlainServer;
const log = memoryLog();
const open: {nc: NatsConnection; stop: AbortController}[] = [];
const startMs = Date.now() - (BEFORE + AWAY + AFTER) * INTERVAL_MS;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-spool-'));
  server = await PlainServer.start();
});
afterEach(async () => {
  for (const {nc, stop} of open.splice(0)) {
    stop.abort();
    await nc.close();
  }
  await server.remove();
  rmSync(folder, {recursive: true});
});

async function connection(): Promise<NatsConnection> {
  const stop = new AbortController();
  const nc = await connectNats({servers: [server.url], seedFile: null, name: 'test', inboxPrefix: '_INBOX_test'}, log, stop.signal);
  open.push({nc, stop});
  return nc;
}

function report(sequence: number): HostReport {
  return buildReport({...NOTHING, host: HOST, sequence, sampledAtMs: startMs + sequence * INTERVAL_MS, intervalMs: INTERVAL_MS});
}

/** More than are ever under way at once. */
const UNDER_WAY_MAX = 40;

/** The shortest pauses there are; an hour must not take an hour. */
const hurried: Rng = {...seededRng(1), between: low => low, fork: () => hurried};

/** One run of an agent's outbox on the same disk; `kill` leaves everything as a killed process does. */
function outbox(): {box: Outbox; spool: Spool; kill: () => void} {
  const spool = new Spool(join(folder, 'spool'), 32 * 1024 * 1024);
  const stop = new AbortController();
  const aside = new Spool(join(folder, 'refused'), 32 * 1024 * 1024);
  const box = new Outbox({host: HOST, generation: 1, spool, aside, rng: hurried, log, signal: stop.signal});
  return {box, spool, kill: () => stop.abort()};
}

test('an hour without NATS and a killed agent in the middle: nothing is missing, nothing counts twice', async () => {
  const nc = await connection();
  const manager = await jetstreamManager(nc);
  await manager.streams.add({
    name: REPORT_STREAM,
    subjects: [REPORT_SUBJECTS],
    duplicate_window: DEDUPE_WINDOW_MS * 1e6,
  });
  const first = outbox();
  first.box.connect(natsChannel(nc));
  for (let at = 1; at <= BEFORE; at++) first.box.report(report(at));
  await vi.waitFor(async () => expect((await manager.streams.info(REPORT_STREAM)).state.messages).toBe(BEFORE), WAIT);

  await server.down();
  const half = BEFORE + AWAY / 2;
  for (let at = BEFORE + 1; at <= half; at++) {
    first.box.report(report(at));
    await vi.waitFor(() => expect(first.box.spooled).toBe(at - BEFORE), WAIT);
  }
  await vi.waitFor(() => expect(first.spool.count).toBe(AWAY / 2), WAIT);
  first.kill();
  await first.box.done;

  const second = outbox();
  for (let at = half + 1; at <= BEFORE + AWAY; at++) second.box.report(report(at));
  await vi.waitFor(() => expect(second.spool.count).toBe(AWAY), WAIT);
  await server.up();
  second.box.connect(natsChannel(await connection()));
  for (let at = BEFORE + AWAY + 1; at <= BEFORE + AWAY + AFTER; at++) second.box.report(report(at));
  await vi.waitFor(() => expect(second.box.spooled).toBe(0), WAIT);
  second.kill();

  const {state} = await manager.streams.info(REPORT_STREAM);
  const all = BEFORE + AWAY + AFTER;
  expect({messages: state.messages, dropped: second.box.dropped}).toEqual({messages: all, dropped: 0});
  const {order, accepted, kept} = await folded(nc, all);
  // The state of now came before what had been kept, and that from its newest end.
  expect(order.slice(BEFORE, BEFORE + AFTER).sort((a, b) => a - b)).toEqual(numbers(BEFORE + AWAY + 1, all));
  // Several are under way at once, so neighbours may pass each other.
  const backfilled = order.slice(BEFORE + AFTER);
  const newestFirst = numbers(BEFORE + 1, BEFORE + AWAY).reverse();
  expect([...backfilled].sort((a, b) => b - a)).toEqual([...newestFirst].sort((a, b) => b - a));
  for (const [place, sequence] of backfilled.entries()) expect(Math.abs(newestFirst.indexOf(sequence) - place)).toBeLessThan(UNDER_WAY_MAX);
  // What the coordinator's picture reaches back to is there without a gap, each once; an older one is known to be too old.
  expect(kept).toEqual(numbers(all - kept.length + 1, all));
  expect(kept.length).toBeGreaterThan(25);
  expect(accepted).toBe(BEFORE + kept.length);
}, 120_000);

const numbers = (from: number, to: number): number[] => Array.from({length: to - from + 1}, (_, at) => from + at);

/** What a coordinator that reads the whole stream, and then all of it again, makes of it. */
async function folded(nc: NatsConnection, count: number): Promise<{order: number[]; accepted: number; kept: number[]}> {
  const host = {record: {role: 'backend'}, highest: null, reports: [], receivedAtMs: null, generationSinceMs: null} as unknown as FleetHost;
  const intake = new Intake({hosts: new Map([[HOST, host]])} as never, (_, reason) => {
    throw new Error(`refused: ${reason}`);
  });
  const order: number[] = [];
  for (let round = 0; round < 2; round++) {
    const consumer = await jetstream(nc).consumers.get(REPORT_STREAM);
    const messages = await consumer.fetch({max_messages: count, expires: 10_000});
    for await (const message of messages) {
      intake.take(message.subject, message.data, Date.now());
      if (round === 0) order.push(message.json<HostReport>().sequence);
    }
  }
  return {order, accepted: intake.accepted, kept: host.reports.map(({sequence}) => sequence)};
}
