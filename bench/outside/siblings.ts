import {compare} from '../../coordinator/health/compare.ts';
import {type FigureMemory, keepHosts, NO_FIGURE, type Reading, type Yardstick} from '../../coordinator/health/figure.ts';
import {median} from '../../coordinator/health/sli.ts';

/** One benchmark on sibling machines on which nothing is wrong. */
export interface Series {
  name: string;
  /** Greater is better: turned over before it is judged. */
  isRate: boolean;
  /** In order of time. */
  readings: {vm: string; atMs: number; value: number}[];
}

export interface SeriesFigures {
  /** Machines once called worse than their siblings. */
  called: string[];
  readings: number;
}

/**
 * The farm's own: what is not this much worse is not worth a verdict. Nobody feels a benchmark, so this times what is expected stands for
 * the floor, which the middle of a window of six readings must exceed.
 */
const RATIO_MIN = 1.3;
/** A machine that has not been seen for so long is no peer any more. */
const PEER_MS = 2 * 86_400_000;
const PEERS_MAX = 40;
const WINDOW = 6;
/** So many readings in a row must be proved worse: a dwell of three reports. */
const DWELL = 3;

/** Plays a series through the farm's comparison; each machine is held against what its siblings showed last. */
export function judgeSeries({isRate, readings}: Series): SeriesFigures {
  const values = readings.map(({value}) => value).sort((a, b) => a - b);
  const middle = values[Math.floor(values.length / 2)] ?? 1;
  const figureOf = (value: number): number => (isRate ? (middle * middle) / Math.max(value, middle * 1e-6) : value);
  const yardstick: Yardstick = {scale: 0.005 * middle, ratioMin: RATIO_MIN};
  const newest = new Map<string, {atMs: number; value: number}>();
  const windows = new Map<string, number[]>();
  const inRow = new Map<string, number>();
  const called = new Set<string>();
  let memory: FigureMemory = NO_FIGURE;
  for (const {vm, atMs, value} of readings) {
    newest.delete(vm);
    newest.set(vm, {atMs, value: figureOf(value)});
    for (const [other, seen] of newest) {
      if (newest.size <= PEERS_MAX && atMs - seen.atMs <= PEER_MS) break;
      newest.delete(other);
    }
    const now = [...newest].map(
      ([host, seen]): Reading => ({host, load: null, value: seen.value, isNew: host === vm, isBurdened: false, like: null}),
    );
    const compared = compare(now, memory, yardstick, atMs);
    // Machines that come and go would be remembered for ever.
    const {hosts} = compared.memory;
    const hasLeft = hosts.names.length > newest.size;
    memory = hasLeft ? {...compared.memory, hosts: keepHosts(hosts, host => newest.has(host))} : compared.memory;
    const mark = compared.marks.get(vm);
    const window = [...(windows.get(vm) ?? []), figureOf(value)].slice(-WINDOW);
    windows.set(vm, window);
    const isWorse = mark !== undefined && mark.proof !== null && (median(window) ?? 0) > RATIO_MIN * mark.expected;
    inRow.set(vm, isWorse ? (inRow.get(vm) ?? 0) + 1 : 0);
    if ((inRow.get(vm) ?? 0) >= DWELL) called.add(vm);
  }
  return {called: [...called], readings: readings.length};
}
