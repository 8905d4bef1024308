import {afterEach, expect, test} from 'vitest';
import type {Copy, HostPorts} from '../../agent/move/host-ports.ts';
import {MailherdError} from '../../base/errors.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import type {Policy} from '../../wire/policy.ts';
import {AGENT} from './agent.ts';
import {SimHost} from './host.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const {run: FLIP} = STEPS.flipping;
const {equip: EQUIP, serve: SERVE} = AGENT;
/** The farm of the move that runs. */
let present: World | null = null;

afterEach(() => {
  STEPS.flipping.run = FLIP;
  Object.assign(AGENT, {equip: EQUIP, serve: SERVE});
});

/**
 * One move in a farm without trouble, to whose target the command that was to open it for a seed comes once more right before the flip, late or doubled.
 * @returns whether it came to its end, and how many messages the user finds then, of five.
 */
async function movedWithLateSeed(move: Partial<Policy['move']> = {}): Promise<{isMoved: boolean; found: number}> {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0, move});
  present = world;
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const source = world.owner(user);
  const target = [...world.hosts.values()].find(({name, isEdge}) => !isEdge && name !== source)?.name ?? '';
  STEPS.flipping.run = async (context, record) => {
    const {id: moveId, bytes} = record;
    const request = {v: 1 as const, token: context.ports.token(), moveId, user, address: target, bytes, open: true};
    await context.ports.command(target, 'receive', request, 10_000);
    return FLIP(context, record);
  };
  world.engine?.enqueue(planOf('single', [{user, source, target, bytes: 1_000, why: 'simulated'}]));
  await world.time.run(60_000, () => undefined);
  const owner = world.owner(user);
  return {isMoved: owner === target, found: world.host(owner).mailboxes.get(user)?.messages.size ?? 0};
}

/** When a copy is first to be put on disk its agent has been started anew: that the seed, into which passes have come, is closed it had not noted yet. */
function restartedUnnoted(): void {
  let isDone = false;
  AGENT.equip = (ports, host) => ({
    ...ports,
    files: {
      ...ports.files,
      persist: async users => {
        await ports.files.persist(users);
        if (!isDone) for (const [user, copy] of host.copies) host.copies.set(user, {...copy, seed: 'open'});
        isDone = true;
      },
    },
  });
}

/** Whoever asks is told that the copy is on disk, noted or not. */
function persistUnnoted(): void {
  AGENT.serve = (async (ports: HostPorts, verb: string, request: never) => {
    if (verb !== 'persist') return SERVE(ports, verb as never, request);
    await ports.files.persist((request as {users: string[]}).users);
    return {tookMs: 0};
  }) as typeof AGENT.serve;
}

test('a target that was closed for seeds stays closed, whatever comes late', async () => {
  expect(await movedWithLateSeed()).toEqual({isMoved: true, found: 5});
});

test('a copy whose closing was not noted before its agent was started anew begins again', async () => {
  restartedUnnoted();
  expect(await movedWithLateSeed()).toEqual({isMoved: true, found: 5});
});

test('a second pass waits for a seed that is still on its way to disk, and finds it there', async () => {
  const removed: string[] = [];
  AGENT.equip = (ports, host) => {
    host.storeSeed = (user, seed, note) => ports.clock.sleep(5_000).then(() => SimHost.prototype.storeSeed.call(host, user, seed, note));
    const remove: HostPorts['store']['remove'] = async user => {
      removed.push(user);
      return ports.store.remove(user);
    };
    return {...ports, store: {...ports.store, remove}};
  };
  expect([await movedWithLateSeed({catchUpMsMax: 1, passesMax: 4}), removed]).toEqual([{isMoved: true, found: 5}, []]);
});

/** The mover of the target dies with a seed that was about to be put on disk. @returns what happens there then. */
function loseSeed(): string[] {
  const course: string[] = [];
  AGENT.equip = (ports, host) => {
    // The mover dies, and with it what it was about to put on disk and to note.
    host.storeSeed = async () => {
      course.push('lost');
      host.seedsOpen.clear();
      await new Promise(() => undefined);
    };
    const readTexts: HostPorts['store']['readTexts'] = async (user, signal) => {
      if (!host.mailboxes.has(user)) course.push('looked');
      return ports.store.readTexts(user, signal);
    };
    return {...ports, store: {...ports.store, readTexts}};
  };
  return course;
}

/** What the target says of the first home that it has emptied is not heard: `instead` happens. */
function unheard(course: string[], instead: () => void): void {
  AGENT.serve = (async (ports: HostPorts, verb: string, request: never) => {
    const answer: object = await SERVE(ports, verb as never, request);
    if (course.includes('unheard') || !('emptied' in answer)) return answer;
    course.push('unheard');
    instead();
    throw new MailherdError('HOST_SILENT', {host: ports.host});
  }) as unknown as typeof AGENT.serve;
}

test('a seed that is lost before it is on disk is as if it had never come: nothing looks at the empty home beside the next pass', async () => {
  const course = loseSeed();
  expect([await movedWithLateSeed(), course]).toEqual([{isMoved: true, found: 5}, ['lost']]);
});

test('so it is when the target cannot tell that nothing is left', async () => {
  const course = loseSeed();
  unheard(course, () => undefined);
  expect([await movedWithLateSeed(), course]).toEqual([{isMoved: true, found: 5}, ['lost', 'unheard']]);
});

test('and when the leader dies before it is told', async () => {
  const course = loseSeed();
  unheard(course, () => present?.elect(false));
  expect([await movedWithLateSeed(), course]).toEqual([{isMoved: true, found: 5}, ['lost', 'unheard']]);
});

/** Two more wrong protocols (`mutants.test.ts`), which few seeds tell of chance. */
test('were it told to be on disk all the same it would be emptied after the proof', async () => {
  restartedUnnoted();
  persistUnnoted();
  expect(await movedWithLateSeed()).toEqual({isMoved: true, found: 0});
});

test('were a seed taken at any time it would empty what was proved', async () => {
  persistUnnoted();
  AGENT.equip = ports => {
    const open = (copy: Copy | null): Copy | null => (copy === null ? null : {...copy, seed: 'open'});
    return {...ports, memory: {...ports.memory, copy: user => open(ports.memory.copy(user))}};
  };
  expect(await movedWithLateSeed()).toEqual({isMoved: true, found: 0});
});
