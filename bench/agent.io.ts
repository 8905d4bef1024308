import {readFile, writeFile} from 'node:fs/promises';
import {parse, stringify} from 'yaml';
import {down, type Farm, up} from '../farm/farm.io.ts';
import {makeLayout} from '../farm/layout.ts';
import {runIn} from '../farm/machine/enter.io.ts';
import {buildPackage} from '../farm/package.io.ts';
import {farmPaths, hostPaths} from '../farm/paths.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';

const HOST = 'agbe1';
const UNIT = 'mailherd-agent.service';
/** Runs while the agent has something done that only root may do. */
const MOVER = 'mailherd-mover.service';
const SAMPLE_MS = 5_000;
const HOUR_MS = 3_600_000;
const MIB_KIB = 1024;
/** After the start and after the queue was made: what is measured is a day's work, not the beginning. */
const SETTLE_MS = 30_000;
const FILL_TIMEOUT_MS = 600_000;
/** Without the agent it is measured for no longer than this. */
const WITHOUT_MS_MAX = 600_000;
/** What a farm shortens so that tests are quick; without them the agent has its defaults. */
const SHORTENED = ['reportIntervalMs', 'cpuPercentMax', 'probe.intervalMs', 'probe.timeoutMs'];

export const benchmark: Benchmark = {
  summary:
    'CPU (its own with its children, and what it causes in other services) and memory of a whole agent at default settings, on a host with a long deferred queue, in a farm of its own (root)',
  options: {
    minutes: {type: 'string', default: '30', help: 'how long it is measured; before that up to ten without it'},
    count: {type: 'string', default: '100000', help: 'deferred messages'},
    keep: {type: 'boolean', default: false, help: 'leave the farm up'},
  },
  async run(options, say) {
    const minutes = wholeNumber(options.minutes, 'minutes', 1, 10_000);
    const count = wholeNumber(options.count, 'count', 0, 1_000_000);
    const farm = agentFarm(say);
    try {
      const deb = await buildPackage();
      await down(farm);
      await up(farm, {deb, isFilled: false});
      await useDefaults(farm);
      await fill(farm, count);
      const without = await measureWithout(farm, Math.min(minutes * 60_000, WITHOUT_MS_MAX));
      return {minutes, count, ...(await measure(farm, minutes * 60_000, without))};
    } finally {
      if (options.keep !== true) await down(farm);
    }
  },
};

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

function agentFarm(say: (line: string) => void): Farm {
  return {
    paths: farmPaths({...process.env, MAILHERD_FARM_DIR: '/var/lib/mhfarm-bench/agent'}),
    layout: makeLayout('mhfarm2', '10.213.82', 12, [
      {name: 'agctl', role: 'control', release: 'bookworm', last: 1, labels: {}, isSpare: false},
      {name: HOST, role: 'backend', release: 'bookworm', last: 21, labels: {}, isSpare: false},
    ]),
    say,
  };
}

async function useDefaults({paths}: Farm): Promise<void> {
  const file = `${hostPaths(paths, HOST).root}/etc/mailherd/agent.yaml`;
  const config = parse(await readFile(file, 'utf8')) as Record<string, Record<string, unknown>>;
  for (const name of SHORTENED) {
    const [outer = '', inner] = name.split('.');
    if (inner === undefined) delete config[outer];
    else delete config[outer]?.[inner];
  }
  await writeFile(file, stringify(config));
  await runIn(paths, HOST, ['systemctl', 'stop', UNIT]);
}

/** Mail that is deferred once and tried again long after the benchmark. */
async function fill({paths, say}: Farm, count: number): Promise<void> {
  if (count === 0) return;
  const later = ['defer_transports=smtp', 'minimal_backoff_time=1d', 'maximal_backoff_time=1d', 'queue_run_delay=1d', 'in_flow_delay=0'];
  await runIn(paths, HOST, ['postconf', '-e', ...later, 'default_transport=smtp', 'relayhost=']);
  await runIn(paths, HOST, ['systemctl', 'restart', 'postfix']);
  const begunMs = performance.now();
  // In parts: a command in a host has a limit of its own.
  for (let left = count; left > 0; left -= 5_000) {
    const part = String(Math.min(left, 5_000));
    const mail = ['-s', '20', '-m', part, '-l', '1500', '-f', 'a@bench.invalid', '-t', 'b@bench.invalid', '127.0.0.1:25'];
    await runIn(paths, HOST, ['smtp-source', ...mail]);
  }
  for (;;) {
    const found = await runIn(paths, HOST, ['bash', '-c', 'find /var/spool/postfix/deferred -type f | wc -l']);
    if (Number(found) >= count) break;
    if (performance.now() - begunMs > FILL_TIMEOUT_MS) throw new Error(`only ${found.trim()} of ${count} messages were deferred`);
    await sleep(1_000);
  }
  say(`${count} messages deferred in ${Math.round((performance.now() - begunMs) / 1000)} s`);
}

interface Reading {
  atMs: number;
  cpuMs: number;
  rssMb: number;
  privateDirtyMb: number;
  fds: number;
  pid: number;
  /** null: none runs. */
  mover: Memory | null;
  /** The mover's run, the last one when none is on; null before the first. */
  moverRun: {id: string; cpuMs: number} | null;
}
interface Memory {
  rssMb: number;
  privateDirtyMb: number;
}

/** CPU of each service in percent of a core on the same host before its agent starts; Dovecot anew, without the metrics that agents add. */
async function measureWithout({paths, say}: Farm, forMs: number): Promise<Record<string, number>> {
  await runIn(paths, HOST, ['systemctl', 'restart', 'dovecot']);
  await sleep(SETTLE_MS);
  const first = await readServices(paths);
  await sleep(forMs);
  const without = percentOf(first, await readServices(paths));
  await runIn(paths, HOST, ['systemctl', 'start', UNIT]);
  say('measured without the agent; it is started');
  await sleep(SETTLE_MS);
  return without;
}

async function measure(farm: Farm, forMs: number, without: Record<string, number>): Promise<Record<string, unknown>> {
  const services = await readServices(farm.paths);
  const readings = [await read(farm)];
  const begunMs = performance.now();
  while (performance.now() - begunMs < forMs) {
    await sleep(SAMPLE_MS);
    readings.push(await read(farm));
  }
  const [first, last] = [readings[0], readings.at(-1)];
  if (first === undefined || last === undefined) throw new Error('nothing was read');
  if (first.pid !== last.pid) throw new Error('the agent was started anew meanwhile: its figures are of no one process');
  const percent = (ms: number): number => rounded((100 * ms) / (last.atMs - first.atMs));
  const moverMs = moverCpuMs(readings);
  const withMover = readings.filter(({mover}) => mover !== null);
  return {
    cpuPercent: percent(last.cpuMs - first.cpuMs + moverMs),
    moverCpuPercent: percent(moverMs),
    ...caused(percentOf(services, await readServices(farm.paths)), without),
    rssMb: rounded(Math.max(...readings.map(({rssMb}) => rssMb))),
    privateDirtyMb: rounded(Math.max(...readings.map(({privateDirtyMb}) => privateDirtyMb))),
    moverShare: rounded(withMover.length / readings.length),
    withMoverRssMb: withMover.length === 0 ? null : rounded(Math.max(...withMover.map(({rssMb, mover}) => rssMb + (mover?.rssMb ?? 0)))),
    withMoverPrivateDirtyMb:
      withMover.length === 0 ? null : rounded(Math.max(...withMover.map(each => each.privateDirtyMb + (each.mover?.privateDirtyMb ?? 0)))),
    rssSlopeMbPerHour: rounded(slopePerHour(readings, ({rssMb}) => rssMb)),
    fdSlope: rounded(slopePerHour(readings, ({fds}) => fds)),
  };
}

/** CPU of all runs of the mover that these readings saw, whose unit counts each run by itself. */
function moverCpuMs(readings: readonly Reading[]): number {
  const runs = new Map(readings.flatMap(({moverRun}) => (moverRun === null ? [] : [[moverRun.id, moverRun.cpuMs] as const])));
  return [...runs.values()].reduce((sum, ms) => sum + ms, 0) - (readings[0]?.moverRun?.cpuMs ?? 0);
}

/** What all services but the agent cost more with it than without, and each that is a fiftieth of that or more. */
function caused(withAgent: Record<string, number>, without: Record<string, number>): Record<string, unknown> {
  const more = Object.keys(withAgent)
    .filter(unit => unit !== UNIT && unit !== MOVER)
    .map(unit => [unit, (withAgent[unit] ?? 0) - (without[unit] ?? 0)] as const);
  const all = more.reduce((sum, [, percent]) => sum + percent, 0);
  const shown = more.filter(([, percent]) => Math.abs(percent) >= Math.abs(all) / 50).sort(([, a], [, b]) => b - a);
  return {
    causedCpuPercent: rounded(all),
    causedCpuPercentOf: Object.fromEntries(shown.map(([unit, percent]) => [unit, rounded(percent)])),
    withoutAgentCpuPercent: rounded(Object.values(without).reduce((sum, percent) => sum + percent, 0)),
  };
}

interface Services {
  atMs: number;
  cpuMs: Record<string, number>;
}

/** Where systemd has its groups: version 2 alone, or beside version 1. */
const SLICE = 'slice=/sys/fs/cgroup/system.slice; [ -e $slice/cpu.stat ] || slice=/sys/fs/cgroup/unified/system.slice';

/** CPU of each service and of all that belongs to it, processes that ended too. */
async function readServices(paths: Farm['paths']): Promise<Services> {
  const text = await runIn(paths, HOST, ['bash', '-c', `${SLICE}; cd $slice && grep -H '^usage_usec' */cpu.stat`]);
  const found = [...text.matchAll(/^(.+)\/cpu\.stat:usage_usec (\d+)$/gm)].map(([, unit = '', us]) => [unit, Number(us) / 1000]);
  if (found.length === 0) throw new Error(`the host has no services: ${text.slice(0, 200)}`);
  return {atMs: performance.now(), cpuMs: Object.fromEntries(found)};
}

/** Of a core, between two readings; a service that came meanwhile began with nothing. */
function percentOf(first: Services, last: Services): Record<string, number> {
  const ms = last.atMs - first.atMs;
  return Object.fromEntries(Object.entries(last.cpuMs).map(([unit, cpuMs]) => [unit, (100 * (cpuMs - (first.cpuMs[unit] ?? 0))) / ms]));
}

const READ = `
${SLICE}
pid=$(systemctl show -P MainPID ${UNIT})
cat $slice/${UNIT}/cpu.stat /proc/$pid/smaps_rollup && echo "descriptors $(ls /proc/$pid/fd | wc -l) of $pid"
echo MOVER; systemctl show -p InvocationID -p CPUUsageNSec -p MainPID ${MOVER}
mover=$(systemctl show -P MainPID ${MOVER}); [ $mover = 0 ] || cat /proc/$mover/smaps_rollup || true`;

/** CPU of the service's whole control group, of children that ended too; memory and descriptors of its main process; the same of the mover. */
async function read({paths}: Farm): Promise<Reading> {
  const [text = '', ofMover = ''] = (await runIn(paths, HOST, ['bash', '-c', READ])).split('MOVER\n');
  const of = (pattern: RegExp): string | null => pattern.exec(ofMover)?.[1] ?? null;
  const memory = [/^Rss:\s+(\d+) kB/m, /^Private_Dirty:\s+(\d+) kB/m].map(of);
  const [rss = null, dirty = null] = memory.map(kib => (kib === null ? null : Number(kib) / MIB_KIB));
  const [run, cpuNs] = [of(/^InvocationID=(\w+)$/m), of(/^CPUUsageNSec=(\d+)$/m)];
  const figure = (pattern: RegExp): number => {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) throw new Error(`the host does not say ${pattern}: ${text.slice(0, 200)}`);
    return Number(found);
  };
  return {
    atMs: performance.now(),
    cpuMs: figure(/^usage_usec (\d+)/m) / 1000,
    rssMb: figure(/^Rss:\s+(\d+) kB/m) / MIB_KIB,
    privateDirtyMb: figure(/^Private_Dirty:\s+(\d+) kB/m) / MIB_KIB,
    fds: figure(/^descriptors (\d+)/m),
    pid: figure(/^descriptors \d+ of (\d+)/m),
    mover: rss === null || dirty === null ? null : {rssMb: rss, privateDirtyMb: dirty},
    moverRun: run === null || cpuNs === null ? null : {id: run, cpuMs: Number(cpuNs) / 1e6},
  };
}

/** Growth an hour, by least squares. */
function slopePerHour(readings: readonly Reading[], value: (reading: Reading) => number): number {
  const mean = (values: number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
  const [middleMs, middle] = [mean(readings.map(({atMs}) => atMs)), mean(readings.map(value))];
  const along = readings.reduce((sum, reading) => sum + (reading.atMs - middleMs) * (value(reading) - middle), 0);
  const spread = readings.reduce((sum, {atMs}) => sum + (atMs - middleMs) ** 2, 0);
  return spread === 0 ? 0 : (along / spread) * HOUR_MS;
}
