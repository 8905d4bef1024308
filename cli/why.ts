import {facts, few, type Look, labels, percent, span} from '../base/format.ts';
import type {VerdictsView} from '../wire/api.ts';
import type {CohortVerdict, Evidence, Verdict} from '../wire/record.ts';
import {
  circumstanceTitle,
  circumstanceWords,
  decisionWords,
  experimentWish,
  experimentWords,
  SUBSIDED,
  verdictWords,
} from '../wire/words.ts';

/** What is felt, and as much of what goes along with it, the stage at which mail waits first. */
const EVIDENCE_MAX = 2;
const ALTERNATIVES_MAX = 3;
const CONTROLS_MAX = 8;
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
  return facts([
    [circumstanceTitle(circumstance), circumstanceWords(circumstance)],
    ['For', span(look.nowMs - sinceMs)],
    ...evidenceLines(evidence),
  ]);
}

function whyHost(verdict: Verdict, view: VerdictsView, look: Look): string {
  const {host, because, evidence} = verdict;
  const cohort = view.cohorts.find(({sick, members}) => sick.includes(host) || members.includes(host));
  return facts([
    ['Host', `${host}: ${view.hurt?.byHost[host] ?? 0} customers hurt`],
    ['Verdict', verdictWords(verdict, look.nowMs)],
    ...decided(verdict, view),
    ...circumstancesOf(view, host),
    ...evidenceLines(evidence, SUBSIDED.has(because) ? 'Seen last' : 'Seen'),
    ...shared(verdict, cohort, view, look),
  ]);
}

/** What it shares with hosts that are sick. */
function shared({kind}: Verdict, cohort: CohortVerdict | undefined, view: VerdictsView, look: Look): (readonly [string, string])[] {
  if (cohort?.explained === true) return divisionLines(cohort, view, look);
  if (kind !== 'sick') return [];
  if (cohort === undefined) return [['Shared', 'nothing with other sick hosts']];
  return [['Shared', `nothing that is proved to be the cause; nearest is ${labels(cohort.labels)}: ${sickOf(cohort)}`]];
}

/** One label of several that explain it together or as well as it, or only its name. */
function isPartOf({labels: own, alternatives = []}: CohortVerdict, name: string): boolean {
  return (
    Object.hasOwn(own, name) || [own, ...alternatives].some(each => Object.entries(each).some(([key, value]) => `${key}=${value}` === name))
  );
}

/** What is wrong where the host stands, and is not the host. */
function circumstancesOf({circumstances = []}: VerdictsView, host: string): (readonly [string, string])[] {
  return circumstances.filter(({hosts}) => hosts.includes(host)).map(each => [circumstanceTitle(each), circumstanceWords(each)] as const);
}

/** What is wanted for it, and what stops that. */
function decided({host, kind}: Verdict, {decisions = []}: VerdictsView): (readonly [string, string])[] {
  const own = decisions.filter(each => each.host === host);
  const lines = own.filter(each => each.kind !== 'watch').map(each => ['Decided', decisionWords(each)] as const);
  if (lines.length > 0 || kind === 'healthy' || kind === 'unknown') return lines;
  return [['Decided', own.length > 0 ? 'nothing; it is watched' : 'nothing']];
}

function whyCohort(cohort: CohortVerdict, view: VerdictsView, look: Look): (readonly [string, string])[] {
  const {sick, controls} = cohort;
  const {hurt} = view;
  const users = sick.reduce((sum, host) => sum + (hurt?.byHost[host] ?? 0), 0);
  return [
    ...divisionLines(cohort, view, look),
    ['Controls', few(controls, CONTROLS_MAX)],
    ['Customers hurt', `${users}${hurt === null || hurt.users === 0 ? '' : ` (${percent(users / hurt.users)})`}`],
    ...evidenceLines(cohort.evidence),
  ];
}

/** How the labels divide the sick from the well, and what else would. */
function divisionLines(cohort: CohortVerdict, {experiments = []}: VerdictsView, look: Look): (readonly [string, string])[] {
  const {effect, effectLow, effectHigh, explained, alternatives = [], experiment} = cohort;
  const name = labels(cohort.labels);
  const tried = experiments.filter(({outcome, labels: own, alternatives: same}) => {
    return outcome !== null && [own, ...same].some(each => labels(each) === name);
  });
  const between = effectLow === undefined || effectHigh === undefined ? '' : ` (${effectLow.toFixed(1)} to ${effectHigh.toFixed(1)})`;
  const told = few(alternatives.map(labels), ALTERNATIVES_MAX).replaceAll(', ', ' or ');
  const others = alternatives.length === 0 ? '' : `; cannot be told from ${told}`;
  return [
    [
      'Cohort',
      `${name}: ${explained ? 'explains its sick hosts' : 'does not explain them (yet)'} for ${span(look.nowMs - cohort.sinceMs)}`,
    ],
    ['Sick', sickOf(cohort)],
    ['Effect', `${effect === null ? '-' : `x${effect.toFixed(1)}${between}`}${others}`],
    ...(experiment === undefined ? [] : [['To tell', experimentWish(experiment)] as const]),
    ...tried.slice(-1).map(each => ['Tried', experimentWords(each)] as const),
    ...(cohort.notHosts === undefined ? [] : [['Not the hosts', cohort.notHosts] as const]),
  ];
}

function sickOf({sick, members, controls, controlsSick, chance}: CohortVerdict): string {
  const all = controls.length + controlsSick;
  return `${sick.length} of ${members.length} with it, ${controlsSick} of ${all} without it; by chance p = ${Number(chance.toPrecision(2))}`;
}

function evidenceLines(evidence: readonly Evidence[], seen = 'Seen'): (readonly [string, string])[] {
  const felt = evidence.filter(({explains}) => explains !== true).slice(0, EVIDENCE_MAX);
  const explaining = evidence.filter(({explains}) => explains === true);
  const waits = explaining.filter(({sli}) => STAGE.test(sli)).slice(0, 1);
  const along = explaining.filter(({sli}) => !STAGE.test(sli)).slice(0, EVIDENCE_MAX - waits.length);
  return [
    ...felt.map(each => [seen, told(each)] as const),
    ...waits.map(each => ['Where', told(each)] as const),
    ...along.map(each => ['Along', told(each)] as const),
  ];
}

/** e.g. `deliveryMsP95 60100 ms against 500, x120.2 (floor 5000 ms; 4 peers)` */
export function told({sli, value, unit, baseline, ratio, note}: Evidence): string {
  const short = (figure: number): string => String(Number(figure.toPrecision(3)));
  const against = baseline === null ? '' : ` against ${short(baseline)}${ratio === null ? '' : `, x${ratio.toFixed(1)}`}`;
  return `${sli} ${short(value)} ${unit}${against} (${note})`;
}
