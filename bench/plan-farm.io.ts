import {performance} from 'node:perf_hooks';
import {seededRng} from '../base/random.ts';
import {construct} from '../coordinator/plan/construct.ts';
import {DISK, type FarmHost, type FarmModel, LEVELS, LOAD, type Movables, modelOfFarm, RESOURCES} from '../coordinator/plan/farm.ts';
import {assertModel} from '../coordinator/plan/model.ts';
import {costOf, violationsOf} from '../coordinator/plan/model-check.ts';
import {searchPlan} from '../native/binding.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';

const GIB = 2 ** 30;
/** Share of the bound within which a plan counts as good. */
const GAP = 0.02;

export const benchmark: Benchmark = {
  summary: 'placing on farms of 160 and 400 hosts whose newest release has to be left: time to a plan, and how good it is',
  options: {
    seconds: {type: 'string', default: '10', help: 'for the search, after the first plan'},
    seed: {type: 'string', default: '1', help: 'of farm and search'},
  },
  async run(options, say) {
    const seconds = wholeNumber(options.seconds, 'seconds', 1, 3600);
    const seed = wholeNumber(options.seed, 'seed', 0, 2 ** 31);
    let figures: Record<string, unknown> = {};
    for (const [hosts, mailboxes, leaving] of [
      [160, 800_000, 60],
      [400, 2_000_000, 150],
    ] as const) {
      figures = await measure(hosts, mailboxes, leaving, seconds, seed);
      say(`${hosts} hosts, ${mailboxes} mailboxes, ${leaving} hosts to leave: ${JSON.stringify(figures)}`);
    }
    return figures;
  },
};

async function measure(hosts: number, mailboxes: number, leaving: number, seconds: number, seed: number): Promise<Record<string, unknown>> {
  const farm = drawFarm(hosts, mailboxes, leaving, seed);
  const start = performance.now();
  const since = (): number => (performance.now() - start) / 1000;
  const problem = modelOfFarm(farm.hosts, farm.movables);
  const {model, bound} = problem;
  assertModel(model);
  const first = construct(model, LEVELS);
  const feasibleSeconds = since();
  const enough = bound * (1 + GAP);
  const firstCost = costOf(model, first).total;
  const found = firstCost <= enough ? {assignment: first} : await searchPlan(model, first, {...LIMITS, ms: seconds * 1000, seed, enough});
  const took = firstCost <= enough ? feasibleSeconds : since();
  const violations = violationsOf(model, found.assignment).length;
  const cost = costOf(model, found.assignment).total;
  return {
    ...{feasibleSeconds: rounded(feasibleSeconds), seconds: rounded(took), gapPercent: rounded(100 * (cost / bound - 1))},
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    ...qualityOf(farm.hosts, problem, found.assignment),
    violations,
    firstGapPercent: rounded(100 * (firstCost / bound - 1)),
  };
}

const LIMITS = {steps: 0, threads: 2, heat: 0.01};

/** Against the least that has to move, and against the level that fractions would reach. */
function qualityOf(hosts: readonly FarmHost[], problem: FarmModel, assignment: Int32Array): Record<string, number> {
  const {model, unitBytes, unitLoad, level} = problem;
  const come = new Float64Array(hosts.length * RESOURCES);
  let [moved, leaving, unplaced] = [0, 0, 0];
  for (let process = 0; process < model.processes; process++) {
    const to = assignment[process] as number;
    leaving += model.need[process * RESOURCES + DISK] as number;
    if (to === model.home[process]) unplaced++;
    else moved += model.need[process * RESOURCES + DISK] as number;
    for (let r = 0; r < RESOURCES; r++) {
      come[to * RESOURCES + r] = (come[to * RESOURCES + r] as number) + (model.need[process * RESOURCES + r] as number);
    }
  }
  const open = [...hosts.entries()].filter(([, {isOpen}]) => isOpen);
  const worst = (stays: (host: FarmHost) => number, resource: number, unit: number, fair: number): number => {
    const after = open.map(([at, host]) => (stays(host) + (come[at * RESOURCES + resource] as number) * unit) / host.strength);
    return Math.max(...after) / Math.max(fair, ...open.map(([, host]) => stays(host) / host.strength));
  };
  const bytes = worst(({stayBytes}) => stayBytes, DISK, unitBytes, level.bytes);
  const load = worst(({stayLoad}) => stayLoad, LOAD, unitLoad, level.load);
  return {movedBytesRatio: rounded(moved / leaving), worstHostRatio: rounded(Math.max(bytes, load)), unplaced};
}

/**
 * Sizes are log-normal with a Pareto tail up to 50 GiB, loads follow sizes loosely; two generations of hardware; every host was filled
 * at random.
 */
function drawFarm(count: number, mailboxes: number, leaving: number, seed: number): {hosts: FarmHost[]; movables: Movables} {
  const rng = seededRng(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - rng.unit())) * Math.cos(2 * Math.PI * rng.unit());
  const strengths = Array.from({length: count}, (_, at) => (at < leaving || rng.unit() < 0.5 ? 1.5 : 1));
  const [stayBytes, stayLoad] = [new Float64Array(count), new Float64Array(count)];
  const [home, bytes, load]: [number[], number[], number[]] = [[], [], []];
  for (let mailbox = 0; mailbox < mailboxes; mailbox++) {
    const host = rng.below(count);
    const size = Math.min(50 * GIB, rng.unit() < 0.02 ? (2 * GIB) / (1 - rng.unit()) ** 0.8 : 0.2 * GIB * Math.exp(1.3 * normal()));
    const work = (size / GIB) ** 0.5 * Math.exp(0.8 * normal());
    if (host < leaving) {
      home.push(host);
      bytes.push(size);
      load.push(work);
    } else {
      stayBytes[host] = (stayBytes[host] as number) + size;
      stayLoad[host] = (stayLoad[host] as number) + work;
    }
  }
  const perStrength = (stayBytes.reduce((sum, one) => sum + one, 0) / (count - leaving)) * 2.2;
  const hosts = strengths.map((strength, at): FarmHost => {
    const [stays, isOpen] = [stayBytes[at] as number, at >= leaving];
    const roomBytes = isOpen ? perStrength * strength - stays : 0;
    return {name: `be${at}`, roomBytes, stayBytes: stays, stayLoad: stayLoad[at] as number, loadMax: null, isOpen, strength};
  });
  return {hosts, movables: {home: Int32Array.from(home), bytes: Float64Array.from(bytes), load: Float64Array.from(load)}};
}
