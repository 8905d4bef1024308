import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync} from 'node:fs';
import {availableParallelism, tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {createInterface} from 'node:readline';
import type {NatsConnection} from '@nats-io/transport-node';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {natsChannel} from '../../agent/report/channel.io.ts';
import {Outbox} from '../../agent/report/outbox.io.ts';
import {Spool} from '../../agent/report/spool.io.ts';
import {watchPressure} from '../../agent/sample/pressure.io.ts';
import {KERNEL_TRIGGERS} from '../../agent/sample/pressure.ts';
import {seededRng} from '../../base/random.ts';
import {eventFeed} from '../../coordinator/feed.io.ts';
import {openStore} from '../../coordinator/store.io.ts';
import type {FarmEvent} from '../../wire/event.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {memoryLog, PlainServer} from './plain-server.ts';

const HOST = 'be01';
/** Of the unified hierarchy, wherever it is mounted. */
const HIERARCHY = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find(path => existsSync(join(path, 'cgroup.controllers')));
const canPress = process.getuid?.() === 0 && HIERARCHY !== undefined && existsSync(join(HIERARCHY, 'cpu.pressure'));

let folder: string;
let group: string;
let server: PlainServer;
let stop: AbortController;
let children: ChildProcess[];
let connections: NatsConnection[];
const log = memoryLog();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-pressure-'));
  group = join(HIERARCHY ?? '', basename(folder));
  server = await PlainServer.start();
  stop = new AbortController();
  children = [];
  connections = [];
});
afterEach(async () => {
  stop.abort();
  const ended = children.map(child => once(child, 'exit'));
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(ended);
  for (const nc of connections) await nc.close();
  await server.remove();
  if (existsSync(group)) rmdirSync(group);
  rmSync(folder, {recursive: true});
});

async function connection(name: string): Promise<NatsConnection> {
  const nc = await connectNats({servers: [server.url], seedFile: null, name, inboxPrefix: `_INBOX_${name}`}, log, stop.signal);
  connections.push(nc);
  return nc;
}

/** More busy processes in the group than there are processors: some of them always wait. Resolves once the last one is in. */
async function stall(): Promise<void> {
  const script = `echo $$ > ${group}/cgroup.procs && echo in && while :; do :; done`;
  for (let at = 0; at < 2 * availableParallelism(); at++) {
    const child = spawn('sh', ['-c', script], {stdio: ['ignore', 'pipe', 'inherit']});
    children.push(child);
    await once(createInterface(child.stdout), 'line');
  }
}

/** Of a group of its own, so that what else this machine does is neither seen nor needed. */
test.runIf(canPress)('a stall is an event at the coordinator, and there is none before it', async () => {
  mkdirSync(group);
  const coordinator = await connection('coordinator');
  await openStore(coordinator);
  const events: FarmEvent[] = [];
  const came = new Promise<void>(resolve => {
    const take = (_: number, event: FarmEvent): boolean => {
      events.push(event);
      resolve();
      return true;
    };
    void eventFeed(coordinator, log).follow(0, take, stop.signal);
  });

  const [spool, aside] = ['spool', 'aside'].map(name => new Spool(join(folder, name), 1_048_576)) as [Spool, Spool];
  const box = new Outbox({host: HOST, generation: 1, spool, aside, rng: seededRng(1), log, signal: stop.signal});
  box.connect(natsChannel(await connection('agent')));
  const triggers = KERNEL_TRIGGERS.map(trigger => ({...trigger, path: join(group, `${basename(trigger.path)}.pressure`)}));
  const watching = watchPressure(box, log, stop.signal, triggers);

  const stalledAtMs = Date.now();
  await stall();
  await came;
  const [event] = events;
  expect(event).toMatchObject({type: 'pressureRose', host: HOST, data: {resource: 'cpu', kind: 'some', share: 0.8}});
  expect(event?.atMs).toBeGreaterThanOrEqual(stalledAtMs);
  // Whoever has CAP_SYS_RESOURCE gets the shorter window.
  expect([500, 2_000]).toContain(event?.type === 'pressureRose' ? event.data.windowMs : 0);
  expect(log.lines.filter(({level}) => level === 'warn' || level === 'error')).toEqual([]);
  stop.abort();
  await Promise.all([watching, box.done]);
});
