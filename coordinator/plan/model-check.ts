import {addTo} from '../../base/groups.ts';
import {type PlanModel, val} from './model.ts';

/** What an assignment costs, by term; `total` is their sum. */
export interface PlanCost {
  load: number;
  balance: number;
  processMove: number;
  serviceMove: number;
  machineMove: number;
  total: number;
}

export interface Violation {
  rule: 'ASSIGNMENT' | 'CAPACITY' | 'TRANSIENT' | 'CONFLICT' | 'SPREAD' | 'DEPENDENCY' | 'CLOSED';
  detail: Record<string, number>;
}

/**
 * The cost of an assignment from its definition, in one pass over all there is. On purpose it shares nothing with the search: an error
 * in one shows in the other.
 */
export function costOf(model: PlanModel, assignment: Int32Array): PlanCost {
  const {machines, resources, processes} = model;
  const use = usage(model, assignment, false);
  let load = 0;
  let balance = 0;
  for (let at = 0; at < use.length; at++) {
    load += val(model.loadWeight, at % resources) * Math.max(0, val(use, at) - val(model.safety, at));
  }
  for (let machine = 0; machine < machines; machine++) {
    const free = (resource: number): number =>
      val(model.capacity, machine * resources + resource) - val(use, machine * resources + resource);
    for (let b = 0; b < model.balances; b++) {
      const wanted = val(model.balanceTarget, b) * free(val(model.balanceFirst, b));
      balance += val(model.balanceWeight, b) * Math.max(0, wanted - free(val(model.balanceSecond, b)));
    }
  }
  let processMove = 0;
  let machineMove = 0;
  const movedBy = new Float64Array(model.services);
  for (let process = 0; process < processes; process++) {
    const [from, to, service] = [val(model.home, process), val(assignment, process), val(model.service, process)];
    if (from === to) continue;
    processMove += model.processMoveWeight * val(model.moveCost, process);
    if (model.machineMoveCost !== null) machineMove += model.machineMoveWeight * val(model.machineMoveCost, from * machines + to);
    if (service >= 0) movedBy[service] = val(movedBy, service) + 1;
  }
  const serviceMove = model.serviceMoveWeight * movedBy.reduce((most, moved) => Math.max(most, moved), 0);
  return {load, balance, processMove, serviceMove, machineMove, total: load + balance + processMove + serviceMove + machineMove};
}

/**
 * Every hard rule that an assignment breaks. Where the machine held more than its capacity from the start, only what came to it is
 * held against the plan.
 * @param most ends the search for more.
 */
export function violationsOf(model: PlanModel, assignment: Int32Array, most = 100): Violation[] {
  const found: Violation[] = [];
  if (assignment.length !== model.processes) return [{rule: 'ASSIGNMENT', detail: {length: assignment.length}}];
  for (let process = 0; process < model.processes && found.length < most; process++) {
    const [from, to] = [val(model.home, process), val(assignment, process)];
    if (!(to >= 0 && to < model.machines)) found.push({rule: 'ASSIGNMENT', detail: {process, to}});
    else if (from !== to && (val(model.accepts, process) & val(model.offers, to)) === 0)
      found.push({rule: 'CLOSED', detail: {process, to}});
  }
  if (found.some(({rule}) => rule === 'ASSIGNMENT')) return found;
  found.push(...capacityViolations(model, assignment), ...serviceViolations(model, assignment));
  return found.slice(0, most);
}

function capacityViolations(model: PlanModel, assignment: Int32Array): Violation[] {
  const found: Violation[] = [];
  const before = usage(model, model.home, false);
  const after = usage(model, assignment, false);
  const occupied = usage(model, assignment, true);
  for (let at = 0; at < after.length; at++) {
    const resource = at % model.resources;
    const [machine, capacity] = [(at - resource) / model.resources, Math.max(val(model.capacity, at), val(before, at))];
    if (val(after, at) > capacity) found.push({rule: 'CAPACITY', detail: {machine, resource, needed: val(after, at), capacity}});
    else if (val(model.transient, resource) === 1 && val(occupied, at) > capacity) {
      found.push({rule: 'TRANSIENT', detail: {machine, resource, needed: val(occupied, at), capacity}});
    }
  }
  return found;
}

/** @param both a process that moved counts at home too. */
function usage(model: PlanModel, assignment: Int32Array, both: boolean): Float64Array {
  const {resources} = model;
  const use = new Float64Array(model.machines * resources);
  for (let process = 0; process < model.processes; process++) {
    const [from, to] = [val(model.home, process), val(assignment, process)];
    for (let r = 0; r < resources; r++) {
      const need = val(model.need, process * resources + r);
      use[to * resources + r] = val(use, to * resources + r) + need;
      if (both && from !== to) use[from * resources + r] = val(use, from * resources + r) + need;
    }
  }
  return use;
}

function serviceViolations(model: PlanModel, assignment: Int32Array): Violation[] {
  const machinesOf = new Map<number, number[]>();
  for (let process = 0; process < model.processes; process++) {
    const service = val(model.service, process);
    if (service >= 0) addTo(machinesOf, service, val(assignment, process));
  }
  const neighbourhoodsOf = (service: number): Set<number> =>
    new Set((machinesOf.get(service) ?? []).map(machine => val(model.neighbourhood, machine)));
  const found: Violation[] = [];
  for (const [service, list] of machinesOf) {
    if (val(model.exclusive, service) === 1 && new Set(list).size < list.length) found.push({rule: 'CONFLICT', detail: {service}});
    const locations = new Set(list.map(machine => val(model.location, machine))).size;
    const spread = val(model.spread, service);
    if (locations < spread) found.push({rule: 'SPREAD', detail: {service, locations, spread}});
    for (let at = val(model.dependencyStart, service); at < val(model.dependencyStart, service + 1); at++) {
      const dependency = val(model.dependencies, at);
      const there = neighbourhoodsOf(dependency);
      for (const neighbourhood of neighbourhoodsOf(service)) {
        if (!there.has(neighbourhood)) found.push({rule: 'DEPENDENCY', detail: {service, dependency, neighbourhood}});
      }
    }
  }
  return found;
}
