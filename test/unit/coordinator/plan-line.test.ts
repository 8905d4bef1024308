import {expect, test} from 'vitest';
import {CURRENT_PLAN_KEY} from '../../../coordinator/keys.ts';
import {PlanLine, splitPlan} from '../../../coordinator/plan-line.ts';
import type {CurrentPlan, Plan} from '../../../wire/record.ts';
import {FakeBucket, FakeClock} from './fakes.ts';

function planOf(moves: number, unplaced = 0): Plan {
  const name = (index: number): string => `user${index}@example.org`;
  return {
    v: 1,
    id: 'plan-first',
    parent: 'plan-before',
    generation: 7,
    createdAtMs: 1,
    kind: 'evacuate',
    because: 'x',
    moves: Array.from({length: moves}, (_, index) => ({user: name(index), source: 'be01', target: 'be02', bytes: index, why: 'x'})),
    unplaced: Array.from({length: unplaced}, (_, index) => ({user: name(index), source: 'be01', bytes: 1, code: 'SPACE'})),
  };
}

function ids(): () => string {
  let count = 0;
  return () => `plan-part-${++count}`;
}

test('what fits one entry stays one plan, also without any move', () => {
  expect(splitPlan(planOf(3, 2), ids())).toEqual([planOf(3, 2)]);
  expect(splitPlan(planOf(0), ids())).toEqual([planOf(0)]);
});

test('a huge plan becomes a line of children: every move once, in order, each part small enough for NATS', () => {
  const plan = planOf(50_000, 50_000);
  const parts = splitPlan(plan, ids());
  expect(parts.length).toBeGreaterThan(5);
  expect(parts.flatMap(({moves}) => moves)).toEqual(plan.moves);
  parts.forEach((part, index) => {
    expect([part.parent, part.generation]).toEqual([index === 0 ? 'plan-before' : parts[index - 1]?.id, 7 + index]);
    expect(JSON.stringify(part).length * 3).toBeLessThan(1_000_000);
  });
  expect(parts[0]?.id).toBe('plan-first');
});

test('stored as a line, the last one current; the next plan is its child', async () => {
  const bucket = new FakeBucket<Plan | CurrentPlan>(new FakeClock());
  const line = new PlanLine(bucket, ids());
  const place = await line.next(1);
  expect(place.ids).toMatchObject({parent: null, generation: 1});
  const stored = await line.store({...planOf(9_000), ...{parent: null, generation: 1}}, place);
  expect(stored.length).toBeGreaterThan(2);
  expect(bucket.rows.get(CURRENT_PLAN_KEY)?.value).toMatchObject({current: stored.at(-1)?.id, generation: stored.length});
  expect((await line.next(2)).ids).toMatchObject({parent: stored.at(-1)?.id, generation: stored.length + 1});
  expect(await line.read(stored[1]?.id ?? '')).toEqual(stored[1]);
  expect(await line.read(CURRENT_PLAN_KEY)).toEqual(stored.at(-1));
  await expect(line.store(planOf(1), place)).rejects.toMatchObject({code: 'STORE_CONFLICT'});
  await expect(line.store({...planOf(1), id: 'plan-other'}, place)).rejects.toMatchObject({code: 'PLAN_STALE'});
});
