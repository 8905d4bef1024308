import {DAY_MS, type Instant} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';

const FINISHED_KEPT_MAX = 20_000;
const FINISHED_KEPT_MS = 30 * DAY_MS;

/**
 * Records of moves that have left nothing anywhere and are of no more use than to be looked at: the newest are kept, for a month at most.
 * What happened stands in the events.
 */
export function forgettable(records: Iterable<MoveRecord>, nowMs: Instant, keptMax = FINISHED_KEPT_MAX): MoveRecord[] {
  const done = [...records].filter(({step, isLeftOnTarget}) => step === 'purged' || (step === 'backedOut' && isLeftOnTarget !== true));
  done.sort((a, b) => b.updatedAtMs - a.updatedAtMs);
  return done.filter(({updatedAtMs}, newer) => newer >= keptMax || nowMs - updatedAtMs >= FINISHED_KEPT_MS);
}
