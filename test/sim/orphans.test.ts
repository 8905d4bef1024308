import {afterEach, expect, test} from 'vitest';
import {STEPS} from '../../coordinator/move/steps.ts';
import {MOVE_STEPS, type MoveStep} from '../../wire/record.ts';
import {three} from './three.ts';

const RUNS = new Map(MOVE_STEPS.map(step => [step, STEPS[step].run]));

afterEach(() => {
  for (const [step, run] of RUNS) STEPS[step].run = run;
});

/** A farm without trouble that loses its power in that step of a move; the store comes back without what it knew of moves. */
async function forgottenIn(step: MoveStep) {
  const {world, user, first: source, second: target, third, after, move} = three();
  world.isLockHeard = true;
  const lock = (): string | undefined => world.routes.get(user)?.route.move?.id;
  STEPS[step].run = () => {
    world.killCoordinator();
    return new Promise(() => undefined);
  };
  move(source, target);
  await after(30_000);
  for (const [name, run] of RUNS) STEPS[name].run = run;
  world.forgetMoves();
  world.elect(false);
  return {world, user, source, target, third, after, move, lock};
}

test.each([
  ['copying', false],
  ['finalizing', false],
  ['adopting', true],
] as const)('a lock of which only the route knows, of a move in %s, goes, and its user can move again', async (step, isFlipped) => {
  const {world, user, source, target, third, after, move, lock} = await forgottenIn(step);
  const home = isFlipped ? target : source;
  await after(120_000);
  expect([world.owner(user), lock() !== undefined]).toEqual([home, true]);
  await after(120_000);
  expect([world.owner(user), lock(), world.routes.get(user)?.route.hold]).toEqual([home, undefined, null]);
  move(home, third);
  await after(60_000);
  expect([world.owner(user), world.host(third).mailboxes.get(user)?.messages.size]).toEqual([third, 5]);
});

test('a lock whose move runs stays', async () => {
  const {world, after, move, lock, source, target} = await forgottenIn('copying');
  await after(240_000);
  STEPS.copying.run = () => new Promise(() => undefined);
  move(source, target);
  // What the first move has left there nobody knows.
  world.host(target).copies.clear();
  world.host(target).mailboxes.clear();
  await after(1_000);
  const held = lock();
  await after(300_000);
  expect([held !== undefined, lock()]).toEqual([true, held]);
});
