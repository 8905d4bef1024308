import {compare} from '../../coordinator/health/compare.ts';
import {type FigureMemory, type Mark, NO_FIGURE, type Reading, type Yardstick} from '../../coordinator/health/figure.ts';

/** Drives of one machine, minute by minute: peers of each other as hosts of a farm are. */
export interface Shelf {
  name: string;
  /** In order of time; each minute's drives in any order. */
  minutes: {atMs: number; drives: {drive: string; throughput: number; latency: number}[]}[];
}

const MB = 1_000_000;
/** Microseconds; a drive a twentieth slower than its peers is worth knowing. */
const YARDSTICK: Yardstick = {scale: 1, ratioMin: 1.04};

/** Slower by a factor from a minute on. */
export interface Slowing {
  drive: string;
  factor: number;
  fromMs: number;
}

/**
 * Judges a shelf's drives with the farm's own comparison: throughput is load, latency the figure.
 * @param spread how far drives that are well lie apart, as learnt from all shelves; null: not known yet.
 */
export function judgeShelf(shelf: Shelf, spread: number | null, slowing: Slowing | null): {marks: Map<string, Mark>; memory: FigureMemory} {
  let memory: FigureMemory = NO_FIGURE;
  const marks = new Map<string, Mark>();
  const yardstick = spread === null ? YARDSTICK : {...YARDSTICK, spread};
  for (const {atMs, drives} of shelf.minutes) {
    const readings = drives.map(({drive, throughput, latency}): Reading => {
      const isSlowed = slowing !== null && slowing.drive === drive && atMs >= slowing.fromMs;
      return {
        host: drive,
        load: throughput / MB,
        value: isSlowed ? latency * slowing.factor : latency,
        isNew: true,
        isBurdened: false,
        like: null,
      };
    });
    const compared = compare(readings, memory, yardstick, atMs);
    memory = compared.memory;
    for (const [drive, mark] of compared.marks) marks.set(drive, mark);
  }
  return {marks, memory};
}
