import type {Bytes} from '../../base/units.ts';
import type {FarmHost, FarmModel, Homeless} from './farm.ts';
import {DISK, LOAD, RESOURCES} from './farm.ts';

/** How full a host is with the plan carried out: 1 = exactly the level of a perfectly even farm. */
export interface Fill {
  host: string;
  bytes: Bytes;
  load: number;
  /** Of space and load the one that stands higher against the level. */
  level: number;
  resource: 'space' | 'load';
  roomBytes: Bytes;
}

export interface Answer {
  target: string;
  /** ROOM_NOWHERE_ELSE: no other host has room. LOWEST_LEVEL: none is left emptier. NEARLY_LOWEST: none is left much emptier. */
  code: 'ROOM_NOWHERE_ELSE' | 'LOWEST_LEVEL' | 'NEARLY_LOWEST';
  level: number;
  /** Other open hosts, those nearest to being chosen first. */
  others: {host: string; code: 'NO_ROOM' | 'FULLER' | 'EMPTIER'; level: number; lackBytes: Bytes}[];
}

/** Fill of every open host after a plan, the fullest first: the first is what binds. */
export function fillsOf(hosts: readonly FarmHost[], homeless: Homeless, {level}: FarmModel, assignment: Int32Array): Fill[] {
  const [bytes, load] = [Float64Array.from(hosts, host => host.stayBytes), Float64Array.from(hosts, host => host.stayLoad)];
  for (const [process, from] of homeless.home.entries()) {
    const to = assignment[process] as number;
    if (to === from) continue;
    bytes[to] = (bytes[to] as number) + (homeless.bytes[process] as number);
    load[to] = (load[to] as number) + (homeless.load[process] as number);
  }
  const fills = hosts.map((host, at): Fill & {isOpen: boolean} => {
    const [held, served] = [bytes[at] as number, load[at] as number];
    const [space, work] = [against(held / host.strength, level.bytes), against(served / host.strength, level.load)];
    const resource = space >= work ? 'space' : 'load';
    const roomBytes = host.roomBytes - (held - host.stayBytes);
    return {host: host.name, bytes: held, load: served, level: Math.max(space, work), resource, roomBytes, isOpen: host.isOpen};
  });
  return fills
    .filter(({isOpen}) => isOpen)
    .map(({isOpen: _, ...fill}) => fill)
    .sort((a, b) => b.level - a.level || (a.host < b.host ? -1 : 1));
}

/** Why a mailbox goes where it goes, and not elsewhere: the farm as it is after the plan, with this one mailbox put to every host. */
export function whyThere(
  process: number,
  hosts: readonly FarmHost[],
  homeless: Homeless,
  problem: FarmModel,
  assignment: Int32Array,
  othersMax: number,
): Answer | null {
  const to = assignment[process] as number;
  if (to === homeless.home[process]) return null;
  const fills = new Map(fillsOf(hosts, homeless, problem, assignment).map(fill => [fill.host, fill]));
  const [bytes, load] = [homeless.bytes[process] as number, homeless.load[process] as number];
  const target = hosts[to] as FarmHost;
  const level = fills.get(target.name)?.level ?? 0;
  const others = hosts.flatMap(({name, isOpen, strength}, at): Answer['others'] => {
    const fill = fills.get(name);
    if (!isOpen || at === to || fill === undefined) return [];
    const space = against((fill.bytes + bytes) / strength, problem.level.bytes);
    const after = Math.max(space, against((fill.load + load) / strength, problem.level.load));
    const lackBytes = Math.max(0, bytes - fill.roomBytes);
    return [{host: name, code: lackBytes > 0 ? 'NO_ROOM' : after < level ? 'EMPTIER' : 'FULLER', level: after, lackBytes}];
  });
  others.sort((a, b) => a.lackBytes - b.lackBytes || a.level - b.level || (a.host < b.host ? -1 : 1));
  const hasRoom = others.some(({code}) => code !== 'NO_ROOM');
  const code = !hasRoom ? 'ROOM_NOWHERE_ELSE' : others.some(other => other.code === 'EMPTIER') ? 'NEARLY_LOWEST' : 'LOWEST_LEVEL';
  return {target: target.name, code, level, others: others.slice(0, othersMax)};
}

/** Cost of a plan by term, in bytes: what moves, what lies over the even level, what stays where nobody should stay. */
export function termsOf(
  hosts: readonly FarmHost[],
  {model, unitBytes}: FarmModel,
  assignment: Int32Array,
): Record<'moved' | 'uneven' | 'stays', Bytes> {
  const use = new Float64Array(hosts.length * RESOURCES);
  const terms = {moved: 0, uneven: 0, stays: 0};
  for (let process = 0; process < model.processes; process++) {
    const to = assignment[process] as number;
    const units = model.need[process * RESOURCES + DISK] as number;
    terms[to === model.home[process] ? 'stays' : 'moved'] += units * unitBytes;
    if (to === model.home[process]) continue;
    for (const r of [DISK, LOAD])
      use[to * RESOURCES + r] = (use[to * RESOURCES + r] as number) + (model.need[process * RESOURCES + r] as number);
  }
  for (let at = 0; at < use.length; at++) {
    const over = Math.max(0, (use[at] as number) - (model.safety[at] as number));
    terms.uneven += over * (model.loadWeight[at % RESOURCES] as number) * unitBytes;
  }
  return terms;
}

/** An empty farm has no level: nothing stands above it. */
function against(value: number, level: number): number {
  return level > 0 ? value / level : 0;
}
