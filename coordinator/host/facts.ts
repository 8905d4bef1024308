import type {Instant} from '../../base/units.ts';
import type {MoveRecord, VerdictKind} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';

/** A source copy that a finished move left on the host. */
export interface RetainedCopy {
  moveId: string;
  /** Since when the copy is retained. */
  sinceMs: Instant;
}

/** What the coordinator knows of one host at one instant. null = not known, which never counts as empty or well. */
export interface HostFacts {
  report: {generation: number; installation?: number | undefined; labels: Labels} | null;
  verdict: VerdictKind | null;
  /** Since when this process has seen the host report without a break and without being sick; null = not now. */
  wellSinceMs: Instant | null;
  /** Since when this process knows of nothing that makes others sick and that the host shares; null = it shares it, or that is not known. */
  blamelessSinceMs: Instant | null;
  /** Users whose route names the host, void flips resolved. */
  users: number | null;
  /** Moves from or to the host that are neither retained, purged nor backed out, and route entries locked by such a move. */
  moves: number | null;
  /** Planned moves from or to the host that have not begun. */
  waiting: number;
  retained: readonly RetainedCopy[];
  driver: 'none' | 'running' | 'ended';
}

/** The source copies that finished moves left on `host`. */
export function retainedOn(host: string, moves: readonly MoveRecord[]): RetainedCopy[] {
  return moves
    .filter(move => move.source === host && move.step === 'retained')
    .map(move => ({moveId: move.id, sinceMs: move.timeline.findLast(entry => entry.step === 'retained')?.atMs ?? move.updatedAtMs}));
}
