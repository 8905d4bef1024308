import {afterEach, expect, test} from 'vitest';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const RUNS = new Map(Object.entries(STEPS).map(([name, {run}]) => [name as MoveStep, run]));

afterEach(() => {
  for (const [name, run] of RUNS) STEPS[name].run = run;
});

/** One move in a farm without trouble, whose target is installed anew by somebody else right before `step`, once. */
async function reinstalledBefore(
  step: MoveStep,
): Promise<{world: World; user: string; record: MoveRecord | undefined; source: string; target: string}> {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = [...world.hosts.values()].find(({name, isEdge}) => !isEdge && name !== source)?.name ?? '';
  const run = RUNS.get(step);
  let isDone = false;
  STEPS[step].run = async (context, record) => {
    if (!isDone) {
      isDone = true;
      world.host(target).burn();
      world.host(target).restart();
      world.catchUp(world.host(target));
    }
    return run?.(context, record) ?? record;
  };
  world.engine?.enqueue(planOf('single', [{user, source, target, bytes: 1_000, why: 'simulated'}]));
  await world.time.run(200_000, () => undefined);
  return {world, user, record: world.engine?.records()[0], source, target};
}

test.each<MoveStep>(['seeding', 'copying', 'verifying'])(
  'a target that is reinstalled by hand before %s: the move backs out, nothing is left there',
  async step => {
    const {world, user, record, source, target} = await reinstalledBefore(step);
    expect(record).toMatchObject({step: 'backedOut', refusal: {code: 'COPY_MISSING', detail: {user, host: target}}});
    expect([world.owner(user), world.host(source).mailboxes.get(user)?.messages.size]).toEqual([source, 5]);
    expect([...world.host(target).mailboxes.keys(), ...world.host(target).copies.keys()]).toEqual([]);
  },
);

test('a target that is reinstalled by hand after the flip: the move says so, and the copy at the source stays', async () => {
  const {world, user, record, source, target} = await reinstalledBefore('adopting');
  const missing = {code: 'COPY_MISSING', detail: {user, host: target}};
  expect([world.owner(user), record]).toMatchObject([target, {step: 'retained', refusal: missing}]);
  const purging = world.engine?.purge([record?.id ?? '']);
  await world.time.run(400_000, () => undefined);
  await purging;
  expect(world.engine?.records()[0]).toMatchObject({step: 'retained', refusal: {code: 'LAST_COPY'}});
  expect(world.host(source).mailboxes.get(user)?.messages.size).toBe(5);
});
