import type {Bytes} from '../../base/units.ts';
import {MIB} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import {type Fleet, usersByHost} from '../fleet.ts';
import {isUnderWay} from '../move/budget.ts';
import type {Loads} from './load.ts';

/** What a host will hold once everything that runs or waits has arrived. Changed while a plan is built. */
export interface Room {
  users: number;
  /** Sum of the mailboxes that live here, the retained copies of others not counted. */
  bytes: Bytes;
  /** Sum of what they cost to serve, in deliveries a day. */
  load: number;
  /** What may still be placed here: free space less the reserve and less what is on its way; null when the host told no space. */
  freeBytes: Bytes | null;
}

/** For a farm that has not listed a single mailbox yet. */
const SIZE_UNKNOWN_BYTES: Bytes = 16 * MIB;

/** Size of a mailbox; one that was never listed, or with a size that is none, counts as the mean of the others. */
export function mailboxBytes(fleet: Fleet): (user: string) => Bytes {
  let [sum, count] = [0, 0];
  for (const {bytes} of fleet.mailboxes.values()) {
    if (!isSize(bytes)) continue;
    sum += bytes;
    count++;
  }
  const mean = count === 0 ? SIZE_UNKNOWN_BYTES : Math.ceil(sum / count);
  return user => {
    const bytes = fleet.mailboxes.get(user)?.bytes ?? mean;
    return isSize(bytes) ? bytes : mean;
  };
}

/** NaN fails every comparison. */
function isSize(bytes: Bytes): boolean {
  return bytes >= 0 && bytes < Number.MAX_SAFE_INTEGER;
}

/**
 * Room of every host with running and waiting moves counted at both ends. Space is counted as used until it is seen free: a source
 * keeps its copy until the purge, and a running move is counted in full on top of what it has already copied.
 */
export function roomsOf(fleet: Fleet, policy: Policy, sizeOf: (user: string) => Bytes, loads: Loads): Map<string, Room> {
  const users = usersByHost(fleet);
  const rooms = new Map<string, Room>();
  for (const [host, {reports}] of fleet.hosts) {
    const store = reports.findLast(({mailStore}) => mailStore !== null)?.mailStore ?? null;
    const freeBytes = store === null ? null : Math.floor(store.freeBytes - policy.place.reserveShare * store.totalBytes);
    // A host that tells nonsense has told no space.
    rooms.set(host, {users: users.get(host) ?? 0, bytes: 0, load: 0, freeBytes: Number.isFinite(freeBytes) ? freeBytes : null});
  }
  for (const [user, {host}] of fleet.routes) {
    const room = rooms.get(host);
    if (room === undefined) continue;
    room.bytes += sizeOf(user);
    room.load += loads.of(user);
  }
  for (const {user, source, target, bytes} of coming(fleet)) {
    const isThere = fleet.routes.get(user)?.host === target;
    const into = rooms.get(target);
    const from = rooms.get(source);
    if (into?.freeBytes !== undefined && into.freeBytes !== null) into.freeBytes -= bytes;
    if (isThere) continue;
    if (into !== undefined) {
      into.users++;
      into.bytes += bytes;
      into.load += loads.of(user);
    }
    if (from !== undefined) {
      from.users--;
      from.bytes -= bytes;
      from.load -= loads.of(user);
    }
  }
  return rooms;
}

/** Running moves that will reach their target, and waiting ones. */
function coming(fleet: Fleet): {user: string; source: string; target: string; bytes: Bytes}[] {
  return [...fleet.moves.filter(move => isUnderWay(move) && move.step !== 'backingOut'), ...fleet.waiting];
}

/** Users whose mailbox moves or waits to. */
export function movingUsers(fleet: Fleet): Set<string> {
  return new Set([...fleet.moves.filter(isUnderWay), ...fleet.waiting].map(({user}) => user));
}
