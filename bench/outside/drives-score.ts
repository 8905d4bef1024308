import type {Rng} from '../../base/random.ts';
import {figureAt} from '../../coordinator/health/figure.ts';
import {Sample} from '../../coordinator/health/statistics.ts';
import {judgeShelf, type Shelf} from './drives.ts';

/** Slowings by so many percent are tried. */
export const PERCENTS = [5, 10, 15, 20, 30] as const;

export interface DriveFigures {
  /** Truly slow drives that were found, of how many, and others that were called slow. */
  found: string[];
  falseDrives: string[];
  /** Share of well drives, slowed by so many percent all the time, that were found. */
  recall: Record<string, number>;
  /** The same when they are slowed from the middle of the time on. */
  recallFromMiddle: Record<string, number>;
  /** Drives called slow beside the slowed one, over all draws. */
  falseInDraws: number;
  draws: number;
}

/** @param truth names `shelf/drive` of the truly slow ones; they are left out of the draws, as are their shelves' other drives not. */
export function scoreDrives(shelves: readonly Shelf[], truth: readonly string[], draws: number, rng: Rng): DriveFigures {
  const spread = spreadOf(shelves);
  const called = (shelf: Shelf, slowing: Parameters<typeof judgeShelf>[2]): string[] =>
    [...judgeShelf(shelf, spread, slowing).marks].filter(([, {proof}]) => proof !== null).map(([drive]) => `${shelf.name}/${drive}`);
  const usual = new Map(shelves.map(shelf => [shelf.name, called(shelf, null)]));
  const all = [...usual.values()].flat();
  const figures: DriveFigures = {
    found: all.filter(name => truth.includes(name)),
    falseDrives: all.filter(name => !truth.includes(name)),
    recall: {},
    recallFromMiddle: {},
    falseInDraws: 0,
    draws: 0,
  };
  for (const percent of PERCENTS) {
    for (const kind of ['recall', 'recallFromMiddle'] as const) {
      let hits = 0;
      for (let draw = 0; draw < draws; draw++) {
        const shelf = rng.pick(shelves);
        const drives = (shelf.minutes[0]?.drives ?? []).map(({drive}) => drive).filter(drive => !truth.includes(`${shelf.name}/${drive}`));
        const drive = rng.pick(drives);
        const middleMs = shelf.minutes[Math.floor(shelf.minutes.length / 2)]?.atMs ?? 0;
        const now = called(shelf, {drive, factor: 1 + percent / 100, fromMs: kind === 'recall' ? 0 : middleMs});
        const name = `${shelf.name}/${drive}`;
        if (now.includes(name)) hits++;
        figures.falseInDraws += now.filter(other => other !== name && !truth.includes(other)).length;
        figures.draws++;
      }
      figures[kind][String(percent)] = hits / draws;
    }
  }
  return figures;
}

/** How far drives that are well lie apart, pooled over all shelves: their quartiles, which a few slow ones do not move. */
function spreadOf(shelves: readonly Shelf[]): number {
  const own = shelves.flatMap(shelf => {
    const {hosts} = judgeShelf(shelf, null, null).memory;
    const lasting = hosts.names.map((_, place) => figureAt(hosts, place).own);
    const middle = Sample.of(lasting).quantile(0.5) ?? 0;
    return lasting.map(value => value - middle);
  });
  const sample = Sample.of(own);
  return ((sample.quantile(0.75) ?? 0) - (sample.quantile(0.25) ?? 0)) / 1.349;
}
