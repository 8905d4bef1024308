import fc from 'fast-check';
import {expect, test} from 'vitest';
import {assertModel, type Found, type PlanModel, type SearchLimits} from '../../coordinator/plan/model.ts';
import {costOf, violationsOf} from '../../coordinator/plan/model-check.ts';
import {searchPlan, searchPlanNow} from '../../native/binding.ts';
import {drawModel} from '../unit/coordinator/plan/draw-model.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const LIMITS: SearchLimits = {ms: 0, steps: 50_000, threads: 1, seed: 1, enough: 0, heat: 1};

const search = (model: PlanModel, limits: Partial<SearchLimits> = {}): Found =>
  searchPlanNow(model, model.home, {...LIMITS, ...limits}) as Found;

test(`whatever the problem: the check agrees on rules and cost, nothing gets dearer, the seed repeats it (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(fc.integer(), seed => {
      const model = drawModel(seed, {machinesMax: 8, processesMax: 40});
      assertModel(model);
      const found = search(model, {seed: 7});
      expect(violationsOf(model, found.assignment)).toEqual([]);
      expect(found.cost).toBe(costOf(model, found.assignment).total);
      expect(found.cost).toBeLessThanOrEqual(costOf(model, model.home).total);
      expect(search(model, {seed: 7})).toEqual(found);
    }),
    {numRuns: 60, seed: SEED},
  );
});

test(`small problems are solved to the optimum (MAILHERD_SEED=${SEED})`, () => {
  let optimal = 0;
  for (let seed = 0; seed < 200; seed++) {
    const model = drawModel(SEED + seed, {machinesMax: 4, processesMax: 7});
    const best = optimum(model);
    const {cost} = search(model);
    expect(cost).toBeGreaterThanOrEqual(best);
    if (cost === best) optimal++;
  }
  expect(optimal).toBeGreaterThanOrEqual(196);
});

test('two threads with the same seed and steps find the same plan again, off the event loop too', async () => {
  const model = drawModel(3, {machinesMax: 8, processesMax: 40});
  const limits = {...LIMITS, threads: 2};
  expect(await searchPlan(model, model.home, limits)).toEqual(search(model, limits));
});

test('a problem larger than the caches, whose moves are drawn ahead: the check agrees, it gets cheaper, the seed repeats it', () => {
  const model = drawModel(4, {machinesMax: 200, processesMax: 50_000, plain: true});
  const found = search(model);
  expect(violationsOf(model, found.assignment)).toEqual([]);
  expect(found.cost).toBe(costOf(model, found.assignment).total);
  expect(found.cost).toBeLessThan(costOf(model, model.home).total);
  expect(search(model)).toEqual(found);
}, 30_000);

test('a host that holds more than it can is emptied, not given up', () => {
  const model = drawModel(1, {machinesMax: 2, processesMax: 4, plain: true});
  model.capacity.fill(10);
  model.safety.fill(5);
  model.need.fill(4);
  model.home.fill(0);
  const {assignment} = search(model);
  expect(violationsOf(model, assignment)).toEqual([]);
  expect(new Set(assignment).size).toBe(2);
});

test('nobody to place, or no time to do it: the start is the answer', () => {
  const empty = {...drawModel(1, {machinesMax: 2, processesMax: 4, plain: true}), processes: 0};
  for (const name of ['need', 'home', 'service', 'moveCost', 'accepts'] as const) Object.assign(empty, {[name]: empty[name].slice(0, 0)});
  expect(search(empty)).toMatchObject({steps: 0, assignment: new Int32Array(0)});
  const model = drawModel(2, {machinesMax: 8, processesMax: 40});
  expect(search(model, {steps: 0})).toMatchObject({steps: 0, assignment: model.home});
});

test('what is no model is refused by name', () => {
  const model = drawModel(1, {machinesMax: 2, processesMax: 4});
  expect(() => searchPlanNow({...model, need: new Float64Array(1)}, model.home, LIMITS)).toThrow(/need/);
  expect(() => searchPlanNow({...model, machines: Number.NaN}, model.home, LIMITS)).toThrow(/machines/);
  expect(() => searchPlanNow(model, new Int32Array(1), LIMITS)).toThrow(/start/);
  const broken = {...model, need: model.need.slice()};
  broken.need[0] = Number.NaN;
  expect(() => assertModel(broken)).toThrow(/INPUT_INVALID.*need/);
});

/** Tries every assignment. */
function optimum(model: PlanModel): number {
  let best = Number.POSITIVE_INFINITY;
  const assignment = new Int32Array(model.processes);
  for (let code = 0; code < model.machines ** model.processes; code++) {
    let rest = code;
    for (let process = 0; process < model.processes; process++) {
      assignment[process] = rest % model.machines;
      rest = Math.floor(rest / model.machines);
    }
    const {total} = costOf(model, assignment);
    if (total < best && violationsOf(model, assignment, 1).length === 0) best = total;
  }
  return best;
}
