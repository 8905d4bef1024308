import {fromRefusal, MailherdError} from '../../base/errors.ts';
import {fewAtOnce} from '../../base/few-at-once.ts';
import {addTo} from '../../base/groups.ts';
import {HOUR_MS, MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {retainedAtMs} from './budget.ts';
import {forgettable} from './forget.ts';
import {carryLate, discardLeft, proveNeedless, retainAtSource} from './leftover.ts';
import type {MovePorts} from './move-ports.ts';
import {OrphanLocks} from './orphans.ts';
import {storedRefusal} from './refusal.ts';

const ASK_SILENT_MS = 30 * SECOND_MS;
const UNLOCK_MS = 30 * SECOND_MS;
const FORGET_MS = HOUR_MS;
/**
 * A delivery that a backend had accepted just before the hold may be stored after the last pass, in the copy that is then
 * retained. It must not lie there until the purge: the copy is looked at again this long after the flip.
 */
const LOOK_AGAIN_MS = [5 * SECOND_MS, 30 * SECOND_MS, 2 * MINUTE_MS, 10 * MINUTE_MS];

/** The permission to wipe a host lasts ten minutes, and within them thousands of copies are proved once more. */
const PROOFS_AT_ONCE = 8;

interface AftercareDeps {
  ports: MovePorts;
  /** The engine's own, newest state. */
  records: Map<string, MoveRecord>;
  /** Stores a change that happened outside the run of a move's steps. @returns what was stored. */
  keep: (next: MoveRecord, before: MoveRecord) => Promise<MoveRecord>;
  log: Log;
  signal: AbortSignal;
}

/** What is left of moves that are through: late mail in retained copies, rests on targets that were silent, records of old. */
export class Aftercare {
  readonly #deps: AftercareDeps;
  /** Move id -> how many looks at its retained copy are done; those that a predecessor did or missed are one. */
  readonly #looks = new Map<string, number>();
  /** Hosts at whose retained copies somebody looks now. */
  readonly #lookingAt = new Set<string>();
  #tidying: Promise<void> | null = null;
  #askSilentAtMs: Millis = 0;
  #unlockAtMs: Millis = 0;
  #forgetAtMs: Millis = 0;
  readonly #orphans: OrphanLocks;

  constructor(deps: AftercareDeps) {
    this.#deps = deps;
    this.#orphans = new OrphanLocks(deps.ports, deps.records, deps.log);
  }

  /** Begins what is due and nobody does yet; a host that does not answer holds up no other, and no move. Never rejects. */
  look(): void {
    this.#lookAtRetained();
    this.#tidying ??= this.#tidy().finally(() => {
      this.#tidying = null;
    });
  }

  /** One look at a time on each host. */
  #lookAtRetained(): void {
    const due = new Map<string, string[]>();
    for (const record of this.#deps.records.values()) {
      if (!this.#lookingAt.has(record.source) && this.#isLookDue(record)) addTo(due, record.source, record.id);
    }
    for (const [host, ids] of due) {
      this.#lookingAt.add(host);
      void this.#lookAt(ids).finally(() => this.#lookingAt.delete(host));
    }
  }

  #isLookDue(record: MoveRecord): boolean {
    return this.#looksDue(record) > (this.#looks.get(record.id) ?? 0);
  }

  #looksDue(record: MoveRecord): number {
    const sinceMs = record.isRetainDue === true ? null : retainedAtMs(record);
    return sinceMs === null ? 0 : LOOK_AGAIN_MS.filter(dueMs => this.#deps.ports.clock.now() - sinceMs >= dueMs).length;
  }

  async #lookAt(ids: readonly string[]): Promise<void> {
    const {records, log, signal} = this.#deps;
    for (const id of ids) {
      const record = records.get(id);
      if (record === undefined || signal.aborted || !this.#isLookDue(record)) continue;
      this.#looks.set(id, this.#looksDue(record));
      try {
        await this.#keepChanged(record, await carryLate(this.#deps.ports, record));
      } catch (error) {
        log.warn({moveId: record.id, err: error}, 'the retained copy could not be looked at; its purge will');
      }
    }
  }

  async #tidy(): Promise<void> {
    await this.#askSilent();
    await this.#unlock();
    await this.#forget();
  }

  /** What moves left undone on hosts that were silent is done when these speak again. */
  async #askSilent(): Promise<void> {
    const {ports, signal, records} = this.#deps;
    const left = [...records.values()].filter(({isLeftOnTarget, isRetainDue}) => isLeftOnTarget === true || isRetainDue === true);
    if (left.length === 0 || signal.aborted || ports.clock.monotonic() < this.#askSilentAtMs) return;
    this.#askSilentAtMs = ports.clock.monotonic() + ASK_SILENT_MS;
    const byHost = new Map<string, MoveRecord[]>();
    for (const record of left) addTo(byHost, record.isRetainDue === true ? record.source : record.target, record);
    await Promise.all([...byHost.values()].map(records => this.#askHost(records)));
  }

  /** One that does not answer at all is not asked for the others either. */
  async #askHost(records: readonly MoveRecord[]): Promise<void> {
    for (const record of records) {
      try {
        await (record.isRetainDue === true ? this.#retainLate(record) : this.#removeLeft(record));
      } catch (error) {
        this.#deps.log.debug({moveId: record.id, err: error}, 'what a move left undone on a host cannot be done yet');
        if (error instanceof MailherdError && error.code === 'HOST_SILENT') return;
      }
    }
  }

  async #unlock(): Promise<void> {
    const {ports, log, signal} = this.#deps;
    if (signal.aborted || ports.clock.monotonic() < this.#unlockAtMs) return;
    this.#unlockAtMs = ports.clock.monotonic() + UNLOCK_MS;
    await this.#orphans.look().catch(error => log.warn({err: error}, 'locks that no move holds cannot be removed yet'));
  }

  async #removeLeft(record: MoveRecord): Promise<void> {
    await discardLeft(this.#deps.ports, record);
    await this.#deps.keep({...record, isLeftOnTarget: false}, record);
  }

  /** The quiet time begins now: until now somebody may have worked there. */
  async #retainLate(record: MoveRecord): Promise<void> {
    const {ports, records, keep} = this.#deps;
    const {step, verified, refusal} = record.step === 'retained' ? await retainAtSource(ports, {...record, refusal: null}) : record;
    // Its host may have been wiped meanwhile.
    const present = records.get(record.id);
    if (present === undefined) return;
    const atMs = ports.clock.now();
    const timeline = present.timeline.map(entry => (entry.step === 'retained' ? {...entry, atMs} : entry));
    const told = present === record ? {step, verified, refusal} : {refusal: null};
    await keep({...present, ...told, timeline, isRetainDue: false}, present);
  }

  async #forget(): Promise<void> {
    const {ports, log, signal, records} = this.#deps;
    if (ports.clock.monotonic() < this.#forgetAtMs) return;
    this.#forgetAtMs = ports.clock.monotonic() + FORGET_MS;
    for (const {id} of forgettable(records.values(), ports.clock.now())) {
      if (signal.aborted) return;
      try {
        await ports.removeMove(id);
        records.delete(id);
        this.#looks.delete(id);
      } catch (error) {
        log.warn({moveId: id, err: error}, 'the record of an old move cannot be removed yet');
        return;
      }
    }
  }

  /**
   * Proves that copies may be lost with their host, several at once.
   * @returns the ids of those that still lie there. @throws MailherdError what stands in the way of losing one.
   */
  async prove(records: readonly MoveRecord[]): Promise<string[]> {
    // What stands in the way of one is enough.
    await fewAtOnce(records, PROOFS_AT_ONCE, record => this.#proveOne(record));
    return records.flatMap(({id}) => (this.#deps.records.get(id)?.step === 'retained' ? [id] : []));
  }

  async #proveOne(record: MoveRecord): Promise<void> {
    if (record.isRetainDue === true)
      throw fromRefusal(record.refusal ?? {code: 'HOST_SILENT', detail: {host: record.source, moveId: record.id}});
    try {
      await this.#keepChanged(record, await proveNeedless(this.#deps.ports, record));
    } catch (error) {
      // Whoever wonders why a host cannot be wiped looks at its moves.
      const refusal = storedRefusal(error);
      if (refusal.code === 'LAST_COPY' && record.refusal?.code !== refusal.code) await this.#deps.keep({...record, refusal}, record);
      throw error;
    }
  }

  /** A purge that began and was sent back meanwhile knows better, and why. */
  async #keepChanged(record: MoveRecord, next: MoveRecord): Promise<void> {
    const isSame = next.step === record.step && next.verified?.digest === record.verified?.digest;
    if (!isSame && this.#deps.records.get(record.id) === record) await this.#deps.keep(next, record);
  }
}
