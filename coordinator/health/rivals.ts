import {type Cell, kindsOf} from './explain.ts';
import {fisherChance} from './fisher.ts';

/** Chances are rounded; so much more is the same. */
const SAME = 1 + 1e-9;

/**
 * How many divisions of the cells by so many labels could have come out as unlikely as one that did, whoever had been bad: only these are
 * chances to be wrong. One label of half of the hosts, or a pair of none, never looks like two hosts of eighty. Source: R. E. Tarone,
 * A modified Bonferroni method for discrete data (1990).
 * @param cells hosts; those with neither weight say nothing.
 * @param labels how many labels divide, 1 to 3; what fewer of them divide the same way is not counted.
 * @param isOf which labels are tried.
 * @param chance of the division that is told.
 * @param most counting stops beyond it.
 */
export function rivals(cells: readonly Cell[], labels: number, isOf: (key: string) => boolean, chance: number, most: number): number {
  const telling = cells.filter(({bad, good}) => bad + good > 0);
  const bad = telling.reduce((sum, cell) => sum + Number(cell.bad > 0), 0);
  const mayBe = mayBeAsUnlikely(telling.length, bad, chance);
  const kinds = kindsOf(telling).filter(({key}) => isOf(key));
  let all = 1;
  for (let label = 0; label < labels; label++) all *= (kinds.length - label) / (label + 1);
  // However many of them could: they are few enough.
  if (all <= most) return all;
  const seen = new Set<string>();
  const extend = (keys: readonly string[], members: readonly number[], from: number): void => {
    for (let index = from; index < kinds.length && seen.size <= most; index++) {
      const {key = '', members: own = []} = kinds[index] ?? {};
      if (keys.includes(key)) continue;
      const both = keys.length === 0 ? own : common(members, own);
      if (keys.length > 0 && (both.length === members.length || both.length === own.length)) continue;
      if (keys.length + 1 < labels) {
        if (both.length > 0) extend([...keys, key], both, index + 1);
      } else if (mayBe(both.length)) seen.add(both.join());
    }
  };
  extend([], [], 0);
  return seen.size;
}

/**
 * Whether a division is no chance for all its rivals.
 * @param chanceMax of being wrong, by any of them. The others as `rivals`.
 */
export function standsAgainstRivals(
  cells: readonly Cell[],
  labels: number,
  isOf: (key: string) => boolean,
  chance: number,
  chanceMax: number,
): boolean {
  const most = chanceMax / chance;
  return Math.max(1, rivals(cells, labels, isOf, chance, most)) <= most;
}

/** Whether so many members could be so unlikely a division: when as many of them as can be are bad. */
function mayBeAsUnlikely(all: number, bad: number, chance: number): (members: number) => boolean {
  const known = new Map<number, boolean>();
  return members => {
    const may = known.get(members) ?? leastChance(members, all, bad) <= chance * SAME;
    known.set(members, may);
    return may;
  };
}

function leastChance(members: number, all: number, bad: number): number {
  const hit = Math.min(members, bad);
  return fisherChance(hit, members - hit, bad - hit, all - members - (bad - hit));
}

/** In both, of two lists in ascending order. */
function common(a: readonly number[], b: readonly number[]): number[] {
  const both: number[] = [];
  let at = 0;
  for (const value of a) {
    while (at < b.length && (b[at] ?? 0) < value) at++;
    if (b[at] === value) both.push(value);
  }
  return both;
}
