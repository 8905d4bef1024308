import type {PlanModel} from './model.ts';

/** So many machines are looked at for a process; all of them only when none of these takes it. */
const LOOKS = 12;

/**
 * A first plan at once: the largest process first, each to the machine where it leaves the lowest level, of those drawn for it
 * (balanced allocations: a few choices are nearly as good as all, Azar, Broder, Karlin, Upfal 1994). Only for problems without
 * services. The same input gives the same plan.
 * @returns where each process is; at home what no machine has room for.
 */
export function construct(model: PlanModel): Int32Array {
  const {machines, resources, need, capacity, safety} = model;
  const assignment = Int32Array.from(model.home);
  const open = Int32Array.from(Array.from({length: machines}, (_, machine) => machine).filter(machine => model.offers[machine] !== 0));
  const room = Float64Array.from(capacity);
  const fair = safety.map(value => 1 / Math.max(1, value));
  const use = new Float64Array(machines * resources);
  /** Level at which the process would leave the machine; infinite when it does not fit. */
  const levelAt = (process: number, machine: number): number => {
    if (((model.offers[machine] as number) & (model.accepts[process] as number)) === 0) return Number.POSITIVE_INFINITY;
    let level = 0;
    for (let r = 0, from = process * resources, at = machine * resources; r < resources; r++, from++, at++) {
      const wanted = need[from] as number;
      if (wanted > (room[at] as number)) return Number.POSITIVE_INFINITY;
      const part = ((use[at] as number) + wanted) * (fair[at] as number);
      if (part > level) level = part;
    }
    return level;
  };
  let draw = 1;
  for (const process of bySize(model)) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    const looks = open.length > LOOKS ? LOOKS : 0;
    for (let i = 0; i < looks + open.length; i++) {
      if (i === looks && best >= 0) break;
      draw = (Math.imul(draw, 1_664_525) + 1_013_904_223) >>> 0;
      const machine = open[i < looks ? Math.floor((draw / 0x1_0000_0000) * open.length) : i - looks] as number;
      const level = levelAt(process, machine);
      if (level >= lowest) continue;
      best = machine;
      lowest = level;
    }
    if (best < 0) continue;
    assignment[process] = best;
    for (let r = 0, at = best * resources; r < resources; r++, at++) {
      room[at] = (room[at] as number) - (need[process * resources + r] as number);
      use[at] = (use[at] as number) + (need[process * resources + r] as number);
    }
  }
  return assignment;
}

/** Processes, those first that take the largest part of what there is of any resource; ties in their own order. */
function bySize({processes, resources, need}: PlanModel): Int32Array {
  const totals = new Float64Array(resources);
  for (let at = 0; at < need.length; at++) totals[at % resources] = (totals[at % resources] as number) + (need[at] as number);
  const share = totals.map(total => (total > 0 ? 1 / total : 0));
  const keys = new Float64Array(processes);
  for (let process = 0; process < processes; process++) {
    let most = 0;
    for (let r = 0; r < resources; r++) most = Math.max(most, (need[process * resources + r] as number) * (share[r] as number));
    // The index in the lower bits: a plain numeric sort is many times faster than one that calls back.
    keys[process] = Math.floor(-most * 2 ** 31) * 2 ** 22 + process;
  }
  keys.sort();
  return Int32Array.from(keys, key => key - Math.floor(key / 2 ** 22) * 2 ** 22);
}
