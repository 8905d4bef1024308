import {expect, test} from 'vitest';
import type {KickPolicy} from '../../wire/policy.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const USERS = 40;
const SESSIONS = 6;

/** Two hosts are emptied at once onto two others, of users with many sessions each that come back as soon as they may. */
async function emptied(kicks: KickPolicy): Promise<World> {
  const move = {concurrentMax: 16, perSourceMax: 16, perTargetMax: 16, kicks};
  const world = new World({seed: 3, backends: 4, users: USERS, trouble: 0, move});
  world.elect(false);
  const users = [...world.routes.keys()];
  const moves = users.flatMap(user => {
    const source = world.owner(user);
    world.host(source).sessions.set(user, SESSIONS);
    const target = {be1: 'be3', be2: 'be4'}[source];
    return target === undefined ? [] : [{user, source, target, bytes: 1_000, why: 'simulated'}];
  });
  world.engine?.enqueue(planOf('evacuate', moves));
  await world.time.run(120_000, () => undefined);
  expect(world.engine?.records().map(({step}) => step)).toEqual(moves.map(() => 'retained'));
  return world;
}

/** Most sessions ended within a second, for one target or for all. */
function worst({kicks}: World, target: string | null): number {
  const own = kicks.filter(kick => target === null || kick.target === target);
  return Math.max(...own.map(({atMs: from}) => sum(own.filter(({atMs}) => atMs >= from && atMs < from + 1_000))));
}

function sum(kicks: World['kicks']): number {
  return kicks.reduce((total, {sessions}) => total + sessions, 0);
}

test('when many moves are ready at once, their sessions end one user after the other', async () => {
  const unbound = await emptied({perSecondMax: 1e6, perTargetPerSecondMax: 1e6});
  expect(worst(unbound, null)).toBeGreaterThan(60);
  const world = await emptied({perSecondMax: 6, perTargetPerSecondMax: 4});
  expect(sum(world.kicks)).toBe(sum(unbound.kicks));
  // A second's worth at the start, another as time passes, and what users who were under way have more than expected.
  expect(worst(world, 'be3')).toBeLessThanOrEqual(4 + 4 + 4 * (SESSIONS - 1));
  expect(worst(world, null)).toBeLessThanOrEqual(6 + 6 + 6 * (SESSIONS - 1));
  const lastedMs = Math.max(...world.kicks.map(({atMs}) => atMs)) - Math.min(...world.kicks.map(({atMs}) => atMs));
  expect((sum(world.kicks) * 1_000) / lastedMs).toBeLessThan(6 * 1.4);
});

test('a move that waits for its turn says so', async () => {
  const world = new World({seed: 3, backends: 2, users: 4, trouble: 0, move: {kicks: {perSecondMax: 0.01, perTargetPerSecondMax: 1}}});
  world.elect(false);
  const moves = [...world.routes.keys()].flatMap(user => {
    world.host(world.owner(user)).sessions.set(user, 1);
    return world.owner(user) === 'be1' ? [{user, source: 'be1', target: 'be2', bytes: 1_000, why: 'simulated'}] : [];
  });
  world.engine?.enqueue(planOf('evacuate', moves));
  await world.time.run(30_000, () => undefined);
  const found = (world.engine?.records() ?? []).map(({step, refusal}) => `${step} ${refusal?.code ?? ''}`);
  expect(found.sort()).toEqual(['copying KICKS_SPREAD', 'retained ']);
});

test('no more users are held at once than can wait at an edge; the others go on copying, and say why', async () => {
  const world = new World({seed: 3, backends: 2, users: 12, trouble: 0, move: {concurrentMax: 6, perSourceMax: 6, perTargetMax: 6}});
  world.holdPorts = 2;
  world.elect(false);
  const moves = [...world.routes.keys()].flatMap(user =>
    world.owner(user) === 'be1' ? [{user, source: 'be1', target: 'be2', bytes: 1_000, why: 'simulated'}] : [],
  );
  world.engine?.enqueue(planOf('evacuate', moves));
  const held: number[] = [];
  const waits = new Set<string>();
  await world.time.run(120_000, () => {
    held.push([...world.routes.values()].filter(({route}) => route.hold !== null || route.flip !== null).length);
    for (const {step, refusal} of world.engine?.records() ?? []) if (refusal !== null) waits.add(`${step} ${refusal.code}`);
  });
  expect([Math.max(...held), [...waits]]).toEqual([2, ['copying EDGE_BUDGET']]);
  expect(world.engine?.records().map(({step, refusal}) => [step, refusal])).toEqual(moves.map(() => ['retained', null]));
});
