import type {Bytes} from '../../base/units.ts';
import type {FarmHost, Homeless} from './farm.ts';

/** What a farm lacks to take all that should move. */
export interface Lack {
  /** Mailboxes without a place, and their bytes. */
  mailboxes: number;
  bytes: Bytes;
  /** Free on hosts that may take mailboxes, before the plan and after it. */
  roomBytes: Bytes;
  leftBytes: Bytes;
  /** The largest mailbox without a place, and the largest room that is left: space may be there in pieces only. */
  largestBytes: Bytes;
  largestRoomBytes: Bytes;
  /** Room of a new host of the usual size, and how many of these would do; null while no open host shows what is usual. */
  standardBytes: Bytes | null;
  standardHosts: number | null;
}

/** @param assignment of a plan; null when everybody has a place. */
export function lackOf(hosts: readonly FarmHost[], {home, bytes}: Homeless, assignment: Int32Array): Lack | null {
  const room = hosts.map(({isOpen, roomBytes}) => (isOpen ? roomBytes : 0));
  const roomBytes = room.reduce((sum, one) => sum + one, 0);
  const without: Bytes[] = [];
  for (const [process, from] of home.entries()) {
    const [to, size] = [assignment[process] as number, bytes[process] as number];
    if (to === from) without.push(size);
    else room[to] = (room[to] as number) - size;
  }
  if (without.length === 0) return null;
  const standardBytes = standardHost(hosts);
  const missing = without.reduce((sum, one) => sum + one, 0);
  const largestBytes = without.reduce((most, one) => Math.max(most, one), 0);
  return {
    ...{mailboxes: without.length, bytes: missing, roomBytes, largestBytes, standardBytes},
    leftBytes: room.reduce((sum, one) => sum + Math.max(0, one), 0),
    largestRoomBytes: room.reduce((most, one) => Math.max(most, one), 0),
    standardHosts: standardBytes === null || largestBytes > standardBytes ? null : hostsFor(without, standardBytes),
  };
}

/** Room of an empty host of the usual size: the median of what open hosts hold and could hold. */
export function standardHost(hosts: readonly FarmHost[]): Bytes | null {
  const sizes = hosts.filter(({isOpen}) => isOpen).map(({roomBytes, stayBytes}) => roomBytes + stayBytes);
  sizes.sort((a, b) => a - b);
  return sizes[Math.floor((sizes.length - 1) / 2)] ?? null;
}

/** First fit, the largest first: never more than 11/9 of the least possible, plus one (Johnson 1973). */
function hostsFor(sizes: readonly Bytes[], hostBytes: Bytes): number {
  const rooms: Bytes[] = [];
  for (const size of [...sizes].sort((a, b) => b - a)) {
    const at = rooms.findIndex(left => left >= size);
    if (at < 0) rooms.push(hostBytes - size);
    else rooms[at] = (rooms[at] as number) - size;
  }
  return rooms.length;
}
