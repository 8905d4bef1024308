import {type ChildProcess, spawn} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, watch, writeFileSync} from 'node:fs';
import {connect, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {ListenReader, PortReader, PressureWatch, readProcessUse} from '../../native/kernel.ts';

/** Real sockets, processes and pressure of this machine. */
const isRoot = process.getuid?.() === 0;
let folder: string;
let children: ChildProcess[];
let sockets: Socket[];
let servers: Server[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-live-'));
  children = [];
  sockets = [];
  servers = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  rmSync(folder, {recursive: true});
});

/** A process that listens and never accepts. @returns the port it listens on, beside a unix socket bound as `private/test`. */
async function deaf(backlog: number): Promise<number> {
  mkdirSync(join(folder, 'private'));
  const code = `
    const {createServer} = require('node:net');
    createServer().listen({path: 'private/test', backlog: ${backlog}}, () => {
      const server = createServer().listen({host: '127.0.0.1', port: 0, backlog: ${backlog}}, () => {
        require('node:fs').writeSync(1, String(server.address().port));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });
    });`;
  const child = spawn(process.execPath, ['-e', code], {cwd: folder, stdio: ['ignore', 'pipe', 'inherit']});
  children.push(child);
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', data => resolve(Number(data)));
    child.once('exit', reject);
  });
}

function dial(to: {port: number; host: string} | {path: string}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(to, () => resolve(socket)).once('error', reject);
    sockets.push(socket);
  });
}

test('connections that nobody accepts are counted against the limit that listen was given', async () => {
  const port = await deaf(7);
  const reader = new ListenReader();
  const own = async (): Promise<unknown[]> => {
    const {tcp, unix} = await reader.read();
    return [tcp.find(({name}) => name === String(port)), unix.find(({name}) => name === 'private/test')];
  };
  expect(await own()).toEqual([
    {name: String(port), depth: 0, limit: 7},
    {name: 'private/test', depth: 0, limit: 7},
  ]);
  for (let i = 0; i < 3; i++) await dial({port, host: '127.0.0.1'});
  for (let i = 0; i < 5; i++) await dial({path: join(folder, 'private/test')});
  expect(await own()).toEqual([
    {name: String(port), depth: 3, limit: 7},
    {name: 'private/test', depth: 5, limit: 7},
  ]);
});

test("Dovecot's sockets are found below its own base_dir too", async () => {
  const path = join(folder, 'dovecot-run', 'master');
  mkdirSync(join(folder, 'dovecot-run'));
  const server = createServer();
  await new Promise<void>(resolve => server.listen(path, resolve));
  try {
    const names = async (reader: ListenReader): Promise<string[]> => (await reader.read()).unix.map(({name}) => name);
    expect(await names(new ListenReader())).not.toContain(path);
    expect(await names(new ListenReader(join(folder, 'dovecot-run')))).toContain(path);
  } finally {
    server.close();
  }
});

test.runIf(isRoot)('ports are counted by source address, and connections to port 25 by state', async () => {
  const server = createServer(socket => sockets.push(socket.on('error', () => socket.destroy())));
  servers.push(server);
  await new Promise<void>(resolve => server.listen(25, '127.0.0.67', resolve));
  const reader = new PortReader();
  const before = await reader.read(1_024, 65_535, []);
  for (let i = 0; i < 4; i++) {
    const socket = connect({port: 25, host: '127.0.0.67', localAddress: '127.0.0.68'});
    sockets.push(socket);
    await new Promise(resolve => socket.once('connect', resolve));
  }
  const {toSmtp, states, sources, isComplete} = await reader.read(1_024, 65_535, []);
  expect(sources.find(({address}) => address === '127.0.0.68')).toEqual({address: '127.0.0.68', sockets: 4, ports: 4});
  expect((toSmtp.established ?? 0) - (before.toSmtp.established ?? 0)).toBe(4);
  expect(isComplete).toBe(true);
  const [first] = sockets.map(({localPort}) => localPort ?? 0).filter(port => port > 25);
  const {sources: one} = await reader.read(first ?? 0, first ?? 0, []);
  expect(one.find(({address}) => address === '127.0.0.68')).toMatchObject({ports: 1});
  expect(states.established).toBeUndefined();
  // Ports outside the range count for the states: of these connections it is the end that waits now.
  const ended = sockets.filter(({localPort}) => localPort === 25);
  expect(ended).toHaveLength(4);
  await Promise.all(ended.map(socket => new Promise(resolve => socket.once('close', resolve).end())));
  const {states: after} = await reader.read(26, 65_535, []);
  expect((after.timeWait ?? 0) + (after.finWait2 ?? 0)).toBeGreaterThanOrEqual(4);
});

test('open files and inotify of a process are seen, and what has ended is left out', async () => {
  const watchers = [0, 1].map(() => watch(folder, () => undefined));
  writeFileSync(join(folder, 'cgroup.procs'), `${process.pid}\n4194303\n`);
  const use = await readProcessUse([folder], 5_000);
  for (const watcher of watchers) watcher.close();
  expect(use.services).toHaveLength(1);
  expect(use.services[0]).toMatchObject({processes: 2, looked: 1, denied: 0});
  expect(use.services[0]?.fullest).toBe(use.services[0]?.openFiles);
  expect(use.services[0]?.fullestMax).toBeGreaterThan(use.services[0]?.fullest ?? Number.POSITIVE_INFINITY);
  const own = use.users.find(({uid}) => uid === process.getuid?.());
  expect(own?.instances).toBeGreaterThanOrEqual(1);
  expect(own?.watches).toBeGreaterThanOrEqual(1);
  // No time left: nothing is looked at, and that is said.
  expect(await readProcessUse([folder], 0)).toMatchObject({isComplete: false, users: []});
});

test.runIf(isRoot)(
  'the kernel tells of waiting tasks, and no longer once the watch is closed',
  async () => {
    const told: {trigger: number; lateMs: number}[] = [];
    let wake = (): void => undefined;
    const watching = new PressureWatch(
      [
        {path: '/proc/pressure/nothing', isFull: true, share: 0.5},
        {path: '/proc/pressure/cpu', isFull: false, share: 0.01},
      ],
      (trigger, lateMs) => {
        told.push({trigger, lateMs});
        wake();
      },
    );
    expect(watching.windowsMs[0]).toBe(0);
    expect(watching.gaps).toContainEqual({code: 'ENOENT', op: 'trigger', path: '/proc/pressure/nothing'});
    // A kernel before 6.5 lets only who has CAP_SYS_RESOURCE ask.
    if (watching.gaps.length > 1) return;
    expect([500, 2000]).toContain(watching.windowsMs[1]);
    // More busy tasks than processors.
    for (let i = 0; i < 8; i++) children.push(spawn('sh', ['-c', 'while :; do :; done'], {stdio: 'ignore'}));
    await new Promise<void>(resolve => {
      wake = resolve;
    });
    watching.close();
    watching.close();
    for (const {trigger, lateMs} of told) {
      expect(trigger).toBe(1);
      expect(lateMs).toBeGreaterThanOrEqual(0);
    }
  },
  30_000,
);
