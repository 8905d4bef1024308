import {afterEach, expect, test} from 'vitest';
import {MailherdError} from '../../base/errors.ts';
import {MIB} from '../../base/units.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {Plan} from '../../wire/record.ts';
import {AGENT} from './agent.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const {run: hold} = STEPS.holding;
const {run: seeding} = STEPS.seeding;
const {equip} = AGENT;

afterEach(() => {
  STEPS.holding.run = hold;
  STEPS.seeding.run = seeding;
  AGENT.equip = equip;
});

interface Pair {
  world: World;
  user: string;
  source: string;
  target: string;
}

/** One user and two backends in a farm without trouble. */
function pair(): Pair {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = [...world.hosts.values()].find(({name, isEdge}) => !isEdge && name !== source)?.name ?? '';
  return {world, user, source, target};
}

function onePlan(kind: Plan['kind'], user: string, source: string, target: string): Plan {
  const moves = [{user, source, target, bytes: 1_000, why: 'simulated'}];
  return planOf(kind, moves);
}

/** One move of a plan of that kind in a farm without trouble, whose sessions do not end the first `lingering` times. @returns how its moves ended. */
async function moved(kind: Plan['kind'], lingering: number): Promise<string[]> {
  const {world, user, source, target} = pair();
  let holds = 0;
  STEPS.holding.run = async (context, record) => {
    if (++holds <= lingering) throw new MailherdError('SESSIONS_LINGER', {user, sessions: 1});
    return hold(context, record);
  };
  world.engine?.enqueue(onePlan(kind, user, source, target));
  await world.time.run(120_000, () => undefined);
  return (world.engine?.records() ?? []).map(({step}) => step);
}

test('back to the host that keeps the old copy: it is purged, and the mailbox comes back', async () => {
  const {world, user, source, target} = pair();
  world.engine?.enqueue(onePlan('single', user, source, target));
  await world.time.run(60_000, () => undefined);
  expect([world.owner(user), world.engine?.records().map(({step}) => step)]).toEqual([target, ['retained']]);
  world.engine?.enqueue(onePlan('single', user, target, source));
  await world.time.run(300_000, () => undefined);
  expect([world.owner(user), world.engine?.records().map(({step}) => step)]).toEqual([source, ['purged', 'retained']]);
});

test('an evacuation tries again whom a passing reason kept, twice at most', async () => {
  expect(await moved('evacuate', 2)).toEqual(['backedOut', 'backedOut', 'retained']);
  expect(await moved('evacuate', 9)).toEqual(['backedOut', 'backedOut', 'backedOut']);
});

test('a move that a person asked for ends as it ended', async () => {
  expect(await moved('single', 1)).toEqual(['backedOut']);
});

/** What files say differs from what Dovecot says: no pass mends a seed. @returns how many there were. */
function seedsDiffer({world, user}: Pair): {seeds: number} {
  const seen = {seeds: 0};
  AGENT.equip = ports => ({
    ...ports,
    files: {
      ...ports.files,
      send: async (...sent) => {
        const outcome = await ports.files.send(...sent);
        for (const message of world.host(sent[1].address).mailboxes.get(user)?.messages.values() ?? []) message.isWhole = false;
        seen.seeds++;
        return outcome;
      },
    },
  });
  return seen;
}

test.each([
  ['evacuate', 1],
  ['single', 2],
] as const)('a mailbox whose seed did not stand the proof goes without one the next time (%s)', async (kind, plans) => {
  const of = pair();
  const {world, user, source, target} = of;
  const seen = seedsDiffer(of);
  for (let plan = 1; plan <= plans; plan++) {
    world.engine?.enqueue(onePlan(kind, user, source, target));
    await world.time.run(60_000 * plan, () => undefined);
  }
  const records = world.engine?.records().map(({step, refusal, isSeeded}) => [step, refusal?.code, isSeeded]);
  expect(records).toEqual([
    ['backedOut', 'MANIFEST_DIFFERS', true],
    ['retained', undefined, false],
  ]);
  expect([world.owner(user), seen]).toEqual([target, {seeds: 1}]);
});

test('a copy by dsync alone that differs is not tried again', async () => {
  const {world, user, source, target} = pair();
  STEPS.seeding.run = async (_context, record) => ({...record, step: 'copying'});
  STEPS.holding.run = async () => {
    throw new MailherdError('MANIFEST_DIFFERS', {differences: [], count: 1});
  };
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  await world.time.run(120_000, () => undefined);
  expect(world.engine?.records().map(({step}) => step)).toEqual(['backedOut']);
});

test('of a paused evacuation nothing begins, and says so; what is not of it passes; what runs ends', async () => {
  const {world, user, source, target} = pair();
  world.paused.add(source);
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  await world.time.run(20_000, () => undefined);
  expect([world.engine?.waiting().map(({because}) => because), world.engine?.records()]).toEqual([['EVACUATION_PAUSED'], []]);
  world.paused.delete(source);
  await world.time.run(20_100, () => undefined);
  world.paused.add(source);
  await world.time.run(60_000, () => undefined);
  expect([world.engine?.waiting(), world.engine?.records().map(({step}) => step)]).toEqual([[], ['retained']]);
  world.paused.add(target);
  world.engine?.enqueue(onePlan('single', user, target, source));
  await world.time.run(300_000, () => undefined);
  expect(world.owner(user)).toBe(source);
});

test('what waits and may wait does not wait for an evacuation that is paused', async () => {
  const {world, user, source, target} = pair();
  world.paused.add(source);
  const gently: Plan = onePlan('evacuate', 'other', target, source);
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  world.engine?.enqueue({...gently, moves: gently.moves.map(move => ({...move, isLow: true}))});
  await world.time.run(5_000, () => undefined);
  expect(world.engine?.waiting().map(({planned, because}) => [planned.user, because])).toEqual([[user, 'EVACUATION_PAUSED']]);
});

test('what waits and may wait does not wait for what no clock lets begin', async () => {
  const {world, user, source, target} = pair();
  world.noHold.set(source, 'CLOCK_AHEAD');
  const gently: Plan = onePlan('evacuate', 'other', target, source);
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  world.engine?.enqueue({...gently, moves: gently.moves.map(move => ({...move, isLow: true}))});
  await world.time.run(5_000, () => undefined);
  expect(world.engine?.waiting().map(({planned, because}) => [planned.user, because])).toEqual([[user, 'CLOCK_AHEAD']]);
});

test('what nobody wants any more is not queued again when it backs out', async () => {
  const {world, user, source, target} = pair();
  STEPS.holding.run = async () => {
    world.engine?.dropWaiting(planned => planned.source === source);
    throw new MailherdError('SESSIONS_LINGER', {user, sessions: 1});
  };
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  await world.time.run(120_000, () => undefined);
  expect([world.owner(user), world.engine?.records().map(({step}) => step)]).toEqual([source, ['backedOut']]);
});

test('what was planned anew while it ran is queued again when it backs out', async () => {
  const {world, user, source, target} = pair();
  let holds = 0;
  STEPS.holding.run = async (context, record) => {
    expect(world.engine?.takeWaiting(planned => planned.target === target)).toEqual([]);
    if (++holds === 1) throw new MailherdError('SESSIONS_LINGER', {user, sessions: 1});
    return hold(context, record);
  };
  world.engine?.enqueue(onePlan('evacuate', user, source, target));
  await world.time.run(120_000, () => undefined);
  expect([world.owner(user), world.engine?.records().map(({step}) => step)]).toEqual([target, ['backedOut', 'retained']]);
});

test('a reason that is too large to be stored does not keep the mailbox locked', async () => {
  const {world, user, source, target} = pair();
  STEPS.holding.run = async () => {
    throw new MailherdError('MANIFEST_DIFFERS', {
      differences: Array.from({length: 40_000}, (_, at) => `a difference that is told at length, ${at}`),
    });
  };
  world.engine?.enqueue(onePlan('single', user, source, target));
  await world.time.run(120_000, () => undefined);
  const [record] = world.engine?.records() ?? [];
  expect([record?.step, record?.refusal?.code, world.routes.get(user)?.route.move]).toEqual(['backedOut', 'MANIFEST_DIFFERS', null]);
  expect(JSON.stringify(record).length).toBeLessThan(MIB / 2);
});
