import type {Instant, Millis} from '../../base/units.ts';
import {DEFAULT_POLICY, floorOf, type Policy} from '../../wire/policy.ts';
import {compare, forget} from './compare.ts';
import {type FigureMemory, type Mark, markAt, NO_FIGURE, placesOf, type Reading} from './figure.ts';
import {KERNEL_TABLE} from './kernel.ts';
import {type HostSlis, median, OF_PROBES, SLI_TABLE, type SliName} from './sli.ts';
import {STAGE_TABLE, type StageName} from './stages.ts';
import {Sample} from './statistics.ts';

/** So many deviations are no luck. */
const STANDS_OUT = 3;
/** Fewer failures than fill so many reports are luck where others went well, whatever they stand out from: on a farm of hundreds somebody has them every few months. */
const FAILED_MIN = 2;
/** Of the usual floor, whatever the policy has. */
const FLOOR_SHARE_MIN = 0.01;
/** All of a role, but for one in ten. */
const ALL_SHARE = 0.9;
const ALL_MIN = 3;

/** What the comparison of figures remembers: by role and SLI, and the newest report of each host that was looked at. */
export interface FiguresMemory {
  figures: Readonly<Record<string, FigureMemory>>;
  seen: Readonly<Record<string, string>>;
}

export const NO_FIGURES: FiguresMemory = {figures: {}, seen: {}};

/** One host's marks; SLIs that were not measured have none. */
export type HostMarks = Partial<Record<SliName, Mark>>;
/** What hosts of a role have in common: what they usually show of what explains. */
export interface Usual {
  /** (Nearly) all of them feel something now that is no probe's failure: those may fail by themselves, for as long as nobody mends them. */
  isFeltByAll: boolean;
  kernel: ReturnType<HostSlis['kernel']>;
  /** Looked at only where a delay is to be explained. */
  stages: () => Partial<Record<StageName, number>>;
}
export const NOTHING_USUAL: Usual = {isFeltByAll: false, kernel: {}, stages: () => ({})};

/** Holds every host's newest figures against those of the other hosts of its role and against its own past. */
export function markAll(
  slis: readonly HostSlis[],
  memory: FiguresMemory,
  judge: Policy['judge'],
  nowMs: Instant,
): {marks: Map<string, HostMarks>; memory: FiguresMemory} {
  const marks = new Map<string, HostMarks>(slis.map(({host}) => [host, {}]));
  const figures: Record<string, FigureMemory> = {...memory.figures};
  const judged = slis.filter(({state}) => state === 'measured' || state === 'IDLE');
  const gone = slis.filter(({state}) => state === 'NOT_IN_SERVICE').map(({host}) => host);
  for (const role of new Set(judged.map(own => own.role))) {
    const own = judged.filter(other => other.role === role);
    const usualMs = median(own.flatMap(({intervalMs}) => intervalMs ?? [])) ?? 0;
    for (const {sli, scaleShare, trials} of SLI_TABLE) {
      const known = gone.reduce(forget, figures[`${role}/${sli}`] ?? NO_FIGURE);
      const readings: Reading[] = [];
      for (const host of own) {
        const reading = readingOf(host, sli, usualMs, memory);
        if (reading !== null) readings.push(reading);
      }
      if (readings.length === 0) continue;
      const compared = compare(readings, known, {scale: scaleShare * noiseFloor(judge, sli), ratioMin: judge.ratioMax}, nowMs);
      figures[`${role}/${sli}`] = compared.memory;
      const places = placesOf(own, known.hosts);
      for (const [index, each] of own.entries()) {
        const {host} = each;
        // A figure that one report lacks is judged as it was.
        const mark = compared.marks.get(host) ?? markAt(known.hosts, places[index] ?? -1);
        if (mark === null) continue;
        const isLuck = trials !== undefined && mark.proof !== null && !standsOut(each, own, sli);
        (marks.get(host) as HostMarks)[sli] = isLuck ? {...mark, proof: null} : mark;
      }
    }
  }
  return {marks, memory: {figures, seen: Object.fromEntries(judged.map(({host, reportKey}) => [host, reportKey]))}};
}

/** A floor that a person sets to (almost) nothing makes every difference felt, but none of them large. */
function noiseFloor(judge: Policy['judge'], sli: SliName): number {
  return Math.max(floorOf(judge, sli), FLOOR_SHARE_MIN * floorOf(DEFAULT_POLICY.judge, sli));
}

type Tried = Pick<HostSlis, 'host' | 'values' | 'trials'>;

/**
 * A share of few trials jumps from report to report between nothing and all. What single reports seem to prove must stand when all trials of
 * the window count together: the host's own against the share of the better quarter of the others, as deviations of a binomial share.
 */
export function standsOut(own: Tried, all: readonly Tried[], sli: SliName): boolean {
  const share = own.values[sli];
  const count = own.trials[sli] ?? 0;
  const others = all.flatMap(({host: name, values, trials}) => {
    const value = values[sli];
    return name === own.host || value === null ? [] : [{value, trials: trials[sli] ?? 0}];
  });
  const better = Sample.of(others.map(({value}) => value)).quantile(0.25);
  if (share === null || better === null || count === 0 || (share < 1 && share * count < FAILED_MIN)) return false;
  // As if half a trial more had failed: of few that all went well it is not known that none ever fails.
  const tried = others.reduce((sum, {trials}) => sum + trials, 0);
  const usual = (better * tried + 0.5) / (tried + 1);
  return share - usual >= STANDS_OUT * Math.sqrt((usual * (1 - usual)) / count);
}

/** @param usualMs what the newest reports cover, in the middle of all. */
function readingOf(own: HostSlis, sli: SliName, usualMs: Millis, {seen}: FiguresMemory): Reading | null {
  const {host, hardware, latest, loadPerSecond, reportKey, intervalMs, isMoving} = own;
  const value = latest[sli];
  if (value === null) return null;
  const intervals = intervalMs === null || usualMs === 0 ? 1 : intervalMs / usualMs;
  return {host, load: loadPerSecond, value, isNew: seen[host] !== reportKey, intervals, isBurdened: isMoving, like: hardware};
}

/** By role, the lower middle of the better half of each figure that explains: a bad release does not become usual. */
export function usualOf(slis: readonly HostSlis[], judge: Policy['judge']): Partial<Record<HostSlis['role'], Usual>> {
  const measured = slis.filter(({state}) => state === 'measured');
  const usual: Partial<Record<HostSlis['role'], Usual>> = {};
  for (const role of new Set(measured.map(own => own.role))) {
    const own = measured.filter(other => other.role === role);
    const figures = KERNEL_TABLE.map(({figure}) => figure);
    let stages: ReturnType<Usual['stages']> | null = null;
    const feeling = own.filter(({values}) =>
      SLI_TABLE.some(({sli}) => !OF_PROBES.has(sli) && (values[sli] ?? 0) > floorOf(judge, sli)),
    ).length;
    usual[role] = {
      isFeltByAll: own.length >= ALL_MIN && feeling >= ALL_SHARE * own.length,
      kernel: betterOf(
        figures,
        own.map(({latestKernel}) => latestKernel ?? {}),
      ),
      stages: () => {
        stages ??= betterOf(
          STAGE_TABLE.map(({stage}) => stage),
          own.map(({latestStages}) => latestStages().ms),
        );
        return stages;
      },
    };
  }
  return usual;
}

function betterOf<K extends string>(names: readonly K[], shown: readonly Partial<Record<K, number | null>>[]): Partial<Record<K, number>> {
  const usual: Partial<Record<K, number>> = {};
  for (const name of names) {
    const values = new Sample(shown.length);
    for (const own of shown) if (own[name] != null) values.add(own[name]);
    const middle = values.quantile(0.25);
    if (middle !== null) usual[name] = middle;
  }
  return usual;
}
