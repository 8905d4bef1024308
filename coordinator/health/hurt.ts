import type {Instant} from '../../base/units.ts';
import {floorOf, type Policy} from '../../wire/policy.ts';
import type {Circumstance, CohortVerdict, Hurt, Verdict} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {domainOf, type Fleet, usersByHost} from '../fleet.ts';
import {type HostSlis, SLI_TABLE} from './sli.ts';

/**
 * How many customers feel something now: on each backend with an SLI above its floor, its active users, of all users of the farm.
 * Where none was seen active, or it is not reported, all that live there count: a host that lets nobody in has no active users.
 * Where most edges are bad, so many of all others are hurt as edges are.
 */
export function hurtOf(
  fleet: Fleet,
  slis: readonly HostSlis[],
  circumstances: readonly Circumstance[],
  judge: Policy['judge'],
  nowMs: Instant,
): Hurt {
  const routed = usersByHost(fleet);
  const byHost: Record<string, number> = {};
  for (const own of slis) {
    if (own.role !== 'backend' || (own.state !== 'measured' && own.state !== 'IDLE')) continue;
    if (!SLI_TABLE.some(({sli}) => (own.values[sli] ?? 0) > floorOf(judge, sli))) continue;
    const live = routed.get(own.host) ?? 0;
    const active = own.activeUsers ?? 0;
    const hurt = active === 0 ? live : Math.min(live, active);
    if (hurt > 0) byHost[own.host] = hurt;
  }
  const users = fleet.routes.size;
  const edges = slis.filter(({role, state}) => role === 'edge' && state !== 'NOT_IN_SERVICE').length;
  const outside = circumstances.find(({code}) => code === 'MOST_EDGES')?.hosts ?? [];
  const before = sumOf(byHost);
  for (const edge of outside) byHost[edge] = Math.round((users - before) / Math.max(edges, outside.length));
  const usersHurt = Math.min(users, sumOf(byHost));
  const domains = usersHurt === 0 ? {} : domainsOf(fleet, byHost, outside.length > 0);
  return {atMs: nowMs, users, usersHurt, share: users === 0 ? 0 : usersHurt / users, byHost, ...domains};
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

/** Who is hurt by what: the labels that explain a sick host, else the reason of its verdict; of edges that most of them are bad. */
export function byCause(
  hurt: Hurt,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  circumstances: readonly Circumstance[],
): Record<string, number> {
  const reasons = new Map(verdicts.map(({host, because}) => [host, because]));
  for (const {code, hosts} of circumstances) if (code === 'MOST_EDGES') for (const host of hosts) reasons.set(host, code);
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
