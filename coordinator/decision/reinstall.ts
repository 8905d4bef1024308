import {DAY_MS, type Instant, type Millis} from '../../base/units.ts';
import type {Experiment} from '../../wire/incident.ts';
import type {CohortVerdict, Decision} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {type Fleet, type FleetHost, labelsOf} from '../fleet.ts';
import {MAILHERD} from '../host/cordon.ts';
import {releaseFor} from '../host/release.ts';
import type {Outlook} from '../plan/filter.ts';
import {describe, LEAVING, type Situation} from './situation.ts';

/** While labels cannot be told apart so many hosts are reinstalled at once: how they fare tells the others' cause. */
const EXPERIMENT_MAX = 2;
/** So long what a host that came back shows is awaited: a day has its busy hours. */
const TRIAL_MAX_MS: Millis = DAY_MS;

/** Hosts emptied by us, before the release was known to be the cause: now it is. */
export function reinstalls(on: Situation): Decision[] {
  const {fleet, cohorts, policy, nowMs, general} = on;
  const mode = policy.modes.reinstall;
  if (mode === 'off') return [];
  let asks = 0;
  return [...fleet.hosts.values()].flatMap(({record}): Decision[] => {
    const {host} = record;
    if (!LEAVING.has(record.stage) || record.cordon?.by !== MAILHERD || record.reinstallAskedBy !== null) return [];
    const cohort = cohorts.find(({explained, sick}) => explained && sick.includes(host));
    if (cohort === undefined || releaseOn(host, on) === null || !isNextOf(cohort, host, fleet, nowMs, asks)) return [];
    asks++;
    return [{kind: 'reinstall', host, atMs: nowMs, because: describe(cohort), evidence: cohort.evidence, vetoes: general, mode}];
  });
}

/** What to install on a host; null where no release takes its trouble away. */
export function releaseOn(host: string, {fleet, cohorts}: Pick<Outlook, 'fleet' | 'cohorts'>): string | null {
  return releaseFor(host, cohorts, name => {
    const other = fleet.hosts.get(name);
    return other === undefined ? null : labelsOf(other);
  });
}

/**
 * Whether a host may be reinstalled for what explains it: it is one of the first two while labels cannot be told apart, the outcome of these
 * is not awaited, and has not said that the cause is something else.
 * @param asks hosts that this round has decided to reinstall already.
 */
export function isNextOf(cohort: CohortVerdict, host: string, fleet: Fleet, nowMs: Instant, asks = 0): boolean {
  const {experiment, alternatives = [], members} = cohort;
  if (clearedOn(host, fleet).length > 0) return false;
  const open = madeFor(host, fleet).filter(({outcome}) => outcome === null);
  if (experiment === undefined && open.length === 0) return true;
  if (experiment !== undefined && !experiment.hosts.includes(host)) return false;
  const busy = new Set([
    ...members.filter(name => isBeingReinstalled(fleet.hosts.get(name))),
    ...[...fleet.hosts.values()].flatMap(other => (isTrying(other, alternatives) ? [other.record.host] : [])),
    ...open.flatMap(each => each.hosts.filter(name => isOnTrial(fleet.hosts.get(name), each, nowMs))),
  ]);
  return busy.size + asks < EXPERIMENT_MAX;
}

/** Labels of a host that were changed on others, which were as sick as ever: to change them here as well would not help. */
export function clearedOn(host: string, fleet: Pick<Fleet, 'hosts' | 'experiments'>): string[] {
  return madeFor(host, fleet).flatMap(({change, from, outcome}) => {
    return outcome?.cleared.some(labels => labels[change] === from) === true ? [change] : [];
  });
}

/** Experiments that change a label which the host has. */
function madeFor(host: string, {hosts, experiments}: Pick<Fleet, 'hosts' | 'experiments'>): Experiment[] {
  const known = hosts.get(host);
  const own = known === undefined ? {} : labelsOf(known);
  return experiments.filter(({change, from}) => own[change] === from);
}

function isBeingReinstalled(host: FleetHost | undefined): boolean {
  return host !== undefined && (host.record.reinstallAskedBy !== null || host.record.stage === 'reinstalling');
}

/** Back, and with a label that cannot be told from the cause: how it fares tells, but not yet. */
function isTrying(host: FleetHost, alternatives: readonly Labels[]): boolean {
  const own = labelsOf(host);
  return (
    host.record.stage === 'probation' && alternatives.some(labels => Object.entries(labels).every(([key, value]) => own[key] === value))
  );
}

/** Back with the label changed, on probation or past it: it may still be without the work that would prove it well. */
function isOnTrial(host: FleetHost | undefined, {change, from, sinceMs}: Experiment, nowMs: Instant): boolean {
  if (host === undefined || host.record.stage === 'retired') return false;
  const now = labelsOf(host)[change];
  const backMs = Math.max(sinceMs, host.record.history.findLast(({stage}) => stage === 'probation')?.atMs ?? 0);
  return now !== undefined && now !== from && nowMs - backMs < TRIAL_MAX_MS;
}
