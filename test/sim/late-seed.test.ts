import {afterEach, expect, test} from 'vitest';
import type {HostPorts} from '../../agent/move/host-ports.ts';
import {STEPS} from '../../coordinator/move/steps.ts';
import {AGENT} from './agent.ts';
import {planOf} from './plan.ts';
import {World} from './world.ts';

const {run: FLIP} = STEPS.flipping;
const {equip: EQUIP} = AGENT;

afterEach(() => {
  STEPS.flipping.run = FLIP;
  AGENT.equip = EQUIP;
});

/**
 * One move in a farm without trouble, to whose target the command that was to open it for a seed comes once more right before the flip, late or doubled.
 * @returns how many messages the user finds after the move, of five.
 */
async function foundAfterLateSeed(): Promise<number> {
  const world = new World({seed: 1, backends: 2, users: 1, trouble: 0});
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
  expect(world.owner(user)).toBe(target);
  return world.host(target).mailboxes.get(user)?.messages.size ?? 0;
}

test('a target that was closed for seeds stays closed, whatever comes late', async () => {
  expect(await foundAfterLateSeed()).toBe(5);
});

/** One more wrong protocol (`mutants.test.ts`): of chance few seeds tell it. */
test('were a seed taken at any time it would empty what was proved', async () => {
  AGENT.equip = ports => {
    const open = (copy: ReturnType<HostPorts['memory']['copy']>): typeof copy => (copy === null ? null : {...copy, seed: 'open'});
    return {...ports, memory: {...ports.memory, copy: user => open(ports.memory.copy(user))}};
  };
  expect(await foundAfterLateSeed()).toBe(0);
});
