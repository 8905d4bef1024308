import type {Bytes} from '../../base/units.ts';
import type {PlanModel} from './model.ts';

/** One host as placing sees it. */
export interface FarmHost {
  name: string;
  /** What may still be placed here: free space less the reserve and less what is on its way. */
  roomBytes: Bytes;
  /** What lives here and stays, with what is on its way here. */
  stayBytes: Bytes;
  /** Load of what stays, and the most there may be; null where no limit is known. */
  stayLoad: number;
  loadMax: number | null;
  /** May it take mailboxes? */
  isOpen: boolean;
  /** Relative strength of its hardware: a host of 2 gets twice the share of a host of 1. > 0. */
  strength: number;
}

/** What has to find a place, in flat arrays: a farm has millions of them. */
export interface Homeless {
  /** Index of the host where each mailbox is now. */
  home: Int32Array;
  bytes: Float64Array;
  /** What it costs a host to serve it; any unit that can be added up. */
  load: Float64Array;
}

/** The placing problem of a farm, with the figures that its plan is held against. */
export interface FarmModel {
  model: PlanModel;
  /** No plan that places all costs less: everything has to move once. */
  bound: number;
  /** Bytes and load of one unit of each in the model; figures are rounded up to whole units. */
  unitBytes: Bytes;
  unitLoad: number;
  /** For each unit of strength, of the fullest host that takes something, when all is spread as evenly as fractions could. */
  level: {bytes: Bytes; load: number};
}

/** Resources of the model: space (a moved mailbox fills both ends until the purge), load, and being where nobody should stay. */
export const DISK = 0;
export const LOAD = 1;
const STAYED = 2;
export const RESOURCES = 3;

const NO_LIMIT = 2 ** 40;
/** Sums of space are kept below this many units: costs then stay below 2^53. */
const SPACE_UNITS = 2 ** 36;
/** Units of load of an average mailbox. */
const LOAD_UNITS = 1000;

/**
 * The policy of placing, as a model; nowhere else is it put into figures. Everybody of `homeless` should leave where he is; what stays
 * on the hosts is only there as room and load that is taken.
 *
 * - a host that takes none is closed; an open one never takes more than its room (its reserve is no room);
 * - the landing is spread: space and load over the level to which water would rise cost as much as moving so many bytes;
 * - who stays costs more than any crowding, so that a farm that is too small still takes as many as it can.
 */
export function modelOfFarm(hosts: readonly FarmHost[], homeless: Homeless): FarmModel {
  const [machines, processes, resources] = [hosts.length, homeless.home.length, RESOURCES];
  const need = new Float64Array(processes * resources);
  const moveCost = new Float64Array(processes);
  const sums = {bytes: total(homeless.bytes), load: total(homeless.load), units: 0, loadUnits: 0, most: 1};
  const unitBytes = 2 ** Math.max(0, Math.ceil(Math.log2(sums.bytes / SPACE_UNITS)));
  const perLoad = sums.load > 0 ? (LOAD_UNITS * processes) / sums.load : 0;
  for (let process = 0; process < processes; process++) {
    const units = Math.max(1, Math.ceil((homeless.bytes[process] as number) / unitBytes));
    const loadUnits = Math.ceil((homeless.load[process] as number) * perLoad);
    need[process * resources + DISK] = units;
    need[process * resources + LOAD] = loadUnits;
    need[process * resources + STAYED] = 1;
    moveCost[process] = units;
    sums.units += units;
    sums.loadUnits += loadUnits;
    sums.most = Math.max(sums.most, units);
  }
  const loadWeight = sums.loadUnits > 0 ? Math.max(1, Math.round(sums.units / sums.loadUnits)) : 0;
  const mostLoad = homeless.load.reduce((most, load) => Math.max(most, load), 0) * perLoad;
  const stayWeight = 4 * (sums.most + loadWeight * Math.ceil(mostLoad));
  const level = {
    bytes: waterLevel(hosts, sums.bytes, ({stayBytes}) => stayBytes),
    load: waterLevel(hosts, sums.load, ({stayLoad}) => stayLoad),
  };
  const capacity = new Float64Array(machines * resources);
  const safety = new Float64Array(machines * resources);
  for (const [machine, host] of hosts.entries()) {
    if (!host.isOpen) continue;
    const loadRoom = host.loadMax === null ? NO_LIMIT : Math.max(0, Math.floor((host.loadMax - host.stayLoad) * perLoad));
    capacity.set([Math.max(0, Math.floor(host.roomBytes / unitBytes)), loadRoom, NO_LIMIT], machine * resources);
    const fairSpace = Math.max(0, Math.ceil((level.bytes * host.strength - host.stayBytes) / unitBytes));
    const fairLoad = Math.max(0, Math.ceil((level.load * host.strength - host.stayLoad) * perLoad));
    safety.set([fairSpace, fairLoad, NO_LIMIT], machine * resources);
  }
  const model: PlanModel = {
    ...{machines, processes, resources, capacity, safety, need, moveCost, home: homeless.home},
    ...{services: 0, locations: 1, neighbourhoods: 1, balances: 0},
    loadWeight: Float64Array.of(1, loadWeight, stayWeight),
    transient: Uint8Array.of(1, 0, 0),
    balanceFirst: new Int32Array(0),
    balanceSecond: new Int32Array(0),
    balanceTarget: new Float64Array(0),
    balanceWeight: new Float64Array(0),
    service: new Int32Array(processes).fill(-1),
    exclusive: new Uint8Array(0),
    spread: new Int32Array(0),
    dependencyStart: new Int32Array(1),
    dependencies: new Int32Array(0),
    location: new Int32Array(machines),
    neighbourhood: new Int32Array(machines),
    offers: Uint32Array.from(hosts, ({isOpen}) => (isOpen ? 1 : 0)),
    accepts: new Uint32Array(processes).fill(1),
    machineMoveCost: null,
    ...{processMoveWeight: 1, serviceMoveWeight: 0, machineMoveWeight: 0},
  };
  return {model, bound: sums.units, unitBytes, unitLoad: perLoad > 0 ? 1 / perLoad : 0, level};
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
