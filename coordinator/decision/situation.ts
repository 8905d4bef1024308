import type {Instant} from '../../base/units.ts';
import type {CohortVerdict, Decision, HostStage, Verdict, Veto} from '../../wire/record.ts';
import type {FleetHost} from '../fleet.ts';
import type {Outlook} from '../plan/filter.ts';

/** What every kind of decision is made from, gathered once a round. */
export interface Situation extends Outlook {
  nowMs: Instant;
  users: ReadonlyMap<string, number>;
  /** Verdicts of backends in service. */
  backends: readonly Verdict[];
  /** The cohort that explains a sick host. */
  explained: ReadonlyMap<string, CohortVerdict>;
  /** Brakes on everything. */
  general: Veto[];
  /** Brakes on what is done because of hosts that nothing explains. */
  tooMany: Veto[];
  /** Until then what the sick have in common may not be known yet. */
  settlesMs: Instant;
}

/** Stages in which a host holds or may hold mailboxes. */
const IN_SERVICE: ReadonlySet<HostStage> = new Set(['probation', 'active', 'suspect', 'draining']);
/** On the way out, or out, and still a host that may hold something. */
export const LEAVING: ReadonlySet<HostStage> = new Set(['draining', 'drained', 'safeToWipe']);

/** Reason to cordon a host that is well, and has what makes others sick. */
export const SHARES_SICK_COHORT = 'SHARES_SICK_COHORT';

export function isBackendInService(host: FleetHost | undefined): boolean {
  return host !== undefined && host.record.role === 'backend' && IN_SERVICE.has(host.record.stage);
}

/** A decision that nothing stops yet. */
export function decision(
  kind: Decision['kind'],
  {nowMs}: Situation,
  rest: Pick<Decision, 'host' | 'because' | 'mode'> & Partial<Decision>,
): Decision {
  return {kind, atMs: nowMs, evidence: [], vetoes: [], ...rest};
}

export function reasonOf(host: string, {explained}: Situation): string {
  const cohort = explained.get(host);
  return cohort === undefined ? 'SICK_ALONE' : describe(cohort);
}

/** e.g. SICK_COHORT os=debian-13 */
export function describe({labels}: CohortVerdict): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `SICK_COHORT ${pairs.join(' ')}`;
}

/** What lies between the hosts and everybody is not left behind by moving, nor by another relay. */
export function notOfHosts(host: string, {explained}: Situation): Veto[] {
  const cohort = explained.get(host);
  return cohort?.notHosts === undefined ? [] : [{code: 'NOT_THE_HOSTS', detail: {cause: cohort.notHosts, labels: cohort.labels}}];
}
