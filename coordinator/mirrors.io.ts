import type {NatsConnection} from '@nats-io/transport-node';
import type {Clock} from '../base/clock.ts';
import {HOUR_MS, type Instant, type Millis, SECOND_MS} from '../base/units.ts';
import {MIRRORS} from '../wire/accounts.ts';
import type {Log} from '../wire/log.ts';
import {mirrorProgress, remakeMirror} from '../wire/mirror.io.ts';
import {effectiveRoute, type Route} from '../wire/route.ts';
import {HOST_BUCKET, ROUTE_BUCKET} from '../wire/subjects.ts';
import {unlocked} from './move/asks.ts';
import type {StoredRoute} from './move/move-ports.ts';
import type {Store} from './store.io.ts';

const LOOK_MS: Millis = 5 * SECOND_MS;
/** So many looks in a row at a mirror that is behind and does not come on; after a restart one takes up to ten seconds to follow again. */
const STUCK_LOOKS = 6;
/** What counted when it was stored must count when it is stored anew, by whatever clock. */
const IN_TIME_MS: Millis = HOUR_MS;

interface Watched {
  nc: NatsConnection;
  store: Pick<Store, 'hosts' | 'routes'>;
  log: Log;
  clock: Clock;
}

/**
 * Sees to mirrors that have stopped, or no host would hear of a route again. What an older release stored is refused by a mirror that has missed what
 * it replaced, as after a crash of the server ("last sequence by subject mismatch"): it is stored anew, and the mirror goes on. Where it
 * does not, it is made anew. Never rejects.
 */
export async function watchMirrors({nc, store, log, clock}: Watched, signal: AbortSignal, lookMs = LOOK_MS): Promise<void> {
  /** Mirrors that are behind: how far they have come, and looks in a row that found them there. */
  const seen = new Map<string, {mirror: number; looks: number}>();
  while (!signal.aborted) {
    for (const {stream} of MIRRORS) {
      try {
        const progress = await mirrorProgress(nc, stream);
        if (progress === null || progress.mirror >= progress.source) {
          seen.delete(stream);
          continue;
        }
        const before = seen.get(stream);
        const looks = before?.mirror === progress.mirror ? before.looks + 1 : 1;
        seen.set(stream, {mirror: progress.mirror, looks});
        if (looks < STUCK_LOOKS) continue;
        seen.delete(stream);
        const renewed = await renew(store, stream, clock.now());
        log.error({stream, ...progress, renewed}, `the mirror of a stream has stopped${renewed > 0 ? '' : ' and is made anew'}`);
        if (renewed === 0) await remakeMirror(nc, stream);
      } catch (error) {
        log.debug({stream, err: error}, 'a mirror cannot be looked at');
      }
    }
    await clock.sleep(lookMs, signal);
  }
}

/** @returns how many entries. */
async function renew({hosts, routes}: Watched['store'], stream: string, nowMs: Instant): Promise<number> {
  if (stream === `KV_${HOST_BUCKET}`) return hosts.renew(({value}) => value);
  if (stream === `KV_${ROUTE_BUCKET}`) return routes.renew(({value: route, storedAtMs}) => renewed({route, storedAtMs}, nowMs));
  return 0;
}

/** It means the same at another time of storing. @returns null while that cannot be: its move stores it anew soon. */
function renewed({route, storedAtMs}: Pick<StoredRoute, 'route' | 'storedAtMs'>, nowMs: Instant): Route | null {
  const {move, hold, flip} = route;
  if (hold !== null) return null;
  if (flip === null) return route;
  if (effectiveRoute(route, storedAtMs).isVoid) return move === null ? unlocked({route, storedAtMs}) : null;
  return {...route, flip: {...flip, deadlineMs: Math.max(flip.deadlineMs, nowMs + IN_TIME_MS)}};
}
