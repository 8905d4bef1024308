import {count} from '../../base/counts.ts';
import type {Instant, Millis} from '../../base/units.ts';
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

/** Under way, and no back-out that was begun anew: that only waits for a host that is away, and its user is where he was. */
export function isBusy(record: MoveRecord): boolean {
  return isUnderWay(record) && !(record.step === 'backingOut' && record.attempts > 0);
}

/** Hosts that moves load now, or did until just before: their figures are of the time when they ran. */
export function burdenedHosts(moves: readonly MoveRecord[], settleMs: Millis, nowMs: Instant): Set<string> {
  const isBurden = (move: MoveRecord): boolean => {
    const endedAtMs = move.step === 'backedOut' ? move.updatedAtMs : retainedAtMs(move);
    return isBusy(move) || (endedAtMs !== null && nowMs - endedAtMs < settleMs);
  };
  return new Set(moves.filter(isBurden).flatMap(({source, target}) => [source, target]));
}

/** What budgets ask of the moves there are. Counted once for a look at the queue: of an evacuated farm both are long. */
export class RunningMoves {
  /** Users whose move is not settled. */
  readonly #users = new Set<string>();
  /** User and host of copies that a late delivery may still be written to. */
  readonly #quieting = new Set<string>();
  /** Moves under way from or to a host. */
  readonly #at = new Map<string, number>();
  #count = 0;

  /** @param isQuieting of a record: its retained copy may still get late mail. */
  constructor(records: Iterable<MoveRecord>, isQuieting: (record: MoveRecord) => boolean) {
    for (const record of records) {
      if (!isSettled(record)) this.#users.add(record.user);
      if (isQuieting(record)) this.#quieting.add(copyKey(record.user, record.source));
      if (isBusy(record)) this.#add(record);
    }
  }

  begun(planned: PlannedMove): void {
    this.#users.add(planned.user);
    this.#add(planned);
  }

  #add({source, target}: {source: string; target: string}): void {
    this.#count++;
    count(this.#at, source);
    count(this.#at, target);
  }

  /** @returns null when `planned` may begin now, else a coded reason for waiting. */
  why({user, source, target, isLow}: PlannedMove, limits: Policy['move'], pace: Pace): string | null {
    if (this.#users.has(user)) return 'USER_MOVING';
    if (this.#quieting.has(copyKey(user, target))) return 'QUIET_TIME';
    const [atSource, atTarget] = [this.#at.get(source) ?? 0, this.#at.get(target) ?? 0];
    if (isLow === true && atSource + atTarget > 0) return 'LOWER_PRIORITY';
    if (this.#count >= limits.concurrentMax) return 'FARM_BUDGET';
    if (atSource >= limits.perSourceMax) return 'SOURCE_BUDGET';
    if (atTarget >= limits.perTargetMax) return 'TARGET_BUDGET';
    if (atSource >= paceOf(pace, source)) return 'SOURCE_STRAINED';
    if (atTarget >= paceOf(pace, target)) return 'TARGET_STRAINED';
    return null;
  }
}

/** Neither may have a blank. */
function copyKey(user: string, host: string): string {
  return `${host} ${user}`;
}

/** When the copy on the source became a retained one; null when it is none. */
export function retainedAtMs(record: MoveRecord): Instant | null {
  if (record.step !== 'retained') return null;
  return record.timeline.find(({step}) => step === 'retained')?.atMs ?? null;
}
