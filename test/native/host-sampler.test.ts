import {cpSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {MailherdError} from '../../base/errors.ts';
import {HostSampler, hostFields} from '../../native/binding.ts';

const FIXTURE = join(import.meta.dirname, 'fixtures', 'linux-6.18');
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-proc-'));
});
afterEach(() => rmSync(root, {recursive: true}));

function put(path: string, text: string | Buffer): void {
  mkdirSync(dirname(join(root, path)), {recursive: true});
  writeFileSync(join(root, path), text);
}

test('a whole tree of Linux 6.18: every source gives the figures that stand in it', async () => {
  const {values, gaps} = await new HostSampler(FIXTURE).sample('vda');
  expect(gaps).toEqual([]);
  expect(values.size).toBe(hostFields().length);
  expect(Object.fromEntries(values)).toMatchObject({
    cpuUserTicks: 4678n,
    cpuStealTicks: 11n,
    cpus: 2n,
    tasksRunning: 3n,
    tasksBlocked: 1n,
    forks: 8639n,
    contextSwitches: 1396085n,
    runQueueWaitNs: 4000000n,
    memoryTotalBytes: 24684084n * 1024n,
    memoryAvailableBytes: 24179568n * 1024n,
    dirtyBytes: 1008n * 1024n,
    allocStalls: 15n,
    pagesScannedDirect: 77n,
    oomKills: 2n,
    psiIoSomeHundredths: 921n,
    psiIoFullUs: 4532919n,
    diskReads: 56723n,
    diskWriteMs: 5191n,
    diskFlushes: 843n,
    diskFlushMs: 56n,
    tcpEstablished: 4n,
    tcpRetransmits: 9n,
    tcpListenDrops: 0n,
  });
});

test('what is missing is absent with a gap, never zero', async () => {
  put('proc/meminfo', 'MemTotal: 1000 kB\n');
  const {values, gaps} = await new HostSampler(root).sample('vda');
  expect(Object.fromEntries(values)).toEqual({memoryTotalBytes: 1024000n});
  expect(gaps).toContainEqual({code: 'ENOENT', op: 'open', path: join(root, 'proc/stat')});
  expect(gaps).toHaveLength(9);
});

test.each([
  ['empty', ''],
  ['only a newline', '\n'],
  ['cut off in a number', 'cpu  46'],
  ['garbage', Buffer.from([0, 255, 128, 10, 32, 9, 0, 255])],
  ['no newline at all', 'x'.repeat(200_000)],
  ['negative', 'cpu  -5 -6 -7 -8 -9 -1 -1 -1\nctxt -1\n'],
  ['larger than 2^63', `cpu  ${2n ** 64n - 1n} ${2n ** 70n} 99999999999999999999999\n`],
])('%s text in every file gives absent values and no crash', async (_name, text) => {
  for (const file of [
    'stat',
    'schedstat',
    'meminfo',
    'vmstat',
    'pressure/cpu',
    'pressure/memory',
    'pressure/io',
    'diskstats',
    'net/snmp',
    'net/netstat',
  ]) {
    put(`proc/${file}`, text);
  }
  const {values} = await new HostSampler(root).sample('vda');
  for (const value of values.values()) expect(value).toBeGreaterThanOrEqual(0n);
  expect(values.size).toBeLessThanOrEqual(1);
});

test('a file that says nothing we know is a gap of its own', async () => {
  put('proc/pressure/io', 'some avg10=nonsense total=-1\n');
  const {values, gaps} = await new HostSampler(root).sample(null);
  expect(values.has('psiIoSomeUs')).toBe(false);
  expect(gaps).toContainEqual({code: 'EBADMSG', op: 'parse', path: join(root, 'proc/pressure/io')});
});

test('a disk of the older kind has no flush columns: those are absent, the others are not', async () => {
  put('proc/diskstats', '   8       0 sda 10 0 80 5 20 0 160 40 0 30 45\n   8       1 sda1 1 1 1 1 1 1 1 1 1 1 1\n');
  const {values} = await new HostSampler(root).sample('sda');
  expect(values.get('diskReads')).toBe(10n);
  expect(values.has('diskFlushes')).toBe(false);
  const other = await new HostSampler(root).sample('sd');
  expect(other.values.has('diskReads')).toBe(false);
});

test('files are read again, not opened again: a changed file shows, and descriptors stay as many', async () => {
  cpSync(FIXTURE, root, {recursive: true});
  const sampler = new HostSampler(root);
  const before = await sampler.sample('vda');
  const descriptors = (): number => readdirSync('/proc/self/fd').filter(fd => linkOf(fd).startsWith(root)).length;
  const open = descriptors();
  expect(open).toBe(10);
  put('proc/stat', 'cpu  5000 0 0 0 0 0 0 0\nctxt 7\n');
  for (let round = 0; round < 200; round++) await sampler.sample('vda');
  const after = await sampler.sample('vda');
  expect(before.values.get('cpuUserTicks')).toBe(4678n);
  expect(after.values.get('cpuUserTicks')).toBe(5000n);
  expect(after.values.has('cpus')).toBe(false);
  expect(descriptors()).toBe(open);
});

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

test('a second call while one runs is refused', async () => {
  const sampler = new HostSampler(FIXTURE);
  const results = await Promise.allSettled(Array.from({length: 500}, () => sampler.sample('vda')));
  expect(results[0]?.status).toBe('fulfilled');
  const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
  expect(refused.length).toBeGreaterThan(0);
  for (const reason of refused) {
    expect(reason).toBeInstanceOf(MailherdError);
    expect(reason.detail).toMatchObject({code: 'EBUSY'});
  }
  expect((await sampler.sample('vda')).values.size).toBe(hostFields().length);
});

test('the real host can be read', async () => {
  const {values} = await new HostSampler().sample(null);
  expect(values.get('memoryTotalBytes')).toBeGreaterThan(1_000_000n);
  expect(values.get('cpuUserTicks')).toBeGreaterThanOrEqual(0n);
});
