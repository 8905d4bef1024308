import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import {isSettled, type MoveRecord, type PlannedMove} from '../../wire/record.ts';
import {type Pace, paceOf} from './pace.ts';

/** Moves that load a source and a target: from the first pass until the target has the mailbox. */
export function isUnderWay(record: MoveRecord): boolean {
  switch (record.step) {
    case 'reserving':
    case 'seeding':
    case 'copying':
    case 'holding':
    case 'finalizing':
    case 'verifying':
    case 'flipping':
    case 'adopting':
    case 'backingOut':
      return true;
    default:
      return false;
  }
}

/** @returns null when `planned` may begin now, else a coded reason for waiting. */
export function mayBegin(
  planned: PlannedMove,
  records: readonly MoveRecord[],
  limits: Policy['move'],
  pace: Pace,
  isPaused: boolean,
  isQuieting: (record: MoveRecord) => boolean,
): string | null {
  if (isPaused) return 'PAUSED';
  let running = 0;
  let atSource = 0;
  let atTarget = 0;
  for (const record of records) {
    if (record.user === planned.user && !isSettled(record)) return 'USER_MOVING';
    if (record.user === planned.user && record.source === planned.target && isQuieting(record)) return 'QUIET_TIME';
    // Once begun anew, backing out only waits for a host that is away.
    if (!isUnderWay(record) || (record.step === 'backingOut' && record.attempts > 0)) continue;
    running++;
    if (record.source === planned.source || record.target === planned.source) atSource++;
    if (record.target === planned.target || record.source === planned.target) atTarget++;
  }
  if (planned.isLow === true && atSource + atTarget > 0) return 'LOWER_PRIORITY';
  if (running >= limits.concurrentMax) return 'FARM_BUDGET';
  if (atSource >= limits.perSourceMax) return 'SOURCE_BUDGET';
  if (atTarget >= limits.perTargetMax) return 'TARGET_BUDGET';
  if (atSource >= paceOf(pace, planned.source)) return 'SOURCE_STRAINED';
  if (atTarget >= paceOf(pace, planned.target)) return 'TARGET_STRAINED';
  return null;
}

/** When the copy on the source became a retained one; null when it is none. */
export function retainedAtMs(record: MoveRecord): Instant | null {
  if (record.step !== 'retained') return null;
  return record.timeline.find(({step}) => step === 'retained')?.atMs ?? null;
}
