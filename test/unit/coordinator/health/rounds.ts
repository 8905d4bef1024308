import {type Rng, seededRng} from '../../../../base/random.ts';
import {compare} from '../../../../coordinator/health/compare.ts';
import {type FigureMemory, type Mark, NO_FIGURE, type Reading} from '../../../../coordinator/health/figure.ts';

export const YARDSTICK = {scale: 10, ratioMin: 1.3};
export const hosts = (count: number): string[] => Array.from({length: count}, (_, index) => `h${index}`);

/** About normal, deviation 1. */
export const chance = (rng: Rng): number => Array.from({length: 12}, () => rng.unit()).reduce((sum, unit) => sum + unit, -6);

export interface Play {
  count?: number;
  seed?: number;
  rounds: number;
  /** Factor on the value of a host in a round. */
  factor?: (host: number, round: number) => number;
  load?: (host: number, round: number) => number;
  exponent?: number;
  isBurdened?: boolean;
  like?: (host: number) => string | null;
}

/** Plays rounds of ten seconds. @returns the marks of each round. */
export function played(play: Play): Mark[][] {
  const {count = 20, seed = 1, rounds, factor = () => 1, load = () => 2, exponent = 0, isBurdened = false, like = () => null} = play;
  const rng = seededRng(seed);
  let memory: FigureMemory = NO_FIGURE;
  return Array.from({length: rounds}, (_, round) => {
    const readings = hosts(count).map((host, index): Reading => {
      const own = load(index, round);
      const value = 500 * (1 + own) ** exponent * factor(index, round) * Math.exp(0.15 * chance(rng));
      return {host, load: own, value, isNew: true, isBurdened, like: like(index)};
    });
    const compared = compare(readings, memory, YARDSTICK, round * 10_000);
    memory = compared.memory;
    return hosts(count).map(host => compared.marks.get(host) as Mark);
  });
}

/** Hosts with a proof in the last round, by kind of proof. */
export const proved = (rounds: Mark[][]): [number, string][] =>
  (rounds.at(-1) ?? []).flatMap(({proof}, index): [number, string][] => (proof === null ? [] : [[index, proof]]));
export const firstProof = (rounds: Mark[][], host: number): number => rounds.findIndex(marks => marks[host]?.proof !== null);
