import {execFileSync} from 'node:child_process';
import {readdirSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import {expect, test} from 'vitest';
import {HostSampler, QueueWalker, readStore} from '../../native/binding.ts';

const ADDON = join(import.meta.dirname, '../../build/Release/mailherd.node');
const addon = createRequire(import.meta.url)(ADDON);

test.each([
  ['HostSampler without root', () => new addon.HostSampler()],
  ['HostSampler with a number', () => new addon.HostSampler(7)],
  ['HostSampler with a NUL in its path', () => new addon.HostSampler('/proc\0/x')],
  ['HostSampler without new', () => addon.HostSampler('')],
  ['sample without a disk', () => new addon.HostSampler('').sample()],
  ['sample of an object', () => new addon.HostSampler('').sample({})],
  ['QueueWalker of null', () => new addon.QueueWalker(null)],
  ['an unknown level', () => new addon.QueueWalker('/').walk('all', 1, 0)],
  ['a negative budget', () => new addon.QueueWalker('/').walk('names', -1, 0)],
  ['a budget that is no number', () => new addon.QueueWalker('/').walk('names', Number.NaN, 0)],
  ['an endless budget', () => new addon.QueueWalker('/').walk('names', Number.POSITIVE_INFINITY, 0)],
  ['readStore of numbers', () => addon.readStore(1, 2)],
  ['a method on the wrong object', () => addon.HostSampler.prototype.sample.call({}, null)],
])('%s is a TypeError', (_name, call) => {
  expect(call).toThrow(TypeError);
});

test('field names are unique, and values come in their order', () => {
  for (const names of [addon.hostFields, addon.queueFields, addon.storeFields]) {
    expect(names.length).toBeGreaterThan(3);
    expect(new Set(names).size).toBe(names.length);
  }
});

const WORKER = `
const {parentPort, workerData} = require('node:worker_threads');
const addon = require(workerData.addon);
const sampler = new addon.HostSampler('');
const walker = new addon.QueueWalker('/nowhere');
if (workerData.leave) {
  // Leaves with calls under way.
  for (let i = 0; i < 4; i++) { new addon.HostSampler('').sample(null).catch(() => {}); addon.readStore('', '/').catch(() => {}); addon.readStore('', '/nowhere').catch(() => {}); }
  process.exit(0);
}
sampler.sample(null).then(async ({values}) => {
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

test('it loads and works in several worker threads at once, and here after they are gone', async () => {
  const results = await Promise.all([runWorker(false), runWorker(false), runWorker(false)]);
  for (const result of results) expect(result).toEqual({count: addon.hostFields.length, refused: 'ENOENT'});
  expect((await new HostSampler().sample(null)).values.size).toBeGreaterThan(0);
});

test('a worker that ends with calls under way takes nothing with it', async () => {
  for (let round = 0; round < 10; round++) await runWorker(true);
  expect((await new HostSampler().sample(null)).values.size).toBeGreaterThan(0);
});

test('descriptors and memory stay flat over thousands of calls', async () => {
  const sampler = new HostSampler();
  const walker = new QueueWalker('/nowhere');
  const once = async (): Promise<void> => {
    await sampler.sample(null);
    await readStore('/');
    await walker.walk('names', 10, 0).catch(() => undefined);
  };
  for (let round = 0; round < 200; round++) await once();
  const descriptors = readdirSync('/proc/self/fd').length;
  const rss = process.memoryUsage.rss();
  for (let round = 0; round < 3000; round++) await once();
  expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
  expect(process.memoryUsage.rss() - rss).toBeLessThan(40 * 2 ** 20);
});

test('it needs nothing newer than the C library of Debian 12, and no C++ library', () => {
  const symbols = execFileSync('objdump', ['-T', ADDON], {encoding: 'utf8'});
  const versions = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(match => Number(match[1]));
  expect(versions.length).toBeGreaterThan(0);
  expect(Math.max(...versions)).toBeLessThanOrEqual(36);
  expect(symbols).not.toMatch(/GLIBCXX|CXXABI/);
});
