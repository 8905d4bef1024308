import type {Instant} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {CohortVerdict} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {findCohorts, NO_COHORTS, type Subject} from './cohort.ts';
import {figureAt, PAST_MIN, placesOf} from './figure.ts';
import type {FiguresMemory} from './marks.ts';
import {type HostSlis, median, type SliName} from './sli.ts';

/** Whoever is spared has at most this share of what those have that feel it: hardware alone makes no host so much faster. */
const SPARED_SHARE_MAX = 1 / 3;

/** Labels of most hosts, all that feel something, and the few without it that feel nothing of it. */
export interface Majority {
  cohort: CohortVerdict;
  spared: readonly string[];
  /** What those that are spared show, in the middle. */
  usual: number;
}

/**
 * What parts hosts that feel something from the few that are spared, where so many feel it that nobody can be proved to be worse than the rest.
 * Spared is who shows far less of it, and did not get slower when the others did: what reaches everybody reaches those, too.
 * @param own hosts of one role that are measured.
 * @param sli what most of them feel.
 * @returns null where nobody is spared, or no label parts them.
 */
export function majorityOf(
  own: readonly HostSlis[],
  sli: SliName,
  labelsOf: (host: string) => Labels,
  {figures}: FiguresMemory,
  judge: Policy['judge'],
  nowMs: Instant,
): Majority | null {
  const floor = floorOf(judge, sli);
  const felt = median(own.flatMap(({values}) => ((values[sli] ?? 0) > floor ? (values[sli] ?? 0) : [])));
  if (felt === null) return null;
  const known = figures[`backend/${sli}`]?.hosts;
  const places = known === undefined ? [] : placesOf(own, known);
  const hasRisen = (index: number): boolean => {
    const place = places[index] ?? -1;
    const past = known === undefined || place < 0 ? null : figureAt(known, place);
    return past !== null && past.count >= PAST_MIN && past.lately - past.usual >= Math.log(judge.ratioMax);
  };
  const subjects = own.map(({host, values}, index): Subject => {
    const value = values[sli];
    const isSpared = value !== null && value <= SPARED_SHARE_MAX * felt && !hasRisen(index);
    const kind = value !== null && value > floor ? 'sick' : isSpared ? 'healthy' : 'unknown';
    return {host, labels: labelsOf(host), kind, evidence: []};
  });
  const cohort = findCohorts(subjects, NO_COHORTS, judge, nowMs).cohorts.find(({explained}) => explained);
  const spared = subjects.flatMap(({host, kind}) => (kind === 'healthy' ? [host] : []));
  const usual = median(own.flatMap(({host, values}) => (spared.includes(host) ? (values[sli] ?? []) : [])));
  return cohort === undefined || usual === null ? null : {cohort, spared, usual};
}
