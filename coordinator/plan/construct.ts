import {type PlanModel, val} from './model.ts';

/** So many machines are looked at for a process; all of them only when none of these takes it, or when there are few processes. */
const LOOKS = 12;
/** Pairs of process and machine up to which all machines are looked at. */
const PAIRS_MAX = 2_000_000;

export interface Start {
  /** Where processes should go where that is allowed; -1 for no wish. */
  wish?: Int32Array;
  /** Never put this process there, though the model allows it. */
  isForbidden?: (process: number, machine: number) => boolean;
}

/**
 * A first plan at once: process by process, the largest first, each to the machine where it costs least and then leaves the lowest
 * level, of those drawn for it (balanced allocations: a few choices are nearly as good as all, Azar, Broder, Karlin, Upfal 1994); at
 * home where that costs no more. Knows capacity, tiers and spread, no exclusive services, dependencies or balances. The same input
 * gives the same plan.
 * @param levels resources whose fullest share makes the level of a machine.
 * @returns where each process is; at home what no machine has room for.
 */
export function construct(model: PlanModel, levels: readonly number[], {wish, isForbidden}: Start = {}): Int32Array {
  const {machines, processes} = model;
  const book = new Book(model, levels);
  const open = Int32Array.from({length: machines}, (_, machine) => machine).filter(machine => model.offers[machine] !== 0);
  const few = open.length <= LOOKS || processes * machines <= PAIRS_MAX;
  const order = bySize(model);
  const left = wish === undefined ? order : order.filter(process => !carriesOver(process, wish[process] as number));
  let draw = 1;
  for (const process of left) {
    let best = -1;
    // Staying is the choice to beat.
    let [cheapest, lowest] = [book.relief(process), Number.POSITIVE_INFINITY];
    const looks = few ? 0 : LOOKS;
    for (let i = 0; i < looks + open.length; i++) {
      if (i === looks && best >= 0) break;
      draw = (Math.imul(draw, 1_664_525) + 1_013_904_223) >>> 0;
      const machine = open[i < looks ? Math.floor((draw / 0x1_0000_0000) * open.length) : i - looks] as number;
      if (!book.fits(process, machine) || isForbidden?.(process, machine) === true) continue;
      const cost = book.burden(process, machine);
      if (cost > cheapest || (best < 0 && cost === cheapest)) continue;
      const level = book.level(process, machine);
      if (cost === cheapest && level >= lowest) continue;
      [best, cheapest, lowest] = [machine, cost, level];
    }
    if (best >= 0) book.put(process, best);
  }
  return book.assignment;

  function carriesOver(process: number, machine: number): boolean {
    if (machine === model.home[process]) return true;
    if (!(machine >= 0) || !book.fits(process, machine) || isForbidden?.(process, machine) === true) return false;
    book.put(process, machine);
    return true;
  }
}

/** Use of all machines while processes are put on them. */
class Book {
  readonly assignment: Int32Array;
  readonly #model: PlanModel;
  readonly #levels: readonly number[];
  readonly #room: Float64Array;
  readonly #use: Float64Array;
  readonly #fair: Float64Array;
  /** services x locations: processes there. */
  readonly #there: Int32Array;
  readonly #used: Int32Array;

  constructor(model: PlanModel, levels: readonly number[]) {
    const {machines, resources, processes, need, home} = model;
    this.#model = model;
    this.#levels = levels;
    this.assignment = Int32Array.from(home);
    this.#room = Float64Array.from(model.capacity);
    this.#use = new Float64Array(machines * resources);
    this.#fair = model.safety.map(value => 1 / Math.max(1, value));
    this.#there = new Int32Array(model.services * model.locations);
    this.#used = new Int32Array(model.services);
    for (let process = 0; process < processes; process++) {
      const at = (home[process] as number) * resources;
      for (let r = 0, from = process * resources; r < resources; r++, from++) {
        this.#room[at + r] = val(this.#room, at + r) - val(need, from);
        this.#use[at + r] = val(this.#use, at + r) + val(need, from);
      }
      this.#count(process, home[process] as number, 1);
    }
  }

  fits(process: number, machine: number): boolean {
    const {resources, need, offers, accepts, home} = this.#model;
    if (machine === home[process] || (val(offers, machine) & val(accepts, process)) === 0) return false;
    for (let r = 0, from = process * resources, at = machine * resources; r < resources; r++, from++, at++) {
      if (val(need, from) > val(this.#room, at)) return false;
    }
    return this.#keepsSpread(process, machine);
  }

  /** What the process costs the machine that it enters. */
  burden(process: number, machine: number): number {
    const {resources, need, safety, loadWeight} = this.#model;
    let cost = 0;
    for (let r = 0, from = process * resources, at = machine * resources; r < resources; r++, from++, at++) {
      const over = val(this.#use, at) - val(safety, at) + val(need, from);
      if (over > 0) cost += val(loadWeight, r) * Math.min(over, val(need, from));
    }
    return cost;
  }

  /** What is gained when it leaves home, the cost of moving taken off. */
  relief(process: number): number {
    const {resources, need, safety, loadWeight, home, moveCost, processMoveWeight} = this.#model;
    let gain = -processMoveWeight * val(moveCost, process);
    for (let r = 0, from = process * resources, at = val(home, process) * resources; r < resources; r++, from++, at++) {
      const over = val(this.#use, at) - val(safety, at);
      if (over > 0) gain += val(loadWeight, r) * Math.min(over, val(need, from));
    }
    return gain;
  }

  /** Level at which the process would leave the machine. */
  level(process: number, machine: number): number {
    const {resources, need} = this.#model;
    let level = 0;
    for (const r of this.#levels) {
      const at = machine * resources + r;
      level = Math.max(level, (val(this.#use, at) + val(need, process * resources + r)) * val(this.#fair, at));
    }
    return level;
  }

  /** From home. What is transient is not given back there. */
  put(process: number, machine: number): void {
    const {resources, need, transient, home} = this.#model;
    const from = val(home, process);
    for (let r = 0; r < resources; r++) {
      const wanted = val(need, process * resources + r);
      const [old, at] = [from * resources + r, machine * resources + r];
      this.#use[old] = val(this.#use, old) - wanted;
      if (transient[r] !== 1) this.#room[old] = val(this.#room, old) + wanted;
      this.#use[at] = val(this.#use, at) + wanted;
      this.#room[at] = val(this.#room, at) - wanted;
    }
    this.#count(process, from, -1);
    this.#count(process, machine, 1);
    this.assignment[process] = machine;
  }

  #count(process: number, machine: number, change: number): void {
    const {service: services, locations, location} = this.#model;
    const service = val(services, process);
    if (service < 0) return;
    const at = service * locations + val(location, machine);
    const [before, after] = [val(this.#there, at), val(this.#there, at) + change];
    this.#there[at] = after;
    this.#used[service] = val(this.#used, service) + Number(after > 0) - Number(before > 0);
  }

  #keepsSpread(process: number, machine: number): boolean {
    const {service: services, locations, location, home, spread} = this.#model;
    const service = val(services, process);
    if (service < 0) return true;
    const [left, entered] = [val(location, val(home, process)), val(location, machine)];
    if (left === entered || val(this.#there, service * locations + left) > 1) return true;
    return val(this.#there, service * locations + entered) === 0 || val(this.#used, service) > val(spread, service);
  }
}

/** Processes, those first that take the largest part of what there is of any resource; ties in their own order. */
function bySize({processes, resources, need}: PlanModel): Int32Array {
  const totals = new Float64Array(resources);
  for (let at = 0; at < need.length; at++) totals[at % resources] = val(totals, at % resources) + val(need, at);
  const share = totals.map(total => (total > 0 ? 1 / total : 0));
  const keys = new Float64Array(processes);
  for (let process = 0; process < processes; process++) {
    let most = 0;
    for (let r = 0; r < resources; r++) most = Math.max(most, val(need, process * resources + r) * val(share, r));
    // The index in the lower bits: a plain numeric sort is many times faster than one that calls back.
    keys[process] = Math.floor(-most * 2 ** 31) * 2 ** 22 + process;
  }
  keys.sort();
  const order = new Int32Array(processes);
  for (let at = 0; at < processes; at++) order[at] = val(keys, at) - Math.floor(val(keys, at) / 2 ** 22) * 2 ** 22;
  return order;
}
