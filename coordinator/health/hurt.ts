import {count} from '../../base/counts.ts';
import type {Instant} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {Circumstance, CohortVerdict, Hurt, Verdict} from '../../wire/record.ts';
import {domainOf, type Labels} from '../../wire/schema.ts';
import type {Fleet} from '../fleet.ts';
import {EVERYWHERE, isMonitorSuspect} from './circumstance.ts';
import {type HostSlis, SLI_TABLE} from './sli.ts';

/** Whoever gets or reads mail so often, in the mean, is missing it. */
const USUAL_PER_DAY = 1;
const FAILING_SHARE = 0.9;

/**
 * How many customers feel something now: on each backend with an SLI above its floor, its active users, of all users of the farm. A host
 * that serves nobody has no active users: there all count that usually are. Where most edges are bad, so many of all others are hurt as
 * edges are.
 * @param routed how many users live on each host.
 */
export function hurtOf(
  fleet: Fleet,
  slis: readonly HostSlis[],
  circumstances: readonly Circumstance[],
  judge: Policy['judge'],
  nowMs: Instant,
  routed: ReadonlyMap<string, number>,
): Hurt {
  const isLost = lostBy(slis, circumstances);
  const bad = slis.filter(own => own.role === 'backend' && (isLost(own.host) || feels(own, judge)));
  const users = fleet.routes.size;
  const edges = slis.filter(({role, state}) => role === 'edge' && state !== 'NOT_IN_SERVICE').length;
  const outside = circumstances.find(({code}) => code === 'MOST_EDGES')?.hosts ?? [];
  const byHost: Record<string, number> = {};
  if (bad.length > 0 || outside.length > 0) {
    const usual = usualUsers(fleet);
    for (const own of bad) {
      const active = own.activeUsers ?? 0;
      const hurt =
        isLost(own.host) || active === 0 || servesNobody(own, judge) ? usual.get(own.host) : Math.min(routed.get(own.host) ?? 0, active);
      if (hurt !== undefined && hurt > 0) byHost[own.host] = hurt;
    }
    const others = sumOf(Object.fromEntries(usual)) - sumOf(byHost);
    for (const edge of outside) byHost[edge] = Math.max(0, Math.round(others / Math.max(edges, outside.length)));
  }
  const usersHurt = Math.min(users, sumOf(byHost));
  const domains = usersHurt === 0 ? {} : domainsOf(fleet, byHost, outside.length > 0);
  return {atMs: nowMs, users, usersHurt, share: users === 0 ? 0 : usersHurt / users, byHost, ...domains};
}

function feels({state, values}: HostSlis, judge: Policy['judge']): boolean {
  return (state === 'measured' || state === 'IDLE') && SLI_TABLE.some(({sli}) => (values[sli] ?? 0) > floorOf(judge, sli));
}

/** Dead or cut off, as far as can be told: not when so many are silent that it is us who hear nothing, unless it is all of one place. */
function lostBy(slis: readonly HostSlis[], circumstances: readonly Circumstance[]): (host: string) => boolean {
  const backends = slis.filter(({role, state}) => role === 'backend' && state !== 'NOT_IN_SERVICE' && state !== 'NO_REPORT');
  const silent = backends.filter(({state}) => state === 'SILENT').map(({host}) => host);
  const places = circumstances.flatMap(({code, hosts}) => (code === 'PLACE_CUT_OFF' ? hosts : []));
  const lost = new Set(isMonitorSuspect(silent.length, backends.length) ? places : silent);
  return host => lost.has(host);
}

/** Neither its own mail nor its own login has come through, or no probe to speak of. */
function servesNobody({values}: HostSlis, judge: Policy['judge']): boolean {
  const {probeFailureShare, probeDeliveryMs, probeLoginMs} = values;
  if (probeFailureShare === null || probeFailureShare <= floorOf(judge, 'probeFailureShare')) return false;
  return probeDeliveryMs === null || probeLoginMs === null || probeFailureShare >= FAILING_SHARE;
}

/** By host, those that get mail or log in at least once a day; of whom nothing is known, he may. */
function usualUsers({routes, mailboxes}: Fleet): Map<string, number> {
  const usual = new Map<string, number>();
  for (const [user, {host}] of routes) {
    const {deliveriesPerDay = null, sessionsPerDay = null} = mailboxes.get(user) ?? {};
    const isUnknown = deliveriesPerDay === null && sessionsPerDay === null;
    if (isUnknown || (deliveriesPerDay ?? 0) + (sessionsPerDay ?? 0) >= USUAL_PER_DAY) count(usual, host);
  }
  return usual;
}

function sumOf(byHost: Hurt['byHost']): number {
  return Object.values(byHost).reduce((sum, hurt) => sum + hurt, 0);
}

/** @param isOutside nobody gets in: all of them are hurt. */
function domainsOf({routes}: Fleet, byHost: Hurt['byHost'], isOutside: boolean): Pick<Hurt, 'domains' | 'domainsHurt'> {
  const [all, hurt] = [new Set<string>(), new Set<string>()];
  for (const [user, {host}] of routes) {
    const domain = domainOf(user);
    all.add(domain);
    if (isOutside || byHost[host] !== undefined) hurt.add(domain);
  }
  return {domains: all.size, domainsHurt: hurt.size};
}

/**
 * Who is hurt by what: the labels that explain a sick host, else what is wrong on most hosts, else the reason of its verdict; of edges that most
 * of them are bad.
 */
export function byCause(
  hurt: Hurt,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  circumstances: readonly Circumstance[],
): Record<string, number> {
  const reasons = new Map(verdicts.map(({host, because}) => [host, because]));
  const suspects = new Set(verdicts.flatMap(({host, kind}) => (kind === 'suspect' ? [host] : [])));
  for (const {code, labels, hosts} of circumstances) {
    const cause = labels === undefined ? code : `${code} ${cohortName(labels)}`;
    if (code === 'MOST_EDGES') for (const host of hosts) reasons.set(host, cause);
    if (EVERYWHERE.has(code)) for (const host of hosts) if (suspects.has(host)) reasons.set(host, cause);
  }
  const causes: Record<string, number> = {};
  for (const [host, users] of Object.entries(hurt.byHost)) {
    const cohort = cohorts.find(({explained, sick}) => explained && sick.includes(host));
    const cause = cohort === undefined ? (reasons.get(host) ?? 'NOT_JUDGED') : cohortName(cohort.labels);
    causes[cause] = (causes[cause] ?? 0) + users;
  }
  return causes;
}

function cohortName(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}
