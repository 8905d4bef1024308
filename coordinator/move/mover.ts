import type {MoveRecord, Plan, PlannedMove} from '../../wire/record.ts';

export interface WaitingMove {
  planned: PlannedMove;
  planId: string;
  /** A coded reason, e.g. SOURCE_BUDGET. */
  because: string;
}

/** What the mover needs of a plan. */
export type PlannedMoves = Pick<Plan, 'id' | 'kind' | 'moves'>;

/** Carries plans out, one durable step at a time; the leader has one, and it stops with the lease. */
export interface Mover {
  /** Takes the moves of plans into the queue; each begins when budgets allow. */
  enqueue(...plans: readonly PlannedMoves[]): void;
  /** Not begun yet, with a coded reason for waiting. */
  waiting(): readonly WaitingMove[];
  /** All known moves, newest state. */
  records(): readonly MoveRecord[];
  /**
   * Before the flip: back out, whatever runs. Resolves when that is stored, and whoever leads next backs out too.
   * @throws MailherdError MOVE_UNKNOWN; MOVE_STATE when it is too late; NOT_LEADER.
   */
  cancel(moveId: string): Promise<void>;
  /** Purges retained source copies by explicit id. @throws MailherdError INPUT_INVALID on an empty list, MOVE_UNKNOWN, MOVE_STATE */
  purge(moveIds: readonly string[]): Promise<void>;
  /**
   * Proves every copy that `host` retains to be what was verified, carries to its user what came late, and has the host where he lives now
   * show that the mailbox is there.
   * @returns the ids of these moves: what lies there under them may be lost with the host. @throws MailherdError what stands in the way.
   */
  prove(host: string): Promise<string[]>;
  /** The host was wiped with the copies it retained: its retained moves become purged. Repeatable. */
  markWiped(host: string): Promise<void>;
  /** Drops what waits and is unwanted; nor is what runs queued again. @returns how many waited. */
  dropWaiting(isUnwanted: (planned: PlannedMove) => boolean): number;
  /** Takes out what waits and is to be planned anew; what runs may still be queued again. @returns what waited, for `enqueue` should that fail. */
  takeWaiting(isTaken: (planned: PlannedMove) => boolean): PlannedMoves[];
}
