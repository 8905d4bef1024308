import type {Account, Choice, Fill, Terms} from '../../wire/record.ts';
import {DISK, type FarmHost, type FarmModel, HEADROOM, type Movables, RESOURCES, STAYED} from './farm.ts';
import type {Placing} from './filter.ts';
import {lackOf} from './lack.ts';
import {val} from './model.ts';

/** An open host that was not chosen. */
export interface Other {
  host: string;
  code: 'NO_ROOM' | 'NO_LOAD' | 'TIER' | 'FULLER' | 'EMPTIER';
  /** Of the host, if it had been chosen. */
  level: number;
  lackBytes: number;
  lackLoad: number;
}

/** A plan with what can be asked about it. The farm is looked at as it is after the plan. */
export class Explained {
  readonly #hosts: readonly FarmHost[];
  readonly #movables: Movables;
  readonly #problem: FarmModel;
  readonly #assignment: Int32Array;
  readonly #before: Held;
  readonly #after: Held;
  /** Open hosts, the emptiest first. */
  readonly #open: readonly number[];

  constructor(hosts: readonly FarmHost[], movables: Movables, problem: FarmModel, assignment: Int32Array) {
    this.#hosts = hosts;
    this.#movables = movables;
    this.#problem = problem;
    this.#assignment = assignment;
    this.#before = heldBy(hosts, movables, movables.home);
    this.#after = heldBy(hosts, movables, assignment);
    const levels = hosts.map((_, at) => this.#levelOf(at));
    this.#open = hosts.flatMap(({isOpen}, at) => (isOpen ? [at] : [])).sort((a, b) => val(levels, a) - val(levels, b) || a - b);
  }

  /** Fill of every open host after the plan, the fullest first: the first is what binds. */
  fills(): Fill[] {
    return this.#open.map(at => this.#fillOf(at)).sort((a, b) => b.level - a.level || (a.host < b.host ? -1 : 1));
  }

  /** Why a mailbox goes where it goes; null when it stays. Looks at no more hosts than it takes to find the next best. */
  choice(process: number): Choice | null {
    const to = val(this.#assignment, process);
    if (to === this.#movables.home[process]) return null;
    const level = short(this.#levelOf(to));
    for (const at of this.#open) {
      if (at === to || at === this.#movables.home[process]) continue;
      const {host, code, level: other} = this.#other(process, at);
      if (code === 'EMPTIER') return {code: 'NEARLY_LOWEST', level, next: {host, code, level: short(other)}};
      if (code === 'FULLER') return {code: 'LOWEST_LEVEL', level, next: {host, code, level: short(other)}};
    }
    return {code: 'ROOM_NOWHERE_ELSE', level, next: null};
  }

  targetOf(process: number): string {
    return this.#hosts[val(this.#assignment, process)]?.name ?? '';
  }

  /** Every other open host, those first that came nearest to being chosen. */
  others(process: number): Other[] {
    const own = [this.#assignment[process], this.#movables.home[process]];
    const others = this.#open.filter(at => !own.includes(at)).map(at => this.#other(process, at));
    return others.sort((a, b) => a.lackBytes - b.lackBytes || a.level - b.level || (a.host < b.host ? -1 : 1));
  }

  /** What the plan costs and does. */
  account(headroomWanted: number, {rules, loads}: Placing): Account {
    return {
      before: termsOf(this.#problem, this.#problem.model.home),
      after: termsOf(this.#problem, this.#assignment),
      headroom: {wanted: headroomWanted, before: this.#headroom(this.#before), after: this.#headroom(this.#after)},
      binding: this.fills()[0] ?? null,
      lack: lackOf(this.#hosts, this.#movables, this.#assignment, rules.tierName),
      loadUnknown: loads.unknown,
    };
  }

  /** Room of open hosts, with what left them purged, as a share of what they hold. */
  #headroom(held: Held): number | null {
    let [room, full] = [0, 0];
    for (const [at, {isOpen, roomBytes}] of this.#hosts.entries()) {
      if (!isOpen) continue;
      room += roomBytes + val(this.#before.bytes, at) - val(held.bytes, at);
      full += val(held.bytes, at);
    }
    return full > 0 ? short(room / full) : null;
  }

  #other(process: number, at: number): Other {
    const {bytes, load, accepts} = this.#movables;
    const {name: host, offers, loadMax} = this.#hosts[at] as FarmHost;
    const [size, work] = [val(bytes, process), val(load, process)];
    const level = this.#levelOf(at, size, work);
    const lackBytes = Math.max(0, size - this.#roomOf(at));
    const lackLoad = loadMax === null ? 0 : Math.max(0, val(this.#after.load, at) + work - loadMax);
    const told = {host, level, lackBytes, lackLoad};
    if (((offers ?? 1) & (accepts?.[process] ?? 1)) === 0) return {...told, code: 'TIER'};
    if (lackBytes > 0) return {...told, code: 'NO_ROOM'};
    if (lackLoad > 0) return {...told, code: 'NO_LOAD'};
    return {...told, code: level < this.#levelOf(val(this.#assignment, process)) ? 'EMPTIER' : 'FULLER'};
  }

  /** What leaves a host fills it until the purge. */
  #roomOf(at: number): number {
    return (this.#hosts[at] as FarmHost).roomBytes - val(this.#after.come, at);
  }

  #fillOf(at: number): Fill {
    const {name, strength, loadMax} = this.#hosts[at] as FarmHost;
    const [bytes, load, {level}] = [val(this.#after.bytes, at), val(this.#after.load, at), this.#problem];
    const isSpace = against(bytes / strength, level.bytes) >= against(load / strength, level.load);
    const resource = isSpace ? 'space' : 'load';
    return {host: name, bytes, load, loadMax, level: this.#levelOf(at), resource, roomBytes: this.#roomOf(at)};
  }

  #levelOf(at: number, moreBytes = 0, moreLoad = 0): number {
    const [{strength}, {level}] = [this.#hosts[at] as FarmHost, this.#problem];
    const space = against((val(this.#after.bytes, at) + moreBytes) / strength, level.bytes);
    return Math.max(space, against((val(this.#after.load, at) + moreLoad) / strength, level.load));
  }
}

interface Held {
  bytes: Float64Array;
  load: Float64Array;
  /** Bytes of those that came. */
  come: Float64Array;
}

function heldBy(hosts: readonly FarmHost[], {home, bytes, load}: Movables, assignment: Int32Array): Held {
  const held = {
    bytes: Float64Array.from(hosts, host => host.stayBytes),
    load: Float64Array.from(hosts, host => host.stayLoad),
    come: new Float64Array(hosts.length),
  };
  for (const [process, from] of home.entries()) {
    const to = val(assignment, process);
    held.bytes[to] = val(held.bytes, to) + val(bytes, process);
    held.load[to] = val(held.load, to) + val(load, process);
    if (to !== from) held.come[to] = val(held.come, to) + val(bytes, process);
  }
  return held;
}

function termsOf({model, unitBytes}: FarmModel, assignment: Int32Array): Terms {
  const use = new Float64Array(model.machines * RESOURCES);
  const terms: Terms = {moved: 0, uneven: 0, crowded: 0, stays: 0};
  for (let process = 0; process < model.processes; process++) {
    const to = val(assignment, process);
    const units = val(model.need, process * RESOURCES + DISK);
    if (to !== model.home[process]) terms.moved += units * unitBytes;
    else if (model.offers[to] === 0) {
      terms.stays += units * unitBytes;
      continue;
    }
    for (let r = 0; r < RESOURCES; r++) use[to * RESOURCES + r] = val(use, to * RESOURCES + r) + val(model.need, process * RESOURCES + r);
  }
  for (let at = 0; at < use.length; at++) {
    const resource = at % RESOURCES;
    const over = Math.max(0, val(use, at) - val(model.safety, at)) * unitBytes;
    if (resource === HEADROOM) terms.crowded += over;
    else if (resource !== STAYED) terms.uneven += (over * val(model.loadWeight, resource)) / val(model.loadWeight, DISK);
  }
  return terms;
}

/** An empty farm has no level: nothing stands above it. */
function against(value: number, level: number): number {
  return level > 0 ? value / level : 0;
}

function short(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
