import type {MoveRecord, Plan, PlannedMove} from '../../wire/record.ts';
import type {PlannedMoves, WaitingMove} from './mover.ts';
import {isPassing} from './retry.ts';

const AGAIN_MAX = 2;

/** Of which kind of plan it is, and how often it may still be queued again. */
export type QueuedMove = WaitingMove & {kind: Plan['kind']; againLeft: number};

/** Moves that have not begun, one for each user, in the order in which they came; and what of those that run is queued again. */
export class MoveQueue {
  #waiting: QueuedMove[] = [];
  /** Move id -> what is queued again should it be backed out. */
  readonly #again = new Map<string, QueuedMove>();

  get waiting(): readonly QueuedMove[] {
    return this.#waiting;
  }

  add(plans: readonly PlannedMoves[]): void {
    const known = new Set(this.#waiting.map(({planned}) => planned.user));
    for (const {id: planId, kind, moves} of plans) {
      const againLeft = kind === 'evacuate' ? AGAIN_MAX : 0;
      for (const planned of moves) {
        if (!known.has(planned.user)) this.#waiting.push({planned, planId, kind, because: 'QUEUED', againLeft});
        known.add(planned.user);
      }
    }
  }

  /** These wait on, in that order; the others have begun, or are dropped. */
  keep(left: QueuedMove[]): void {
    this.#waiting = left;
  }

  begun(moveId: string, queued: QueuedMove): void {
    this.#again.set(moveId, queued);
  }

  /** Whom a sick host keeps need not wait until all others are moved and a new plan is made. */
  ended(record: MoveRecord): void {
    const {id, step} = record;
    const queued = this.#again.get(id);
    this.#again.delete(id);
    if (step !== 'backedOut' || queued === undefined || queued.againLeft === 0 || !isPassing(record)) return;
    this.#waiting.push({...queued, because: 'QUEUED', againLeft: queued.againLeft - 1});
  }

  /** What runs may still be queued again. @returns what waited, each as of a plan. */
  take(isTaken: (planned: PlannedMove) => boolean): PlannedMoves[] {
    const taken = this.#waiting.filter(({planned}) => isTaken(planned));
    this.#waiting = this.#waiting.filter(({planned}) => !isTaken(planned));
    return taken.map(({planId: id, kind, planned}) => ({id, kind, moves: [planned]}));
  }

  /** Nor is what runs queued again. @returns how many waited. */
  drop(isUnwanted: (planned: PlannedMove) => boolean): number {
    for (const [id, {planned}] of this.#again) if (isUnwanted(planned)) this.#again.delete(id);
    return this.take(isUnwanted).length;
  }
}
