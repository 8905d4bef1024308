import type {Rng} from '../../base/random.ts';
import type {MoveRecord} from '../../wire/record.ts';
import type {SimHost} from './host.ts';
import {Mailbox} from './mailbox.ts';
import type {World} from './world.ts';

/** An agent is given up after 15 s; each of a few purges waits for that. */
const PURGES_MS = 120_000;

/** How a host that was lost for good shows itself afterwards. */
const AFTERWARDS: Record<string, (world: World, host: SimHost) => void> = {
  silent: () => undefined,
  bare: (world, host) => back(world, host),
  'with new mailboxes under the old names': (world, host) => {
    back(world, host);
    for (const user of world.routes.keys()) if (world.owner(user) === host.name) host.mailboxes.set(user, Mailbox.of(`${user}-after`));
  },
};

function back(world: World, host: SimHost): void {
  host.restart();
  world.catchUp(host);
}

/**
 * I4, when all has come to rest: one host is lost for good, and somebody purges every retained copy. Those of its users are the last ones and
 * must stay; all others must go.
 */
export async function loseHost(world: World, rng: Rng): Promise<void> {
  const host = rng.pick([...world.hosts.values()].filter(({isEdge}) => !isEdge));
  host.burn();
  const afterwards = rng.pick(Object.keys(AFTERWARDS));
  AFTERWARDS[afterwards]?.(world, host);
  const retained = (world.engine?.records() ?? []).filter(({step, source}) => step === 'retained' && source !== host.name);
  for (const {id} of retained) world.engine?.purge([id]).catch(() => undefined);
  await world.time.run(world.time.now + PURGES_MS, () => undefined);
  const steps = new Map(world.engine?.records().map(({id, step, refusal}) => [id, {step, code: refusal?.code}]));
  for (const record of retained) {
    const {step, code} = steps.get(record.id) ?? {};
    const isLast = world.owner(record.user) === host.name;
    if (isLast && !isThere(world, record))
      world.violate('I4', `the last copy of ${record.user} was removed from ${record.source}; ${host.name} is ${afterwards}`);
    if (!isLast && step !== 'purged')
      world.violate('I5', `the copy of ${record.user} on ${record.source} is not needed and cannot be purged: ${step} ${code}`);
  }
}

function isThere(world: World, {user, source}: MoveRecord): boolean {
  return world.host(source).mailboxes.has(user);
}
