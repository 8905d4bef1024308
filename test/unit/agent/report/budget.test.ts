import {expect, test} from 'vitest';
import {type Cost, CpuBudget} from '../../../../agent/report/budget.ts';

/** An agent whose sources cost what they cost each time they run; figures by minute. */
function live(
  budget: CpuBudget,
  everMs: Record<string, number>,
  minutes: number,
  baseMs = 60,
): {every: Record<string, number>; percent: number} {
  const every: Record<string, number> = Object.fromEntries(Object.keys(everMs).map(name => [name, state.get(name) ?? 1]));
  let percent = 0;
  for (let minute = 0; minute < minutes; minute++) {
    let sum = 0;
    for (let round = 0; round < 6; round++) {
      const ms = baseMs / 6 + Object.entries(everMs).reduce((all, [name, cost]) => all + cost / (every[name] ?? 1), 0);
      sum += ms;
      const costs = (): Cost[] =>
        Object.entries(everMs).map(([name, cost]) => ({name, every: every[name] ?? 1, ms: (6 * cost) / (every[name] ?? 1)}));
      for (const [name, next] of budget.add(ms, 10_000, costs) ?? []) every[name] = next;
    }
    percent = sum / 600;
  }
  for (const [name, value] of Object.entries(every)) state.set(name, value);
  return {every, percent};
}
let state = new Map<string, number>();

test('within its budget nothing rests; the minute of the start is not judged', () => {
  state = new Map();
  const budget = new CpuBudget(0.5);
  expect(live(budget, {queue: 5, files: 1}, 30)).toMatchObject({every: {queue: 1, files: 1}});
  const begun = new CpuBudget(0.5);
  expect(begun.add(3_000, 60_000, () => [{name: 'queue', every: 1, ms: 100}])).toEqual(new Map());
  expect(begun.add(3_000, 60_000, () => [{name: 'queue', every: 1, ms: 100}])).toEqual(new Map([['queue', 2]]));
});

test('a long queue is walked more rarely until the agent costs what it may, and no other source pays for it', () => {
  state = new Map();
  const budget = new CpuBudget(0.5);
  const over = live(budget, {queue: 120, files: 2}, 12);
  expect(over.every).toEqual({queue: 4, files: 1});
  expect(over.percent).toBeLessThanOrEqual(0.5);
  expect(budget.text([{name: 'queue', every: 4}])).toBe('0.42 % of a core, 0.5 allowed: queue 1 of 4');
  // It stays so: to walk it twice as often would be too much.
  expect(live(budget, {queue: 120, files: 2}, 30).every).toEqual({queue: 4, files: 1});
  // The queue is short again.
  expect(live(budget, {queue: 4, files: 2}, 12).every).toEqual({queue: 1, files: 1});
  expect(budget.text([{name: 'queue', every: 1}])).toBeNull();
});

test('whatever it costs, nothing rests for more than eight rounds; what costs nothing is not blamed', () => {
  state = new Map();
  const {every} = live(new CpuBudget(0.5), {queue: 90_000, files: 40_000, idle: 0}, 60);
  expect(every).toEqual({queue: 8, files: 8, idle: 1});
});
