import {chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {QueueWalker} from '../../native/binding.ts';

const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
const BUDGET_MS = 60_000;
let spool: string;

beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'mailherd-spool-'));
  for (const queue of QUEUES) mkdirSync(join(spool, queue));
});
afterEach(() => rmSync(spool, {recursive: true}));

let made = 0;
const shortId = (): string => (0x4f2a100000 + made++).toString(16).toUpperCase();
const DIGITS = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
const base52 = (value: number, width: number): string =>
  Array.from({length: width}, (_, at) => DIGITS[Math.floor(value / 52 ** (width - 1 - at)) % 52]).join('');
const longId = (ageMs: number): string => `${base52(Math.floor((Date.now() - ageMs) / 1000), 6)}${base52(made++, 4)}zB`;

/** A queue file as Postfix leaves it: mode says how far it is, the time of modification when it is tried next. */
function message(
  queue: string,
  {
    name = shortId(),
    mode = 0o700,
    inS = 0,
    content = Buffer.from('x'),
  }: {name?: string; mode?: number; inS?: number; content?: Buffer} = {},
): void {
  const path = join(spool, queue, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  if (inS !== 0) utimesSync(path, Date.now() / 1000, Date.now() / 1000 + inS);
}

const record = (type: string, data: string): Buffer => {
  const bytes = Buffer.from(data);
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Buffer.concat([Buffer.from(type), Buffer.from(length), bytes]);
};
const envelope = (...records: Buffer[]): Buffer =>
  Buffer.concat([record('C', '     235   250     1     0'), record('T', '1795533708'), record('S', 'a@here.example'), ...records]);

test('modes: half-written, to be expired, to be tried at once', async () => {
  message('incoming', {mode: 0o600});
  message('maildrop', {mode: 0o600});
  message('deferred', {mode: 0o710});
  message('deferred', {mode: 0o740});
  message('deferred');
  const {facts} = await new QueueWalker(spool).walk('rotate', BUDGET_MS);
  expect(facts).toMatchObject({asked: 5, halfWritten: 2, forceExpire: 1, unthrottle: 1, scheduled: 3});
});

test('the time of the next attempt, and the herd that comes at once', async () => {
  for (const inS of [-3600, -1]) message('deferred', {inS});
  for (const inS of [30, 200, 800, 3000, 5000, 90_000]) message('deferred', {inS});
  for (let at = 0; at < 40; at++) message('deferred', {inS: 1210 + at * 4});
  message('hold', {inS: 30});
  const {facts, deferred} = await new QueueWalker(spool).walk('stat', BUDGET_MS);
  expect(deferred).toBe(48);
  expect(facts).toMatchObject({scheduled: 48, due: 2, within1: 1, within5: 1, within15: 1, within60: 41, later: 2, herd: 40});
  // Twenty minutes from now, or the minutes before it that lie within the same pass
  expect(facts?.herdInMs).toBeGreaterThanOrEqual(16 * 60_000);
  expect(facts?.herdInMs).toBeLessThanOrEqual(20 * 60_000);
});

test('times beyond any clock are due or late, nothing else', async () => {
  message('deferred', {inS: -1_790_000_000});
  message('deferred', {inS: 12_000_000_000});
  expect((await new QueueWalker(spool).walk('stat', BUDGET_MS)).facts).toMatchObject({
    scheduled: 2,
    due: 1,
    later: 1,
    herd: 0,
    herdInMs: null,
  });
});

test('an empty queue has no schedule and no herd; without asking nothing is known', async () => {
  const walker = new QueueWalker(spool);
  expect(await walker.walk('rotate', BUDGET_MS)).toMatchObject({bytes: 0, facts: {asked: 0, scheduled: 0, herd: 0, herdInMs: null}});
  expect(await walker.walk('ages', BUDGET_MS)).toMatchObject({bytes: null, facts: null, opened: 0});
});

test('a message that stays in incoming is stuck, one that is new there is not', async () => {
  message('incoming', {name: longId(400_000)});
  message('incoming', {name: longId(1_000)});
  message('deferred', {name: longId(400_000)});
  expect(await new QueueWalker(spool).walk('names', BUDGET_MS)).toMatchObject({incoming: 2, stuckIncoming: 1});
});

test('directories: their own size, hash directories and the fullest of them', async () => {
  for (const bucket of ['0', 'A', 'F']) mkdirSync(join(spool, 'deferred', bucket));
  for (let at = 0; at < 600; at++) message('deferred/A');
  message('deferred/F');
  const walk = await new QueueWalker(spool).walk('names', BUDGET_MS);
  expect(walk).toMatchObject({deferred: 601, buckets: 3, bucketMax: 600});
  expect(walk.directoryBytes).toBeGreaterThan(walk.directoryBytesMax);
  expect(walk.directoryBytesMax).toBeGreaterThanOrEqual(600 * 16);
});

test('a long queue is asked for in turns until all of it is known; each walk costs about the same', async () => {
  for (let at = 0; at < 9_000; at++) message('deferred', {inS: 600, content: Buffer.alloc(100)});
  const walker = new QueueWalker(spool);
  await walker.walk('ages', BUDGET_MS);
  const asked: number[] = [];
  const calls: number[] = [];
  for (let round = 0; round < 9; round++) {
    const walk = await walker.walk('rotate', BUDGET_MS);
    expect(walk).toMatchObject({complete: true, deferred: 9_000, bytes: 900_000});
    asked.push(walk.facts?.asked ?? 0);
    calls.push(walk.statCalls);
    expect(walk.facts?.within15).toBe(walk.facts?.scheduled);
  }
  expect(asked[0]).toBeLessThan(3_000);
  expect(asked.at(-1)).toBe(9_000);
  expect(Math.max(...calls)).toBeLessThan(3_000);
  expect(Math.min(...calls)).toBeGreaterThan(500);
  expect((await walker.walk('stat', BUDGET_MS)).facts?.asked).toBe(9_000);
});

test('a few messages are opened for a recipient who still waits; what is in incoming is not', async () => {
  const to = (...recipients: Buffer[]) => ({content: envelope(...recipients, record('M', ''), record('N', 'To: c@body.example'))});
  message('deferred', to(record('A', 'dsn_orig_rcpt=rfc822;x@a'), record('O', 'x@Big.Example'), record('R', 'x@Big.Example')));
  message('deferred', to(record('D', 'done@elsewhere.example'), record('R', 'b@small.example')));
  message('active', to(record('R', 'postmaster')));
  message('active', to(record('A', 'y'.repeat(300)), record('R', 'c@long.example')));
  message('incoming', to(record('R', 'nobody@too.early.example')));
  message('deferred', {...to(record('R', 'nobody@half.example')), mode: 0o600});
  const walk = await new QueueWalker(spool).walk('stat', BUDGET_MS, 64);
  const told = walk.samples.map(({queue, isWhole, recipient}) => [queue, isWhole, recipient].join(' ')).sort();
  expect(told).toEqual([
    'active true ',
    'active true c@long.example',
    'deferred false ',
    'deferred true b@small.example',
    'deferred true x@big.example',
    'incoming true ',
  ]);
  for (const {ageMs} of walk.samples) expect(ageMs).toBeLessThan(60_000);
  expect(walk.opened).toBe(4);
  expect((await new QueueWalker(spool).walk('stat', BUDGET_MS, 1)).samples.map(({queue}) => queue)).toEqual([
    'incoming',
    'active',
    'deferred',
  ]);
  expect(await new QueueWalker(spool).walk('ages', BUDGET_MS, 64)).toMatchObject({opened: 0, samples: []});
});

test('samples are spread over a long queue, and others each time until all have been one', async () => {
  for (let at = 0; at < 100; at++) message('deferred', {content: envelope(record('R', `user${at}@x.example`))});
  const walker = new QueueWalker(spool);
  await walker.walk('rotate', BUDGET_MS, 16);
  const seen = new Set<string>();
  for (let walk = 0; walk < 7; walk++) {
    const {samples} = await walker.walk('rotate', BUDGET_MS, 16);
    expect(samples.length).toBeGreaterThanOrEqual(14);
    expect(samples.length).toBeLessThanOrEqual(16);
    for (const {recipient} of samples) seen.add(recipient);
  }
  expect(seen.size).toBe(100);
});

test('files that are no queue files tell no recipient and harm nothing', async () => {
  const garbage = [
    Buffer.alloc(0),
    Buffer.from('R'),
    Buffer.from('C\xff\xff\xff\xff\xff\xff\xff\xff\xffR', 'latin1'),
    Buffer.from('hello R\x05a@b.c'),
    envelope(record('R', 'x@\u00e9vil.example')),
    envelope(record('R', 'x@has space')),
    envelope(record('R', `x@${'a'.repeat(300)}`)),
    envelope(record('R', 'x@')),
    envelope(record('R', 'cut@off.example')).subarray(0, -4),
    Buffer.alloc(8_192, 0xff),
  ];
  for (const content of garbage) message('deferred', {content});
  symlinkSync('/etc/passwd', join(spool, 'deferred', shortId()));
  const walk = await new QueueWalker(spool).walk('stat', BUDGET_MS, 64);
  expect(walk).toMatchObject({deferred: garbage.length, complete: true});
  expect(new Set(walk.samples.map(({recipient}) => recipient))).toEqual(new Set(['']));
});

test('a spent budget: what was asked for by then is told, and that it is not all', async () => {
  for (let at = 0; at < 3_000; at++) message('deferred', {inS: 600});
  const walk = await new QueueWalker(spool).walk('rotate', 0);
  expect(walk.complete).toBe(false);
  expect(walk.facts?.asked).toBeLessThan(3_000);
});
