import {afterEach, expect, test} from 'vitest';
import {MailherdError} from '../../base/errors.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {Request} from '../../wire/command.ts';
import {AGENT} from './agent.ts';
import {planOf} from './plan.ts';
import {three} from './three.ts';
import {World} from './world.ts';

const {run: retain} = STEPS.retaining;
const {equip: EQUIP} = AGENT;

afterEach(() => {
  STEPS.retaining.run = retain;
  AGENT.equip = EQUIP;
});

test('a source that dies right after the flip does not bind the user; its copy is retained, and may be purged, once it speaks again', async () => {
  const {world, user, first, second, third, after, move} = three();
  const states = (): unknown => world.engine?.records().map(({step, isRetainDue}) => [step, isRetainDue === true]);
  STEPS.retaining.run = (context, record) => {
    if (record.source === first) world.host(first).crash(true);
    return retain(context, record);
  };
  move(first, second);
  await after(600_000);
  expect([world.owner(user), states()]).toEqual([second, [['retained', true]]]);
  move(second, third);
  await after(100_000);
  expect([world.owner(user), states()]).toEqual([
    third,
    [
      ['retained', true],
      ['retained', false],
    ],
  ]);
  const [{id} = {id: ''}] = world.engine?.records() ?? [];
  await expect(world.engine?.purge([id])).rejects.toMatchObject({code: 'MOVE_STATE'});
  await expect(world.engine?.prove(first)).rejects.toMatchObject({code: 'HOST_SILENT'});
  world.host(first).restart();
  world.catchUp(world.host(first));
  for (let looks = 0; looks < 80 && world.engine?.records()[0]?.isRetainDue === true; looks++) await after(500);
  expect([world.host(first).copies.get(user)?.kind, states()]).toMatchObject(['retained', [['retained', false], {}]]);
  await expect(world.engine?.purge([id])).rejects.toMatchObject({detail: {reason: 'too soon after the flip'}});
  await after(6_000);
  await Promise.all([world.engine?.purge([id]), after(10_000)]);
  expect([world.engine?.records()[0]?.step, world.host(first).mailboxes.has(user), world.owner(user)]).toEqual(['purged', false, third]);
});

test('from a host whose clock is far ahead nobody is moved: the refusal says by how much, and its next move waits until the clock is right', async () => {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = source === 'be1' ? 'be2' : 'be1';
  world.host(source).clockOffset = 720_000;
  world.engine?.enqueue(planOf('evacuate', [{user, source, target, bytes: 1_000, why: 'simulated'}]));
  const [why, told] = [`CLOCK_AHEAD ${source} by 12 min`, (): unknown => world.engine?.waiting().map(({because}) => because)];
  const isRefused = (): boolean => world.engine?.records()[0]?.refusal != null;
  // As the coordinator would, once it has been refused.
  await world.time.run(world.time.now + 120_000, () => {
    if (isRefused()) world.noHold.set(source, why);
  });
  const [first] = world.engine?.records() ?? [];
  expect([first?.step, first?.refusal?.code, world.owner(user), told()]).toEqual(['backedOut', 'CLOCK_AHEAD', source, [why]]);
  expect(Number(first?.refusal?.detail.aheadMs)).toBeGreaterThanOrEqual(720_000);
  world.host(source).clockOffset = 0;
  world.noHold.clear();
  await world.time.run(world.time.now + 60_000, () => undefined);
  expect([world.owner(user), told()]).toEqual([target, []]);
});

test('a session that does not end at the source after the flip does not bind the user; once it has, the copy is retained and what came late is carried', async () => {
  const {world, user, first, second, third, after, move} = three();
  let isHanging = true;
  AGENT.equip = (ports, host) => {
    if (host.name !== first) return ports;
    const endSessions: typeof ports.store.endSessions = async (name, timeoutMs) => {
      if (isHanging && ports.routes.row(name)?.host !== first) throw new MailherdError('SESSIONS_LINGER', {user: name, sessions: 1});
      return ports.store.endSessions(name, timeoutMs);
    };
    return {...ports, store: {...ports.store, endSessions}};
  };
  move(first, second);
  await after(200_000);
  const [{id, step, isRetainDue, refusal} = {id: ''}] = world.engine?.records() ?? [];
  expect([world.owner(user), step, isRetainDue, refusal?.code]).toEqual([second, 'retained', true, 'SESSIONS_LINGER']);
  await expect(world.engine?.purge([id])).rejects.toMatchObject({code: 'MOVE_STATE', detail: {refusal: {code: 'SESSIONS_LINGER'}}});
  await expect(world.engine?.prove(first)).rejects.toMatchObject({code: 'SESSIONS_LINGER'});
  move(second, third);
  await after(100_000);
  expect(world.owner(user)).toBe(third);
  world.host(first).mailboxes.get(user)?.append('late');
  isHanging = false;
  await after(40_000);
  expect(world.engine?.records()[0]).toMatchObject({step: 'retained', isRetainDue: false, refusal: null});
  expect([...(world.host(third).mailboxes.get(user)?.messages.values() ?? [])].map(({guid}) => guid)).toContain('late');
});

test('who is brought back by hand to the source while his target is gone for good is bound by no move', async () => {
  const {world, user, first, second, third, after, move} = three();
  STEPS.retaining.run = async (context, record) => {
    if (record.target === second) {
      const {revision = 0} = world.routes.get(user) ?? {};
      const route = {v: 1, user, host: first, generation: 9, move: null, hold: null, flip: null} as const;
      await context.ports.writeRoute(route, revision);
    }
    return retain(context, record);
  };
  move(first, second);
  await after(60_000);
  expect([world.owner(user), world.engine?.records().map(({step}) => step)]).toEqual([first, ['purged']]);
  move(first, third);
  await after(60_000);
  expect([world.owner(user), world.host(third).mailboxes.get(user)?.messages.size]).toEqual([third, 5]);
});

test('a target that does not get rid of its copy does not bind the user; it is removed once it can be', async () => {
  const {world, user, first, second, third, after, move} = three();
  let isReadOnly = true;
  AGENT.equip = (ports, host) => {
    if (host.name !== second) return ports;
    const persist: typeof ports.files.persist = async () => {
      throw new MailherdError('COMMAND_FAILED', {reason: 'Read-only file system'});
    };
    const remove: typeof ports.store.remove = async name => {
      if (isReadOnly) throw new MailherdError('COMMAND_FAILED', {reason: 'Read-only file system'});
      return ports.store.remove(name);
    };
    return {...ports, store: {...ports.store, remove}, files: {...ports.files, persist}};
  };
  move(first, second);
  await after(120_000);
  expect(world.engine?.records()[0]).toMatchObject({step: 'backedOut', isLeftOnTarget: true});
  expect(world.host(second).mailboxes.has(user)).toBe(true);
  move(first, third);
  await after(60_000);
  expect(world.owner(user)).toBe(third);
  isReadOnly = false;
  await after(40_000);
  expect(world.engine?.records()[0]).toMatchObject({step: 'backedOut', isLeftOnTarget: false});
  expect([world.host(second).mailboxes.size, world.host(second).copies.size]).toEqual([0, 0]);
});

test('a host that a late command has make room for a move of long ago takes the user back all the same', async () => {
  const {world, user, first, second, third, after, move} = three();
  move(first, second);
  await after(60_000);
  const [{id: moveId} = {id: ''}] = world.engine?.records() ?? [];
  move(second, third);
  await after(60_000);
  await Promise.all([world.engine?.purge([world.engine.records()[1]?.id ?? '']), after(60_000)]);
  const late = {v: 1 as const, token: 1, moveId, user, source: first, bytes: 1_000, needs: [], discard: []} satisfies Request<'reserve'>;
  await Promise.all([world.host(second).command('reserve', late), after(1_000)]);
  expect(world.host(second).copies.get(user)?.moveId).toBe(moveId);
  move(third, second);
  await after(60_000);
  expect([world.owner(user), world.host(second).mailboxes.get(user)?.messages.size]).toEqual([second, 5]);
});
