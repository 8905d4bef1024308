import type {Policy} from '../../wire/policy.ts';
import {type CohortVerdict, MOVE_STEPS, type Plan, type Verdict} from '../../wire/record.ts';
import type {Fleet} from '../fleet.ts';
import {verdictOf} from '../health/judge.ts';

/** A rule that a plan breaks. */
export interface Breach {
  rule: string;
  detail: Record<string, unknown>;
}

/** Steps at which a move still brings its mailbox to its target. */
const COMING: ReadonlySet<string> = new Set(MOVE_STEPS.slice(0, MOVE_STEPS.indexOf('retaining')));

/**
 * Reads a plan as a stranger would. On purpose it shares no code with the builder: an error in one shows in the other.
 * @returns all breaches; an empty list lets the plan be stored and carried out.
 */
export function checkPlan(
  plan: Plan,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
): Breach[] {
  const breaches = [...checkUsers(plan, fleet), ...checkTargets(plan, fleet, verdicts, cohorts)];
  breaches.push(...checkSpace(plan, fleet, policy));
  if (plan.kind !== 'single')
    breaches.push(...checkWho(plan, fleet, policy), ...checkDomains(plan, fleet, policy), ...checkLoad(plan, fleet, policy));
  if (plan.parent !== null && plan.generation < 1) {
    breaches.push({rule: 'GENERATION', detail: {generation: plan.generation, parent: plan.parent}});
  }
  return breaches;
}

/** Hosts that take none, of those the plan names; also for a plan that was made a while ago. */
export function checkTargets(
  {kind, moves, unplaced}: Plan,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
): Breach[] {
  const breaches: Breach[] = [];
  const sources = new Set([...moves, ...unplaced].map(({source}) => source));
  const old = new Set(fleet.moves.filter(({step}) => step === 'retained').map(({user, source}) => JSON.stringify([user, source])));
  const areBack = new Map<string, boolean>();
  for (const {user, target, choice} of moves) {
    // A person has somebody brought back to where his old copy is.
    const isBack = choice === undefined && old.has(JSON.stringify([user, target]));
    areBack.set(target, isBack && areBack.get(target) !== false);
  }
  for (const [target, isBack] of areBack) {
    const rule = targetRule(target, fleet, verdicts, cohorts, isBack);
    if (rule !== null) breaches.push({rule, detail: {target}});
    if (kind === 'evacuate' && sources.has(target)) breaches.push({rule: 'TARGET_IS_EMPTIED', detail: {target}});
  }
  return breaches;
}

function checkUsers(plan: Plan, fleet: Fleet): Breach[] {
  const breaches: Breach[] = [];
  const named = new Set<string>();
  const busy = new Map<string, string>();
  for (const {user, step} of fleet.moves) if (COMING.has(step) || step === 'backingOut') busy.set(user, step);
  for (const {user} of fleet.waiting) busy.set(user, 'waiting');
  const left = new Set(fleet.moves.filter(({step}) => step === 'retained').map(({user, source}) => JSON.stringify([user, source])));
  for (const {user, source} of [...plan.moves, ...plan.unplaced]) {
    if (named.has(user)) breaches.push({rule: 'USER_TWICE', detail: {user}});
    named.add(user);
    const host = fleet.routes.get(user)?.host ?? null;
    if (host !== source) breaches.push({rule: 'NOT_AT_SOURCE', detail: {user, source, host}});
    if (busy.has(user)) breaches.push({rule: 'USER_MOVING', detail: {user, step: busy.get(user)}});
  }
  for (const {user, source, target, choice} of plan.moves) {
    if (source === target) breaches.push({rule: 'TO_ITSELF', detail: {user, target}});
    // A person may have a mailbox brought back: the old copy is purged first.
    if (choice !== undefined && left.has(JSON.stringify([user, target]))) breaches.push({rule: 'COPY_RETAINED', detail: {user, target}});
  }
  return breaches;
}

function targetRule(
  target: string,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  isBack: boolean,
): string | null {
  const host = fleet.hosts.get(target);
  if (host === undefined) return 'TARGET_UNKNOWN';
  if (host.record.role !== 'backend') return 'TARGET_NO_BACKEND';
  const {stage, cordon} = host.record;
  if (stage !== 'active' && !(isBack && (stage === 'draining' || stage === 'drained'))) return 'TARGET_NOT_ACTIVE';
  if (cordon !== null && !isBack) return 'TARGET_CORDONED';
  if (host.ahead !== null) return 'TARGET_CLOCK_AHEAD';
  const kind = verdictOf(target, verdicts)?.kind;
  if (kind !== 'healthy' && kind !== 'unknown') return 'TARGET_NOT_WELL';
  return cohorts.some(({explained, members}) => explained && members.includes(target)) ? 'TARGET_IN_SICK_COHORT' : null;
}

function checkSpace(plan: Plan, fleet: Fleet, policy: Policy): Breach[] {
  const needs = new Map<string, number>();
  const need = (host: string, bytes: number): void => void needs.set(host, (needs.get(host) ?? 0) + bytes);
  for (const {target, bytes} of plan.moves) need(target, bytes);
  const planned = new Set(needs.keys());
  for (const {target, bytes, step} of fleet.moves) if (COMING.has(step)) need(target, bytes);
  for (const {target, bytes} of fleet.waiting) need(target, bytes);
  const breaches: Breach[] = [];
  for (const target of planned) {
    const store = fleet.hosts.get(target)?.reports.findLast(({mailStore}) => mailStore !== null)?.mailStore;
    const roomBytes = store === undefined || store === null ? 0 : store.freeBytes - policy.place.reserveShare * store.totalBytes;
    const neededBytes = needs.get(target) ?? 0;
    if (neededBytes > roomBytes) breaches.push({rule: 'SPACE', detail: {target, neededBytes, roomBytes}});
  }
  return breaches;
}

/** Rounding of many sums. */
const LOAD_ERROR = 1e-6;

/** No host ends with more load than the policy allows, or than it has. A login is half a delivery, and to be there is one a day. */
function checkLoad(plan: Plan, fleet: Fleet, {place}: Policy): Breach[] {
  const known = new Map<string, number>();
  for (const [user, {deliveriesPerDay, sessionsPerDay}] of fleet.mailboxes) {
    const load = 1 + (deliveriesPerDay ?? Number.NaN) + (sessionsPerDay ?? Number.NaN) / 2;
    if (load >= 1 && load < Number.MAX_SAFE_INTEGER) known.set(user, load);
  }
  if (typeof place.loadMax !== 'number' || known.size === 0) return [];
  const mean = [...known.values()].reduce((sum, load) => sum + load, 0) / known.size;
  const moving = new Map([...fleet.moves.filter(({step}) => COMING.has(step)), ...fleet.waiting].map(({user, target}) => [user, target]));
  const planned = new Map(plan.moves.map(({user, target}) => [user, target]));
  const [before, after] = [new Map<string, number>(), new Map<string, number>()];
  for (const [user, {host}] of fleet.routes) {
    const [load, now] = [known.get(user) ?? mean, moving.get(user) ?? host];
    const then = planned.get(user) ?? now;
    before.set(now, (before.get(now) ?? 0) + load);
    after.set(then, (after.get(then) ?? 0) + load);
  }
  return [...new Set(planned.values())].flatMap(target => {
    const labels = Object.entries(labelsOf(target, fleet)).map(([key, value]) => `${key}=${value}`);
    const strength = Object.entries(place.strengths).find(([label]) => labels.includes(label))?.[1] ?? 1;
    const [load, loadMax] = [after.get(target) ?? 0, Math.max((place.loadMax ?? 0) * strength, before.get(target) ?? 0)];
    return load > loadMax * (1 + LOAD_ERROR) ? [{rule: 'LOAD', detail: {target, load, loadMax}}] : [];
  });
}

/** Users whom only a person moves, and tiers of hardware: read from the policy's words. */
function checkWho(plan: Plan, fleet: Fleet, {place}: Policy): Breach[] {
  const breaches: Breach[] = [];
  if (place.pinned.length === 0 && place.tiers.length === 0) return breaches;
  const names = (who: string, user: string): boolean =>
    who.startsWith('@') ? user.endsWith(who.toLowerCase()) : user === who.toLowerCase();
  for (const {user, target} of plan.moves) {
    if (place.pinned.some(who => names(who, user))) breaches.push({rule: 'PINNED', detail: {user}});
    const isOne = place.together.some(domain => names(`@${domain}`, user));
    const tier = place.tiers.find(({who}) => names(who, user) && (who.startsWith('@') || !isOne));
    const labels = Object.entries(labelsOf(target, fleet)).map(([key, value]) => `${key}=${value}`);
    const missing = tier?.labels.filter(label => !labels.includes(label)) ?? [];
    if (missing.length > 0) breaches.push({rule: 'TIER', detail: {user, target, missing}});
  }
  return breaches;
}

/** A domain kept together ends on no more hosts than before; one kept apart in no fewer racks than asked, or than it had. */
function checkDomains(plan: Plan, fleet: Fleet, {place}: Policy): Breach[] {
  if (place.together.length === 0 && place.apart.length === 0) return [];
  const breaches: Breach[] = [];
  const targets = new Map(plan.moves.map(({user, target}) => [user, target]));
  const homes = new Map<string, {before: Set<string>; after: Set<string>}>();
  const busy = new Set([...fleet.moves.filter(({step}) => COMING.has(step)), ...fleet.waiting].map(({user}) => user));
  for (const [user, {host}] of fleet.routes) {
    if (busy.has(user)) continue;
    const domain = user.split('@').at(-1) ?? '';
    const of = homes.get(domain) ?? {before: new Set(), after: new Set()};
    homes.set(domain, of);
    of.before.add(host);
    of.after.add(targets.get(user) ?? host);
  }
  for (const domain of place.together) {
    const {before, after} = homes.get(domain.toLowerCase()) ?? {before: new Set(), after: new Set()};
    if (after.size > before.size) breaches.push({rule: 'DOMAIN_TORN', detail: {domain, before: before.size, after: after.size}});
  }
  for (const {domain, racks} of place.apart) {
    const racksOf = (hosts: Iterable<string> = []): number =>
      new Set([...hosts].map(host => labelsOf(host, fleet).rack ?? `no rack: ${host}`)).size;
    const [before, after] = [racksOf(homes.get(domain.toLowerCase())?.before), racksOf(homes.get(domain.toLowerCase())?.after)];
    if (after < Math.min(racks, before)) breaches.push({rule: 'DOMAIN_TOO_CLOSE', detail: {domain, racks, before, after}});
  }
  return breaches;
}

function labelsOf(name: string, fleet: Fleet): Record<string, string> {
  const host = fleet.hosts.get(name);
  return host?.reports.at(-1)?.labels ?? host?.record.labels ?? {};
}
