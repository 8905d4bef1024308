import {execFileSync} from 'node:child_process';
import {readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {type QueueLevel, type QueueWalk, QueueWalker} from '../native/binding.ts';
import {type Benchmark, median, rounded, wholeNumber} from './benchmark.ts';
import {type PrivatePostfix, startPostfix} from './postfix.io.ts';
import {cpuMsBelow} from './processes.io.ts';

const ROUNDS = 9;
const POSTQUEUE_ROUNDS = 3;

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
      const names = await walkCpuMs(postfix.queue, 'names', count);
      const rotate = await walkCpuMs(postfix.queue, 'rotate', count);
      const stat = await walkCpuMs(postfix.queue, 'stat', count);
      const namesUnchanged = await restingCpuMs(postfix.queue, 'names', count);
      const rotateUnchanged = await restingCpuMs(postfix.queue, 'rotate', count);
      const postqueue = median(Array.from({length: POSTQUEUE_ROUNDS}, () => postqueueCpuMs(postfix, count)));
      const listing = listingCpuMs(postfix.queue);
      return {
        count,
        listingCpuMs: rounded(listing),
        namesRatioMax: rounded(postqueue / listing),
        namesCpuMs: rounded(names),
        statCpuMs: rounded(stat),
        postqueueCpuMs: rounded(postqueue),
        namesRatio: rounded(postqueue / names),
        statRatio: rounded(postqueue / stat),
        rotateCpuMs: rounded(rotate),
        namesUnchangedCpuMs: rounded(namesUnchanged),
        namesUnchangedRatio: rounded(postqueue / namesUnchanged),
        rotateUnchangedCpuMs: rounded(rotateUnchanged),
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

/** CPU of one walk, all threads, of a queue in which every directory has changed since the one before: the median of some. */
async function walkCpuMs(queue: string, level: QueueLevel, count: number): Promise<number> {
  const walker = new QueueWalker(queue);
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    change(queue);
    const {cpuMs, walk} = await walkOnce(walker, level, count);
    if (walk.directoriesKept > 0) throw new Error(`${walk.directoriesKept} directories were not listed though they had changed`);
    costs.push(cpuMs);
  }
  return median(costs);
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

/** A file comes and goes in each directory. */
function change(queue: string): void {
  for (const directory of directoriesOf(queue)) {
    const file = join(directory, 'changed');
    writeFileSync(file, '');
    rmSync(file);
  }
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
