import type {Rng} from '../../base/random.ts';
import type {SimHost} from './host.ts';
import type {World} from './world.ts';

type Fault = (world: World, rng: Rng, host: SimHost) => void;

/** What goes wrong, each for a while and more than once; drawn from the seed. */
const FAULTS: Record<string, Fault> = {
  agentKilled: (world, rng, host) => {
    host.crash(false);
    world.time.at(rng.between(500, 20_000), () => comeBack(world, host));
  },
  powerLost: (world, rng, host) => {
    host.crash(true);
    world.time.at(rng.between(2_000, 40_000), () => comeBack(world, host));
  },
  cutOff: (world, rng, host) => {
    host.isCut = true;
    world.time.at(rng.between(500, 45_000), () => {
      host.isCut = false;
      world.catchUp(host);
    });
  },
  diskSlow: (world, rng, host) => {
    host.diskSlowness = rng.between(5, 300);
    world.time.at(rng.between(1_000, 30_000), () => {
      host.diskSlowness = 1;
    });
  },
  diskFull: (world, rng, host) => {
    host.isFull = true;
    world.time.at(rng.between(1_000, 40_000), () => {
      host.isFull = false;
    });
  },
  clockJumped: (_world, rng, host) => {
    // Within what wire/route.ts allows for: less than the margin between the last flip and the first end of a hold.
    host.clockOffset = rng.between(-60_000, 4_000);
  },
  coordinatorKilled: (world, rng) => {
    world.killCoordinator();
    world.time.at(rng.between(100, 20_000), () => {
      if (!world.isStranded) world.elect(false);
    });
  },
  coordinatorStale: world => {
    if (!world.isStranded) world.elect(true);
  },
  natsDown: (world, rng) => {
    world.isNatsUp = false;
    world.time.at(rng.between(200, 40_000), () => {
      world.isNatsUp = true;
      for (const host of world.hosts.values()) world.catchUp(host);
    });
  },
};

function comeBack(world: World, host: SimHost): void {
  host.restart();
  world.catchUp(host);
}

export function startFaults(world: World, rng: Rng, untilMs: number): void {
  if (world.options.trouble === 0) return;
  void (async () => {
    while (world.time.now < untilMs) {
      await world.time.sleep(rng.between(1_000, 15_000));
      const fault = FAULTS[rng.pick(Object.keys(FAULTS))];
      fault?.(world, rng, rng.pick([...world.hosts.values()]));
    }
  })();
}
