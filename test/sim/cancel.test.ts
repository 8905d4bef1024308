import {afterEach, expect, test} from 'vitest';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const RUNS = new Map(Object.entries(STEPS).map(([name, {run}]) => [name as MoveStep, run]));

afterEach(() => {
  for (const [name, run] of RUNS) STEPS[name].run = run;
});

/** A farm without trouble in which one mailbox moves; in that step the source's disk becomes as slow as can be. */
async function moving(ms: number, slowIn: MoveStep | null = null) {
  const world = new World({seed: 3, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = source === 'be1' ? 'be2' : 'be1';
  world.engine?.enqueue(planOf('single', [{user, source, target, bytes: 1_000, why: 'simulated'}]));
  if (slowIn !== null) {
    const {run} = STEPS[slowIn];
    STEPS[slowIn].run = (context, record) => {
      world.host(source).diskSlowness = 1e4;
      return run(context, record);
    };
  }
  const after = (spanMs: number): Promise<unknown> => world.time.run(world.time.now + spanMs, () => undefined);
  await after(ms);
  const record = (): MoveRecord => {
    const [only] = world.engine?.records() ?? [];
    if (only === undefined) throw new Error('no move');
    return only;
  };
  return {world, user, source, target, after, record};
}

/** The state of a promise, once it has one. */
function outcome(asked: Promise<void> | undefined): {now: string} {
  const seen = {now: 'waits'};
  asked?.then(
    () => {
      seen.now = 'done';
    },
    error => {
      seen.now = error.code;
    },
  );
  return seen;
}

test.each(['seeding', 'copying'] as const)(
  'a %s that takes hours is ended at once, and stays ended when the leader dies right after the answer',
  async step => {
    if (step === 'copying') STEPS.seeding.run = async (_context, record) => ({...record, step: 'copying'});
    const {world, user, source, target, after, record} = await moving(2_000, step);
    expect(record().step).toBe(step);
    const asked = outcome(world.engine?.cancel(record().id));
    await after(20);
    expect([asked.now, record().step]).toEqual(['done', 'backingOut']);
    world.elect(false);
    await after(90_000);
    // The host's disk is as slow as before, and takes 20 s for the new leader's token alone: nobody waited for the pass.
    expect([record().step, record().refusal?.code, world.routes.get(user)?.route.move]).toEqual(['backedOut', 'CANCELLED', null]);
    expect([world.owner(user), world.host(target).mailboxes.has(user)]).toEqual([source, false]);
  },
);

test('what a cancelled move had waited for begins no pass, even at a source that was started anew since', async () => {
  // The first pass waits for the target's last word on the seed.
  let goOn: () => void = () => undefined;
  const waits = new Promise<void>(resolve => {
    goOn = resolve;
  });
  const {run} = STEPS.copying;
  STEPS.copying.run = (context, record) => {
    const {ports} = context;
    const command: typeof ports.command = async (host, verb, request, timeoutMs) => {
      if (verb === 'receive') await waits;
      return verb === 'receive' ? ({offer: null} as never) : ports.command(host, verb, request, timeoutMs);
    };
    return run(new Proxy(context, {get: (from, key) => (key === 'ports' ? {...ports, command} : Reflect.get(from, key))}), record);
  };
  const {world, user, source, target, after, record} = await moving(5_000);
  expect(record().step).toBe('copying');
  world.engine?.cancel(record().id);
  await after(3_000);
  expect([record().step, world.host(target).mailboxes.has(user)]).toEqual(['backedOut', false]);
  world.host(source).crash(false);
  world.host(source).restart();
  world.catchUp(world.host(source));
  goOn();
  await after(30_000);
  expect([world.owner(user), world.host(target).mailboxes.has(user)]).toEqual([source, false]);
});

test('what is held is back at its host after the step that runs, and only then is that said', async () => {
  let goOn: () => void = () => undefined;
  const {run} = STEPS.verifying;
  STEPS.verifying.run = async (context, asked) => {
    await new Promise<void>(resolve => {
      goOn = resolve;
    });
    return run(context, asked);
  };
  const {world, user, source, after, record} = await moving(5_000);
  expect(record().step).toBe('verifying');
  const asked = outcome(world.engine?.cancel(record().id));
  await after(20);
  expect(asked.now).toBe('waits');
  goOn();
  await after(3_000);
  expect([asked.now, record().step, world.owner(user)]).toEqual(['done', 'backedOut', source]);
});

test.each(['flipping', 'adopting', 'retaining'] as const)('in %s it is too late, and refused', async step => {
  STEPS[step].run = () => new Promise(() => undefined);
  const {world, after, record} = await moving(5_000);
  expect(record().step).toBe(step);
  await expect(world.engine?.cancel(record().id)).rejects.toMatchObject({code: 'MOVE_STATE', detail: {step}});
  await after(20);
  expect(record().step).toBe(step);
});

test('whoever asks a leader that is none any more is told so', async () => {
  STEPS.verifying.run = () => new Promise(() => undefined);
  const {world, after, record} = await moving(5_000);
  const before = world.engine;
  const {id} = record();
  const asked = outcome(before?.cancel(id));
  await after(20);
  world.killCoordinator();
  await after(60_000);
  expect(asked.now).toBe('NOT_LEADER');
  await expect(before?.cancel(id)).rejects.toMatchObject({code: 'NOT_LEADER'});
});
