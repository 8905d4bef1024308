import type {Bytes} from '../../base/units.ts';
import type {Lack} from '../../wire/record.ts';
import type {FarmHost, Movables} from './farm.ts';

/** So many new hosts at once are looked at for a mailbox: a million of them are packed in a second. */
const BINS = 64;

/** Mailboxes that have to leave and do not, by what their hosts must offer. */
interface Without {
  bit: number;
  sizes: Bytes[];
  loads: number[];
}

/**
 * What lacks, in all and by tier of hardware.
 * @param assignment of a plan; entries beyond the movables are left alone.
 * @param tierName of a bit, for people.
 * @returns null when everybody who has to leave has a place.
 */
export function lackOf(
  hosts: readonly FarmHost[],
  movables: Movables,
  assignment: Int32Array,
  tierName: (bit: number) => string = () => 'any',
): Lack | null {
  const {home, bytes, load, accepts} = movables;
  const room = hosts.map(({isOpen, roomBytes}) => (isOpen ? roomBytes : 0));
  const loads = hosts.map(({stayLoad}) => stayLoad);
  const roomBytes = room.reduce((sum, one) => sum + one, 0);
  const tiers = new Map<number, Without>();
  for (const [process, from] of home.entries()) {
    const [to, size, work, bit] = [
      assignment[process] as number,
      bytes[process] as number,
      load[process] as number,
      accepts?.[process] ?? 1,
    ];
    if (to !== from) room[to] = (room[to] as number) - size;
    loads[to] = (loads[to] as number) + work;
    if (to !== from || (hosts[from] as FarmHost).isOpen) continue;
    const without = tiers.get(bit) ?? {bit, sizes: [], loads: []};
    tiers.set(bit, without);
    without.sizes.push(size);
    without.loads.push(work);
  }
  if (tiers.size === 0) return null;
  const left: Left = {hosts, room, loads};
  const lackLoads = [...tiers.values()].flatMap(without => without.loads);
  const all = [...tiers.values()].flatMap(({sizes}) => sizes);
  const standardBytes = standardHost(hosts);
  const largestBytes = most(all);
  return {
    ...{mailboxes: all.length, bytes: sum(all), load: sum(lackLoads), roomBytes, largestBytes, standardBytes},
    leftBytes: room.reduce((total, one) => total + Math.max(0, one), 0),
    largestRoomBytes: most(room),
    standardHosts: moreOf(hostsFor(all, standardBytes), hostsForLoad(lackLoads, hosts)),
    tiers: [...tiers.values()].sort((a, b) => a.bit - b.bit).map(without => tierOf(without, left, tierName)),
  };
}

interface Left {
  hosts: readonly FarmHost[];
  room: readonly Bytes[];
  loads: readonly number[];
}

function tierOf({bit, sizes, loads}: Without, left: Left, tierName: (bit: number) => string): Lack['tiers'][number] {
  const of = [...left.hosts.entries()].filter(([, {isOpen, offers}]) => isOpen && ((offers ?? 1) & bit) !== 0);
  const least = sizes.reduce((at, size, index) => (size < (sizes[at] as number) ? index : at), 0);
  const spacious = of.filter(([at]) => (left.room[at] as number) >= (sizes[least] as number));
  const unhurried = spacious.filter(
    ([at, {loadMax}]) => loadMax === null || (left.loads[at] as number) + (loads[least] as number) <= loadMax,
  );
  const resource = of.length === 0 ? 'TARGET' : spacious.length === 0 ? 'SPACE' : unhurried.length === 0 ? 'LOAD' : 'APART';
  return {
    ...{tier: tierName(bit), resource, mailboxes: sizes.length, bytes: sum(sizes)},
    roomBytes: of.reduce((total, [at]) => total + Math.max(0, left.room[at] as number), 0),
    standardHosts: hostsOfTier(
      resource,
      {sizes, loads},
      of.map(([, host]) => host),
    ),
  };
}

/** Room of an empty host of the usual size: the median of what open hosts hold and could hold. */
export function standardHost(hosts: readonly FarmHost[]): Bytes | null {
  const sizes = hosts.filter(({isOpen}) => isOpen).map(({roomBytes, stayBytes}) => roomBytes + stayBytes);
  sizes.sort((a, b) => a - b);
  return sizes[Math.floor((sizes.length - 1) / 2)] ?? null;
}

function hostsOfTier(
  resource: Lack['tiers'][number]['resource'],
  {sizes, loads}: Pick<Without, 'sizes' | 'loads'>,
  hosts: readonly FarmHost[],
): number | null {
  if (resource === 'SPACE') return hostsFor(sizes, standardHost(hosts));
  return resource === 'LOAD' ? hostsForLoad(loads, hosts) : null;
}

/** By load alone: 0 where it has no limit. */
function hostsForLoad(loads: readonly number[], hosts: readonly FarmHost[]): number | null {
  const limits = hosts.flatMap(({isOpen, loadMax}) => (isOpen && loadMax !== null ? [loadMax] : [])).sort((a, b) => a - b);
  const usual = limits[Math.floor((limits.length - 1) / 2)];
  return usual === undefined ? 0 : hostsFor(loads, usual);
}

function moreOf(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b);
}

/** First fit, the largest first: never more than 11/9 of the least possible, plus one (Johnson 1973), where `BINS` are enough. */
function hostsFor(sizes: readonly number[], hostBytes: number | null): number | null {
  if (hostBytes === null || most(sizes) > hostBytes) return null;
  const rooms: Bytes[] = [];
  let count = 0;
  for (const size of [...sizes].sort((a, b) => b - a)) {
    const at = rooms.findIndex(left => left >= size);
    if (at >= 0) {
      rooms[at] = (rooms[at] as number) - size;
      continue;
    }
    count++;
    rooms.push(hostBytes - size);
    if (rooms.length > BINS) rooms.shift();
  }
  return count;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}

function most(values: readonly number[]): number {
  return values.reduce((largest, one) => Math.max(largest, one), 0);
}
