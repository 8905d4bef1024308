import {SECOND_MS} from '../../base/units.ts';
import {kicksOf} from '../../wire/policy.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import type {MoveContext} from './asks.ts';

/** A move that waits for its turn looks at its mailbox so often. */
const WAIT_MS = 5 * SECOND_MS;
const WAITS: ReadonlySet<string> = new Set(['EDGE_BUDGET', 'KICKS_SPREAD']);
const AT_EDGES: ReadonlySet<MoveStep> = new Set(['holding', 'finalizing', 'verifying', 'flipping', 'adopting']);

/** Users whose logins wait: each takes a port of every edge, from the hold until the target has taken over. */
export class EdgePorts {
  readonly #taken = new Set<string>();
  /** Moves that may take one. What a move that was cancelled had begun goes on for a while, and nobody would give its port back. */
  readonly #copying = new Set<string>();

  /** @param most of the edge that has the fewest; null: none tells. @returns false when all are taken. */
  take(moveId: string, most: number | null): boolean {
    if (!this.#copying.has(moveId) && !this.#taken.has(moveId)) return false;
    if (most !== null && this.#taken.size >= most && !this.#taken.has(moveId)) return false;
    this.#taken.add(moveId);
    return true;
  }

  /** It cannot be used yet. */
  giveBack(moveId: string): void {
    this.#taken.delete(moveId);
  }

  /** The move is in that step now. */
  now(moveId: string, step: MoveStep): void {
    if (AT_EDGES.has(step)) this.#taken.add(moveId);
    else this.#taken.delete(moveId);
    if (step === 'copying') this.#copying.add(moveId);
    else this.#copying.delete(moveId);
  }
}

/**
 * Sessions that are ended come back at once: so many a second as edges and target can take, and of no more users than can wait at an edge. Where
 * that was waited for, another pass is due.
 */
export async function untilMayHold({ports, kicks, edgePorts, limits}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const refusal = WAITS.has(record.refusal?.code ?? '') ? null : record.refusal;
  const hasPort = edgePorts.take(record.id, ports.holdPorts());
  const waitMs = hasPort ? kicks.take(record.target, kicksOf(limits), ports.clock.monotonic()) : WAIT_MS;
  if (waitMs === 0) return {...record, step: 'holding', refusal};
  edgePorts.giveBack(record.id);
  await ports.clock.sleep(Math.min(waitMs, WAIT_MS));
  const waits = hasPort
    ? ({code: 'KICKS_SPREAD', detail: {target: record.target, waitMs}} as const)
    : ({code: 'EDGE_BUDGET', detail: {}} as const);
  // Passes that only pass the time do not count as vain.
  return {...record, passesMs: record.passesMs.slice(-2), refusal: waits};
}
