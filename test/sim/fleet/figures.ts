import type {Score} from './score.ts';

/** Figures over many scenarios, as the judge is measured by. Shares are null where nothing was there to be found. */
export interface Figures {
  scenarios: number;
  hostPrecision: number | null;
  hostRecall: number | null;
  mildRecall: number | null;
  cohortPrecision: number | null;
  cohortRecall: number | null;
  causeNamedRight: number | null;
  falseHostVerdictsPer100HostMonths: number | null;
  /** What it is at most with 95 % confidence: the rule of three and its like for more than none. */
  falseHostVerdictsPer100HostMonthsMax: number | null;
  falseSuspects: number;
  falseEvacuations: number;
  medianSecondsToHost: number | null;
  medianSecondsToCohort: number | null;
  innocents: number;
  innocentMistaken: number;
  quietHostMonths: number;
}

/** @param quiet scores of long plays in which nothing happens: false verdicts a time are counted on these. */
export function figuresOf(faults: readonly Score[], innocents: readonly Score[], quiet: readonly Score[]): Figures {
  const sum = (scores: readonly Score[], pick: (score: Score) => number): number => scores.reduce((total, score) => total + pick(score), 0);
  const all = [...faults, ...innocents, ...quiet];
  const falseHosts = sum(faults, ({falseHosts: hosts}) => hosts.length);
  const found = sum(faults, score => score.found.length);
  const causes = sum(all, score => score.causes);
  const causesFound = sum(all, score => score.causesFound);
  const wrong = sum(all, ({wrongCauses}) => wrongCauses.length);
  const quietHostMonths = sum(quiet, ({hostMonths}) => hostMonths);
  const falseQuiet = sum(quiet, ({falseHosts: hosts}) => hosts.length);
  return {
    scenarios: all.length,
    hostPrecision: share(found, found + falseHosts),
    hostRecall: share(
      found,
      sum(faults, ({harmed}) => harmed.length),
    ),
    mildRecall: share(
      sum(faults, ({mildFound}) => mildFound),
      sum(faults, ({mild}) => mild),
    ),
    cohortPrecision: share(causesFound, causesFound + wrong),
    cohortRecall: share(causesFound, causes),
    causeNamedRight: share(causesFound, causes),
    falseHostVerdictsPer100HostMonths: quietHostMonths === 0 ? null : (100 * falseQuiet) / quietHostMonths,
    falseHostVerdictsPer100HostMonthsMax: quietHostMonths === 0 ? null : (100 * poissonMax(falseQuiet)) / quietHostMonths,
    falseSuspects: sum(all, ({falseSuspects}) => falseSuspects.length),
    falseEvacuations: sum(all, ({evacuatedFalsely}) => evacuatedFalsely.length),
    medianSecondsToHost: middle(faults.flatMap(({secondsToHost}) => secondsToHost)),
    medianSecondsToCohort: middle(faults.flatMap(({secondsToCohort}) => secondsToCohort)),
    innocents: innocents.length,
    innocentMistaken: innocents.filter(isMistaken).length,
    quietHostMonths,
  };
}

/** Somebody was blamed or would have been moved who had done nothing. */
export function isMistaken({falseHosts, evacuatedFalsely}: Score): boolean {
  return falseHosts.length > 0 || evacuatedFalsely.length > 0;
}

/** Upper limit of 95 % on the mean of a Poisson variable of which so many were seen: the mean at which so few come once in twenty times. */
function poissonMax(seen: number): number {
  let [low, high] = [seen, 3 * seen + 10];
  for (let step = 0; step < 60; step++) {
    const mean = (low + high) / 2;
    let term = Math.exp(-mean);
    let chance = term;
    for (let count = 1; count <= seen; count++) {
      term *= mean / count;
      chance += term;
    }
    if (chance > 0.05) low = mean;
    else high = mean;
  }
  return high;
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function middle(values: number[]): number | null {
  return values.sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? null;
}
