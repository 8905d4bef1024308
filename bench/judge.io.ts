import {seededRng} from '../base/random.ts';
import {FAULTS} from '../test/sim/fleet/faults.ts';
import {figuresOf, isMistaken} from '../test/sim/fleet/figures.ts';
import {playQuiet} from '../test/sim/fleet/quiet.ts';
import {drawFault, drawInnocent, INNOCENT_NAMES, type Scenario} from '../test/sim/fleet/scenario.ts';
import {type Score, score} from '../test/sim/fleet/score.ts';
import {DEFAULT_POLICY} from '../wire/policy.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';

/** Nobody waits for approval here: what would be carried out is what counts. */
const POLICY = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, evacuate: 'on' as const, rebalance: 'off' as const}};

export const benchmark: Benchmark = {
  summary: 'verdicts on simulated farms with known faults, and with things that only look like faults',
  options: {
    seeds: {type: 'string', default: '1', help: 'every fault and every innocent thing is drawn once a seed'},
    first: {type: 'string', default: '7000', help: 'the first seed; seeds below 7000 have been looked at'},
    quiet: {type: 'string', default: '0', help: 'hours of a farm a seed in which nothing is wrong, for false verdicts a month'},
    only: {type: 'string', help: 'only faults and innocent things whose name contains this; none: just quiet farms'},
    list: {type: 'boolean', default: false, help: 'say what was missed or mistaken in each scenario'},
  },
  run(options, say) {
    const seeds = wholeNumber(options.seeds, 'seeds', 1, 100_000);
    const first = wholeNumber(options.first, 'first', 0, 1e9);
    const hours = wholeNumber(options.quiet, 'quiet', 0, 10_000);
    const only = typeof options.only === 'string' ? options.only : '';
    const isListed = options.list === true;
    const listed = (result: Score, seed: number): Score => {
      if (isListed) for (const line of linesOf(result, seed)) say(line);
      return result;
    };
    // What nothing has mangled is spared the door, which would let it in as it is.
    const run = (scenario: Scenario, seed: number): Score =>
      listed(score({...scenario, isPastTheDoor: scenario.innocent?.mangle === undefined}, POLICY), seed);
    let quietJudged = 0;
    const scores: {faults: Score[]; innocents: Score[]; quiet: Score[]} = {faults: [], innocents: [], quiet: []};
    for (let seed = first; seed < first + seeds; seed++) {
      const rng = seededRng(seed);
      for (const kind of FAULTS) if (kind.name.includes(only)) scores.faults.push(run(drawFault(seed, rng, kind), seed));
      for (const name of INNOCENT_NAMES) if (name.includes(only)) scores.innocents.push(run(drawInnocent(seed, rng, name), seed));
      if (hours > 0) {
        const {score: result, judgedHostMonths} = playQuiet(seed, hours, POLICY);
        scores.quiet.push(listed(result, seed));
        quietJudged += judgedHostMonths;
      }
      say(`seed ${seed} of ${first}..${first + seeds - 1}${quietSoFar(scores.quiet, quietJudged)}`);
    }
    const figures = figuresOf(scores.faults, scores.innocents, scores.quiet);
    const all = Object.entries({...figures, quietHostMonthsJudged: quietJudged});
    const shown = all.map(([name, value]) => [name, typeof value === 'number' ? rounded(value) : value]);
    return Promise.resolve({firstSeed: first, seeds, ...Object.fromEntries(shown)});
  },
};

function quietSoFar(scores: readonly Score[], judged: number): string {
  if (scores.length === 0) return '';
  const {
    quietHostMonths,
    falseHostVerdictsPer100HostMonths: a100,
    falseHostVerdictsPer100HostMonthsMax: most,
    falseEvacuations,
  } = figuresOf([], [], scores);
  const months = `${rounded(quietHostMonths)} quiet host-months (${rounded(judged)} judged)`;
  return `: ${months}, ${rounded(a100 ?? 0)} false verdicts per 100, at most ${rounded(most ?? 0)}; ${falseEvacuations} false evacuations`;
}

function* linesOf(result: Score, seed: number): Generator<string> {
  const {name, harmed, found, mild, mildFound, falseHosts, falseSuspects, evacuatedFalsely, causes, causesFound, wrongCauses} = result;
  const at = `seed ${seed}, ${name}:`;
  if (found.length < harmed.length) yield `${at} missed ${harmed.filter(host => !found.includes(host)).length} of ${harmed.length}`;
  if (mildFound < mild) yield `${at} missed ${mild - mildFound} of ${mild} that nobody felt`;
  if (isMistaken(result)) yield `${at} MISTAKEN for sick ${falseHosts.join(' ')}; moved ${evacuatedFalsely.join(' ')}`;
  if (falseSuspects.length > 0) yield `${at} suspected ${falseSuspects.join(' ')}`;
  if (causesFound < causes) yield `${at} ${causes - causesFound} of ${causes} causes not named`;
  if (wrongCauses.length > 0) yield `${at} wrong cause ${wrongCauses.join('; ')}`;
}
