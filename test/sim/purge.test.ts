import {afterEach, expect, test} from 'vitest';
import {MailherdError} from '../../base/errors.ts';
import {carryLate} from '../../coordinator/move/leftover.ts';
import type {MovePorts} from '../../coordinator/move/move-ports.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import type {Route} from '../../wire/route.ts';
import {Mailbox} from './mailbox.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const {run: purge} = STEPS.purging;

afterEach(() => {
  STEPS.purging.run = purge;
});

/** A farm without trouble in which one mailbox has moved. */
async function moved(ms = 60_000): Promise<{world: World; record: () => MoveRecord; after: (ms: number) => Promise<unknown>}> {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = [...world.hosts.values()].find(({name, isEdge}) => !isEdge && name !== source)?.name ?? '';
  const moves = [{user, source, target, bytes: 1_000, why: 'simulated'}];
  world.engine?.enqueue(planOf('single', moves));
  const after = (ms: number): Promise<unknown> => world.time.run(world.time.now + ms, () => undefined);
  await after(ms);
  const record = (): MoveRecord => {
    const [only] = world.engine?.records() ?? [];
    if (only === undefined) throw new Error('no move');
    return only;
  };
  return {world, record, after};
}

test('a purge whose answer was lost can be asked for again', async () => {
  const {world, record, after} = await moved();
  expect(record().step).toBe('retained');
  STEPS.purging.run = async (context, asked) => {
    await purge(context, asked);
    throw new MailherdError('HOST_SILENT', {host: asked.source});
  };
  await Promise.all([world.engine?.purge([record().id]), after(5_000)]);
  expect([record().step, record().refusal?.code]).toEqual(['retained', 'HOST_SILENT']);
  STEPS.purging.run = purge;
  await Promise.all([world.engine?.purge([record().id]), after(5_000)]);
  expect([record().step, record().refusal]).toEqual(['purged', null]);
});

test('of two that ask for the same purge at once one has it done', async () => {
  const {world, record, after} = await moved();
  const {id} = record();
  const asked = Promise.allSettled([world.engine?.purge([id]), world.engine?.purge([id])]);
  await after(5_000);
  expect((await asked).map(({status}) => status)).toEqual(['fulfilled', 'rejected']);
  expect([record().step, record().timeline.filter(({step}) => step === 'purging').length]).toEqual(['purged', 1]);
});

test('a coordinator that finds a purge whose predecessor died right after the removal ends it', async () => {
  const {world, record, after} = await moved();
  STEPS.purging.run = async (context, asked) => {
    await purge(context, asked);
    return new Promise(() => undefined);
  };
  await Promise.all([world.engine?.purge([record().id]), after(5_000)]);
  STEPS.purging.run = purge;
  world.elect(false);
  await after(5_000);
  expect(record().step).toBe('purged');
});

test('a copy that a predecessor purged before it knew that it was one is not taken for retained', async () => {
  const {world, record, after} = await moved();
  const predecessor = world.engine;
  world.elect(true);
  await Promise.all([predecessor?.purge([record().id]), after(5_000)]);
  expect(record().step).toBe('retained');
  await after(20_000);
  expect(record().step).toBe('purged');
});

test('a copy in whose place another move has put its own is gone', async () => {
  const {world, record, after} = await moved();
  const {user, source, id} = record();
  world.host(source).copies.set(user, {user, moveId: 'move-000009', kind: 'arriving'});
  const [proved] = await Promise.all([world.engine?.prove(source), after(5_000)]);
  expect([proved, record().id, record().step]).toEqual([[], id, 'purged']);
});

test("a clock that is set forward, or that was another leader's, makes no quiet time shorter", async () => {
  const {world, record, after} = await moved(1_500);
  expect(record().step).toBe('retained');
  world.coordinatorOffset = 3_600_000;
  await expect(world.engine?.purge([record().id])).rejects.toMatchObject({code: 'MOVE_STATE'});
  world.elect(false);
  await after(4_000);
  await expect(world.engine?.purge([record().id])).rejects.toMatchObject({code: 'MOVE_STATE'});
  await after(2_000);
  await Promise.all([world.engine?.purge([record().id]), after(5_000)]);
  expect(record().step).toBe('purged');
});

test('a host that lost its retained copies may be wiped: what is gone is proved to be', async () => {
  const {world, record, after} = await moved();
  world.host(record().source).copies.clear();
  const [proof] = await Promise.allSettled([world.engine?.prove(record().source), after(5_000)]);
  // Something lies there of which nobody knows.
  expect(proof).toMatchObject({status: 'rejected', reason: {code: 'COPY_UNKNOWN'}});
  expect(record().step).toBe('retained');
  world.host(record().source).mailboxes.clear();
  const [proved] = await Promise.all([world.engine?.prove(record().source), after(5_000)]);
  expect([proved, record().step]).toEqual([[], 'purged']);
});

test('late mail is not carried to where a flip points that came too late: that copy will be removed', async () => {
  const {record} = await moved();
  const route: Route = {v: 1, user: record().user, host: 'be3', generation: 3, move: null, hold: null, flip: null};
  const flip = {deadlineMs: 1_000, from: 'be2', moveId: 'move-000002'};
  const carried: unknown[] = [];
  const {folders} = Mailbox.of('late').manifest();
  const manifest = {folders: folders.map(inbox => ({...inbox, guid: 'new'})), subscriptions: [], sieve: [], lines: null};
  const ports = {
    token: () => 1,
    digest: () => 'other',
    address: (host: string) => host,
    readRoute: async () => ({route: {...route, flip}, revision: 9, storedAtMs: 1_001}),
    command: async (_host: string, verb: string, request: {target: string}) => {
      if (verb === 'carry') carried.push(request.target);
      return {manifest, tookMs: 0};
    },
  } as unknown as MovePorts;
  await carryLate(ports, {...record(), source: 'be1', step: 'retained' satisfies MoveStep});
  expect(carried).toEqual(['be2']);
});

test.each(['silent', 'bare'])('neither purge nor wipe takes the last copy: the host of the mailbox is %s', async how => {
  const {world, record, after} = await moved();
  const {id, source, target, user} = record();
  world.host(target).burn();
  if (how === 'bare') {
    world.host(target).restart();
    world.catchUp(world.host(target));
  }
  const [proof] = await Promise.allSettled([world.engine?.prove(source), after(60_000)]);
  expect([record().step, record().refusal?.code]).toEqual(['retained', 'LAST_COPY']);
  await Promise.all([world.engine?.purge([id]), after(60_000)]);
  expect([record().step, record().refusal?.code]).toEqual(['retained', 'LAST_COPY']);
  expect(proof).toMatchObject({status: 'rejected', reason: {code: 'LAST_COPY', detail: {host: target, copy: source}}});
  // However often that fails the copy is retained since the flip: neither its purge nor the wipe of its host is put off anew.
  for (let purges = 0; purges < 40; purges++) await Promise.all([world.engine?.purge([id]), after(60_000)]);
  const steps = record().timeline.map(({step}) => step);
  expect([steps.filter(step => step === 'retained'), steps.at(-1), steps[0]]).toEqual([['retained'], 'retained', 'reserving']);
  expect(world.host(source).mailboxes.get(user)?.messages.size).toBe(5);
});

test('copies of a host are proved side by side: thousands of them fit into the time for which a wipe is allowed', async () => {
  const world = new World({seed: 5, backends: 2, users: 24, trouble: 0});
  world.elect(false);
  const users = [...world.routes.keys()].filter(user => world.owner(user) === 'be1');
  world.engine?.enqueue(
    planOf(
      'single',
      users.map(user => ({user, source: 'be1', target: 'be2', bytes: 1_000, why: 'simulated'})),
    ),
  );
  await world.time.run(900_000, () => undefined);
  const took = async (): Promise<number> => {
    const begun = world.time.now;
    const ended: {atMs: number; count: number} = {atMs: 0, count: 0};
    void world.engine?.prove('be1').then(proved => Object.assign(ended, {atMs: world.time.now, count: proved.length}));
    await world.time.run(begun + 60_000, () => undefined);
    expect(ended.count).toBe(world.engine?.records().filter(({step}) => step === 'retained').length);
    return ended.atMs - begun;
  };
  const all = await took();
  const [first] = world.engine?.records() ?? [];
  for (const record of world.engine?.records() ?? []) if (record !== first) Object.assign(record, {step: 'purged'});
  expect(users.length).toBeGreaterThan(8);
  expect(all).toBeLessThan((users.length / 2) * (await took()));
});
