import {cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {MailherdError} from '../../base/errors.ts';
import {fieldsOf, type KernelPart, KernelReader, type KernelValues} from '../../native/kernel.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const LINUX = join(FIXTURES, 'linux-6.18');
const HOST: KernelPart = {set: 'host', subject: 'vda'};
const PARTS: KernelPart[] = [
  HOST,
  {set: 'summed', subject: null},
  {set: 'ext4', subject: 'vda'},
  {set: 'ext4Past', subject: 'vda'},
  {set: 'xfs', subject: 'vdb'},
  {set: 'group', subject: 'system.slice/dovecot.service'},
  {set: 'limits', subject: null},
  {set: 'blockQueue', subject: 'vda'},
];
/** Pressure by cpu, memory and io, four figures each, of the host and of the group. */
const NAMED_TWICE = 12;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mailherd-proc-'));
});
afterEach(() => rmSync(root, {recursive: true}));

function put(path: string, text: string | Buffer): void {
  mkdirSync(dirname(join(root, path)), {recursive: true});
  writeFileSync(join(root, path), text);
}

function present(values: KernelValues): Record<string, bigint> {
  return Object.fromEntries(
    [...values.names()].flatMap(name => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function readHost(disk: string | null, at = root): Promise<{values: Record<string, bigint>; gaps: unknown[]}> {
  const {parts, gaps} = await new KernelReader([{set: 'host', subject: disk}], at).read();
  return {values: parts[0] === undefined ? {} : present(parts[0]), gaps};
}

/** One line a value and a gap, so that a difference can be read. */
test.each(readdirSync(FIXTURES))('the tree of %s gives what stands in it, and says what it lacks', async kernel => {
  const folder = join(FIXTURES, kernel);
  const {parts, gaps} = await new KernelReader(PARTS, folder).read();
  const lines = [
    ...PARTS.flatMap(({set}, at) => [
      `[${set}]`,
      ...[...(parts[at]?.names() ?? [])].map(name => `${name} ${parts[at]?.get(name) ?? 'absent'}`),
    ]),
    '[gaps]',
    ...gaps.map(({code, op, path}) => `${path.slice(folder.length)} ${op} ${code}`),
  ];
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(join(folder, 'golden.txt'));
});

/** Of each kernel, reckoned from its files by other means. */
const BY_HAND: Record<string, Record<string, bigint>> = {
  'linux-6.1': {
    ...{runQueueWaitNs: 35659367524n, allocStalls: 466n, pagesScannedDirect: 27795n, anonRefaults: 2995n, dirtyPagesBackground: 4465n},
    ...{softnetPackets: 32n, softnetSqueezes: 2n, tcpListenOverflows: 18n, tcpSynQueueCookies: 0n, tcpRetransmits: 17n},
    ...{conntrackEntries: 5n, conntrackDrops: 8n, conntrackEarlyDrops: 1n, journalCommits: 18n, journalCommitUs: 40627n},
    ...{xfsLogForces: 14n, xfsLogForceSleeps: 11n, readAheadKibibytes: 128n},
  },
  'linux-6.12': {
    ...{runQueueWaitNs: 80282056838n, allocStalls: 189n, pagesScannedDirect: 74781n, anonRefaults: 3515n, dirtyPagesBackground: 4597n},
    ...{softnetPackets: 44n, softnetSqueezes: 2n, tcpListenOverflows: 32n, tcpSynQueueCookies: 0n, tcpRetransmits: 30n},
    ...{conntrackEntries: 6n, conntrackDrops: 8n, conntrackEarlyDrops: 0n, journalCommits: 18n, journalCommitUs: 112378n},
    ...{xfsLogForces: 16n, xfsLogForceSleeps: 10n, readAheadKibibytes: 128n},
  },
  'linux-6.18': {
    ...{runQueueWaitNs: 152675560877n, allocStalls: 811n, pagesScannedDirect: 199228n, anonRefaults: 2464n, dirtyPagesBackground: 4209n},
    ...{softnetPackets: 53n, softnetSqueezes: 2n, tcpListenOverflows: 28n, tcpSynQueueCookies: 3n, tcpRetransmits: 24n},
    ...{conntrackEntries: 6n, conntrackDrops: 7n, conntrackEarlyDrops: 0n, journalCommits: 17n, journalCommitUs: 25078n},
    ...{xfsLogForces: 14n, xfsLogForceSleeps: 11n, readAheadKibibytes: 8192n, hungTasks: 2n},
  },
};

test.each(Object.entries(BY_HAND))('of %s, the figures that matter, by hand; all is there but what came later', async (kernel, byHand) => {
  const {parts, gaps} = await new KernelReader(PARTS, join(FIXTURES, kernel)).read();
  const values = Object.assign({}, ...parts.map(present));
  expect(values).toMatchObject({
    ...byHand,
    ...{cpus: 2n, memoryBytesMax: 32n << 20n, memoryBytesHigh: 24n << 20n, memoryOomKills: 1n, oomKills: 1n, errors: 1n},
    ...{tasks: 3n, tasksMax: 20n, tasksMaxEvents: 1n, portFirst: 32768n, portLast: 60999n, scheduler: 0n, writeCache: 1n},
  });
  const lacking = kernel === 'linux-6.18' ? [] : ['hung_task_detect_count'];
  expect(gaps.map(({path}) => basename(path))).toEqual(lacking);
  expect(Object.keys(values)).toHaveLength(PARTS.flatMap(({set}) => fieldsOf(set)).length - lacking.length - NAMED_TWICE);
});

test('what is missing is absent with a gap, never zero', async () => {
  put('proc/meminfo', 'MemTotal: 1000 kB\n');
  const {values, gaps} = await readHost('vda');
  expect(values).toEqual({memoryTotalBytes: 1024000n});
  expect(gaps).toContainEqual({code: 'ENOENT', op: 'open', path: join(root, 'proc/stat')});
  expect(gaps).toHaveLength(7);
});

test('a file that comes later is read within six readings; until then it is told as before', async () => {
  const reader = new KernelReader([{set: 'summed', subject: null}], root);
  const gaps = ['vmstat', 'net/stat/nf_conntrack', 'net/snmp', 'net/netstat'].map(name => ({path: join(root, 'proc', name)}));
  expect((await reader.read()).gaps).toMatchObject(gaps);
  put('proc/net/snmp', 'Tcp: RetransSegs\nTcp: 7\n');
  let readings = 0;
  for (; readings < 12; readings++) {
    const {parts, gaps: now} = await reader.read();
    if (parts[0]?.get('tcpRetransmits') === 7n) {
      expect(now).toMatchObject(gaps.filter(({path}) => !path.endsWith('snmp')));
      break;
    }
    expect(now).toMatchObject(gaps);
  }
  expect(readings).toBe(5);
});

const FILES = readdirSync(LINUX, {recursive: true, withFileTypes: true})
  .filter(entry => entry.isFile() && !['ORIGIN', 'golden.txt', 'kmsg'].includes(entry.name))
  .map(entry => join(entry.parentPath, entry.name).slice(LINUX.length + 1));

test.each([
  ['empty', ''],
  ['only a newline', '\n'],
  ['cut off in a number', 'cpu  46'],
  ['garbage', Buffer.from([0, 255, 128, 10, 32, 9, 0, 255])],
  ['no newline at all', 'x'.repeat(200_000)],
  ['negative', 'cpu  -5 -6 -7 -8 -9 -1 -1 -1\nctxt -1\n'],
  ['larger than 2^63', `cpu  ${2n ** 64n - 1n} ${2n ** 70n} 99999999999999999999999\n`],
])('%s text in every file gives absent values and no crash', async (_name, text) => {
  for (const file of FILES) put(file, text);
  const {parts} = await new KernelReader(PARTS, root).read();
  const values = parts.flatMap(part => Object.values(present(part)));
  for (const value of values) expect(value).toBeGreaterThanOrEqual(0n);
  expect(values.length).toBeLessThanOrEqual(1);
});

test('every file of Linux 6.18 cut off after any byte: no crash, and no value above that of the whole', async () => {
  const {parts: whole} = await new KernelReader(PARTS, LINUX).read();
  cpSync(LINUX, root, {recursive: true});
  const reader = new KernelReader(PARTS, root);
  for (const file of FILES.filter(name => !name.startsWith('proc/net/'))) {
    const text = readFileSync(join(LINUX, file));
    for (let length = 0; length < text.length; length += Math.ceil(text.length / 12)) {
      put(file, text.subarray(0, length));
      const {parts} = await reader.read();
      for (const [at, part] of parts.entries()) {
        for (const [name, value] of Object.entries(present(part))) {
          // A sum over CPUs or zones can be short of some; nothing can be more than there is.
          expect(value <= (whole[at]?.get(name) ?? -1n), `${name} of ${file} cut to ${length}`).toBe(true);
        }
      }
    }
    put(file, text);
  }
}, 60_000);

test('a file that says nothing we know is a gap of its own', async () => {
  put('proc/pressure/io', 'some avg10=nonsense total=-1\n');
  const {values, gaps} = await readHost(null);
  expect(values).not.toHaveProperty('psiIoSomeUs');
  expect(gaps).toContainEqual({code: 'EBADMSG', op: 'parse', path: join(root, 'proc/pressure/io')});
});

test('a disk of the older kind has no flush columns: those are absent, the others are not; without a disk none is asked for', async () => {
  put('sys/block/sda/stat', '   10 0 80 5 20 0 160 40 0 30 45\n');
  const {values} = await readHost('sda');
  expect(values.diskReads).toBe(10n);
  expect(values).not.toHaveProperty('diskFlushes');
  const {gaps} = await readHost(null);
  expect(JSON.stringify(gaps)).not.toContain('/sys/block');
});

test('files are read again, not opened again: a changed file shows, and descriptors stay as many', async () => {
  cpSync(LINUX, root, {recursive: true});
  const reader = new KernelReader([HOST], root);
  const before = (await reader.read()).parts[0];
  const descriptors = (): number => readdirSync('/proc/self/fd').filter(fd => linkOf(fd).startsWith(root)).length;
  const open = descriptors();
  expect(open).toBe(8);
  put('proc/stat', 'cpu  5000 0 0 0 0 0 0 0\nctxt 7\n');
  for (let round = 0; round < 200; round++) await reader.read();
  const after = (await reader.read()).parts[0];
  expect(before?.get('cpuUserTicks')).toBe(49n);
  expect(after?.get('cpuUserTicks')).toBe(5000n);
  expect(after?.get('cpus')).toBeUndefined();
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
  const reader = new KernelReader([HOST], LINUX);
  const results = await Promise.allSettled(Array.from({length: 500}, () => reader.read()));
  expect(results[0]?.status).toBe('fulfilled');
  const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
  expect(refused.length).toBeGreaterThan(0);
  for (const reason of refused) {
    expect(reason).toBeInstanceOf(MailherdError);
    expect(reason.detail).toMatchObject({code: 'EBUSY'});
  }
  expect((await reader.read()).parts).toHaveLength(1);
});

test('the real host can be read', async () => {
  const {values} = await readHost(null, '');
  expect(values.memoryTotalBytes).toBeGreaterThan(1_000_000n);
  expect(values.cpuUserTicks).toBeGreaterThanOrEqual(0n);
});
