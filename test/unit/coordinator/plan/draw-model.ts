import {type Rng, seededRng} from '../../../../base/random.ts';
import type {PlanModel} from '../../../../coordinator/plan/model.ts';

interface Size {
  machinesMax: number;
  processesMax: number;
  /** Without services, dependencies and closed machines. */
  plain?: boolean;
}

/** A placing problem with everything in it, whose first assignment keeps all rules. */
export function drawModel(seed: number, {machinesMax, processesMax, plain = false}: Size): PlanModel {
  const rng = seededRng(seed);
  const ints = (length: number, below: number): Int32Array => Int32Array.from({length}, () => rng.below(below));
  const figures = (length: number, below: number): Float64Array => Float64Array.from({length}, () => rng.below(below));
  const [machines, processes] = plain ? [machinesMax, processesMax] : [2 + rng.below(machinesMax - 1), 1 + rng.below(processesMax)];
  const resources = 1 + rng.below(5);
  const [locations, neighbourhoods] = [1 + rng.below(machines), 1 + rng.below(3)];
  const [location, neighbourhood, home] = [ints(machines, locations), ints(machines, neighbourhoods), ints(processes, machines)];
  const need = figures(processes * resources, 50);
  const {capacity, safety} = room(rng, {machines, processes, resources, home, need});
  const services = plain ? 0 : 1 + rng.below(processes);
  const service = plain ? new Int32Array(processes).fill(-1) : Int32Array.from({length: processes}, () => rng.below(services + 1) - 1);
  const model: PlanModel = {
    ...{
      machines,
      processes,
      resources,
      services,
      locations,
      neighbourhoods,
      capacity,
      safety,
      need,
      home,
      service,
      location,
      neighbourhood,
    },
    loadWeight: Float64Array.from({length: resources}, () => 1 + rng.below(20)),
    transient: Uint8Array.from({length: resources}, () => rng.below(2)),
    balances: resources > 1 ? 1 : 0,
    balanceFirst: Int32Array.from(resources > 1 ? [0] : []),
    balanceSecond: Int32Array.from(resources > 1 ? [1] : []),
    balanceTarget: Float64Array.from(resources > 1 ? [rng.below(4)] : []),
    balanceWeight: Float64Array.from(resources > 1 ? [rng.below(4)] : []),
    exclusive: new Uint8Array(services),
    spread: new Int32Array(services),
    dependencyStart: new Int32Array(services + 1),
    dependencies: new Int32Array(0),
    offers: Uint32Array.from({length: machines}, () => (plain || rng.below(5) > 0 ? 1 : 2)),
    accepts: new Uint32Array(processes).fill(1),
    moveCost: figures(processes, 5),
    machineMoveCost: rng.below(2) === 0 ? null : ints(machines * machines, 3).map((cost, at) => (at % (machines + 1) === 0 ? 0 : cost)),
    ...{processMoveWeight: 1, serviceMoveWeight: 3, machineMoveWeight: 2},
  };
  return plain ? model : bind(model, rng);
}

type Sized = Pick<PlanModel, 'machines' | 'processes' | 'resources' | 'home' | 'need'>;

/** What lies there fits, with little to spare. */
function room(rng: Rng, {machines, processes, resources, home, need}: Sized): Pick<PlanModel, 'capacity' | 'safety'> {
  const capacity = new Float64Array(machines * resources);
  for (let process = 0; process < processes; process++) {
    for (let r = 0; r < resources; r++) {
      const at = (home[process] as number) * resources + r;
      capacity[at] = (capacity[at] as number) + (need[process * resources + r] as number);
    }
  }
  for (let at = 0; at < capacity.length; at++) capacity[at] = (capacity[at] as number) + rng.below(80);
  return {capacity, safety: capacity.map(value => Math.floor(value * rng.between(0.3, 1)))};
}

/** Rules between processes that the first assignment keeps. */
function bind(model: PlanModel, rng: Rng): PlanModel {
  const machinesOf = (service: number): number[] => [...model.home].filter((_, process) => model.service[process] === service);
  const dependencies: number[] = [];
  for (let service = 0; service < model.services; service++) {
    const list = machinesOf(service);
    model.exclusive[service] = new Set(list).size === list.length ? rng.below(2) : 0;
    model.spread[service] = rng.below(new Set(list.map(machine => model.location[machine])).size + 1);
    const other = rng.below(model.services);
    const there = new Set(machinesOf(other).map(machine => model.neighbourhood[machine]));
    if (list.length > 0 && list.every(machine => there.has(model.neighbourhood[machine] as number))) dependencies.push(other);
    model.dependencyStart[service + 1] = dependencies.length;
  }
  return {...model, dependencies: Int32Array.from(dependencies)};
}
