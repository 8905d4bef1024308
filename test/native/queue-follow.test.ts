import {execFile, execFileSync} from 'node:child_process';
import {linkSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type Rng, seededRng} from '../../base/random.ts';
import {type QueueWalk, QueueWalker} from '../../native/binding.ts';

/** Directories whose names are known by what the kernel tells of them. */
const run = promisify(execFile);
const seed = Number(process.env.MAILHERD_SEED ?? Date.now() % 1_000_000);
const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
const BUCKETS = ['0', 'A', 'F'];
const BUDGET_MS = 60_000;
/** Makes a directory large enough to be worth following, on any file system. */
const MANY = 500;
let folder: string;
let spool: string;
let made: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-follow-'));
  spool = join(folder, 'spool');
  made = 0;
  for (const queue of QUEUES) mkdirSync(join(spool, queue), {recursive: true});
  for (const bucket of BUCKETS) mkdirSync(join(spool, 'deferred', bucket));
});
afterEach(() => rmSync(folder, {recursive: true}));

/** Of a message that arrived when the first one did: ages of two walks differ by no more than the time between them. */
const longId = (): string => `4cXyZ1${made % 4}bc1z${(made++).toString(8).replaceAll('0', 'X').padStart(6, 'B')}`;
const shortId = (): string => (0x4f2a100000 + made++).toString(16).toUpperCase();

function message(path: string, name = longId()): string {
  const at = join(spool, path, name);
  writeFileSync(at, '');
  return at;
}

function fill(path: string, count = MANY): string[] {
  return Array.from({length: count}, () => message(path));
}

/** What two walks of the same queue must agree in. */
function counted(walk: QueueWalk): Partial<QueueWalk> {
  const {maildrop, incoming, active, deferred, hold, aged, unaged, foreign, stuckIncoming, buckets, bucketMax, directoryBytes} = walk;
  return {maildrop, incoming, active, deferred, hold, aged, unaged, foreign, stuckIncoming, buckets, bucketMax, directoryBytes};
}

/** A walk of a queue at rest, held against that of a walker that has heard of nothing. */
async function walkAsNew(walker: QueueWalker): Promise<QueueWalk> {
  const walk = await walker.walk('names', BUDGET_MS);
  const fresh = await new QueueWalker(spool).walk('names', BUDGET_MS);
  expect(counted(walk)).toEqual(counted(fresh));
  expect(Math.abs((walk.ageMsMax ?? 0) - (fresh.ageMsMax ?? 0))).toBeLessThan(10_000);
  expect(walk).toMatchObject({complete: true, listingsWrong: 0});
  return walk;
}

test('what comes, goes and is renamed in a followed directory is known without a listing', async () => {
  const [first = '', second = '', third = '', fourth = ''] = fill('deferred/A');
  const [held = ''] = fill('hold');
  const walker = new QueueWalker(spool);
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY, hold: MANY, directoriesFollowed: 2, changesHeard: 0});
  const after = async (changes: number): Promise<QueueWalk> => {
    const walk = await walkAsNew(walker);
    expect(walk.changesHeard).toBe(changes);
    expect(walk.directoriesKept).toBeGreaterThanOrEqual(2);
    return walk;
  };
  message('deferred/A');
  expect((await after(1)).deferred).toBe(MANY + 1);
  rmSync(first);
  expect((await after(1)).deferred).toBe(MANY);
  renameSync(second, join(spool, 'active', longId()));
  expect(await after(1)).toMatchObject({deferred: MANY - 1, active: 1});
  renameSync(third, join(spool, 'hold', longId()));
  expect(await after(2)).toMatchObject({deferred: MANY - 2, hold: MANY + 1});
  renameSync(held, join(spool, 'deferred/A', longId()));
  await after(2);
  // Over another one: one name less.
  renameSync(fourth, message('deferred/A'));
  expect((await after(2)).deferred).toBe(MANY - 1);
  const linked = message('deferred/0');
  linkSync(linked, join(spool, 'deferred/A', longId()));
  expect((await after(1)).deferred).toBe(MANY + 1);
  // Away and back: it is there.
  renameSync(linked, join(folder, 'aside'));
  const name = join(spool, 'deferred/A', longId());
  for (let turn = 0; turn < 3; turn++) {
    renameSync(join(folder, 'aside'), name);
    renameSync(name, join(folder, 'aside'));
  }
  renameSync(join(folder, 'aside'), name);
  expect((await after(1)).deferred).toBe(MANY + 1);
});

test('names that are none of a message, and directories in a followed one', async () => {
  fill('deferred/A');
  const walker = new QueueWalker(spool);
  await walkAsNew(walker);
  for (const name of ['core', '.hidden', 'x'.repeat(255), '4cXyZ1']) message('deferred/A', name);
  const odd = Buffer.concat([Buffer.from(join(spool, 'deferred/A/')), Buffer.from([0xff, 0xfe, 0x80, 0x0a, 0x20])]);
  writeFileSync(odd, '');
  mkdirSync(join(spool, 'deferred/A/g'));
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY, foreign: 6, changesHeard: 6});
  mkdirSync(join(spool, 'deferred/A/7'));
  message('deferred/A/7');
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY + 1, foreign: 6, buckets: 4});
  rmSync(odd);
  rmSync(join(spool, 'deferred/A/7'), {recursive: true});
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY, foreign: 5, buckets: 3});
});

test('short ids that come while a directory is followed are asked for their birth once', async () => {
  fill('deferred/A');
  const walker = new QueueWalker(spool);
  await walker.walk('ages', BUDGET_MS);
  for (let at = 0; at < 20; at++) message('deferred/A', shortId());
  expect(await walker.walk('ages', BUDGET_MS)).toMatchObject({deferred: MANY + 20, aged: MANY + 20, statCalls: 20, changesHeard: 20});
  expect(await walker.walk('ages', BUDGET_MS)).toMatchObject({deferred: MANY + 20, aged: MANY + 20, statCalls: 0});
});

test('a directory that goes, or comes again under its name, and another depth of the hash', async () => {
  for (const bucket of BUCKETS) fill(`deferred/${bucket}`);
  const walker = new QueueWalker(spool);
  expect((await walkAsNew(walker)).directoriesFollowed).toBe(3);
  rmSync(join(spool, 'deferred/A'), {recursive: true});
  expect(await walkAsNew(walker)).toMatchObject({deferred: 2 * MANY, directoriesFollowed: 2});
  mkdirSync(join(spool, 'deferred/A'));
  fill('deferred/A', 700);
  expect(await walkAsNew(walker)).toMatchObject({deferred: 2 * MANY + 700, directoriesFollowed: 3});
  renameSync(join(spool, 'deferred/A'), join(spool, 'deferred/B'));
  renameSync(join(spool, 'deferred/0'), join(folder, 'aside'));
  renameSync(join(folder, 'aside'), join(spool, 'deferred/A'));
  message('deferred/A');
  expect(await walkAsNew(walker)).toMatchObject({deferred: 2 * MANY + 701, directoriesFollowed: 3});
  // As after postfix upgrade-configuration with another hash_queue_depth.
  for (const bucket of ['A', 'B', 'F']) {
    mkdirSync(join(spool, 'deferred', bucket, '1'));
    for (const name of readdirSync(join(spool, 'deferred', bucket)).filter(one => one !== '1'))
      renameSync(join(spool, 'deferred', bucket, name), join(spool, 'deferred', bucket, '1', name));
  }
  expect(await walkAsNew(walker)).toMatchObject({deferred: 2 * MANY + 701, buckets: 6});
  rmSync(join(spool, 'hold'), {recursive: true});
  await expect(walker.walk('names', BUDGET_MS)).rejects.toMatchObject({detail: {code: 'ENOENT', path: `${spool}/hold`}});
});

test('more changes than the kernel holds ready: all is listed, and followed again', async () => {
  fill('deferred/A');
  fill('hold');
  const walker = new QueueWalker(spool);
  await walkAsNew(walker);
  const limit = Number(execFileSync('cat', ['/proc/sys/fs/inotify/max_queued_events'], {encoding: 'utf8'}));
  const [name = ''] = fill('deferred/A', 1);
  for (let at = 0; at <= limit; at += 2) {
    renameSync(name, join(spool, 'active/X'));
    renameSync(join(spool, 'active/X'), name);
  }
  message('deferred/A');
  message('hold');
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY + 2, hold: MANY + 1, changesLost: true, directoriesFollowed: 2});
  message('deferred/A');
  expect(await walkAsNew(walker)).toMatchObject({deferred: MANY + 3, changesLost: false, changesHeard: 1});
}, 120_000);

test('more names than are kept: the directory is not followed any more, and listed each time', async () => {
  const long = 'C'.repeat(240);
  for (let at = 0; at < 8_400; at++) writeFileSync(join(spool, 'deferred/A', `${long}${at}`), '');
  const walker = new QueueWalker(spool);
  expect(await walkAsNew(walker)).toMatchObject({foreign: 8_400, directoriesFollowed: 1});
  for (let at = 8_400; at < 8_900; at++) writeFileSync(join(spool, 'deferred/A', `${long}${at}`), '');
  for (let turn = 0; turn < 2; turn++) expect(await walkAsNew(walker)).toMatchObject({foreign: 8_900, directoriesFollowed: 0});
}, 120_000);

/** Something that Postfix does with a message, or a person with a file. */
function act(rng: Rng): void {
  const places = [...QUEUES, ...BUCKETS.map(bucket => `deferred/${bucket}`)];
  const place = rng.pick(places);
  const names = readdirSync(join(spool, place)).filter(name => name.length > 1);
  const move = rng.unit();
  if (names.length === 0 || move < 0.35) message(place, rng.unit() < 0.1 ? `note${made++}` : rng.unit() < 0.2 ? shortId() : longId());
  else if (move < 0.6) rmSync(join(spool, place, rng.pick(names)));
  else {
    const name = rng.pick(names);
    renameSync(join(spool, place, name), join(spool, rng.pick(places), rng.unit() < 0.3 ? longId() : name));
  }
}

test(`thousands of changes, some while it walks: it knows what a new listing does; MAILHERD_SEED=${seed} replays it`, async () => {
  const rng = seededRng(seed);
  for (const place of ['hold', 'deferred/0', 'deferred/A']) fill(place);
  const walker = new QueueWalker(spool);
  let heard = 0;
  for (let round = 0; round < 60; round++) {
    const walking = walker.walk(rng.pick(['names', 'ages', 'rotate'] as const), BUDGET_MS);
    for (let at = rng.below(60); at > 0; at--) act(rng);
    await walking;
    for (let at = rng.below(60); at > 0; at--) act(rng);
    heard += (await walkAsAges(walker)).changesHeard;
  }
  expect(heard).toBeGreaterThan(500);
}, 120_000);

/** As `walkAsNew`; a walker that has asked knows the ages of short ids. */
async function walkAsAges(walker: QueueWalker): Promise<QueueWalk> {
  const walk = await walker.walk('ages', BUDGET_MS);
  expect(counted(walk)).toEqual(counted(await new QueueWalker(spool).walk('ages', BUDGET_MS)));
  expect(walk.listingsWrong).toBe(0);
  return walk;
}

const CHILD = `
import {renameSync, rmSync, writeFileSync} from 'node:fs';
import {QueueWalker} from ${JSON.stringify(join(import.meta.dirname, '../../native/binding.ts'))};
const [spool, steps] = process.argv.slice(1);
const walker = new QueueWalker(spool);
const told = [];
for (const step of steps.split(' ')) {
  const [word, what] = step.split(':');
  if (word === 'later') process.env.BOOT_SHIFT_S = what;
  else if (word === 'add') writeFileSync(spool + '/' + what, '');
  else if (word === 'remove') rmSync(spool + '/' + what);
  else {
    const {deferred, directoriesFollowed, directoriesKept, listingsWrong, followRefusal} = await walker.walk('names', ${BUDGET_MS});
    told.push({deferred, directoriesFollowed, directoriesKept, listingsWrong, followRefusal});
  }
}
console.log(JSON.stringify(told));`;

function library(name: string): string {
  const path = join(folder, `${name}.so`);
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared'];
  execFileSync('gcc', [...flags, '-o', path, join(import.meta.dirname, `${name}.c`), '-ldl']);
  return path;
}

test('an error in what was heard lives ten minutes at most, is told, and is no error of what changed meanwhile', async () => {
  const [first = ''] = fill('deferred/A').map(path => path.slice(spool.length + 1));
  const env = {...process.env, LD_PRELOAD: `${library('set-clock')} ${library('deaf-inotify')}`};
  const steps = `walk remove:${first} walk add:deferred/A/${longId()} later:601 walk walk add:deferred/A/${longId()} walk later:1202 walk walk`;
  const {stdout} = await run(process.execPath, ['--input-type=module', '-e', CHILD, spool, steps], {env});
  const told = JSON.parse(stdout) as {deferred: number; listingsWrong: number}[];
  // One has gone unheard, so that one too many is counted until the new listing; the next walk says so.
  expect(told.map(({deferred}) => deferred)).toEqual([MANY, MANY, MANY, MANY, MANY + 1, MANY + 1, MANY + 1]);
  expect(told.map(({listingsWrong}) => listingsWrong)).toEqual([0, 0, 0, 1, 1, 1, 1]);
});

test('no more watches for this user: the queue is listed as without them, and the reason is told', async () => {
  fill('deferred/A');
  fill('deferred/F');
  const path = message('deferred/F').slice(spool.length + 1);
  const inside = 'echo "$1" > /proc/sys/user/max_inotify_watches && shift && exec "$@"';
  const walks = async (limit: number): Promise<{deferred: number; directoriesFollowed: number; followRefusal: string | null}[]> => {
    const steps = `walk add:${path}X remove:${path}X walk remove:${path} walk add:${path} walk`;
    const node = [process.execPath, '--input-type=module', '-e', CHILD, spool, steps];
    const {stdout} = await run('unshare', ['--user', '--map-root-user', 'sh', '-c', inside, 'sh', String(limit), ...node]);
    return JSON.parse(stdout);
  };
  const deferred = [1001, 1001, 1000, 1001];
  const one = await walks(1);
  expect(one.map(walk => walk.deferred)).toEqual(deferred);
  for (const walk of one) expect(walk).toMatchObject({directoriesFollowed: 1, followRefusal: 'ENOSPC'});
  const two = await walks(2);
  expect(two.map(walk => walk.deferred)).toEqual(deferred);
  for (const walk of two) expect(walk).toMatchObject({directoriesFollowed: 2, followRefusal: null});
});
