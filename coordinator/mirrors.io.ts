import type {NatsConnection} from '@nats-io/transport-node';
import type {Clock} from '../base/clock.ts';
import {type Millis, SECOND_MS} from '../base/units.ts';
import {MIRRORS} from '../wire/accounts.ts';
import type {Log} from '../wire/log.ts';
import {ensureMirror, mirrorProgress, remakeMirror} from '../wire/mirror.io.ts';
import {effectiveRoute, type Route} from '../wire/route.ts';
import {HOST_BUCKET, ROUTE_BUCKET} from '../wire/subjects.ts';
import {unlocked} from './move/asks.ts';
import type {StoredRoute} from './move/move-ports.ts';
import type {Store} from './store.io.ts';

const LOOK_MS: Millis = 5 * SECOND_MS;
/** So many looks in a row at a mirror that is behind and does not come on; after a restart one takes up to ten seconds to follow again. */
const STUCK_LOOKS = 6;
/** What counted when it was stored must count when it is stored anew, whenever that is and by whatever clock. */
const IN_TIME_MS = Number.MAX_SAFE_INTEGER;

interface Watched {
  nc: NatsConnection;
  store: Pick<Store, 'hosts' | 'routes'>;
  log: Log;
  clock: Clock;
}

/**
 * Sees to mirrors that have stopped or are gone, or no host would hear of a route again. What an older release stored is refused by a mirror that has
 * missed what it replaced, as after a crash of the server ("last sequence by subject mismatch"): it is stored anew, and the mirror goes on.
 * Where it does not, it is made anew. Never rejects.
 */
export async function watchMirrors(watched: Watched, signal: AbortSignal, lookMs = LOOK_MS): Promise<void> {
  const {log, clock} = watched;
  const seen: Seen = new Map();
  const unseen = new Set<string>();
  while (!signal.aborted) {
    for (const {stream} of MIRRORS) {
      try {
        await look(watched, stream, seen);
        unseen.delete(stream);
      } catch (error) {
        log[unseen.has(stream) ? 'debug' : 'warn']({stream, err: error}, 'the mirror of a stream cannot be seen to; trying on');
        unseen.add(stream);
      }
    }
    await clock.sleep(lookMs, signal);
  }
}

/** Mirrors that are behind: how far they have come, and looks in a row that found them there. */
type Seen = Map<string, {mirror: number; looks: number}>;

async function look({nc, store, log}: Watched, stream: string, seen: Seen): Promise<void> {
  const progress = await mirrorProgress(nc, stream);
  if (progress?.mirror === null) {
    log.error({stream, ...progress}, 'a stream has no mirror any more: it is made anew');
    await ensureMirror(nc, stream);
    return;
  }
  if (progress === null || progress.mirror >= progress.source) {
    seen.delete(stream);
    return;
  }
  const before = seen.get(stream);
  const looks = before?.mirror === progress.mirror ? before.looks + 1 : 1;
  seen.set(stream, {mirror: progress.mirror, looks});
  if (looks < STUCK_LOOKS) return;
  seen.delete(stream);
  const renewed = await renew(store, stream);
  log.error({stream, ...progress, renewed}, `the mirror of a stream has stopped${renewed > 0 ? '' : ' and is made anew'}`);
  if (renewed === 0) await remakeMirror(nc, stream);
}

/** @returns how many entries. */
async function renew({hosts, routes}: Watched['store'], stream: string): Promise<number> {
  if (stream === `KV_${HOST_BUCKET}`) return hosts.renew(({value}) => value);
  if (stream === `KV_${ROUTE_BUCKET}`) return routes.renew(({value: route, storedAtMs}) => renewed({route, storedAtMs}));
  return 0;
}

/** It means the same at another time of storing. @returns null while that cannot be: its move stores it anew soon. */
function renewed({route, storedAtMs}: Pick<StoredRoute, 'route' | 'storedAtMs'>): Route | null {
  const {move, hold, flip} = route;
  if (hold !== null) return null;
  if (flip === null) return route;
  if (effectiveRoute(route, storedAtMs).isVoid) return move === null ? unlocked({route, storedAtMs}) : null;
  return {...route, flip: {...flip, deadlineMs: IN_TIME_MS}};
}
