import {afterEach, expect, test} from 'vitest';
import {STEPS} from '../../coordinator/move/steps.ts';
import {MOVE_STEPS, type MoveStep} from '../../wire/record.ts';
import {planOf} from './plan.ts';
import {three} from './three.ts';
import {World} from './world.ts';

const RUNS = new Map(MOVE_STEPS.map(step => [step, STEPS[step].run]));

afterEach(() => {
  for (const [step, run] of RUNS) STEPS[step].run = run;
});

/** A user is taken out of the farm right before that step of his move; `isSuccessor`: and the coordinator dies with it. @returns how the move ended. */
async function removedIn(step: MoveStep, isSuccessor: boolean): Promise<{ended: MoveStep | undefined; world: World}> {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = source === 'be1' ? 'be2' : 'be1';
  const {run} = STEPS[step];
  let isRemoved = false;
  STEPS[step].run = (context, record) => {
    if (!isRemoved) {
      isRemoved = true;
      world.removeUser(user);
      if (isSuccessor) {
        world.elect(false);
        return new Promise(() => undefined);
      }
    }
    return run(context, record);
  };
  const moves = [{user, source, target, bytes: 1_000, why: 'simulated'}];
  world.engine?.enqueue(planOf('single', moves));
  await world.time.run(200_000, () => undefined);
  return {ended: world.engine?.records()[0]?.step, world};
}

test.each(
  (['reserving', 'seeding', 'copying', 'holding', 'finalizing', 'verifying', 'flipping'] as const).flatMap(step =>
    [false, true].map(isSuccessor => [step, isSuccessor] as const),
  ),
)(
  'a user who is removed before %s (the coordinator dies: %s): the move backs out, and leaves nothing on its target',
  async (step, isSuccessor) => {
    const {ended, world} = await removedIn(step, isSuccessor);
    expect(ended).toBe('backedOut');
    expect(['be1', 'be2'].map(host => [world.host(host).mailboxes.size, world.host(host).copies.size]).sort()).toEqual([
      [0, 0],
      [1, 0],
    ]);
  },
);

test.each([
  ['adopting', false],
  ['adopting', true],
  ['retaining', false],
  ['retaining', true],
] as const)(
  'a user who is removed before %s (the coordinator dies: %s): his old copy is retained, and can be purged',
  async (step, isSuccessor) => {
    const {ended, world} = await removedIn(step, isSuccessor);
    expect(ended).toBe('retained');
    const [record] = world.engine?.records() ?? [];
    await Promise.all([world.engine?.purge([record?.id ?? '']), world.time.run(world.time.now + 5_000, () => undefined)]);
    expect([world.engine?.records()[0]?.step, world.host(record?.source ?? '').mailboxes.size]).toEqual(['purged', 0]);
  },
);

test('who is removed and comes again where his old copy is retained can leave again', async () => {
  const {world, user, first, second, third, after, move} = three();
  move(first, second);
  await after(200_000);
  world.removeUser(user);
  world.addUser(user, first);
  move(first, third);
  await after(200_000);
  const steps = (): unknown => world.engine?.records().map(({step}) => step);
  expect([world.owner(user), steps()]).toEqual([third, ['retained', 'retained']]);
  // One copy is left, of the second move.
  const [{id} = {id: ''}] = world.engine?.records() ?? [];
  await Promise.all([world.engine?.purge([id]), world.time.run(world.time.now + 5_000, () => undefined)]);
  expect([steps(), world.host(first).mailboxes.size]).toEqual([['purged', 'retained'], 1]);
});

test('who is removed after his move, and whose old copy somebody has removed by hand, keeps no host from being wiped', async () => {
  const {world} = await removedIn('retaining', false);
  const [{id, source} = {id: '', source: ''}] = world.engine?.records() ?? [];
  world.host(source).mailboxes.clear();
  const [proved] = await Promise.all([world.engine?.prove(source), world.time.run(world.time.now + 5_000, () => undefined)]);
  expect([proved, world.engine?.records()[0]]).toMatchObject([[], {id, step: 'purged'}]);
  expect(world.host(source).copies.size).toBe(0);
});
