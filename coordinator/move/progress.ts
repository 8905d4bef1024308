import type {Instant, Millis} from '../../base/units.ts';
import {isSettled, type MoveRecord} from '../../wire/record.ts';

/** When a move came to its end; looks at its copy and the purge change the record long after. */
export function endedAtMs({timeline, updatedAtMs}: MoveRecord): Instant {
  return timeline.find(({step}) => step === 'retained' || step === 'backedOut')?.atMs ?? updatedAtMs;
}

/**
 * Milliseconds for a byte, all that moves at once taken together. Only times in which something moved count: nothing gets slower by
 * a pause. null before the first of them is through.
 */
export function perByteMs(moves: readonly MoveRecord[], nowMs: Instant): number | null {
  const doneBytes = bytesOf(moves.filter(move => isSettled(move) && move.step !== 'backedOut'));
  return doneBytes === 0 ? null : busyMs(moves, nowMs) / doneBytes;
}

function busyMs(moves: readonly MoveRecord[], nowMs: Instant): Millis {
  let busy = 0;
  let untilMs = Number.NEGATIVE_INFINITY;
  for (const move of [...moves].sort((a, b) => a.createdAtMs - b.createdAtMs)) {
    const endMs = isSettled(move) ? endedAtMs(move) : nowMs;
    busy += Math.max(0, endMs - Math.max(untilMs, move.createdAtMs));
    untilMs = Math.max(untilMs, endMs);
  }
  return busy;
}

export function bytesOf(moves: readonly {bytes: number}[]): number {
  return moves.reduce((total, {bytes}) => total + bytes, 0);
}
