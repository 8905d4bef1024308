import type {NatsConnection} from '@nats-io/transport-node';
import type {Clock} from '../base/clock.ts';
import {type Millis, SECOND_MS} from '../base/units.ts';
import {MIRRORS} from '../wire/accounts.ts';
import type {Log} from '../wire/log.ts';
import {mirrorProgress, remakeMirror} from '../wire/mirror.io.ts';

const LOOK_MS: Millis = 5 * SECOND_MS;
/** So many looks in a row at a mirror that is behind and does not come on; after a restart one takes up to ten seconds to follow again. */
const STUCK_LOOKS = 6;

/**
 * Makes mirrors anew that have stopped: after a crash of its own a NATS server may refuse each further message of a stream for its mirror ("last
 * sequence by subject mismatch", seen with 2.9), and no host would hear of a route again until somebody removed it. Never rejects.
 */
export async function watchMirrors(nc: NatsConnection, log: Log, clock: Clock, signal: AbortSignal, lookMs = LOOK_MS): Promise<void> {
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
        log.error({stream, ...progress}, 'the mirror of a stream has stopped and is made anew');
        await remakeMirror(nc, stream);
        seen.delete(stream);
      } catch (error) {
        log.debug({stream, err: error}, 'a mirror cannot be looked at');
      }
    }
    await clock.sleep(lookMs, signal);
  }
}
