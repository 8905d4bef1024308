import {floorOf, type Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Evidence, Verdict} from '../../wire/record.ts';
import {medianInterval} from './cohort.ts';
import {NOT_WORSE} from './judge.ts';
import {type HostSlis, median, SLI_TABLE, type SliName} from './sli.ts';

const SLIS: ReadonlySet<string> = new Set(SLI_TABLE.map(({sli}) => sli));

/**
 * What explains its hosts may reach so many that it is what most hosts show, and what others with as much to do show is its doing. Its controls
 * tell then how the sick would do: where these feel nothing, the sick are held against them.
 */
export function heldAgainstControls(
  cohorts: readonly CohortVerdict[],
  verdicts: readonly Verdict[],
  slis: readonly HostSlis[],
  judge: Policy['judge'],
): {cohorts: CohortVerdict[]; verdicts: Verdict[]} {
  const own = new Map(slis.map(each => [each.host, each]));
  const held = new Map(verdicts.map(verdict => [verdict.host, verdict]));
  const told = cohorts.map(cohort => {
    if (!cohort.explained) return cohort;
    const correct = correction(cohort, own, judge);
    const evidence = cohort.evidence.map(correct);
    if (evidence.every((each, index) => each === cohort.evidence[index])) return cohort;
    for (const host of cohort.sick) {
      const verdict = held.get(host);
      if (verdict?.kind === 'sick') held.set(host, corrected(verdict, correct));
    }
    const ratios = cohort.sick.flatMap(host => held.get(host)?.evidence[0]?.ratio ?? []);
    const [effectLow, effectHigh] = medianInterval(ratios);
    return {...cohort, evidence, effect: median(ratios), ...(effectLow === null || effectHigh === null ? {} : {effectLow, effectHigh})};
  });
  return {cohorts: told, verdicts: verdicts.map(verdict => held.get(verdict.host) ?? verdict)};
}

type Correct = (evidence: Evidence) => Evidence;

/** Of what is felt by those without the labels as well nothing is known but that. */
function correction({controls}: CohortVerdict, own: ReadonlyMap<string, HostSlis>, judge: Policy['judge']): Correct {
  const usual = new Map<string, number | null>();
  return evidence => {
    const {sli, value, baseline, explains} = evidence;
    if (explains === true || baseline === null || !SLIS.has(sli) || baseline <= floorOf(judge, sli as SliName)) return evidence;
    if (!usual.has(sli)) usual.set(sli, median(controls.flatMap(host => own.get(host)?.values[sli as SliName] ?? [])));
    const shown = usual.get(sli) ?? null;
    if (shown === null || shown > floorOf(judge, sli as SliName)) return evidence;
    return {
      ...evidence,
      baseline: shown,
      ratio: shown === 0 ? null : value / shown,
      note: `${evidence.note.split(';', 1)[0]}; ${controls.length} controls`,
    };
  };
}

function corrected(verdict: Verdict, correct: Correct): Verdict {
  const evidence = verdict.evidence.map(correct);
  const isCorrected = evidence.some((each, index) => each !== verdict.evidence[index]);
  return {...verdict, evidence, because: isCorrected && NOT_WORSE.has(verdict.because) ? 'SLI_WORSE_THAN_PEERS' : verdict.because};
}
