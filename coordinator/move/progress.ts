import {type Bytes, type Instant, MIB, type Millis} from '../../base/units.ts';
import {isSettled, type MoveRecord, type MoveStep} from '../../wire/record.ts';

/** What a move takes that copies nothing, as bytes that go meanwhile. */
export const MOVE_BYTES: Bytes = 32 * MIB;

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

/** How far a move that runs is: `share` of its time, 0..1. Null: not known. */
export interface Progress {
  sinceMs: Instant;
  share: number | null;
  etaMs: Millis | null;
}

/** Least and most share of the time of a move that is through in each step; a mailbox is seeded, or copied in the first pass. */
const SHARES: Partial<Record<MoveStep, readonly [number, number]>> = {
  reserving: [0, 0.05],
  seeding: [0.05, 0.8],
  copying: [0.05, 0.95],
  holding: [0.95, 0.96],
  finalizing: [0.96, 0.97],
  verifying: [0.97, 0.98],
  flipping: [0.98, 0.99],
  adopting: [0.99, 1],
  retaining: [0.99, 1],
};
const SEEDED_SHARE = 0.8;

/**
 * Milliseconds that a single move takes for a byte, MOVE_BYTES counted in; null before the first is through.
 */
export function moveByteMs(moves: readonly MoveRecord[]): number | null {
  const done = moves.filter(move => isSettled(move) && move.step !== 'backedOut');
  const spentMs = done.reduce((sum, move) => sum + Math.max(0, endedAtMs(move) - move.createdAtMs), 0);
  return done.length === 0 ? null : spentMs / (bytesOf(done) + done.length * MOVE_BYTES);
}

/**
 * By the time that others took for their bytes, within what the step allows: hosts do not tell how much of a seed or pass is done.
 * @param byteMs of `moveByteMs`.
 */
export function progressOf({step, bytes, createdAtMs, passesMs, timeline}: MoveRecord, byteMs: number | null, nowMs: Instant): Progress {
  const sinceMs = timeline.at(-1)?.atMs ?? createdAtMs;
  const bounds = SHARES[step];
  if (bounds === undefined) return {sinceMs, share: null, etaMs: null};
  const [least, most] = [step === 'copying' && passesMs.length > 0 ? SEEDED_SHARE : bounds[0], bounds[1]];
  if (byteMs === null) return {sinceMs, share: least, etaMs: null};
  const spentMs = Math.max(0, nowMs - createdAtMs);
  const wholeMs = (bytes + MOVE_BYTES) * byteMs;
  const share = Math.min(most, Math.max(least, spentMs / wholeMs));
  return {sinceMs, share, etaMs: Math.round(share === 0 ? wholeMs : (spentMs * (1 - share)) / share)};
}
