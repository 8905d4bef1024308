import {facts, few, type Look, labels, percent, span} from '../base/format.ts';
import type {VerdictsView} from '../wire/api.ts';
import type {CohortVerdict, Evidence, Verdict} from '../wire/record.ts';
import {circumstanceWords, decisionWords, experimentWish, experimentWords} from '../wire/words.ts';

/** What is felt, and as much of what goes along with it, beside the stage at which mail waits. */
const EVIDENCE_MAX = 2;
const STAGE = /^stage/;

/**
 * Why a host or a cohort is judged as it is, in about ten lines. @param name a host, or labels as `os=debian-13`.
 * @returns null when neither is known.
 */
export function renderWhy(name: string, view: VerdictsView, look: Look): string | null {
  const verdict = view.verdicts.find(({host}) => host === name);
  if (verdict !== undefined) return whyHost(verdict, view, look);
  const cohort =
    view.cohorts.find(candidate => labels(candidate.labels) === name) ?? view.cohorts.find(candidate => isPartOf(candidate, name));
  if (cohort !== undefined) return facts(whyCohort(cohort, view, look));
  const circumstance = view.circumstances?.find(({code, labels: place = {}}) => code === name || labels(place) === name);
  if (circumstance === undefined) return null;
  const {sinceMs, evidence} = circumstance;
  return facts([['Not the hosts', circumstanceWords(circumstance)], ['For', span(look.nowMs - sinceMs)], ...evidenceLines(evidence)]);
}

function whyHost(verdict: Verdict, view: VerdictsView, look: Look): string {
  const {host, kind, because, sinceMs, evidence} = verdict;
  const hurt = view.hurt?.byHost[host] ?? 0;
  const cohort = view.cohorts.find(({sick, members}) => sick.includes(host) || members.includes(host));
  return facts([
    ['Host', host],
    ['Verdict', `${kind} (${because}) for ${span(look.nowMs - sinceMs)}`],
    ['Customers hurt', String(hurt)],
    ...decided(host, view),
    ...circumstancesOf(view, host),
    ...evidenceLines(evidence),
    ...(cohort === undefined ? [['Shared', 'nothing with other sick hosts'] as const] : whyCohort(cohort, view, look).slice(0, 5)),
  ]);
}

/** One label of several that explain it together or as well as it, or only its name. */
function isPartOf({labels: own, alternatives = []}: CohortVerdict, name: string): boolean {
  return name in own || [own, ...alternatives].some(each => Object.entries(each).some(([key, value]) => `${key}=${value}` === name));
}

/** What is wrong where the host stands, and is not the host. */
function circumstancesOf({circumstances = []}: VerdictsView, host: string): (readonly [string, string])[] {
  return circumstances.filter(({hosts}) => hosts.includes(host)).map(each => ['Not the host', circumstanceWords(each)] as const);
}

/** What is wanted for it, and what stops that. */
function decided(host: string, {decisions = []}: VerdictsView): (readonly [string, string])[] {
  return decisions.filter(each => each.host === host && each.kind !== 'watch').map(each => ['Decided', decisionWords(each)] as const);
}

function whyCohort(cohort: CohortVerdict, {hurt, experiments = []}: VerdictsView, look: Look): (readonly [string, string])[] {
  const {sick, members, controls, controlsSick, effect, effectLow, effectHigh, chance, explained, alternatives = [], experiment} = cohort;
  const name = labels(cohort.labels);
  const tried = experiments.filter(({outcome, labels: own, alternatives: same}) => {
    return outcome !== null && [own, ...same].some(each => labels(each) === name);
  });
  const between = effectLow === undefined || effectHigh === undefined ? '' : ` (${effectLow.toFixed(1)} to ${effectHigh.toFixed(1)})`;
  const others = alternatives.length === 0 ? '' : `; cannot be told from ${alternatives.map(labels).join(' or ')}`;
  const users = sick.reduce((sum, host) => sum + (hurt?.byHost[host] ?? 0), 0);
  return [
    [
      'Cohort',
      `${name}: ${explained ? 'explains its sick hosts' : 'does not explain them (yet)'} for ${span(look.nowMs - cohort.sinceMs)}`,
    ],
    [
      'Sick',
      `${sick.length} of ${members.length} with it, ${controlsSick} of ${controls.length + controlsSick} without it; by chance p = ${Number(chance.toPrecision(2))}`,
    ],
    ['Effect', `${effect === null ? '-' : `x${effect.toFixed(1)}${between}`}${others}`],
    ...(experiment === undefined ? [] : [['To tell', experimentWish(experiment)] as const]),
    ...tried.slice(-1).map(each => ['Tried', experimentWords(each)] as const),
    ...(cohort.notHosts === undefined ? [] : [['Not the hosts', cohort.notHosts] as const]),
    ['Controls', few(controls, 8)],
    ['Customers hurt', `${users}${hurt === null || hurt.users === 0 ? '' : ` (${percent(users / hurt.users)})`}`],
    ...evidenceLines(cohort.evidence),
  ];
}

function evidenceLines(evidence: readonly Evidence[]): (readonly [string, string])[] {
  const felt = evidence.filter(({explains}) => explains !== true).slice(0, EVIDENCE_MAX);
  const explaining = evidence.filter(({explains}) => explains === true);
  const waits = explaining.filter(({sli}) => STAGE.test(sli)).slice(0, 1);
  const along = explaining.filter(({sli}) => !STAGE.test(sli)).slice(0, EVIDENCE_MAX);
  return [
    ...felt.map(seen => ['Seen', told(seen)] as const),
    ...waits.map(seen => ['Where', told(seen)] as const),
    ...along.map(seen => ['Along', told(seen)] as const),
  ];
}

function told({sli, value, unit, baseline, ratio, note}: Evidence): string {
  const short = (figure: number): string => String(Number(figure.toPrecision(3)));
  const against = baseline === null ? '' : ` against ${short(baseline)}${ratio === null ? '' : `, x${ratio.toFixed(1)}`}`;
  return `${sli} ${short(value)} ${unit}${against} (${note})`;
}
