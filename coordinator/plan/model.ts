import {MailherdError} from '../../base/errors.ts';

/**
 * Machine reassignment (the model of the ROADEF/EURO challenge 2012, with three additions: exclusive services are marked, machines
 * may be closed to processes, and an assignment that breaks a capacity from the start is taken as it is and mended). Processes sit on
 * machines and need resources. In flat arrays, row after row, which the search in `native/` reads where they lie.
 *
 * All figures are whole numbers, and all costs stay below 2^53: sums are then exact in any order, and the search and the check agree
 * to the last digit.
 */
export interface PlanModel {
  machines: number;
  processes: number;
  resources: number;
  services: number;
  locations: number;
  neighbourhoods: number;
  balances: number;
  /** machines x resources: never exceeded. */
  capacity: Float64Array;
  /** machines x resources: more than this costs `loadWeight` a unit. */
  safety: Float64Array;
  /** processes x resources. */
  need: Float64Array;
  /** Of each resource. */
  loadWeight: Float64Array;
  /** Of each resource: 1 when a process that moves fills both ends until the move is purged. */
  transient: Uint8Array;
  /** Each balance: `target` times what is free of the first resource should be free of the second; what lacks costs `weight` a unit. */
  balanceFirst: Int32Array;
  balanceSecond: Int32Array;
  balanceTarget: Float64Array;
  balanceWeight: Float64Array;
  /** Where each process is now. */
  home: Int32Array;
  /** Of each process, -1 for none. */
  service: Int32Array;
  /** Of each service: 1 when no two of its processes may share a machine. */
  exclusive: Uint8Array;
  /** Of each service: it uses at least so many locations. */
  spread: Int32Array;
  /** Services + 1 places in `dependencies`: wherever a service runs, those it depends on run in the same neighbourhood. */
  dependencyStart: Int32Array;
  dependencies: Int32Array;
  /** Of each machine. */
  location: Int32Array;
  neighbourhood: Int32Array;
  /** What a machine offers and what a process accepts, as bits: a process enters only where they share one. */
  offers: Uint32Array;
  accepts: Uint32Array;
  /** Of each process, for being anywhere but at home; times processMoveWeight. */
  moveCost: Float64Array;
  /** machines x machines, from home to where it is, the diagonal 0; times machineMoveWeight. Null: 0 everywhere. */
  machineMoveCost: Int32Array | null;
  processMoveWeight: number;
  /** Times the most processes that any one service moves. */
  serviceMoveWeight: number;
  machineMoveWeight: number;
}

export interface SearchLimits {
  /** Wall time; 0 for none, and then the same seed gives the same plan. */
  ms: number;
  /** Moves tried by each thread; 0 for none. */
  steps: number;
  threads: number;
  seed: number;
  /** A cost at which to stop. */
  enough: number;
  /** Of the usual first heat, 0..1: little for a start that is good already. */
  heat: number;
}

export interface Found {
  assignment: Int32Array;
  cost: number;
  steps: number;
}

/** Makes an assignment cheaper; never returns a dearer one. */
export type Search = (model: PlanModel, start: Int32Array, limits: SearchLimits) => Promise<Found>;

/** What the search has room for; far fewer are sensible. */
const RESOURCES_MAX = 64;

/**
 * Stops what the search cannot work with: wrong lengths, figures that are no whole numbers, indices out of range.
 * @throws MailherdError INPUT_INVALID that names the array and the place.
 */
export function assertModel(model: PlanModel): void {
  const {machines, processes, resources, services, balances} = model;
  if (machines < 1) refuse('machines', machines);
  if (resources < 1 || resources > RESOURCES_MAX) refuse('resources', resources);
  figures('capacity', model.capacity, machines * resources);
  figures('safety', model.safety, machines * resources);
  figures('need', model.need, processes * resources);
  figures('loadWeight', model.loadWeight, resources);
  figures('moveCost', model.moveCost, processes);
  figures('balanceTarget', model.balanceTarget, balances);
  figures('balanceWeight', model.balanceWeight, balances);
  indices('balanceFirst', model.balanceFirst, balances, 0, resources);
  indices('balanceSecond', model.balanceSecond, balances, 0, resources);
  indices('home', model.home, processes, 0, machines);
  indices('service', model.service, processes, -1, services);
  indices('spread', model.spread, services, 0, Number.MAX_SAFE_INTEGER);
  indices('dependencyStart', model.dependencyStart, services + 1, 0, model.dependencies.length + 1);
  indices('dependencies', model.dependencies, model.dependencies.length, 0, services);
  indices('location', model.location, machines, 0, model.locations);
  indices('neighbourhood', model.neighbourhood, machines, 0, model.neighbourhoods);
  if (model.machineMoveCost !== null) indices('machineMoveCost', model.machineMoveCost, machines * machines, 0, 2 ** 31);
  const bytes = {transient: [model.transient, resources], exclusive: [model.exclusive, services]} as const;
  for (const [name, [array, length]] of Object.entries(bytes)) if (array.length !== length) refuse(name, array.length);
  if (model.offers.length !== machines) refuse('offers', model.offers.length);
  if (model.accepts.length !== processes) refuse('accepts', model.accepts.length);
}

function figures(name: string, values: Float64Array, length: number): void {
  if (values.length !== length) refuse(name, values.length);
  for (let at = 0; at < length; at++) {
    const value = values[at] as number;
    // NaN fails every comparison.
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER && Math.floor(value) === value)) refuse(name, value, at);
  }
}

function indices(name: string, values: Int32Array, length: number, least: number, below: number): void {
  if (values.length !== length) refuse(name, values.length);
  for (let at = 0; at < length; at++) if ((values[at] as number) < least || (values[at] as number) >= below) refuse(name, values[at], at);
}

function refuse(name: string, value: unknown, at?: number): never {
  throw new MailherdError('INPUT_INVALID', {reason: 'not a placing problem', name, value, ...(at !== undefined && {at})});
}

/** An element that is known to be there. */
export function val(array: {readonly [index: number]: number}, index: number): number {
  return array[index] as number;
}
