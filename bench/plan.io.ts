import {existsSync} from 'node:fs';
import {lowerBound} from '../coordinator/plan/bound.ts';
import {assertModel} from '../coordinator/plan/model.ts';
import {costOf, violationsOf} from '../coordinator/plan/model-check.ts';
import {searchPlan} from '../native/binding.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';
import {type Instance, listInstances, readInstance} from './roadef.io.ts';

export const benchmark: Benchmark = {
  summary: "placing, on the instances of the ROADEF/EURO challenge 2012 (machine reassignment), by the contest's score",
  options: {
    data: {type: 'string', help: 'folder with reference.json and a sub-folder for each set of instances'},
    seconds: {type: 'string', default: '300', help: 'for each instance; the contest gave 300'},
    steps: {type: 'string', default: '0', help: 'moves tried by each thread instead of seconds, the same result every time'},
    threads: {type: 'string', default: '2', help: 'the contest gave two cores'},
    seed: {type: 'string', default: '1', help: 'of the search'},
    only: {type: 'string', help: 'instances whose names begin with this, separated by commas'},
  },
  async run(options, say) {
    const {data, only} = options;
    if (typeof data !== 'string') throw new Error('--data names the folder of the instances');
    if (!existsSync(data)) throw new Error(`there is no ${data}`);
    const seconds = wholeNumber(options.seconds, 'seconds', 1, 86_400);
    const steps = wholeNumber(options.steps, 'steps', 0, 1e12);
    const limits = {
      ms: steps > 0 ? 0 : seconds * 1000,
      steps,
      threads: wholeNumber(options.threads, 'threads', 1, 64),
      seed: wholeNumber(options.seed, 'seed', 0, 2 ** 31),
    };
    const starts = typeof only === 'string' ? only.split(',') : [''];
    const instances: Record<string, {cost: number; score: number | null}> = {};
    const sums: Record<string, number> = {A: 0, B: 0};
    let violations = 0;
    say('instance       initial            cost      best known   gap %    score  over the bound %  violations  steps/1e6');
    for (const listed of listInstances(data).filter(({name}) => starts.some(start => name.startsWith(start)))) {
      const instance = readInstance(data, listed);
      const result = await solve(instance, limits);
      instances[listed.name] = {cost: result.cost, score: result.score};
      sums[listed.set] = (sums[listed.set] ?? 0) + (result.score ?? 0);
      violations += result.violations;
      say(result.line);
    }
    const {A, B, ...others} = sums;
    const more = Object.fromEntries(Object.entries(others).map(([set, sum]) => [`score${set}`, rounded(sum)]));
    return {seconds, violations, scoreA: rounded(A ?? 0), scoreB: rounded(B ?? 0), ...more, instances};
  },
};

async function solve(
  {name, model, reference}: Instance,
  limits: {ms: number; steps: number; threads: number; seed: number},
): Promise<{cost: number; score: number | null; violations: number; line: string}> {
  assertModel(model);
  const initial = costOf(model, model.home).total;
  const bound = lowerBound(model);
  const found = await searchPlan(model, model.home, {...limits, enough: bound, heat: 1});
  const cost = costOf(model, found.assignment).total;
  const broken = violationsOf(model, found.assignment);
  const violations = broken.length + (cost === found.cost ? 0 : 1);
  const best = reference?.best_valid ?? null;
  const score = best === null ? null : (100 * (cost - best)) / initial;
  const cells = [
    name.padEnd(8),
    String(initial).padStart(14),
    String(cost).padStart(15),
    String(best ?? '-').padStart(15),
    best === null ? '-' : (best === 0 ? 0 : (100 * (cost - best)) / best).toFixed(2).padStart(7),
    (score?.toFixed(4) ?? '-').padStart(8),
    (bound === 0 ? '-' : (100 * (cost / bound - 1)).toFixed(2)).padStart(17),
    String(violations).padStart(11),
    (found.steps / 1e6).toFixed(0).padStart(10),
  ];
  const [first] = broken;
  return {cost, score, violations, line: `${cells.join(' ')}${first === undefined ? '' : ` ${JSON.stringify(first)}`}`};
}
