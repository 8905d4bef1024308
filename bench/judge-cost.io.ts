import {seededRng} from '../base/random.ts';
import {emptyMemory, flow} from '../coordinator/flow.ts';
import {compare} from '../coordinator/health/compare.ts';
import {type FigureMemory, NO_FIGURE, type Reading} from '../coordinator/health/figure.ts';
import {SLI_TABLE} from '../coordinator/health/sli.ts';
import {fold} from '../coordinator/report/fold.ts';
import {NOTHING} from '../test/sim/fleet/effect.ts';
import {fleetOf} from '../test/sim/fleet/play.ts';
import {World} from '../test/sim/fleet/world.ts';
import {DEFAULT_POLICY} from '../wire/policy.ts';
import {type Benchmark, median, rounded, wholeNumber} from './benchmark.ts';

const SLIS = 40;
const LABELS = 30;
const INTERVAL_MS = 10_000;
const WARM_ROUNDS = 40;
const SICK = {...NOTHING, delivery: 60, queueAge: 400};
/** A Tuesday forenoon. */
const START_MS = 1_704_189_600_000;

export const benchmark: Benchmark = {
  summary: 'CPU of one round of judging: hosts x 40 figures x 30 labels, in quiet times and while a release is sick',
  options: {
    hosts: {type: 'string', default: '400', help: 'hosts of the farm'},
    rounds: {type: 'string', default: '40', help: 'rounds measured of each kind'},
  },
  run(options) {
    const count = wholeNumber(options.hosts, 'hosts', 2, 10_000);
    const rounds = wholeNumber(options.rounds, 'rounds', 3, 10_000);
    const round = roundOf(count);
    for (let warm = 0; warm < WARM_ROUNDS; warm++) round(false);
    const quiet = Array.from({length: rounds}, () => round(false));
    // The release is sick for some rounds before its cohort is searched for at full length.
    for (let warm = 0; warm < 12; warm++) round(true);
    const sick = Array.from({length: rounds}, () => round(true));
    return Promise.resolve({
      hosts: count,
      figures: SLIS,
      labels: LABELS,
      quietRoundCpuMs: rounded(median(quiet)),
      sickRoundCpuMs: rounded(median(sick)),
      worstRoundCpuMs: rounded(Math.max(...quiet, ...sick)),
    });
  },
};

/** One round on a farm of so many hosts; what is measured is the flow and the comparison of the figures that it does not have (yet). */
function roundOf(count: number): (isSick: boolean) => number {
  const world = new World(seededRng(1), count);
  const hosts = world.hosts.map((host, index) => ({
    ...host,
    labels: {...host.labels, ...moreLabels(index, Object.keys(host.labels).length)},
  }));
  const fleet = fleetOf({name: 'cost', world, startMs: START_MS, onsetMs: 0, endMs: 0, faults: [], innocent: null});
  let memory = emptyMemory();
  let more: FigureMemory[] = Array.from({length: SLIS - SLI_TABLE.length}, () => NO_FIGURE);
  let atMs = START_MS;
  return isSick => {
    atMs += INTERVAL_MS;
    world.next();
    for (const host of hosts) {
      const report = world.report(host, atMs, isSick && host.labels.os === 'debian-13' ? SICK : NOTHING);
      fold(fleet, report, atMs);
    }
    const before = process.cpuUsage();
    const outcome = flow(fleet, memory, DEFAULT_POLICY, atMs);
    memory = outcome.memory;
    const readings = outcome.slis.map(({host, latest, loadPerSecond}): Reading => {
      return {host, load: loadPerSecond, value: latest.probeLoginMs ?? 100, isNew: true, isBurdened: false, like: host};
    });
    more = more.map(known => compare(readings, known, {scale: 10, ratioMin: 1.3}, atMs).memory);
    const {user, system} = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}

function moreLabels(index: number, there: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({length: LABELS - there}, (_, label) => [`label-${label}`, `v${(index * (label + 3)) % (label + 2)}`]),
  );
}
