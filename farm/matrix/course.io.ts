import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {UsersView} from '../../wire/api.ts';
import {type ApiAccess, call} from '../api.io.ts';
import type {Farm} from '../farm.io.ts';
import {findHost, type UserSpec, users} from '../layout.ts';
import {type Cell, cellName, MISFORTUNES, STEPS} from './cells.ts';

/** Who moves where in a cell. */
export interface Course {
  user: UserSpec;
  source: string;
  target: string;
}

/** Releases of source and target, as Debian numbers them. */
export type Pair = '12->13' | '13->12' | '12->12' | '13->13';

const PAIRS: readonly Pair[] = ['12->13', '13->12', '12->12'];

interface Places {
  farm: Farm;
  access: ApiAccess;
}

export function pairOf({layout}: Farm, source: string, target: string): Pair {
  const number = (host: string): '12' | '13' => (findHost(layout, host)?.release === 'trixie' ? '13' : '12');
  return `${number(source)}->${number(target)}`;
}

/** Every move between hosts of that pair that could be made now. */
export async function coursesOf({farm, access}: Places, pair: Pair): Promise<Course[]> {
  const {layout} = farm;
  const {users: views} = await call(access, 'GET', '/v1/users?limit=1000', UsersView);
  const backends = layout.hosts.filter(({role}) => role === 'backend').map(({name}) => name);
  return views.flatMap(view => {
    const user = users(layout).find(each => each.user === view.user);
    if (user === undefined || view.moveId !== null) return [];
    return backends
      .filter(target => target !== view.host && pairOf(farm, view.host, target) === pair)
      .map(target => ({user, source: view.host, target}));
  });
}

/** Pairs of releases take turns over the matrix; anybody who fits may be the one. @throws MailherdError DOES_NOT_FIT. */
export async function courseOf(places: Places, cell: Cell): Promise<Course> {
  const turn = STEPS.indexOf(cell.step) + MISFORTUNES.indexOf(cell.fault);
  for (let index = 0; index < PAIRS.length; index++) {
    const courses = await coursesOf(places, PAIRS[(turn + index) % PAIRS.length] ?? '12->13');
    const course = courses[systemClock.now() % Math.max(1, courses.length)];
    if (course !== undefined) return course;
  }
  throw new MailherdError('DOES_NOT_FIT', {cell: cellName(cell), reason: 'nobody can be moved'});
}
