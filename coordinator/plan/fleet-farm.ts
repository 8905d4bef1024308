import type {FarmHost, Homeless} from './farm.ts';
import {openTargets, type Placing} from './filter.ts';

/** What stands where in the arrays of a placing problem. */
export interface FleetFarm {
  hosts: FarmHost[];
  homeless: Homeless;
}

/**
 * The farm as placing sees it. Every mailbox counts as one load: a fleet knows sizes, not loads.
 * @param users whose mailboxes leave their hosts; the order of the arrays.
 */
export function farmOf(users: readonly string[], placing: Placing): FleetFarm {
  const open = new Set(openTargets(placing));
  const sources = new Set(users.map(user => placing.fleet.routes.get(user)?.host ?? ''));
  const names = [...new Set([...open, ...sources])].sort();
  const hosts = names.map((name): FarmHost => {
    const room = placing.rooms.get(name);
    const isOpen = open.has(name);
    const [stayBytes, stayLoad] = isOpen ? [room?.bytes ?? 0, room?.users ?? 0] : [0, 0];
    return {name, roomBytes: Math.max(0, room?.freeBytes ?? 0), stayBytes, stayLoad, loadMax: null, isOpen, strength: 1};
  });
  const at = new Map(names.map((name, index) => [name, index]));
  return {
    hosts,
    homeless: {
      home: Int32Array.from(users, user => at.get(placing.fleet.routes.get(user)?.host ?? '') ?? 0),
      bytes: Float64Array.from(users, user => placing.sizeOf(user)),
      load: new Float64Array(users.length).fill(1),
    },
  };
}
