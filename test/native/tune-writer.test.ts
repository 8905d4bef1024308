import {type ChildProcess, execFileSync, spawn, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createConnection} from 'node:net';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {KNOBS} from '../../agent/tune/knobs.ts';
import {socketWriter} from '../../agent/tune/writer.io.ts';

const BINARY = join(import.meta.dirname, '../../build/Release/mailherd-tune');
const BACKLOG = '/proc/sys/net/core/netdev_max_backlog';
const BYTES = '/proc/sys/vm/dirty_background_bytes';
const PERCENT = '/proc/sys/vm/dirty_background_ratio';
const READ_AHEAD = '/sys/block/vda/queue/read_ahead_kb';
const BOOT = '/proc/sys/kernel/random/boot_id';
const STEPS_MAX = 400;

let place: string;
let root: string;
let ledger: string;
let fakeKernel: string;
let running: ChildProcess | null = null;

beforeAll(() => {
  const made = mkdtempSync(join(tmpdir(), 'mailherd-fake-kernel-'));
  fakeKernel = join(made, 'fake-kernel.so');
  const source = join(import.meta.dirname, 'fake-kernel.c');
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared', '-o', fakeKernel, source, '-ldl']);
});
afterAll(() => rmSync(dirname(fakeKernel), {recursive: true}));

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'mailherd-tune-'));
  root = join(place, 'root');
  ledger = join(place, 'ledger');
  mkdirSync(ledger);
  put(BOOT, 'boot-one');
  put(BACKLOG, '1000');
  put(BYTES, '0');
  put(PERCENT, '10');
  put(READ_AHEAD, '128');
});
afterEach(async () => {
  await end('SIGKILL');
  rmSync(place, {recursive: true});
});

function put(path: string, value: string): void {
  mkdirSync(dirname(join(root, path)), {recursive: true});
  writeFileSync(join(root, path), `${value}\n`);
}

function value(path: string): string {
  return readFileSync(join(root, path), 'utf8').trim();
}

const socketPath = (): string => join(place, 'socket');
const writer = () => socketWriter(socketPath());
const words = (verb: string): string[] => [verb, '--root', root, '--ledger', ledger];
const env = (dieAt: number | null): NodeJS.ProcessEnv => ({
  LD_PRELOAD: fakeKernel,
  FAKE_ROOT: root,
  ...(dieAt !== null && {DIE_AT: String(dieAt)}),
});

/** Resolves when it listens, or has died before. */
/** A socket that is bound and does not listen yet refuses whoever connects; the flag is __SO_ACCEPTCON. */
function isListening({pid}: ChildProcess): boolean {
  const table = `/proc/${pid}/net/unix`;
  const sockets = existsSync(table) ? readFileSync(table, 'utf8').split('\n') : [];
  return sockets.some(line => line.endsWith(` ${socketPath()}`) && line.split(' ')[3] === '00010000');
}

async function start(dieAt: number | null = null): Promise<void> {
  rmSync(socketPath(), {force: true});
  const child = spawn(BINARY, [...words('serve'), '--socket', socketPath()], {env: env(dieAt), stdio: 'ignore'});
  running = child;
  await vi.waitFor(() => expect(child.exitCode !== null || child.signalCode !== null || isListening(child)).toBe(true), {
    interval: 2,
    timeout: 10_000,
  });
}

async function end(signal: NodeJS.Signals): Promise<void> {
  const child = running;
  running = null;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise(resolve => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

function restore(dieAt: number | null = null): NodeJS.Signals | number | null {
  const {status, signal} = spawnSync(BINARY, words('restore'), {env: env(dieAt)});
  return signal ?? status;
}

const refused = (code: string): object => expect.objectContaining({code: 'TUNE_REFUSED', detail: expect.objectContaining({code})});

test('writer and tuner hold the same list', () => {
  const rows = execFileSync(BINARY, ['knobs']).toString().trim().split('\n');
  expect(rows).toEqual(
    KNOBS.map(({name, path, min, max, step, raiseOnly}) => [name, path, min, max, step, raiseOnly ? 'raise' : 'set'].join('\t')),
  );
});

describe('one change', () => {
  test('is made, listed, renewed and undone', async () => {
    await start();
    await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'drops: 3 a second');
    expect(value(BACKLOG)).toBe('1500');
    expect(await writer().list()).toEqual([
      {knob: 'net.core.netdev_max_backlog', old: '1000', value: '1500', secondsLeft: expect.any(Number), reason: 'drops: 3 a second'},
    ]);
    await writer().set('net.core.netdev_max_backlog', '1500', '2000', 600, 'more');
    await writer().renew('net.core.netdev_max_backlog', 1_200);
    expect((await writer().list())[0]).toMatchObject({old: '1000', value: '2000'});
    expect((await writer().list())[0]?.secondsLeft).toBeGreaterThan(1_100);
    expect(await writer().undo('net.core.netdev_max_backlog')).toEqual({kind: 'restored', value: '1000'});
    expect(value(BACKLOG)).toBe('1000');
    expect([await writer().list(), readdirSync(ledger)]).toEqual([[], []]);
    expect(await writer().undo('net.core.netdev_max_backlog')).toEqual({kind: 'forgotten'});
  });

  test('of a pair is undone by the other half', async () => {
    await start();
    await writer().set('vm.dirty_background', '10%', '268435456', 600, 'x');
    expect([value(BYTES), value(PERCENT)]).toEqual(['268435456', '0']);
    expect(await writer().undo('vm.dirty_background')).toEqual({kind: 'restored', value: '10%'});
    expect([value(BYTES), value(PERCENT)]).toEqual(['0', '10']);
  });

  test('is over when its time is', async () => {
    await start();
    await writer().set('block.read_ahead_kb/vda', '128', '32', 1, 'x');
    expect(value(READ_AHEAD)).toBe('32');
    await vi.waitFor(() => expect(value(READ_AHEAD)).toBe('128'), {timeout: 10_000, interval: 50});
    expect(await writer().list()).toEqual([]);
  });

  test('ends with the writer', async () => {
    await start();
    await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
    await end('SIGTERM');
    expect([value(BACKLOG), readdirSync(ledger)]).toEqual(['1000', []]);
  });
});

describe('an administrator', () => {
  beforeEach(async () => {
    await start();
    await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
    put(BACKLOG, '3000');
  });

  test('wins against an undo', async () => {
    expect(await writer().undo('net.core.netdev_max_backlog')).toEqual({kind: 'released', value: '3000'});
    expect([value(BACKLOG), readdirSync(ledger)]).toEqual(['3000', []]);
  });

  test('wins against the next step', async () => {
    await expect(writer().set('net.core.netdev_max_backlog', '1500', '2000', 600, 'x')).rejects.toThrow(refused('RELEASED'));
    expect([value(BACKLOG), readdirSync(ledger)]).toEqual(['3000', []]);
  });

  test('wins against an end, orderly or not', async () => {
    await end('SIGKILL');
    expect(restore()).toBe(0);
    expect([value(BACKLOG), readdirSync(ledger)]).toEqual(['3000', []]);
  });
});

test('another boot is left alone', async () => {
  await start();
  await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
  await end('SIGKILL');
  put(BOOT, 'boot-two');
  expect(restore()).toBe(0);
  expect([value(BACKLOG), readdirSync(ledger)]).toEqual(['1500', []]);
});

test('a spoilt entry keeps nothing else from being restored, and its knob from being changed', async () => {
  await start();
  await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
  writeFileSync(join(ledger, 'fs.file-max'), 'boot boot-one\nknob fs.fi');
  await expect(writer().set('fs.file-max', '1', '70000', 600, 'x')).rejects.toThrow(refused('LEDGER_FAILED'));
  await end('SIGKILL');
  restore();
  expect(value(BACKLOG)).toBe('1000');
});

test.each([
  ['kernel.core_pattern', '1', '2', 'KNOB_UNKNOWN'],
  ['block.read_ahead_kb/../../../etc', '128', '32', 'KNOB_UNKNOWN'],
  ['block.read_ahead_kb/', '128', '32', 'KNOB_UNKNOWN'],
  ['block.read_ahead_kb/vdb', '128', '32', 'READ_FAILED'],
  ['block.read_ahead_kb/vda', '128', '17', 'OUT_OF_RANGE'],
  ['net.core.netdev_max_backlog', '1000', '30001', 'OUT_OF_RANGE'],
  ['net.core.netdev_max_backlog', '1000', '-1', 'OUT_OF_RANGE'],
  ['net.core.netdev_max_backlog', '1000', '1e4', 'OUT_OF_RANGE'],
  ['net.core.netdev_max_backlog', '1000', '99999999999999999999', 'OUT_OF_RANGE'],
  ['net.core.netdev_max_backlog', '999', '1500', 'VALUE_CHANGED'],
  ['net.core.netdev_max_backlog', '1000', '1000', 'SAME_VALUE'],
  ['vm.dirty_background', '10%', '20%', 'OUT_OF_RANGE'],
  ['vm.dirty_background', '10%', '1', 'OUT_OF_RANGE'],
])('%s %s -> %s is refused: %s', async (knob, expected, wished, code) => {
  await start();
  await expect(writer().set(knob, expected, wished, 600, 'x')).rejects.toThrow(refused(code));
  expect([value(BACKLOG), value(READ_AHEAD), value(PERCENT), readdirSync(ledger)]).toEqual(['1000', '128', '10', []]);
});

test('a limit is never lowered, a port range never narrowed', async () => {
  put('/proc/sys/net/ipv4/ip_local_port_range', '32768\t60999');
  put(BACKLOG, '5000');
  await start();
  const ports = (wished: string) => writer().set('net.ipv4.ip_local_port_range', '32768 60999', wished, 600, 'x');
  await expect(writer().set('net.core.netdev_max_backlog', '5000', '2000', 600, 'x')).rejects.toThrow(refused('WOULD_LOWER'));
  await expect(ports('40000 60999')).rejects.toThrow(refused('WOULD_LOWER'));
  await expect(ports('16384 60998')).rejects.toThrow(refused('OUT_OF_RANGE'));
  await expect(ports('1024 60999')).rejects.toThrow(refused('OUT_OF_RANGE'));
  await ports('16384 60999');
  expect(value('/proc/sys/net/ipv4/ip_local_port_range')).toBe('16384 60999');
  expect(await writer().undo('net.ipv4.ip_local_port_range')).toEqual({kind: 'restored', value: '32768 60999'});
});

test.each([
  '',
  'set\tnet.core.netdev_max_backlog',
  'undo\ta\tb',
  'list\t',
  'renew\tx\t0',
  'renew\tx\t99999999',
  `set\t${'x'.repeat(2_000)}`,
  'a\u0000b',
])('garbage is refused and harms nobody: %j', async line => {
  await start();
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = createConnection(socketPath(), () => socket.write(`${line}\n`));
    socket.on('data', data => {
      text += data;
    });
    socket.on('close', () => resolve(text));
    // Bytes that nobody has read make the close a reset.
    socket.on('error', error => ((error as NodeJS.ErrnoException).code === 'ECONNRESET' ? undefined : reject(error)));
  });
  expect(answer).toMatch(/^(refused\tREQUEST_INVALID|$)/);
  expect(await writer().list()).toEqual([]);
});

test('only one writer at a time', async () => {
  await start();
  await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
  expect(restore()).toBe(1);
  expect(value(BACKLOG)).toBe('1500');
});

describe('killed at any instant (I8)', () => {
  /** Runs `scene` with the writer dying at every step in turn until it survives; afterwards everything must be as it was. */
  async function atEveryStep(scene: (dieAt: number | null) => Promise<boolean>): Promise<number> {
    for (let dieAt = 1; dieAt < STEPS_MAX; dieAt++) {
      const died = await scene(dieAt);
      expect(restore(), `restore after a death at step ${dieAt}`).toBe(0);
      expect([value(BACKLOG), value(BYTES), value(PERCENT)], `a death at step ${dieAt}`).toEqual(['1000', '0', '10']);
      expect(readdirSync(ledger).filter(name => !name.endsWith('~'))).toEqual([]);
      if (!died) return dieAt;
    }
    throw new Error('it never gets through');
  }

  test('while two values are changed, one of them twice', {timeout: 120_000}, async () => {
    const steps = await atEveryStep(async dieAt => {
      await start(dieAt);
      const isDone = await changes().then(
        () => true,
        error => {
          expect(error).toMatchObject({code: 'TUNE_REFUSED', detail: {code: 'NO_WRITER'}});
          return false;
        },
      );
      await end('SIGKILL');
      return !isDone;
    });
    expect(steps).toBeGreaterThan(30);
  });

  async function changes(): Promise<void> {
    await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
    await writer().set('net.core.netdev_max_backlog', '1500', '2000', 600, 'x');
    await writer().set('vm.dirty_background', '10%', '268435456', 600, 'x');
  }

  test('while it restores', {timeout: 120_000}, async () => {
    const steps = await atEveryStep(async dieAt => {
      await start();
      await writer().set('net.core.netdev_max_backlog', '1000', '1500', 600, 'x');
      await writer().set('vm.dirty_background', '10%', '268435456', 600, 'x');
      await end('SIGKILL');
      return restore(dieAt) === 'SIGKILL';
    });
    expect(steps).toBeGreaterThan(8);
  });
});

test.skipIf(process.getuid?.() !== 0)('values of a real kernel, in a network namespace', async () => {
  const space = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], {stdio: ['pipe', 'pipe', 'inherit']});
  try {
    await new Promise(resolve => space.stdout.once('data', resolve));
    const inside = (...command: string[]): string =>
      execFileSync('nsenter', ['-t', String(space.pid), '-n', ...command])
        .toString()
        .trim();
    const ports = (): string => inside('cat', '/proc/sys/net/ipv4/ip_local_port_range').replace('\t', ' ');
    const before = ports();
    const serve = ['serve', '--ledger', ledger, '--socket', socketPath()];
    // As the unit runs it: root without any capability.
    const bare = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs', BINARY];
    const child = spawn('nsenter', ['-t', String(space.pid), '-n', ...bare, ...serve], {stdio: 'ignore'});
    running = child;
    await vi.waitFor(() => expect(isListening(child)).toBe(true), {interval: 5, timeout: 10_000});
    await writer().set('net.ipv4.ip_local_port_range', before, '16384 60999', 600, 'x');
    expect(ports()).toBe('16384 60999');
    await end('SIGKILL');
    inside(BINARY, 'restore', '--ledger', ledger);
    expect(ports()).toBe(before);
  } finally {
    space.stdin.end();
  }
});
