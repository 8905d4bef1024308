import {MailherdError} from '../../base/errors.ts';
import type {Bytes, Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Plan, PlannedMove, Verdict} from '../../wire/record.ts';
import type {Fleet} from '../fleet.ts';
import {movingUsers} from './capacity.ts';
import {construct} from './construct.ts';
import {modelOfFarm} from './farm.ts';
import {openTargets, type Placing, placingOf, whyNoRoom, whyNotHere} from './filter.ts';
import {farmOf} from './fleet-farm.ts';
import {book, choose} from './place.ts';
import {wavesOf} from './waves.ts';

/** Names and place of the new plan in the line of plans. */
export interface PlanIds {
  planId: string;
  /** That of the parent + 1. */
  generation: number;
  parent: string | null;
  nowMs: Instant;
}

/**
 * Every mailbox off these hosts: the largest first, spread over all hosts that may take it. Mailboxes already on their way are left
 * to their moves.
 * @param targets where a search would put each of them; what no longer holds is chosen anew. Without, the first plan at hand.
 * @returns a plan; what has no place is in `unplaced` with a code. The same input gives the same plan.
 * @throws MailherdError HOST_UNKNOWN.
 */
export function planEvacuation(
  hosts: readonly string[],
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
  ids: PlanIds,
  because: string,
  targets?: ReadonlyMap<string, string>,
): Plan {
  const {placing, users} = evacuationOf(hosts, fleet, verdicts, cohorts, policy);
  const room = freeBytes(placing);
  const {moves, unplaced} = placeAll(users, targets ?? firstTargets(users, placing), placing, because);
  const relief = new Map(verdicts.map(({host, kind}) => [host, RELIEF[kind]]));
  return {...header('evacuate', ids, because), moves: inOrder(moves, room, relief, policy), unplaced};
}

/** Emptying a sick host relieves users, emptying a well one only prepares something. */
const RELIEF: Readonly<Record<Verdict['kind'], number>> = {sick: 2, suspect: 1, silent: 0, unknown: 0, healthy: 0};

function freeBytes(placing: Placing): Map<string, Bytes> {
  return new Map([...placing.rooms].map(([host, room]) => [host, room.freeBytes ?? 0]));
}

/** Moves in the order in which they should run: relief first, and never many at once for one host. All have room at once already. */
function inOrder(
  moves: readonly PlannedMove[],
  room: ReadonlyMap<string, Bytes>,
  relief: ReadonlyMap<string, number>,
  {move}: Policy,
): PlannedMove[] {
  const limits = {perSourceMax: Math.max(1, move.perSourceMax), perTargetMax: Math.max(1, move.perTargetMax)};
  const {waves, stuck} = wavesOf(moves, room, relief, limits);
  return [...waves.flat(), ...stuck];
}

/** Who has to leave, the largest first, and what there is to place him. @throws MailherdError HOST_UNKNOWN. */
export function evacuationOf(
  hosts: readonly string[],
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
): {placing: Placing; users: string[]} {
  for (const host of hosts) if (!fleet.hosts.has(host)) throw new MailherdError('HOST_UNKNOWN', {host});
  const placing = placingOf(fleet, verdicts, cohorts, policy, hosts);
  const moving = movingUsers(fleet);
  const leaving = new Set(hosts);
  const users = [...fleet.routes].filter(([user, {host}]) => leaving.has(host) && !moving.has(user)).map(([user]) => user);
  return {placing, users: largestFirst(users, placing)};
}

/** Targets of all users at once, without a search. */
function firstTargets(users: readonly string[], placing: Placing): Map<string, string> {
  const {hosts, homeless} = farmOf(users, placing);
  return targetsOf(users, hosts, construct(modelOfFarm(hosts, homeless).model));
}

/** An assignment by names. */
export function targetsOf(users: readonly string[], hosts: readonly {name: string}[], assignment: Int32Array): Map<string, string> {
  return new Map(users.map((user, at) => [user, hosts[assignment[at] ?? -1]?.name ?? '']));
}

/**
 * Evens out the number of mailboxes of the hosts that may take some: from those above the mean to those below it, and no more. Small
 * and large ones move alike, so that bytes follow.
 */
export function planRebalance(
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
  ids: PlanIds,
  because: string,
): Plan {
  const placing = placingOf(fleet, verdicts, cohorts, policy);
  const targets = openTargets(placing);
  const moving = movingUsers(fleet);
  const usersOf = (host: string): number => placing.rooms.get(host)?.users ?? 0;
  const mean = targets.reduce((sum, host) => sum + usersOf(host), 0) / Math.max(1, targets.length);
  const moves: PlannedMove[] = [];
  const here = new Map<string, string[]>(targets.map(host => [host, []]));
  for (const [user, {host}] of fleet.routes) if (!moving.has(user)) here.get(host)?.push(user);
  for (const source of [...targets].sort((a, b) => usersOf(b) - usersOf(a) || order(a, b))) {
    const movable = largestFirst(here.get(source) ?? [], placing);
    const surplus = usersOf(source) - Math.floor(mean);
    for (const user of crossSection(movable, surplus)) {
      const below = targets.filter(host => usersOf(host) < Math.ceil(mean) && usersOf(host) + 1 < usersOf(source));
      const found = choose(user, below, placing);
      if ('why' in found) continue;
      const planned = {user, source, target: found.host, bytes: placing.sizeOf(user), why: because};
      book(planned, placing);
      moves.push(planned);
    }
  }
  return {...header('rebalance', ids, because), moves, unplaced: []};
}

/**
 * One mailbox, to `target` or to where it fits best.
 * @returns a plan with one move, or with the reason under `unplaced`.
 * @throws MailherdError USER_UNKNOWN, HOST_UNKNOWN, MOVE_IN_PROGRESS.
 */
export function planSingle(
  user: string,
  target: string | null,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
  ids: PlanIds,
  because: string,
): Plan {
  const route = fleet.routes.get(user);
  if (route === undefined) throw new MailherdError('USER_UNKNOWN', {user});
  if (target !== null && !fleet.hosts.has(target)) throw new MailherdError('HOST_UNKNOWN', {host: target});
  if (route.moveId !== null || movingUsers(fleet).has(user)) throw new MailherdError('MOVE_IN_PROGRESS', {user});
  const placing = placingOf(fleet, verdicts, cohorts, policy);
  const head = header('single', ids, because);
  if (target === null) return {...head, ...placeAll([user], new Map(), placing, because)};
  const bytes = placing.sizeOf(user);
  const why = whyNotHere(user, target, placing);
  if (why !== null) return {...head, moves: [], unplaced: [{user, source: route.host, bytes, code: why}]};
  return {...head, moves: [{user, source: route.host, target, bytes, why: because}], unplaced: []};
}

/** Where a new mailbox goes, or null when no host takes one. */
export function placeNew(
  user: string,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
): string | null {
  const placing = placingOf(fleet, verdicts, cohorts, policy);
  const found = choose(user, openTargets(placing), placing);
  return 'host' in found ? found.host : null;
}

/** Carries targets over into moves; who has none, or none that takes him, goes where he fits best. */
function placeAll(
  users: readonly string[],
  wished: ReadonlyMap<string, string>,
  placing: Placing,
  because: string,
): Pick<Plan, 'moves' | 'unplaced'> {
  const targets = openTargets(placing);
  const open = new Set(targets);
  const moves: PlannedMove[] = [];
  const unplaced: Plan['unplaced'] = [];
  const move = (user: string, source: string, target: string): void => {
    const planned = {user, source, target, bytes: placing.sizeOf(user), why: because};
    book(planned, placing);
    moves.push(planned);
  };
  const left: string[] = [];
  for (const user of users) {
    const [source, target] = [placing.fleet.routes.get(user)?.host, wished.get(user) ?? ''];
    if (source === undefined) continue;
    if (open.has(target) && whyNoRoom(user, target, placing) === null) move(user, source, target);
    else left.push(user);
  }
  for (const user of left) {
    const source = placing.fleet.routes.get(user)?.host ?? '';
    const found = choose(user, targets, placing);
    if ('host' in found) move(user, source, found.host);
    else unplaced.push({user, source, bytes: placing.sizeOf(user), code: found.why});
  }
  return {moves, unplaced};
}

function header(kind: Plan['kind'], {planId, generation, parent, nowMs}: PlanIds, because: string): Omit<Plan, 'moves' | 'unplaced'> {
  return {v: 1, id: planId, parent, generation, createdAtMs: nowMs, kind, because};
}

function largestFirst(users: readonly string[], placing: Placing): string[] {
  return [...users].sort((a, b) => placing.sizeOf(b) - placing.sizeOf(a) || order(a, b));
}

/** `count` of the items, evenly from the whole list. */
function crossSection(items: readonly string[], count: number): string[] {
  const wanted = Math.max(0, Math.min(items.length, count));
  return Array.from({length: wanted}, (_, index) => items[Math.floor(((index + 0.5) * items.length) / wanted)] as string);
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
