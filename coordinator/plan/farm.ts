import {MailherdError} from '../../base/errors.ts';
import type {Bytes} from '../../base/units.ts';
import {type PlanModel, val} from './model.ts';

/** One host as placing sees it. */
export interface FarmHost {
  name: string;
  /** What may still be placed here: free space less the reserve and less what is on its way. */
  roomBytes: Bytes;
  /** What lives here and stays, with what is on its way here. */
  stayBytes: Bytes;
  /** Load of what stays, and the most there may be, in the unit of the movables' load; null where there is no limit. */
  stayLoad: number;
  loadMax: number | null;
  /** May it take mailboxes? */
  isOpen: boolean;
  /** Relative strength of its hardware: a host of 2 gets twice the share of a host of 1. > 0. */
  strength: number;
  /** Bits of what its hardware offers; 1 unless said. */
  offers?: number;
  /** Unless said, a host is a rack of its own. */
  rack?: string;
}

/** What may move, in flat arrays: a farm has millions of them. Who is on a closed host has to. */
export interface Movables {
  /** Index of the host where each mailbox is now. */
  home: Int32Array;
  bytes: Float64Array;
  /** What it costs a host to serve it; any unit that can be added up (of a fleet: deliveries a day, `load.ts`). */
  load: Float64Array;
  /** The bit that a host must offer; 1 unless said. */
  accepts?: Uint32Array;
  /** Index in `domains` of the wish, -1 for none. */
  domain?: Int32Array;
}

/** What a plan is for, beyond a place for everybody who has to leave. */
export interface Aim {
  /** What a byte over the even level costs against one that moves. */
  unevenWeight: number;
  /** Share of the even level above which a host counts as uneven. */
  fairShare: number;
  /**
   * Share of the even level above which nothing is filled but by what is beyond 1, however much room there is; null where people have to
   * leave.
   */
  fillShare: number | null;
  /** What hosts should hold beyond the need. */
  headroomShare: number;
  /** Domains that keep to at least so many racks, and hosts where mailboxes of them stay, one for each rack. */
  domains: readonly {racks: number; stays: readonly number[]}[];
}

/** Everybody off closed hosts, with no more moves than that. */
export const LEAVE: Aim = {unevenWeight: 1, fairShare: 1, fillShare: null, headroomShare: 0, domains: []};

/** The placing problem of a farm, with the figures that its plan is held against. */
export interface FarmModel {
  model: PlanModel;
  /** No plan that places all costs less: everybody on a closed host has to move once, and what exceeds the headroom does so somewhere. */
  bound: number;
  /** Bytes and load of one unit of each in the model; figures are rounded up to whole units. */
  unitBytes: Bytes;
  unitLoad: number;
  /** For each unit of strength, of the fullest host that takes something, when all is spread as evenly as fractions could. */
  level: {bytes: Bytes; load: number};
}

/**
 * Resources of the model: space (a moved mailbox fills both ends until the purge), load, being where nobody should stay, and space once
 * more for the headroom.
 */
export const DISK = 0;
export const LOAD = 1;
export const STAYED = 2;
export const HEADROOM = 3;
export const RESOURCES = 4;
/** Resources of which all hosts should have the same share. */
export const LEVELS: readonly number[] = [DISK, LOAD];

const NO_LIMIT = 2 ** 40;
/** Sums of space are kept below this many units: costs then stay below 2^53. */
const SPACE_UNITS = 2 ** 36;
/** Units of load of an average mailbox. */
const LOAD_UNITS = 1000;
/** A move costs its bytes and this share of an average mailbox: one large one rather than many small ones. */
export const MOVE_SHARE = 0.25;

/**
 * The policy of placing, as a model; nowhere else is it put into figures. What stays on the hosts is only there as room and load that
 * is taken.
 *
 * - a host that takes none is closed; an open one never takes more than its room (its reserve is no room);
 * - the landing is spread: space and load over the level to which water would rise cost as much as moving so many bytes;
 * - headroom: space beyond what leaves a host the headroom wanted costs as much again;
 * - who stays on a closed host costs more than any crowding, so that a farm that is too small still takes as many as it can;
 * - tiers of hardware are bits of hosts and mailboxes; a domain that is kept apart is a service with spread over racks, held by
 *   processes without needs where mailboxes of it stay.
 *
 * @throws MailherdError INPUT_INVALID for figures that are negative or no numbers.
 */
export function modelOfFarm(hosts: readonly FarmHost[], movables: Movables, aim: Aim = LEAVE): FarmModel {
  assertFarm(hosts, movables);
  const anchors = aim.domains.flatMap(({stays}, domain) => stays.map(host => ({domain, host})));
  const [machines, processes] = [hosts.length, movables.home.length + anchors.length];
  const level = {
    bytes: waterLevel(hosts, total(movables.bytes), ({stayBytes}) => stayBytes),
    load: waterLevel(hosts, total(movables.load), ({stayLoad}) => stayLoad),
  };
  const sizes = unitsOf(hosts, movables, processes, level);
  const {need, unitBytes, perLoad, loadWeight, stayWeight} = sizes;
  const {capacity, safety, headroom} = roomsOf(hosts, movables, sizes, aim, level);
  const racks = new Map<string, number>();
  const model: PlanModel = {
    ...{machines, processes, resources: RESOURCES, capacity, safety, need, moveCost: sizes.moveCost},
    ...{services: aim.domains.length, neighbourhoods: 1, balances: 0},
    loadWeight: Float64Array.of(aim.unevenWeight, aim.unevenWeight * loadWeight, aim.unevenWeight * stayWeight, 1),
    transient: Uint8Array.of(1, 0, 0, 0),
    balanceFirst: new Int32Array(0),
    balanceSecond: new Int32Array(0),
    balanceTarget: new Float64Array(0),
    balanceWeight: new Float64Array(0),
    home: joined(
      movables.home,
      anchors.map(({host}) => host),
    ),
    service: joined(
      movables.domain ?? new Int32Array(movables.home.length).fill(-1),
      anchors.map(({domain}) => domain),
    ),
    exclusive: new Uint8Array(aim.domains.length),
    spread: Int32Array.from(aim.domains, domain => domain.racks),
    dependencyStart: new Int32Array(aim.domains.length + 1),
    dependencies: new Int32Array(0),
    location: Int32Array.from(hosts, ({name, rack}) => {
      const key = rack === undefined ? `host ${name}` : `rack ${rack}`;
      racks.set(key, racks.get(key) ?? racks.size);
      return racks.get(key) ?? 0;
    }),
    locations: racks.size,
    neighbourhood: new Int32Array(machines),
    offers: Uint32Array.from(hosts, ({isOpen, offers}) => (isOpen ? (offers ?? 1) : 0)),
    accepts: new Uint32Array(processes).fill(1),
    machineMoveCost: null,
    ...{processMoveWeight: 1, serviceMoveWeight: 0, machineMoveWeight: 0},
  };
  if (movables.accepts !== undefined) model.accepts.set(movables.accepts);
  model.accepts.fill(0, movables.home.length);
  const bound = sizes.leaving + Math.max(0, sizes.all - headroom);
  return {model, bound, unitBytes, unitLoad: perLoad > 0 ? 1 / perLoad : 0, level};
}

interface Sizes {
  need: Float64Array;
  moveCost: Float64Array;
  unitBytes: Bytes;
  perLoad: number;
  loadWeight: number;
  stayWeight: number;
  /** Units of space of all that may move, and cost of moving what has to. */
  all: number;
  leaving: number;
}

function unitsOf(hosts: readonly FarmHost[], {home, bytes, load}: Movables, processes: number, level: FarmModel['level']): Sizes {
  const need = new Float64Array(processes * RESOURCES);
  const moveCost = new Float64Array(processes);
  const sums = {bytes: total(bytes), load: total(load), units: 0, loadUnits: 0, most: 1, mostLoad: 0};
  // A share of the even level costs the same in both: whether those that move are large or busy changes nothing.
  const loadBytes = level.load > 0 && level.bytes > 0 ? level.bytes / level.load : sums.load > 0 ? sums.bytes / sums.load : 0;
  const unitBytes = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(sums.bytes, sums.load * loadBytes) / SPACE_UNITS)));
  const perLoad = sums.load > 0 ? (LOAD_UNITS * home.length) / sums.load : 0;
  for (let process = 0, at = 0; process < home.length; process++, at += RESOURCES) {
    const units = Math.max(1, Math.ceil((bytes[process] as number) / unitBytes));
    const loadUnits = Math.ceil((load[process] as number) * perLoad);
    need[at + DISK] = need[at + HEADROOM] = units;
    need[at + LOAD] = loadUnits;
    need[at + STAYED] = 1;
    sums.units += units;
    sums.loadUnits += loadUnits;
    sums.most = Math.max(sums.most, units);
    sums.mostLoad = Math.max(sums.mostLoad, loadUnits);
  }
  const each = Math.ceil((MOVE_SHARE * sums.units) / Math.max(1, home.length));
  let leaving = 0;
  for (let process = 0; process < home.length; process++) {
    const cost = (need[process * RESOURCES + DISK] as number) + each;
    moveCost[process] = cost;
    if (!(hosts[home[process] as number] as FarmHost).isOpen) leaving += cost;
  }
  const loadWeight = sums.loadUnits > 0 ? Math.max(1, Math.round(loadBytes / unitBytes / perLoad)) : 0;
  const stayWeight = 4 * (sums.most + loadWeight * sums.mostLoad) + 2 * each;
  return {need, moveCost, unitBytes, perLoad, loadWeight, stayWeight, all: sums.units, leaving};
}

function roomsOf(
  hosts: readonly FarmHost[],
  {home}: Movables,
  {need, unitBytes, perLoad}: Sizes,
  {fairShare, fillShare, headroomShare}: Aim,
  level: FarmModel['level'],
): {capacity: Float64Array; safety: Float64Array; headroom: number} {
  const [capacity, safety] = [new Float64Array(hosts.length * RESOURCES), new Float64Array(hosts.length * RESOURCES)];
  const here = new Float64Array(hosts.length * RESOURCES);
  for (let process = 0; process < home.length; process++) {
    const host = val(home, process);
    for (let r = 0; r < RESOURCES; r++) here[host * RESOURCES + r] = val(here, host * RESOURCES + r) + val(need, process * RESOURCES + r);
  }
  let headroom = 0;
  const units = (bytes: number): number => Math.max(0, Math.floor(bytes / unitBytes));
  for (const [machine, host] of hosts.entries()) {
    const at = machine * RESOURCES;
    safety[at + HEADROOM] = NO_LIMIT;
    if (!host.isOpen) continue;
    const space = units(host.roomBytes) + val(here, at + DISK);
    const loadRoom =
      host.loadMax === null ? NO_LIMIT : Math.max(0, Math.floor((host.loadMax - host.stayLoad) * perLoad), val(here, at + LOAD));
    const fairSpace = Math.max(0, Math.ceil((fairShare * level.bytes * host.strength - host.stayBytes) / unitBytes));
    const fairLoad = Math.max(0, Math.ceil((fairShare * level.load * host.strength - host.stayLoad) * perLoad));
    const roomy = units((space * unitBytes + host.stayBytes) / (1 + headroomShare) - host.stayBytes);
    headroom += roomy;
    // A host that stands high in the one resource may still take some of it for the sake of the other.
    const even = (level: number, stays: number, unit: number, held: number): number => {
      if (fillShare === null) return NO_LIMIT;
      const share = level * host.strength;
      return held + Math.max(0, Math.floor(Math.max(fillShare * share - stays - held * unit, (fillShare - 1) * share) / unit));
    };
    capacity.set(
      [
        Math.min(space, even(level.bytes, host.stayBytes, unitBytes, val(here, at + DISK))),
        Math.min(loadRoom, even(level.load, host.stayLoad, 1 / perLoad, val(here, at + LOAD))),
        NO_LIMIT,
        NO_LIMIT,
      ],
      at,
    );
    safety.set([fairSpace, fairLoad, NO_LIMIT, roomy], at);
  }
  return {capacity, safety, headroom};
}

/** Bytes, loads and rooms that are none would spoil every sum they enter. */
function assertFarm(hosts: readonly FarmHost[], {home, bytes, load}: Movables): void {
  for (const {name, roomBytes, stayBytes, stayLoad, loadMax, strength} of hosts) {
    const figures = {roomBytes, stayBytes, stayLoad, loadMax: loadMax ?? 0};
    for (const [what, value] of Object.entries(figures)) if (!(Number.isFinite(value) && value >= 0)) refuse({host: name, what, value});
    if (!(Number.isFinite(strength) && strength > 0)) refuse({host: name, what: 'strength', value: strength});
  }
  for (const [what, values] of Object.entries({bytes, load})) {
    if (values.length !== home.length) refuse({what, value: values.length, expected: home.length});
    const odd = values.findIndex(value => !(value >= 0 && value < Number.MAX_SAFE_INTEGER));
    if (odd >= 0) refuse({what, at: odd, value: values[odd]});
  }
  const odd = home.findIndex(host => !(host >= 0 && host < hosts.length));
  if (odd >= 0) refuse({what: 'home', at: odd, value: home[odd]});
}

function refuse(detail: Record<string, unknown>): never {
  throw new MailherdError('INPUT_INVALID', {
    reason: 'not a figure to place by',
    ...detail,
    ...('value' in detail && {value: String(detail.value)}),
  });
}

function joined(array: Int32Array, more: readonly number[]): Int32Array {
  if (more.length === 0) return array;
  const all = new Int32Array(array.length + more.length);
  all.set(array);
  all.set(more, array.length);
  return all;
}

function total(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/**
 * The level to which `amount` rises when it is poured over the open hosts, each as wide as it is strong and filled already to what
 * stays there: the fractional optimum of the fullest host's share.
 */
function waterLevel(hosts: readonly FarmHost[], amount: number, stays: (host: FarmHost) => number): number {
  const open = hosts.filter(({isOpen}) => isOpen).map(host => ({height: stays(host) / host.strength, width: host.strength}));
  open.sort((a, b) => a.height - b.height);
  let [width, volume] = [0, 0];
  for (const [at, host] of open.entries()) {
    width += host.width;
    volume += host.width * host.height;
    const level = (amount + volume) / width;
    const next = open[at + 1];
    if (next === undefined || level <= next.height) return level;
  }
  return 0;
}
