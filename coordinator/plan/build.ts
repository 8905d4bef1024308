import {MailherdError} from '../../base/errors.ts';
import type {Bytes, Instant} from '../../base/units.ts';
import type {Plan, PlannedMove, Verdict} from '../../wire/record.ts';
import {apartRule} from './apart.ts';
import {caseOf, type PlanCase, type PlanTask, settle} from './case.ts';
import {type Outlook, placingOf, whyNoTarget} from './filter.ts';
import {wavesOf} from './waves.ts';
import {Explained} from './why.ts';

/** Names and place of the new plan in the line of plans. */
export interface PlanIds {
  planId: string;
  /** That of the parent + 1. */
  generation: number;
  parent: string | null;
  nowMs: Instant;
}

/**
 * Mailboxes to hosts that a person named: what the policy says of who lives where does not bind him, and what an earlier move has left
 * there is purged first.
 */
export interface NamedMoves {
  kind: 'named';
  moves: readonly {user: string; target: string}[];
}

/**
 * A plan for a task. Running and waiting moves are counted at both ends, and their users are left to them.
 * @param targets where a search would put users; what no longer holds is chosen anew. Without, the first plan at hand.
 * @returns a plan; who has to leave and has no place is in `unplaced` with a code. The same input gives the same plan.
 * @throws MailherdError HOST_UNKNOWN, USER_UNKNOWN, MOVE_IN_PROGRESS.
 */
export function buildPlan(
  task: PlanTask | NamedMoves,
  outlook: Outlook,
  ids: PlanIds,
  because: string,
  targets?: ReadonlyMap<string, string>,
): Plan {
  if (task.kind === 'named') return planNamed(task, outlook, ids, because);
  const on = caseOf(task, outlook);
  const {users, unitOf, hosts, movables, problem, placing} = on;
  const assignment = settle(on, targets);
  const explained = new Explained(hosts, movables, problem, assignment);
  const choices = Array.from(movables.home, (_, unit) => explained.choice(unit));
  const moves: PlannedMove[] = [];
  const unplaced: Plan['unplaced'] = [...on.kept];
  const largest = largestRooms(on, assignment);
  const leastLoaded = mostLoadLeft(on, assignment);
  users.forEach((user, index) => {
    const unit = unitOf[index] as number;
    const [from, to] = [movables.home[unit] as number, assignment[unit] as number];
    const [source, target, choice] = [hosts[from]?.name ?? '', hosts[to]?.name ?? '', choices[unit] ?? null];
    const bytes = placing.sizeOf(user);
    if (choice !== null) moves.push({user, source, target, bytes, why: because, choice});
    else if (hosts[from]?.isOpen !== true) unplaced.push({user, source, bytes, code: whyNowhere(on, unit, largest, leastLoaded)});
  });
  const {run, stuck} = inOrder(moves, on, outlook);
  // All have room at once: what no order allows would bring a domain too close on its way. It is planned again once the others moved.
  for (const {user, source, bytes} of stuck) {
    if (placing.leaving.has(source)) unplaced.push({user, source, bytes, code: 'APART'});
  }
  const account = explained.account(outlook.policy.place.headroomShare, placing);
  const kind = KINDS[task.kind];
  const isLow = task.kind === 'evacuate' && task.isLow === true;
  const queued = isLow ? run.map(move => ({...move, isLow})) : run;
  return {...header(kind, ids, because), moves: queued, unplaced, account};
}

const KINDS: Readonly<Record<PlanTask['kind'], Plan['kind']>> = {
  evacuate: 'evacuate',
  rebalance: 'rebalance',
  unload: 'rebalance',
  fill: 'fill',
  single: 'single',
  new: 'single',
};

/** Host for a new mailbox, or null when none takes it. */
export function placeNew(user: string, outlook: Outlook): string | null {
  const on = caseOf({kind: 'new', user}, outlook);
  const host = on.hosts[settle(on)[0] ?? -1];
  return host?.isOpen === true ? host.name : null;
}

function planNamed({moves: named}: NamedMoves, outlook: Outlook, ids: PlanIds, because: string): Plan {
  const {fleet} = outlook;
  const placing = placingOf(outlook);
  const moves: PlannedMove[] = [];
  const unplaced: Plan['unplaced'] = [];
  for (const {user, target} of named) {
    const route = fleet.routes.get(user);
    if (route === undefined) throw new MailherdError('USER_UNKNOWN', {user});
    if (!fleet.hosts.has(target)) throw new MailherdError('HOST_UNKNOWN', {host: target});
    if (route.moveId !== null || placing.moving.has(user)) throw new MailherdError('MOVE_IN_PROGRESS', {user});
    const [{host: source}, bytes, room] = [route, placing.sizeOf(user), placing.rooms.get(target)];
    const free = room?.freeBytes ?? 0;
    const isBack = placing.retained.has(`${target} ${user}`);
    const why = source === target ? 'SELF' : (whyNoTarget(target, placing, isBack) ?? (free < bytes ? 'SPACE' : null));
    if (why !== null) unplaced.push({user, source, bytes, code: why});
    else moves.push({user, source, target, bytes, why: because});
    if (why === null && room !== undefined) room.freeBytes = free - bytes;
  }
  return {...header('single', ids, because), moves, unplaced};
}

/** Emptying a sick host relieves users, emptying a well one only prepares something. */
const RELIEF: Readonly<Record<Verdict['kind'], number>> = {sick: 2, suspect: 1, silent: 0, unknown: 0, healthy: 0};

/** Moves in the order in which they should run: relief first, and never many at once for one host. */
function inOrder(
  moves: readonly PlannedMove[],
  {placing}: PlanCase,
  {policy: {move}, verdicts}: Outlook,
): {run: PlannedMove[]; stuck: PlannedMove[]} {
  const room = new Map([...placing.rooms].map(([host, {freeBytes}]): [string, Bytes] => [host, freeBytes ?? 0]));
  const relief = new Map(verdicts.map(({host, kind}) => [host, RELIEF[kind]]));
  const limits = {perSourceMax: Math.max(1, move.perSourceMax), perTargetMax: Math.max(1, move.perTargetMax)};
  const {waves, stuck} = wavesOf(moves, room, relief, limits, apartRule(placing), user => placing.loads.of(user));
  return {run: waves.flat(), stuck};
}

/** Room left on the roomiest host that offers each bit. */
function largestRooms({hosts, movables}: PlanCase, assignment: Int32Array): Map<number, Bytes> {
  const room = hosts.map(({isOpen, roomBytes}) => (isOpen ? roomBytes : -1));
  for (const [unit, from] of movables.home.entries()) {
    const to = assignment[unit] as number;
    if (to !== from) room[to] = (room[to] as number) - (movables.bytes[unit] as number);
  }
  const largest = new Map<number, Bytes>();
  for (const bit of new Set(movables.accepts)) {
    for (const [at, {isOpen, offers}] of hosts.entries()) {
      if (isOpen && ((offers ?? 1) & bit) !== 0) largest.set(bit, Math.max(largest.get(bit) ?? 0, room[at] as number));
    }
  }
  return largest;
}

/** Load that the host that may take most of it may still take, of those that offer each bit. */
function mostLoadLeft({hosts, movables}: PlanCase, assignment: Int32Array): Map<number, number> {
  const left = hosts.map(({isOpen, loadMax, stayLoad}) => (isOpen ? (loadMax ?? Number.POSITIVE_INFINITY) - stayLoad : -1));
  for (const unit of movables.home.keys()) {
    const to = assignment[unit] as number;
    left[to] = (left[to] as number) - (movables.load[unit] as number);
  }
  const most = new Map<number, number>();
  for (const bit of new Set(movables.accepts)) {
    for (const [at, {isOpen, offers}] of hosts.entries()) {
      if (isOpen && ((offers ?? 1) & bit) !== 0) most.set(bit, Math.max(most.get(bit) ?? 0, left[at] as number));
    }
  }
  return most;
}

/** Why nobody takes it: no host at all, none of its tier, none with room, none with load to spare, or only ones that hold its old copy or would bring its domain too close. */
function whyNowhere(
  {hosts, movables, isForbidden}: PlanCase,
  unit: number,
  largest: ReadonlyMap<number, Bytes>,
  loadLeft: ReadonlyMap<number, number>,
): string {
  if (!hosts.some(({isOpen}) => isOpen)) return 'NO_TARGET';
  const room = largest.get(movables.accepts?.[unit] ?? 1);
  if (room === undefined) return 'TIER';
  if (room < (movables.bytes[unit] as number)) return 'SPACE';
  if ((loadLeft.get(movables.accepts?.[unit] ?? 1) ?? 0) < (movables.load[unit] as number)) return 'LOAD';
  return hosts.some((_, at) => isForbidden?.(unit, at) === true) ? 'RETAINED' : (movables.domain?.[unit] ?? -1) >= 0 ? 'APART' : 'SPACE';
}

function header(kind: Plan['kind'], {planId, generation, parent, nowMs}: PlanIds, because: string): Omit<Plan, 'moves' | 'unplaced'> {
  return {v: 1, id: planId, parent, generation, createdAtMs: nowMs, kind, because};
}
