import {MINUTE_MS, type Millis} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import {isSettled, type MoveRecord} from '../../wire/record.ts';
import {tellEdges, unlocked} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

/** By then everything that a predecessor began is known: the records are read again until a minute after a term has begun. */
const ORPHAN_MS: Millis = 3 * MINUTE_MS;

/**
 * Locks in routes that no move holds any more: a store that lost its last writes, or of which a part was brought back, may know the lock and not its move, or
 * that the move is through and not that its lock is gone. Nobody could ever move such a user again, nor empty his host.
 */
export class OrphanLocks {
  readonly #ports: MovePorts;
  readonly #records: ReadonlyMap<string, MoveRecord>;
  readonly #log: Log;
  /** Move id -> since when, in monotonic time, it is known to hold a lock though no such move runs. */
  #sinceMs: ReadonlyMap<string, Millis> = new Map();

  constructor(ports: MovePorts, records: ReadonlyMap<string, MoveRecord>, log: Log) {
    this.#ports = ports;
    this.#records = records;
    this.#log = log;
  }

  /** Removes those that are old enough. @throws MailherdError NATS_DOWN, STORE_CONFLICT: look again later. */
  async look(): Promise<void> {
    const nowMs = this.#ports.clock.monotonic();
    const orphans = this.#ports.locks().filter(({moveId}) => this.#isOver(this.#records.get(moveId)));
    this.#sinceMs = new Map(orphans.map(({moveId}) => [moveId, this.#sinceMs.get(moveId) ?? nowMs]));
    for (const {user, moveId} of orphans) if (nowMs - (this.#sinceMs.get(moveId) ?? nowMs) >= ORPHAN_MS) await this.#remove(user, moveId);
  }

  async #remove(user: string, moveId: string): Promise<void> {
    const stored = await this.#ports.readRoute(user);
    if (stored?.route.move?.id !== moveId) return;
    // Whoever locks a route has stored the move before: a leader after us, too.
    const known = (await this.#ports.loadMoves()).find(({id}) => id === moveId);
    if (!this.#isOver(known) || !this.#isOver(this.#records.get(moveId))) return;
    const revision = await this.#ports.writeRoute(unlocked(stored), stored.revision);
    tellEdges(this.#ports, revision);
    this.#log.warn({user, moveId}, 'a lock that no move holds is removed: the store has lost a part of what it knew');
  }

  #isOver(record: MoveRecord | undefined): boolean {
    return record === undefined || isSettled(record);
  }
}
