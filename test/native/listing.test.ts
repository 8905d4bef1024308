import {execFile, execFileSync} from 'node:child_process';
import {chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {QueueWalker} from '../../native/binding.ts';

/** Names that a walk keeps of directories that have not changed. */
const run = promisify(execFile);
const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
const BUDGET_MS = 60_000;
/** A directory is believed to rest three seconds after its last change. */
const RESTS_WITHIN_MS = 15_000;
let folder: string;
let spool: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-listing-'));
  spool = join(folder, 'spool');
  for (const queue of QUEUES) mkdirSync(join(spool, queue), {recursive: true});
  for (const bucket of ['0', 'A', 'F']) mkdirSync(join(spool, 'deferred', bucket));
});
afterEach(() => rmSync(folder, {recursive: true}));

const DIRECTORIES = QUEUES.length + 3;
let made = 0;
const shortId = (): string => (0x4f2a100000 + made++).toString(16).toUpperCase();

function message(path: string, mode = 0o700): string {
  const at = join(spool, path, shortId());
  writeFileSync(at, 'x');
  chmodSync(at, mode);
  return at;
}

/** Walks until every directory has rested for long enough to be kept. */
async function restOf(walker: QueueWalker): Promise<void> {
  const kept = async (): Promise<number> => (await walker.walk('names', BUDGET_MS)).directoriesKept;
  await expect.poll(kept, {timeout: RESTS_WITHIN_MS}).toBe(DIRECTORIES);
}

test('a directory that rests is listed once, and whatever changes in it is seen by the next walk', async () => {
  const [first, second] = [message('deferred/A'), message('deferred/A')];
  message('deferred/0');
  message('hold');
  const walker = new QueueWalker(spool);
  await restOf(walker);
  const counts = (): Promise<unknown> => walker.walk('names', BUDGET_MS);
  expect(await counts()).toMatchObject({deferred: 3, hold: 1, buckets: 3, bucketMax: 2, directoriesKept: DIRECTORIES});
  message('deferred/F');
  expect(await counts()).toMatchObject({deferred: 4, directoriesKept: DIRECTORIES - 1});
  rmSync(first);
  expect(await counts()).toMatchObject({deferred: 3, directoriesKept: DIRECTORIES - 2});
  await restOf(walker);
  renameSync(second, join(spool, 'active', shortId()));
  expect(await counts()).toMatchObject({deferred: 2, active: 1, directoriesKept: DIRECTORIES - 2});
  await restOf(walker);
  const [name] = [join(spool, 'deferred/0/core')];
  writeFileSync(name, 'x');
  renameSync(name, join(spool, 'deferred/0', shortId()));
  expect(await counts()).toMatchObject({deferred: 3, foreign: 0});
});

test('a directory that another one has taken the place of is listed anew', async () => {
  message('deferred/A');
  const walker = new QueueWalker(spool);
  await restOf(walker);
  renameSync(join(spool, 'deferred/A'), join(folder, 'aside'));
  mkdirSync(join(spool, 'deferred/A'));
  for (let at = 0; at < 3; at++) message('deferred/A');
  expect(await walker.walk('names', BUDGET_MS)).toMatchObject({deferred: 3, directoriesKept: DIRECTORIES - 2});
  rmSync(join(spool, 'deferred/A'), {recursive: true});
  expect(await walker.walk('names', BUDGET_MS)).toMatchObject({deferred: 0, buckets: 2});
  renameSync(join(folder, 'aside'), join(spool, 'deferred/A'));
  expect(await walker.walk('names', BUDGET_MS)).toMatchObject({deferred: 1, buckets: 3});
});

test('of a directory that rests only the names are kept: modes, births and ages are asked for', async () => {
  const half = message('deferred/A', 0o600);
  const walker = new QueueWalker(spool);
  await restOf(walker);
  const known = {deferred: 1, aged: 1, directoriesKept: DIRECTORIES};
  expect(await walker.walk('names', BUDGET_MS)).toMatchObject({...known, aged: 0, unaged: 1});
  const young = await walker.walk('stat', BUDGET_MS);
  expect(young).toMatchObject({...known, statCalls: 1, facts: {asked: 1, halfWritten: 1}});
  chmodSync(half, 0o700);
  const old = await walker.walk('stat', BUDGET_MS);
  expect(old).toMatchObject({...known, statCalls: 1, facts: {asked: 1, halfWritten: 0}});
  expect(old.ageMsMax).toBeGreaterThan(young.ageMsMax ?? Number.NaN);
});

test('a change at the very moment of a listing is not missed, and what has just changed is not kept', async () => {
  const walker = new QueueWalker(spool);
  for (let count = 1; count <= 300; count++) {
    message('deferred/A');
    const walk = await walker.walk('names', BUDGET_MS);
    expect(walk.deferred).toBe(count);
    // But for what is followed since it has become large.
    expect(walk.directoriesKept).toBeLessThanOrEqual(walk.directoriesFollowed);
  }
});

test('more names than are kept: the rest is listed each time, and all are counted', async () => {
  const name = 'C'.repeat(200);
  for (let at = 0; at < 11_000; at++) writeFileSync(join(spool, 'deferred/A', `${name}${at}`), '');
  const walker = new QueueWalker(spool);
  await expect.poll(async () => (await walker.walk('names', BUDGET_MS)).directoriesKept, {timeout: RESTS_WITHIN_MS}).toBe(DIRECTORIES - 1);
  expect(await walker.walk('names', BUDGET_MS)).toMatchObject({foreign: 11_000, directoriesKept: DIRECTORIES - 1});
});

const CHILD = `
import {QueueWalker} from ${JSON.stringify(join(import.meta.dirname, '../../native/binding.ts'))};
const walker = new QueueWalker(process.argv[1]);
const kept = [];
for (const shift of process.argv[2].split(' ')) {
  process.env.CLOCK_SHIFT_S = shift;
  kept.push((await walker.walk('names', ${BUDGET_MS})).directoriesKept);
}
console.log(JSON.stringify(kept));`;

test('a clock that is set between two walks proves nothing: all is listed anew', async () => {
  const clock = join(folder, 'set-clock.so');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared'];
  execFileSync('gcc', [...flags, '-o', clock, join(import.meta.dirname, 'set-clock.c'), '-ldl']);
  message('deferred/A');
  // An hour fast, so that all seems to have rested; then right again, and the directories are new; then fast, and set back within that.
  const shifts = '3600 3600 0 0 3600 3600 3598 3598';
  const env = {...process.env, LD_PRELOAD: clock};
  const {stdout} = await run(process.execPath, ['--input-type=module', '-e', CHILD, spool, shifts], {env});
  const all = DIRECTORIES;
  expect(JSON.parse(stdout)).toEqual([0, all, 0, 0, 0, all, 0, all]);
});
