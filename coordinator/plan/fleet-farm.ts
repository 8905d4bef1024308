import {domainOf} from '../../wire/schema.ts';
import type {FarmHost, Movables} from './farm.ts';
import {openTargets, type Placing} from './filter.ts';

/** What stands where in the arrays of a placing problem. */
export interface FleetFarm {
  hosts: FarmHost[];
  movables: Movables;
  /** Domains that are kept apart, with where mailboxes of them stay. */
  domains: {racks: number; stays: number[]}[];
  users: readonly string[];
  /** Index in `movables` of each user; several share one where their domain moves as one. */
  unitOf: Int32Array;
}

/** Where somebody is who has no mailbox yet. */
const NOWHERE = '';

/**
 * The farm as placing sees it.
 * @param users whose mailboxes may move, the order of the arrays; who has no route yet needs a place too.
 * @param takes hosts that take mailboxes for this plan; all that may, unless said.
 */
export function farmOf(users: readonly string[], placing: Placing, takes?: ReadonlySet<string>): FleetFarm {
  const {fleet, rules, rooms, loads} = placing;
  const open = new Set(openTargets(placing));
  const homeOf = (user: string): string => fleet.routes.get(user)?.host ?? NOWHERE;
  const anchors = rules.apart.size === 0 ? new Map<string, Map<string, string>>() : anchorsOf(users, placing);
  const kept = [...anchors.values()].flatMap(racks => [...racks.values()]);
  const names = [...new Set([...open, ...users.map(homeOf), ...kept])].sort();
  const at = new Map(names.map((name, index) => [name, index]));
  const domains = [...anchors.keys()].sort();
  const {movables, unitOf} = unitsOf(users, placing, at, new Map(domains.map((domain, index) => [domain, index])), homeOf);
  const [bytes, load] = [new Float64Array(names.length), new Float64Array(names.length)];
  for (const [unit, host] of movables.home.entries()) {
    bytes[host] = (bytes[host] as number) + (movables.bytes[unit] as number);
    load[host] = (load[host] as number) + (movables.load[unit] as number);
  }
  const hosts = names.map((name, index): FarmHost => {
    const [room, isOpen, record] = [rooms.get(name), open.has(name), fleet.hosts.get(name)?.record];
    const labels = placing.labelsOf(name);
    const rack = labels.rack;
    return {
      ...{name, isOpen, strength: rules.strengthOf(labels), roomBytes: Math.max(0, room?.freeBytes ?? 0)},
      stayBytes: isOpen ? Math.max(0, (room?.bytes ?? 0) - (bytes[index] as number)) : 0,
      stayLoad: isOpen ? Math.max(0, (room?.load ?? 0) - (load[index] as number)) : 0,
      loadMax: loads.isKnown ? rules.loadMaxOf(labels) : null,
      offers: record === undefined || takes?.has(name) === false ? 0 : rules.offeredBy(labels),
      ...(rack !== undefined && {rack}),
    };
  });
  const racksOf = (domain: string): number => {
    const racks = new Set<string>(anchors.get(domain)?.keys());
    for (const user of users) if (domainOf(user) === domain) racks.add(placing.rackOf(homeOf(user)));
    return racks.size;
  };
  return {
    ...{hosts, movables, users, unitOf},
    domains: domains.map(domain => ({
      racks: Math.min(rules.apart.get(domain) ?? 0, racksOf(domain)),
      stays: [...(anchors.get(domain)?.values() ?? [])].map(host => at.get(host) ?? 0),
    })),
  };
}

/** Of each domain that is kept apart and has a mailbox among `users`: a host in every rack where one of its others stays. */
function anchorsOf(users: readonly string[], {fleet, rules, moving, rackOf}: Placing): Map<string, Map<string, string>> {
  const leaving = new Set(users);
  const anchors = new Map<string, Map<string, string>>();
  for (const user of users) if (rules.apart.has(domainOf(user))) anchors.set(domainOf(user), new Map());
  if (anchors.size === 0) return anchors;
  for (const [user, {host}] of fleet.routes) {
    const racks = anchors.get(domainOf(user));
    if (racks === undefined || leaving.has(user) || moving.has(user)) continue;
    const rack = rackOf(host);
    const known = racks.get(rack);
    if (known === undefined || host < known) racks.set(rack, host);
  }
  return anchors;
}

/** Users with no rule between them are units of their own; a domain that moves as one is a unit for each host. */
function unitsOf(
  users: readonly string[],
  {rules, sizeOf, loads}: Placing,
  at: ReadonlyMap<string, number>,
  domains: ReadonlyMap<string, number>,
  homeOf: (user: string) => string,
): {movables: Required<Movables>; unitOf: Int32Array} {
  const unitOf = new Int32Array(users.length);
  const joined = new Map<string, number>();
  const units: {home: number; bytes: number; load: number; accepts: number; domain: number}[] = [];
  users.forEach((user, index) => {
    const [host, bit, together] = [at.get(homeOf(user)) ?? 0, rules.acceptedBy(user), rules.togetherOf(user)];
    const key = together === null ? null : `${host} ${bit} ${together}`;
    const known = key === null ? undefined : joined.get(key);
    const unit = known ?? units.length;
    unitOf[index] = unit;
    if (key !== null) joined.set(key, unit);
    units[unit] ??= {home: host, bytes: 0, load: 0, accepts: bit, domain: domains.size === 0 ? -1 : (domains.get(domainOf(user)) ?? -1)};
    const own = units[unit];
    own.bytes += sizeOf(user);
    own.load += loads.of(user);
  });
  return {
    movables: {
      home: Int32Array.from(units, unit => unit.home),
      bytes: Float64Array.from(units, unit => unit.bytes),
      load: Float64Array.from(units, unit => unit.load),
      accepts: Uint32Array.from(units, unit => unit.accepts),
      domain: Int32Array.from(units, unit => unit.domain),
    },
    unitOf,
  };
}
