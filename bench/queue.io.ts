import {execFileSync} from 'node:child_process';
import {readdirSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {type QueueLevel, type QueueWalk, QueueWalker} from '../native/binding.ts';
import {type Benchmark, median, rounded, wholeNumber} from './benchmark.ts';
import {type PrivatePostfix, startPostfix} from './postfix.io.ts';
import {cpuMsBelow} from './processes.io.ts';

const ROUNDS = 9;
const POSTQUEUE_ROUNDS = 3;
/** Of each directory of deferred, how many messages are tried again between two walks. */
const RETRIED = 6;
/** What comes, is deferred, is tried again and leaves in 10 s of a busy host. */
const CHURN = 500;
const CHURN_ROUNDS = 5;
const WALK_EVERY_MS = 10_000;

export const benchmark: Benchmark = {
  summary:
    'CPU of one walk of a real Postfix queue, by names, in turns (as an agent does it) and with stat, changed and unchanged, warm and cold, against "postqueue -j" with what it makes Postfix do',
  options: {
    cold: {type: 'boolean', default: false, help: 'also with nothing in memory: drops the caches of the whole machine three times'},
    count: {type: 'string', default: '100000', help: 'deferred messages; 100000 take one to three minutes to make'},
  },
  async run(options, say) {
    const count = wholeNumber(options.count, 'count', 100, 1_000_000);
    const postfix = startPostfix();
    const stop = (): never => {
      postfix.stop();
      process.exit(130);
    };
    process.once('SIGINT', stop);
    try {
      await fill(postfix, count, say);
      const {queue} = postfix;
      const first = await firstCpuMs(queue, 'names', count);
      const names = await changedCpuMs(queue, 'names', count);
      const rotate = await changedCpuMs(queue, 'rotate', count);
      const stat = await changedCpuMs(queue, 'stat', count);
      const namesUnchanged = await restingCpuMs(queue, 'names', count);
      const rotateUnchanged = await restingCpuMs(queue, 'rotate', count);
      const postqueue = median(Array.from({length: POSTQUEUE_ROUNDS}, () => postqueueCpuMs(postfix, count)));
      const listing = listingCpuMs(queue);
      const churn = await churnFigures(postfix, count);
      say(`${CHURN_ROUNDS} times ${CHURN} messages came and went`);
      const herd = await herdFigures(postfix, count);
      return {
        count,
        listingCpuMs: rounded(listing),
        namesFirstRatioMax: rounded(postqueue / listing),
        namesFirstCpuMs: rounded(first),
        namesFirstRatio: rounded(postqueue / first),
        namesCpuMs: rounded(names),
        statCpuMs: rounded(stat),
        postqueueCpuMs: rounded(postqueue),
        namesRatio: rounded(postqueue / names),
        statRatio: rounded(postqueue / stat),
        rotateCpuMs: rounded(rotate),
        namesUnchangedCpuMs: rounded(namesUnchanged),
        namesUnchangedRatio: rounded(postqueue / namesUnchanged),
        rotateUnchangedCpuMs: rounded(rotateUnchanged),
        churn: {...churn, namesRatio: rounded(postqueue / churn.namesCpuMs)},
        herd,
        ...(options.cold === true ? {cold: await coldFigures(postfix, count)} : {}),
      };
    } finally {
      process.off('SIGINT', stop);
      postfix.stop();
    }
  },
};

async function fill(postfix: PrivatePostfix, count: number, say: (line: string) => void): Promise<void> {
  const beganAtMs = performance.now();
  let saidAtMs = beganAtMs;
  await postfix.fill(count, deferred => {
    if (performance.now() - saidAtMs < 10_000) return;
    saidAtMs = performance.now();
    say(`${deferred} of ${count} messages deferred after ${Math.round((saidAtMs - beganAtMs) / 1000)} s`);
  });
  say(`${count} messages deferred in ${Math.round((performance.now() - beganAtMs) / 1000)} s`);
}

/** Nothing of the queue is in memory afterwards. Concerns the whole machine: a moment of slowness, nothing else. */
function dropCaches(): void {
  execFileSync('sync');
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

/** The same when all has to come from disk. */
async function coldFigures(postfix: PrivatePostfix, count: number): Promise<Record<string, number>> {
  const names = await coldWalk(postfix.queue, 'names', count);
  const stat = await coldWalk(postfix.queue, 'stat', count);
  dropCaches();
  const postqueue = postqueueCpuMs(postfix, count);
  return {
    namesCpuMs: rounded(names.cpuMs),
    namesWallMs: rounded(names.wallMs),
    statCpuMs: rounded(stat.cpuMs),
    statWallMs: rounded(stat.wallMs),
    postqueueCpuMs: rounded(postqueue),
    namesRatio: rounded(postqueue / names.cpuMs),
    statRatio: rounded(postqueue / stat.cpuMs),
  };
}

/** One walk of a queue that nobody has looked at since it was made. */
async function coldWalk(queue: string, level: QueueLevel, count: number): Promise<{cpuMs: number; wallMs: number}> {
  const walker = new QueueWalker(queue);
  dropCaches();
  const beganAtMs = performance.now();
  const before = process.cpuUsage();
  const walk = await walker.walk(level, 600_000);
  const {user, system} = process.cpuUsage(before);
  if (!walk.complete || walk.deferred !== count) throw new Error(`the walk saw ${walk.deferred} of ${count} messages`);
  return {cpuMs: (user + system) / 1000, wallMs: performance.now() - beganAtMs};
}

/** CPU of the first walk of a queue, all threads: all is listed. The median of some. */
async function firstCpuMs(queue: string, level: QueueLevel, count: number): Promise<number> {
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    change(queue);
    const {cpuMs, walk} = await walkOnce(new QueueWalker(queue), level, count);
    if (walk.directoriesKept > 0) throw new Error(`${walk.directoriesKept} directories were not listed by a first walk`);
    costs.push(cpuMs);
  }
  return median(costs);
}

/**
 * CPU of an ordinary look at a queue that is looked at all the time: something has come and gone in every directory since the walk
 * before, and in each of deferred some messages were tried again. The median of some.
 */
async function changedCpuMs(queue: string, level: QueueLevel, count: number): Promise<number> {
  const walker = new QueueWalker(queue);
  await walkOnce(walker, level, count);
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const changed = change(queue);
    const {cpuMs, walk} = await walkOnce(walker, level, count);
    if (walk.directoriesFollowed > 0 && walk.changesHeard < changed)
      throw new Error(`${walk.changesHeard} of ${changed} changes were heard of`);
    if (walk.listingsWrong > 0) throw new Error(`${walk.listingsWrong} directories were not as had been heard`);
    costs.push(cpuMs);
  }
  return median(costs);
}

/** CPU of the walk after messages came through Postfix and were deferred, and as many left, as in 10 s of a busy host. */
async function churnFigures(
  postfix: PrivatePostfix,
  count: number,
): Promise<{namesCpuMs: number; rotateCpuMs: number; changesHeard: number}> {
  const costOf = async (level: QueueLevel): Promise<{cpuMs: number; heard: number}> => {
    const walker = new QueueWalker(postfix.queue);
    await walkOnce(walker, level, count);
    const costs: number[] = [];
    const heard: number[] = [];
    for (let round = 0; round < CHURN_ROUNDS; round++) {
      leave(postfix.queue, CHURN);
      await postfix.fill(count, () => undefined, CHURN);
      const {cpuMs, walk} = await walkOnce(walker, level, count);
      costs.push(cpuMs);
      heard.push(walk.changesHeard);
    }
    return {cpuMs: median(costs), heard: median(heard)};
  };
  const names = await costOf('names');
  const rotate = await costOf('rotate');
  return {namesCpuMs: rounded(names.cpuMs), rotateCpuMs: rounded(rotate.cpuMs), changesHeard: names.heard};
}

/** Every deferred message is tried again at once: what a walk each 10 s costs meanwhile, and what following costs Postfix. */
async function herdFigures(postfix: PrivatePostfix, count: number): Promise<Record<string, number>> {
  const retryAll = async (walk: (() => Promise<void>) | null): Promise<number> => {
    const before = cpuMsBelow(postfix.masterPid());
    await postfix.retryAll(count, walk, WALK_EVERY_MS);
    return cpuMsBelow(postfix.masterPid()) - before;
  };
  const alone = await retryAll(null);
  const walker = new QueueWalker(postfix.queue);
  await walkOnce(walker, 'names', count);
  const costs: number[] = [];
  let lost = 0;
  const followed = await retryAll(async () => {
    const before = process.cpuUsage();
    const {changesLost} = await walker.walk('names', 600_000);
    const {user, system} = process.cpuUsage(before);
    costs.push((user + system) / 1000);
    if (changesLost) lost++;
  });
  await walkOnce(walker, 'names', count);
  return {
    walks: costs.length,
    walksThatLost: lost,
    namesCpuMs: rounded(median(costs)),
    namesCpuMsMax: rounded(Math.max(...costs)),
    postfixCpuMs: rounded(followed),
    postfixAloneCpuMs: rounded(alone),
  };
}

/** So many messages leave the deferred queue as after a delivery: through active. */
function leave(queue: string, count: number): void {
  const files = bucketsOf(queue).flatMap(folder => readdirSync(folder).map(name => ({folder, name})));
  const step = Math.floor(files.length / count);
  for (const [at, {folder, name}] of files.entries()) {
    if (at % step !== 0 || at >= step * count) continue;
    const active = join(queue, 'active', name);
    renameSync(join(folder, name), active);
    rmSync(active);
  }
}

function bucketsOf(queue: string): string[] {
  const deferred = join(queue, 'deferred');
  return readdirSync(deferred).map(name => join(deferred, name));
}

/** The same of a queue in which nothing has changed. */
async function restingCpuMs(queue: string, level: QueueLevel, count: number): Promise<number> {
  const walker = new QueueWalker(queue);
  const all = directoriesOf(queue).length;
  // Names are kept of a directory that has rested for three seconds.
  while ((await walker.walk(level, 600_000)).directoriesKept < all) await new Promise(resolve => setTimeout(resolve, 500));
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) costs.push((await walkOnce(walker, level, count)).cpuMs);
  return median(costs);
}

async function walkOnce(walker: QueueWalker, level: QueueLevel, count: number): Promise<{cpuMs: number; walk: QueueWalk}> {
  const before = process.cpuUsage();
  const walk = await walker.walk(level, 600_000);
  const {user, system} = process.cpuUsage(before);
  if (!walk.complete || walk.deferred !== count) throw new Error(`the walk saw ${walk.deferred} of ${count} messages`);
  return {cpuMs: (user + system) / 1000, walk};
}

/** The directories that a walk goes through. */
function directoriesOf(queue: string): string[] {
  const below = (place: string): string[] => [
    place,
    ...readdirSync(place, {withFileTypes: true}).flatMap(entry => (entry.isDirectory() ? below(join(place, entry.name)) : [])),
  ];
  return ['maildrop', 'incoming', 'active', 'deferred', 'hold'].flatMap(name => below(join(queue, name)));
}

/** A file comes and goes in each directory, and some deferred messages are tried again. @return names of deferred that have changed. */
function change(queue: string): number {
  for (const directory of directoriesOf(queue)) {
    const file = join(directory, 'changed');
    writeFileSync(file, '');
    rmSync(file);
  }
  let retried = 0;
  for (const folder of bucketsOf(queue)) {
    for (const name of readdirSync(folder).slice(0, RETRIED)) {
      renameSync(join(folder, name), join(queue, 'active', name));
      renameSync(join(queue, 'active', name), join(folder, name));
      retried++;
    }
  }
  return retried;
}

const GETDENTS64: Partial<Record<NodeJS.Architecture, number>> = {x64: 217, arm64: 61};
const LISTINGS = 20;
const LIST = `use Fcntl; my ($call, $rounds, @folders) = @ARGV; my $buffer = "\\0" x 262144;
for (1 .. $rounds) { for (@folders) { sysopen(my $folder, $_, O_RDONLY | O_DIRECTORY) or die "$_: $!"; 1 while syscall($call, fileno($folder), $buffer, length $buffer) > 0; } }
my ($user, $system) = times; print $user + $system;`;

/** CPU of the kernel's listing of the deferred directories and nothing else: no walk can be cheaper. NaN where the call's number is not known. */
function listingCpuMs(queue: string): number {
  const call = GETDENTS64[process.arch];
  if (call === undefined) return Number.NaN;
  const deferred = join(queue, 'deferred');
  const folders = readdirSync(deferred, {withFileTypes: true}).filter(entry => entry.isDirectory());
  const places = [deferred, ...folders.map(({name}) => join(deferred, name))];
  return (1000 * Number(execFileSync('perl', ['-e', LIST, String(call), String(LISTINGS), ...places], {encoding: 'utf8'}))) / LISTINGS;
}

/** CPU of "postqueue -j" and of all of the instance's own processes meanwhile. */
function postqueueCpuMs({config, masterPid}: PrivatePostfix, count: number): number {
  const master = masterPid();
  const before = cpuMsBelow(master);
  const output = execFileSync('bash', ['-c', 'postqueue -c "$0" -j | wc -l; times', config], {encoding: 'utf8'});
  const daemons = cpuMsBelow(master) - before;
  const [lines = '', , children = ''] = output.trim().split('\n');
  if (Number(lines) !== count) throw new Error(`postqueue listed ${lines} of ${count} messages`);
  const own = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, match) => sum + Number(match[1]) * 60_000 + Number(match[2]) * 1000,
    0,
  );
  return daemons + own;
}
