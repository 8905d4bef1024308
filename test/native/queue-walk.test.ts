import {execFileSync} from 'node:child_process';
import {linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {seededRng} from '../../base/random.ts';
import {QueueWalker} from '../../native/binding.ts';

const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
const DIGITS = '0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz';
let spool: string;

beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'mailherd-spool-'));
  for (const queue of QUEUES) mkdirSync(join(spool, queue));
});
afterEach(() => rmSync(spool, {recursive: true}));

function base52(value: number, width: number): string {
  let digits = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / 52)) digits = DIGITS[rest % 52] + digits;
  return digits.padStart(width, '0');
}

/** A long queue id of a message that arrived `ageMs` ago. */
function longId(ageMs: number, inode: string): string {
  const us = Math.round((Date.now() - ageMs) * 1000);
  return `${base52(Math.floor(us / 1e6), 6)}${base52(us % 1e6, 4)}z${inode}`;
}

function message(path: string, text = 'x'): void {
  writeFileSync(join(spool, path), text);
}

test('counts and ages by name, without any stat', async () => {
  for (const [at, seconds] of [10, 20, 30, 40, 1000].entries()) message(`deferred/${longId(seconds * 1000, `B${at}`)}`);
  message(`incoming/${longId(500, 'C')}`);
  message(`hold/${longId(9e6, 'D')}`);
  message(`maildrop/${longId(9e6, 'F')}`);
  const walk = await new QueueWalker(spool).walk('names', 1000);
  expect(walk).toMatchObject({
    maildrop: 1,
    incoming: 1,
    active: 0,
    deferred: 5,
    hold: 1,
    aged: 6,
    unaged: 0,
    foreign: 0,
    statCalls: 0,
    bytes: null,
    complete: true,
  });
  // hold and maildrop are much older but nobody waits for them
  expect(walk.ageMsMax).toBeGreaterThanOrEqual(1_000_000);
  expect(walk.ageMsMax).toBeLessThan(1_010_000);
  expect(walk.ageMsP50).toBeGreaterThanOrEqual(20_000);
  expect(walk.ageMsP50).toBeLessThan(30_000);
  expect(walk.ageMsP95).toBe(walk.ageMsMax);
});

test('hashed directories to any usual depth, and what Postfix leaves beside them', async () => {
  mkdirSync(join(spool, 'deferred/A/7'), {recursive: true});
  mkdirSync(join(spool, 'deferred/0'));
  mkdirSync(join(spool, 'deferred/g'));
  message(`deferred/A/7/${longId(1000, 'B')}`);
  message(`deferred/0/${longId(1000, 'C')}`);
  message(`deferred/${longId(1000, 'D')}`);
  const walk = await new QueueWalker(spool).walk('names', 1000);
  expect(walk).toMatchObject({deferred: 3, foreign: 1, complete: true});
});

test('short ids: the birth of the file is the arrival, asked once', async () => {
  message('active/4F2A1C0123');
  message('deferred/0ABCDE9F01');
  const walker = new QueueWalker(spool);
  const blind = await walker.walk('names', 1000);
  expect(blind).toMatchObject({active: 1, deferred: 1, aged: 0, unaged: 2, ageMsMax: null, ageMsP95: null});
  const first = await walker.walk('ages', 1000);
  expect(first).toMatchObject({active: 1, deferred: 1, aged: 2, unaged: 0, statCalls: 2});
  expect(first.ageMsMax).toBeGreaterThanOrEqual(0);
  expect(first.ageMsMax).toBeLessThan(60_000);
  const second = await walker.walk('ages', 1000);
  expect(second).toMatchObject({aged: 2, statCalls: 0});
  expect(second.ageMsMax).toBeGreaterThanOrEqual(first.ageMsMax ?? Number.NaN);
  rmSync(join(spool, 'active/4F2A1C0123'));
  message('active/4F2A1C0124');
  expect(await walker.walk('ages', 1000)).toMatchObject({aged: 2, statCalls: 1});
});

test('thousands of short ids that come and go: each is asked once, none is taken for another', async () => {
  const rng = seededRng(11);
  const walker = new QueueWalker(spool);
  const here = new Set<string>();
  for (let round = 0; round < 5; round++) {
    // A queue that grows, shrinks to nearly nothing and grows again.
    const share = [0, 0.3, 0.97, 0.5, 0.2][round] ?? 0;
    for (const name of here) {
      if (rng.unit() >= share) continue;
      rmSync(join(spool, 'deferred', name));
      here.delete(name);
    }
    const before = here.size;
    for (let at = 0; at < 800; at++) {
      const name = `${rng.below(0x10_0000).toString(16).padStart(5, '0')}${(0x10_0000 + at).toString(16)}`.toUpperCase();
      if (here.has(name)) continue;
      here.add(name);
      message(`deferred/${name}`);
    }
    const walk = await walker.walk('ages', 60_000);
    expect(walk).toMatchObject({deferred: here.size, aged: here.size, unaged: 0, statCalls: here.size - before});
  }
}, 60_000);

test('with stat: bytes of all queues', async () => {
  message(`hold/${longId(1000, 'B')}`, 'a'.repeat(100));
  message('active/4F2A1C0123', 'a'.repeat(23));
  expect(await new QueueWalker(spool).walk('stat', 1000)).toMatchObject({
    bytes: 123,
    queueBytes: {hold: 100, active: 23, deferred: 0},
    statCalls: 2,
  });
});

test('foreign names count as foreign and as nothing else', async () => {
  const names = [
    'README',
    '.hidden',
    '12345.678',
    'zzzzzz',
    'AbCz',
    `${longId(1, 'B')}!`,
    'G00000',
    '0'.repeat(200),
    'core',
    '4F2A1C01234567890',
  ];
  for (const name of names) message(`deferred/${name}`);
  writeFileSync(Buffer.concat([Buffer.from(join(spool, 'deferred/')), Buffer.from([0xff, 0xfe, 0x80])]), 'x');
  symlinkSync('/etc/passwd', join(spool, `deferred/${longId(1000, 'L')}`));
  execFileSync('mkfifo', [join(spool, 'deferred/ABCDEF0123')]);
  mkdirSync(join(spool, 'deferred/ABCDEF0124'));
  expect(await new QueueWalker(spool).walk('stat', 1000)).toMatchObject({
    deferred: 0,
    foreign: names.length + 4,
    statCalls: 0,
    complete: true,
    aged: 0,
  });
});

test('a clock that jumped back gives no negative age', async () => {
  message(`deferred/${longId(-3_600_000, 'B')}`);
  message(`deferred/${longId(-1_000, 'C')}`);
  expect(await new QueueWalker(spool).walk('names', 1000)).toMatchObject({deferred: 2, aged: 1, unaged: 1, ageMsMax: 0});
});

test('a spent budget ends the walk and says so', async () => {
  for (let at = 0; at < 3000; at++) message(`deferred/${longId(1000 + at, `B${at}`)}`);
  const walker = new QueueWalker(spool);
  const walk = await walker.walk('stat', 0);
  expect(walk.complete).toBe(false);
  expect(walk.deferred).toBeLessThan(3000);
  expect(await walker.walk('stat', 5000)).toMatchObject({complete: true, deferred: 3000});
});

test('what Postfix put aside as corrupt is counted by itself; a directory that is not there is not known', async () => {
  const walker = new QueueWalker(spool);
  message('deferred/4F2A1C0123');
  expect(await walker.walk('names', 1000)).toMatchObject({deferred: 1, corrupt: null});
  mkdirSync(join(spool, 'corrupt'));
  expect(await walker.walk('names', 1000)).toMatchObject({corrupt: {messages: 0, bytes: 0}});
  message('corrupt/4F2A1C0124', 'a'.repeat(30));
  message('corrupt/what', 'a'.repeat(3));
  mkdirSync(join(spool, 'corrupt/D'));
  symlinkSync('what', join(spool, 'corrupt/link'));
  expect(await walker.walk('names', 1000)).toMatchObject({deferred: 1, foreign: 0, corrupt: {messages: 2, bytes: 33}});
  for (let at = 0; at < 1500; at++) message(`corrupt/C${at}`);
  expect(await walker.walk('names', 1000)).toMatchObject({corrupt: {messages: 1502, bytes: null}});
  expect(await walker.walk('names', 0)).toMatchObject({complete: false, corrupt: null});
});

test('a million files in one directory: the budget ends the walk, the next goes on as well, memory stays flat, the event loop turns', async () => {
  const files = 1_000_000;
  // In memory, all names of one file: only the names are looked at.
  const large = mkdtempSync('/dev/shm/mailherd-spool-');
  try {
    for (const queue of QUEUES) mkdirSync(join(large, queue));
    writeFileSync(join(large, 'one'), 'x');
    for (let at = 0; at < files; at++) linkSync(join(large, 'one'), join(large, `deferred/${longId(1000, `B${at}`)}`));
    writeFileSync(join(large, `incoming/${longId(1000, 'C')}`), 'x');
    const walker = new QueueWalker(large);
    const kept = process.memoryUsage().rss;
    for (let round = 0; round < 3; round++) {
      const walk = await walker.walk('rotate', 20, 16);
      expect(walk).toMatchObject({incoming: 1, complete: false});
      expect(walk.deferred).toBeGreaterThan(0);
      expect(walk.deferred).toBeLessThan(files);
    }
    let turns = 0;
    let isWalking = true;
    const turn = (): void => {
      turns++;
      if (isWalking) setTimeout(turn, 1);
    };
    turn();
    for (let round = 0; round < 4; round++) expect(await walker.walk('names', 600_000)).toMatchObject({deferred: files, complete: true});
    isWalking = false;
    expect(turns).toBeGreaterThan(20);
    // All names would be 22 MB.
    expect(process.memoryUsage().rss - kept).toBeLessThan(12 * 1024 * 1024);
  } finally {
    rmSync(large, {recursive: true});
  }
}, 600_000);

test('a queue that cannot be read is an error with its path, not an empty queue', async () => {
  rmSync(join(spool, 'hold'), {recursive: true});
  await expect(new QueueWalker(spool).walk('names', 1000)).rejects.toMatchObject({
    code: 'NATIVE_FAILED',
    detail: {code: 'ENOENT', errno: 2, op: 'openat', path: `${spool}/hold`},
  });
  symlinkSync('/tmp', join(spool, 'hold'));
  await expect(new QueueWalker(spool).walk('names', 1000)).rejects.toMatchObject({detail: {code: 'ENOTDIR'}});
  await expect(new QueueWalker('/nowhere').walk('names', 1000)).rejects.toMatchObject({detail: {code: 'ENOENT', op: 'open'}});
});
