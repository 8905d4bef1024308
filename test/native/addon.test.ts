import {execFileSync} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import {expect, test} from 'vitest';
import {QueueWalker, StoreReader} from '../../native/binding.ts';
import {KernelReader, ListenReader, PortReader, PressureWatch, readProcessUse} from '../../native/kernel.ts';

const ADDON = join(import.meta.dirname, '../../build/Release/mailherd.node');
const addon = createRequire(import.meta.url)(ADDON);

test.each([
  ['KernelReader without parts', () => new addon.KernelReader('')],
  ['KernelReader of no part', () => new addon.KernelReader('', [], [])],
  ['KernelReader of an unknown set', () => new addon.KernelReader('', ['moon'], ['vda'])],
  ['KernelReader with a subject too few', () => new addon.KernelReader('', ['host', 'limits'], ['vda'])],
  ['KernelReader of a subject that is no text', () => new addon.KernelReader('', ['host'], [null])],
  ['KernelReader with a NUL in its path', () => new addon.KernelReader('/proc\0/x', ['host'], [''])],
  ['KernelReader without new', () => addon.KernelReader('', ['host'], [''])],
  ['ports that are none', () => new addon.PortReader().read(0, 70_000)],
  ['ports the wrong way round', () => new addon.PortReader().read(2_000, 1_000)],
  ['half a port', () => new addon.PortReader().read(1.5, 1_000)],
  ['groups that are no list', () => addon.readProcessUse('', '/x', 1)],
  ['a group that is no text', () => addon.readProcessUse('', [7], 1)],
  ['pressure of nothing', () => new addon.PressureWatch([], [], [], () => undefined)],
  ['pressure told to nobody', () => new addon.PressureWatch(['/proc/pressure/io'], [true], [0.1], null)],
  ['pressure of a share that is none', () => new addon.PressureWatch(['/proc/pressure/io'], [true], [1.1], () => undefined)],
  ['QueueWalker of null', () => new addon.QueueWalker(null)],
  ['an unknown level', () => new addon.QueueWalker('/').walk('all', 1, 0)],
  ['a negative budget', () => new addon.QueueWalker('/').walk('names', -1, 0)],
  ['a budget that is no number', () => new addon.QueueWalker('/').walk('names', Number.NaN, 0)],
  ['an endless budget', () => new addon.QueueWalker('/').walk('names', Number.POSITIVE_INFINITY, 0)],
  ['StoreReader of numbers', () => new addon.StoreReader(1, 2)],
  ['a method on the wrong object', () => addon.KernelReader.prototype.read.call({})],
])('%s is a TypeError', (_name, call) => {
  expect(call).toThrow(TypeError);
});

test('field names are unique, and values come in their order', () => {
  for (const names of [...Object.values<string[]>(addon.sourceSets).filter(set => set.length > 3), addon.queueFields, addon.storeFields]) {
    expect(names.length).toBeGreaterThan(3);
    expect(new Set(names).size).toBe(names.length);
  }
});

const WORKER = `
const {parentPort, workerData} = require('node:worker_threads');
const addon = require(workerData.addon);
const reader = new addon.KernelReader('', ['host'], ['']);
const walker = new addon.QueueWalker('/nowhere');
if (workerData.leave) {
  // Leaves with calls under way.
  for (let i = 0; i < 4; i++) {
    new addon.KernelReader('', ['host'], ['']).read().catch(() => {});
    new addon.StoreReader('', '/').read().catch(() => {});
    new addon.StoreReader('', '/nowhere').read().catch(() => {});
    new addon.ListenReader('').read().catch(() => {});
    new addon.PressureWatch(['/proc/pressure/cpu'], [false], [0.01], () => {});
    addon.serveLine();
  }
  process.exit(0);
}
const read = reader.read();
addon.serveLine();
read.then(async ({values}) => {
  const refused = await walker.walk('names', 10, 0).catch(error => error.code);
  parentPort.postMessage({count: values.length, refused});
});
`;

function runWorker(leave: boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(WORKER, {eval: true, workerData: {addon: ADDON, leave}});
    let message: unknown = 'none';
    worker.once('message', value => {
      message = value;
    });
    worker.once('error', reject);
    worker.once('exit', () => resolve(message));
  });
}

async function memoryTotal(): Promise<bigint> {
  return (await new KernelReader([{set: 'host', subject: null}]).read()).parts[0]?.get('memoryTotalBytes') ?? 0n;
}

test('it loads and works in several worker threads at once, and here after they are gone', async () => {
  const results = await Promise.all([runWorker(false), runWorker(false), runWorker(false)]);
  for (const result of results) expect(result).toEqual({count: addon.sourceSets.host.length, refused: 'ENOENT'});
  expect(await memoryTotal()).toBeGreaterThan(0n);
});

test('a worker that ends with calls under way takes nothing with it', async () => {
  for (let round = 0; round < 10; round++) await runWorker(true);
  expect(await memoryTotal()).toBeGreaterThan(0n);
});

test('descriptors and memory stay flat over thousands of calls', async () => {
  const reader = new KernelReader([
    {set: 'host', subject: null},
    {set: 'limits', subject: null},
  ]);
  const store = new StoreReader('/');
  const listeners = new ListenReader();
  const ports = new PortReader();
  const walker = new QueueWalker('/nowhere');
  const once = async (): Promise<void> => {
    await reader.read();
    await store.read();
    await listeners.read();
    await ports.read(60_000, 60_999, ['10.0.0.1']);
    await readProcessUse(['/nowhere'], 10).catch(() => undefined);
    new PressureWatch([{path: '/proc/pressure/memory', isFull: true, share: 0.5}], () => undefined).close();
    await walker.walk('names', 10, 0).catch(() => undefined);
  };
  for (let round = 0; round < 100; round++) await once();
  const descriptors = readdirSync('/proc/self/fd').length;
  const rss = process.memoryUsage.rss();
  for (let round = 0; round < 1000; round++) await once();
  // Threads of the last watches may be about to end.
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(descriptors + 10);
  expect(process.memoryUsage.rss() - rss).toBeLessThan(40 * 2 ** 20);
}, 60_000);

test('it needs nothing newer than the C library of Debian 12, and no C++ library', () => {
  const symbols = execFileSync('objdump', ['-T', ADDON], {encoding: 'utf8'});
  const versions = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(match => Number(match[1]));
  expect(versions.length).toBeGreaterThan(0);
  expect(Math.max(...versions)).toBeLessThanOrEqual(36);
  expect(symbols).not.toMatch(/GLIBCXX|CXXABI/);
});
