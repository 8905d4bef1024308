import type {PlanModel} from './model.ts';

/**
 * No assignment costs less: what is needed of each resource beyond the safety capacity of all machines together has to lie somewhere,
 * and what all machines together lack in balance too. (ROADEF/EURO challenge 2012, "simple lower bound".)
 */
export function lowerBound(model: PlanModel): number {
  const {machines, processes, resources} = model;
  const need = totals(model.need, processes, resources);
  const safety = totals(model.safety, machines, resources);
  const capacity = totals(model.capacity, machines, resources);
  const at = (values: {readonly [index: number]: number}, index: number): number => values[index] as number;
  let bound = 0;
  for (let r = 0; r < resources; r++) bound += at(model.loadWeight, r) * Math.max(0, at(need, r) - at(safety, r));
  for (let b = 0; b < model.balances; b++) {
    const free = (r: number): number => at(capacity, r) - at(need, r);
    const lack = at(model.balanceTarget, b) * free(at(model.balanceFirst, b)) - free(at(model.balanceSecond, b));
    bound += at(model.balanceWeight, b) * Math.max(0, lack);
  }
  return bound;
}

function totals(rows: Float64Array, count: number, width: number): Float64Array {
  const sums = new Float64Array(width);
  for (let at = 0; at < count * width; at++) sums[at % width] = (sums[at % width] as number) + (rows[at] as number);
  return sums;
}
