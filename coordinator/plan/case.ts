import {MailherdError} from '../../base/errors.ts';
import {addTo} from '../../base/groups.ts';
import type {MoveRecord, Plan} from '../../wire/record.ts';
import {construct} from './construct.ts';
import {type Aim, type FarmModel, LEAVE, LEVELS, MOVE_SHARE, modelOfFarm} from './farm.ts';
import {type Outlook, openTargets, type Placing, placingOf} from './filter.ts';
import {type FleetFarm, farmOf} from './fleet-farm.ts';
import {overloadOf} from './overload.ts';

export type PlanTask =
  /** Everybody off these hosts: they are sick, or are to be maintained or taken away. */
  | {kind: 'evacuate'; hosts: readonly string[]; isLow?: boolean}
  /** The busiest few off a host that is well and has too much to do. */
  | {kind: 'unload'; host: string}
  /** Few moves that relieve the fullest hosts most. */
  | {kind: 'rebalance'}
  /** Mailboxes onto these hosts, which are new or come back: first of those who left them for another. */
  | {kind: 'fill'; hosts: readonly string[]}
  /** One mailbox to where it fits best. */
  | {kind: 'single'; user: string}
  /** A host for somebody who has no mailbox yet. */
  | {kind: 'new'; user: string};

/** A task as a placing problem. */
export interface PlanCase extends FleetFarm {
  placing: Placing;
  problem: FarmModel;
  /** Who has to leave and is not moved, whatever room there is. */
  kept: Plan['unplaced'];
  /** The old copy is still there. */
  isForbidden?: (unit: number, host: number) => boolean;
}

/** What an unevenness of one byte is worth in bytes moved: less would move nobody, much more would move everybody. */
const RELIEF_WEIGHT = 4;
/** When hosts are to be filled, giving up to this share of the even level is relief: they come near to it. */
const FILL_SHARE = 0.95;
/** Sizes do not add up exactly: hosts are filled so far beyond the even level. */
const FILL_SLACK = 0.08;

/** @throws MailherdError HOST_UNKNOWN, USER_UNKNOWN, MOVE_IN_PROGRESS. */
export function caseOf(task: PlanTask, outlook: Outlook): PlanCase {
  const {fleet, policy} = outlook;
  const aim: Aim = {...LEAVE, headroomShare: policy.place.headroomShare};
  switch (task.kind) {
    case 'evacuate': {
      assertKnown(task.hosts, outlook);
      const placing = placingOf(outlook, task.hosts);
      const {movable, pinned} = sorted(usersOn(new Set(task.hosts), placing), placing);
      const kept = pinned.map(user => {
        return {user, source: fleet.routes.get(user)?.host ?? '', bytes: placing.sizeOf(user), code: 'PINNED'};
      });
      return closeCase(farmOf(movable, placing), placing, aim, kept);
    }
    case 'rebalance': {
      const placing = placingOf(outlook);
      const empty = emptyHosts(placing, policy.place.imbalanceMax);
      return empty.length > 0 ? levelling(placing, aim, empty) : levelling(placing, aim, null);
    }
    case 'unload': {
      assertKnown([task.host], outlook);
      const placing = placingOf(outlook, [task.host]);
      return closeCase(farmOf(overloadOf(task.host, outlook).users, placing), placing, aim, []);
    }
    case 'fill':
      assertKnown(task.hosts, outlook);
      return levelling(placingOf(outlook), aim, task.hosts);
    case 'single': {
      const route = fleet.routes.get(task.user);
      if (route === undefined) throw new MailherdError('USER_UNKNOWN', {user: task.user});
      const placing = placingOf(outlook, [route.host]);
      if (route.moveId !== null || placing.moving.has(task.user)) throw new MailherdError('MOVE_IN_PROGRESS', {user: task.user});
      return closeCase(farmOf([task.user], placing), placing, aim, []);
    }
    case 'new': {
      const placing = placingOf(outlook);
      return closeCase(farmOf([task.user], placing, withDomain(task.user, placing)), placing, aim, []);
    }
  }
}

/**
 * Targets of all units at once, without a search.
 * @param targets wishes by user, kept as far as they hold.
 */
export function settle(on: PlanCase, targets?: ReadonlyMap<string, string>): Int32Array {
  const {problem, users, unitOf, hosts, isForbidden} = on;
  const start = {...(isForbidden !== undefined && {isForbidden})};
  if (targets === undefined) return construct(problem.model, LEVELS, start);
  const at = new Map(hosts.map(({name}, index) => [name, index]));
  const wish = new Int32Array(problem.model.processes).fill(-1);
  users.forEach((user, index) => {
    const host = at.get(targets.get(user) ?? '') ?? -1;
    // To stay where nobody should stay is no wish: there may be room by now.
    wish[unitOf[index] as number] = hosts[host]?.isOpen === true ? host : -1;
  });
  return construct(problem.model, LEVELS, {...start, wish});
}

/** An assignment by names. */
export function targetsOf({users, unitOf, hosts}: PlanCase, assignment: Int32Array): Map<string, string> {
  return new Map(users.map((user, index) => [user, hosts[assignment[unitOf[index] as number] ?? -1]?.name ?? '']));
}

/** Nobody has to leave. @param takes hosts to fill; null for all that may take some. */
function levelling(placing: Placing, aim: Aim, takes: readonly string[] | null): PlanCase {
  const fairShare = takes === null ? 1 : FILL_SHARE;
  const targets = openTargets(placing);
  const mean = meanOf(placing, targets);
  const fills = takes === null ? undefined : new Set(takes);
  const above = new Set(targets.filter(host => fills?.has(host) !== true && levelOf(host, placing, mean) > 1));
  const isBack = ({source, step}: MoveRecord): boolean => fills?.has(source) === true && step !== 'backedOut';
  const returning = new Set(placing.fleet.moves.filter(isBack).map(({user}) => user));
  const byHost = new Map<string, string[]>();
  for (const user of sorted(usersOn(above, placing), placing).movable) {
    const host = placing.fleet.routes.get(user)?.host ?? '';
    // A domain that is kept together would be torn: it leaves when all of it has to.
    if (placing.rules.togetherOf(user) === null) addTo(byHost, host, user);
  }
  const movable = [...byHost].flatMap(([host, users]) => {
    const [room, strength] = [placing.rooms.get(host), placing.rules.strengthOf(placing.labelsOf(host))];
    const over = (held: number, each: number): number => held - each * strength;
    const surplus = {bytes: over(room?.bytes ?? 0, mean.bytes), load: over(room?.load ?? 0, mean.load)};
    const back = users.filter(user => returning.has(user));
    return shed([...back, ...users.filter(user => !returning.has(user))], back.length, placing, surplus);
  });
  const farm = farmOf(movable, placing, fills);
  return closeCase(farm, placing, {...aim, unevenWeight: RELIEF_WEIGHT, fairShare, fillShare: 1 + FILL_SLACK}, []);
}

/**
 * Which mailboxes would leave a host that holds too much: few, and such that what leaves is what is too much. First of those who come
 * back; then large ones for the bytes that are too many, then, for the load, those that bring the most of it for what their move costs
 * (the greedy choice of the fractional knapsack; Dantzig 1957).
 * @param users those who come back first, else the largest first. @param back how many come back.
 */
function shed(users: readonly string[], back: number, {sizeOf, loads}: Placing, {bytes, load}: Mean): string[] {
  const left = {bytes, load};
  const taken = new Set<string>();
  const take = (user: string): void => {
    taken.add(user);
    left.bytes -= sizeOf(user);
    left.load -= loads.of(user);
  };
  for (const user of users.slice(0, back)) if (left.load > 0 || left.bytes > 0) take(user);
  // What is larger than what is too much would only be too much elsewhere.
  for (const user of users) if (!taken.has(user) && sizeOf(user) > 0 && sizeOf(user) <= left.bytes) take(user);
  if (left.load <= 0) return [...taken];
  const mean = (of: (user: string) => number): number => users.reduce((sum, user) => sum + of(user), 0) / users.length;
  const [each, usual] = [MOVE_SHARE * mean(sizeOf), mean(loads.of)];
  const others = users.filter(user => !taken.has(user)).map(user => ({user, worth: loads.of(user) / (sizeOf(user) + each + 1)}));
  others.sort((a, b) => b.worth - a.worth || (a.user < b.user ? -1 : 1));
  for (const {user} of others) if (left.load > 0 && loads.of(user) <= left.load + usual) take(user);
  return [...taken];
}

function closeCase(farm: FleetFarm, placing: Placing, aim: Aim, kept: Plan['unplaced']): PlanCase {
  const problem = modelOfFarm(farm.hosts, farm.movables, {...aim, domains: farm.domains});
  if (placing.retained.size === 0) return {...farm, placing, problem, kept};
  const at = new Map(farm.hosts.map(({name}, index) => [name, index]));
  const units = new Map(farm.users.map((user, index) => [user, farm.unitOf[index] as number]));
  const forbidden = new Set<string>();
  for (const {user, source, step} of placing.fleet.moves) {
    if (step === 'retained' && units.has(user) && at.has(source)) forbidden.add(`${units.get(user)} ${at.get(source)}`);
  }
  return {...farm, placing, problem, kept, isForbidden: (unit, host) => forbidden.has(`${unit} ${host}`)};
}

/** Users there whose mailbox stands still. */
function usersOn(hosts: ReadonlySet<string>, {fleet, moving}: Placing): string[] {
  return [...fleet.routes].flatMap(([user, {host}]) => (hosts.has(host) && !moving.has(user) ? [user] : []));
}

/** The largest first. */
function sorted(users: readonly string[], {sizeOf, rules}: Placing): {movable: string[]; pinned: string[]} {
  const order = users.map(user => ({user, bytes: sizeOf(user)})).sort((a, b) => b.bytes - a.bytes || (a.user < b.user ? -1 : 1));
  const [movable, pinned]: [string[], string[]] = [[], []];
  // Where one of a domain that is kept together is pinned, its others stay with him.
  const bound = new Set(users.filter(user => rules.isPinned(user)).map(user => rules.togetherOf(user) ?? ''));
  for (const {user} of order) (rules.isPinned(user) || bound.has(rules.togetherOf(user) ?? ' ') ? pinned : movable).push(user);
  return {movable, pinned};
}

/** Hosts that hold the domain already, where it is kept together and one of them takes mailboxes. */
function withDomain(user: string, placing: Placing): ReadonlySet<string> | undefined {
  const domain = placing.rules.togetherOf(user);
  if (domain === null) return undefined;
  const open = new Set(openTargets(placing));
  const holding = new Set<string>();
  for (const [other, {host}] of placing.fleet.routes) if (open.has(host) && placing.rules.togetherOf(other) === domain) holding.add(host);
  return holding.size === 0 ? undefined : holding;
}

/** Bytes and load, of an even farm for each unit of strength. */
interface Mean {
  bytes: number;
  load: number;
}

function meanOf({rooms, rules, labelsOf}: Placing, targets: readonly string[]): Mean {
  const mean = {bytes: 0, load: 0};
  let strength = 0;
  for (const host of targets) {
    mean.bytes += rooms.get(host)?.bytes ?? 0;
    mean.load += rooms.get(host)?.load ?? 0;
    strength += rules.strengthOf(labelsOf(host));
  }
  return strength === 0 ? mean : {bytes: mean.bytes / strength, load: mean.load / strength};
}

function levelOf(host: string, {rooms, rules, labelsOf}: Placing, mean: Mean): number {
  const [room, strength] = [rooms.get(host), rules.strengthOf(labelsOf(host))];
  const share = (value: number, of: number): number => (of > 0 ? value / strength / of : 0);
  return Math.max(share(room?.bytes ?? 0, mean.bytes), share(room?.load ?? 0, mean.load));
}

/** Hosts so far below the even level that others are relieved onto them first. */
function emptyHosts(placing: Placing, imbalanceMax: number): string[] {
  const targets = openTargets(placing);
  const mean = meanOf(placing, targets);
  return targets.filter(host => levelOf(host, placing, mean) * imbalanceMax < 1);
}

function assertKnown(hosts: readonly string[], {fleet}: Outlook): void {
  for (const host of hosts) if (!fleet.hosts.has(host)) throw new MailherdError('HOST_UNKNOWN', {host});
}
