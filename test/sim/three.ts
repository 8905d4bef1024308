import {planOf} from './plan.ts';
import {World} from './world.ts';

/** One user on the first of three hosts in a farm without trouble. */
export interface Three {
  world: World;
  user: string;
  first: string;
  second: string;
  third: string;
  /** Lets so many simulated ms pass. */
  after: (ms: number) => Promise<unknown>;
  /** Has the user moved. */
  move: (source: string, target: string) => void;
}

export function three(): Three {
  const world = new World({seed: 1, backends: 3, users: 1, trouble: 0});
  world.elect(false);
  const [user = ''] = [...world.routes.keys()];
  const first = world.owner(user);
  const [second = '', third = ''] = ['be1', 'be2', 'be3'].filter(host => host !== first);
  const after = (ms: number): Promise<unknown> => world.time.run(world.time.now + ms, () => undefined);
  const move = (source: string, target: string): void => {
    world.engine?.enqueue(planOf('single', [{user, source, target, bytes: 1_000, why: 'simulated'}]));
  };
  return {world, user, first, second, third, after, move};
}
