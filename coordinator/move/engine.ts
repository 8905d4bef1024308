import {assert} from '../../base/assert.ts';
import {fromRefusal, MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {Policy} from '../../wire/policy.ts';
import {isSettled, type MoveRecord, type PlannedMove} from '../../wire/record.ts';
import {Aftercare} from './aftercare.ts';
import type {MoveContext} from './asks.ts';
import {RunningMoves} from './budget.ts';
import {Cancels} from './cancel.ts';
import {firstRecord} from './first-record.ts';
import {KickRate} from './kicks.ts';
import {MailRetries} from './mail-retries.ts';
import type {MovePorts} from './move-ports.ts';
import type {Mover, PlannedMoves, WaitingMove} from './mover.ts';
import {DomainOrder, type Whereabouts} from './order.ts';
import type {Pace} from './pace.ts';
import {MoveQueue, type QueuedMove} from './queue.ts';
import {QuietTimes} from './quiet.ts';
import {storedRefusal} from './refusal.ts';
import {backoff, isSeedRefuted, isWorthAnotherTry} from './retry.ts';
import {STEPS, takeOver} from './steps.ts';
import {EdgePorts} from './turn.ts';

interface EngineOptions {
  ports: MovePorts;
  policy: () => Policy;
  /** What each host bears at present. */
  pace: () => Pace;
  whereabouts: () => Whereabouts;
  /** Why nobody can be held on that host at present, e.g. `CLOCK_AHEAD be07 by 12 min`; null when he can. */
  whyNoHold: (host: string) => string | null;
  /** Somebody stopped the emptying of that host for now. */
  isEmptyingPaused: (host: string) => boolean;
  newId: () => string;
  log: Log;
  /** Ends everything at once: the lease is gone. A successor goes on from the stored records. */
  signal: AbortSignal;
  /** The unfinished and finished moves that were found in the store. */
  found: readonly MoveRecord[];
}

const PUMP_MS = SECOND_MS;
/** A predecessor that did not know it was one may have begun moves and purges after we had read the store: look again this long after. */
const RESCAN_MS = [15 * SECOND_MS, MINUTE_MS];
/** With pauses in between more than a minute. */
const RETAIN_TRIES = 7;
const ENDS_RUN: ReadonlySet<string> = new Set(['TOKEN_STALE', 'NOT_LEADER', 'CANCELLED']);

/** Drives moves through their steps: a record is stored before each step begins, and every step may be run again. */
export class MoveEngine implements Mover {
  readonly #options: EngineOptions;
  readonly #records = new Map<string, MoveRecord>();
  readonly #cancels = new Cancels();
  readonly #kicks = new KickRate();
  readonly #edgePorts = new EdgePorts();
  readonly #retries: MailRetries;
  readonly #quiet: QuietTimes;
  readonly #queue = new MoveQueue();
  readonly #aftercare: Aftercare;

  constructor(options: EngineOptions) {
    this.#options = options;
    const {ports, log, signal} = options;
    this.#quiet = new QuietTimes(ports.clock);
    this.#retries = new MailRetries(ports, signal);
    for (const record of options.found) this.#take(record);
    this.#aftercare = new Aftercare({ports, log, signal, records: this.#records, keep: (next, before) => this.#keep(next, before)});
  }

  #take(record: MoveRecord): void {
    this.#quiet.take(record);
    this.#records.set(record.id, record);
  }

  /** Goes on with what a predecessor left and begins what waits, until the signal. Never rejects. */
  async run(): Promise<void> {
    const {ports, signal} = this.#options;
    const begun = ports.clock.monotonic();
    const rescans = [...RESCAN_MS];
    for (const record of this.#records.values()) if (STEPS[record.step].phase !== 'end') this.#launch(record);
    while (!signal.aborted) {
      if (rescans[0] !== undefined && ports.clock.monotonic() - begun >= rescans[0] && (await this.#rescan())) rescans.shift();
      this.#pump();
      this.#aftercare.look();
      await ports.clock.sleep(PUMP_MS, signal);
    }
    for (const moveId of this.#records.keys()) this.#cancels.end(moveId, new MailherdError('NOT_LEADER', {moveId}));
  }

  async #rescan(): Promise<boolean> {
    const {ports, log} = this.#options;
    try {
      for (const record of await ports.loadMoves()) {
        const known = this.#records.get(record.id);
        // It may have purged what we take for retained, too.
        const isPurgedSince = known?.step === 'retained' && (record.step === 'purging' || record.step === 'purged');
        if (known !== undefined && !isPurgedSince) continue;
        this.#take(record);
        if (STEPS[record.step].phase !== 'end') this.#launch(record);
      }
      return true;
    } catch (error) {
      log.warn({err: error}, 'the records of moves cannot be read again yet');
      return false;
    }
  }

  /** Stores a change that happened outside the run of a move's steps. */
  async #keep(next: MoveRecord, before: MoveRecord): Promise<MoveRecord> {
    const stored = this.#stamped(next, before);
    await this.#options.ports.storeMove(stored);
    this.#take(stored);
    return stored;
  }

  enqueue(...plans: readonly PlannedMoves[]): void {
    this.#queue.add(plans);
    this.#pump();
  }

  waiting(): readonly WaitingMove[] {
    return this.#queue.waiting;
  }

  records(): readonly MoveRecord[] {
    return [...this.#records.values()];
  }

  async cancel(moveId: string): Promise<void> {
    const {step} = this.#known(moveId);
    if (!isBeforeFlip(step))
      throw new MailherdError('MOVE_STATE', {moveId, step, reason: 'too late: it is flipped, or is just about to be'});
    await this.#cancels.ask(moveId);
  }

  async purge(moveIds: readonly string[]): Promise<void> {
    if (moveIds.length === 0)
      throw new MailherdError('INPUT_INVALID', {what: 'purge', path: '/moves', reason: 'an empty list means nothing, never all'});
    const records = moveIds.map(moveId => this.#known(moveId));
    const {quietMs} = this.#options.policy().move;
    for (const record of records) {
      if (record.step !== 'retained') throw new MailherdError('MOVE_STATE', {moveId: record.id, step: record.step});
      if (record.isRetainDue === true)
        throw new MailherdError('MOVE_STATE', {
          moveId: record.id,
          reason: 'its source has not retained it since the flip',
          source: record.source,
          refusal: record.refusal,
        });
      if (this.#quiet.isQuieting(record, quietMs))
        throw new MailherdError('MOVE_STATE', {moveId: record.id, reason: 'too soon after the flip', quietMs});
    }
    // All at once: while one is stored nobody else may begin the same.
    for (const record of records) this.#records.set(record.id, {...record, step: 'purging', refusal: null});
    for (const record of records) this.#launch(await this.#keep({...record, step: 'purging', refusal: null}, record));
  }

  prove(host: string): Promise<string[]> {
    return this.#aftercare.prove(this.#retainedAt(host));
  }

  async markWiped(host: string): Promise<void> {
    for (const record of this.#retainedAt(host)) {
      await this.#keep({...record, step: 'purged', refusal: null}, record);
    }
  }

  dropWaiting(isUnwanted: (planned: PlannedMove) => boolean): number {
    return this.#queue.drop(isUnwanted);
  }

  takeWaiting(isTaken: (planned: PlannedMove) => boolean): PlannedMoves[] {
    return this.#queue.take(isTaken);
  }

  #retainedAt(host: string): MoveRecord[] {
    return this.records().filter(record => record.source === host && record.step === 'retained');
  }

  #known(moveId: string): MoveRecord {
    const record = this.#records.get(moveId);
    if (record === undefined) throw new MailherdError('MOVE_UNKNOWN', {moveId});
    return record;
  }

  #pump(): void {
    const {policy, pace, whereabouts, whyNoHold, ports, log, signal} = this.#options;
    const {waiting: queued} = this.#queue;
    if (signal.aborted || queued.length === 0) return;
    const {move: limits, paused} = policy();
    const [now, paces] = [ports.clock.now(), pace()];
    const running = new RunningMoves(this.#records.values(), record => this.#quiet.isQuieting(record, limits.quietMs));
    const order = new DomainOrder(whereabouts(), this.#records.values(), now);
    // Nothing waits for what cannot begin as long as a clock is wrong.
    const mayBegin = (waiting: QueuedMove): boolean => !this.#isStopped(waiting) && whyNoHold(waiting.planned.source) === null;
    const isUrgent = queued.some(waiting => waiting.planned.isLow !== true && mayBegin(waiting));
    const whyNot = (waiting: QueuedMove): string | null => {
      const {planned} = waiting;
      if (this.#isStopped(waiting)) return 'EVACUATION_PAUSED';
      if (isUrgent && planned.isLow === true) return 'LOWER_PRIORITY';
      return paused !== null ? 'PAUSED' : (whyNoHold(planned.source) ?? running.why(planned, limits, paces) ?? order.why(planned));
    };
    const left: QueuedMove[] = [];
    for (const waiting of queued) {
      const because = whyNot(waiting);
      if (because !== null) {
        left.push(because === waiting.because ? waiting : {...waiting, because});
        continue;
      }
      running.begun(waiting.planned);
      order.begun(waiting.planned);
      this.#begin(waiting);
    }
    const stuck = order.stuck(left);
    for (const {planned, planId} of stuck) log.warn({user: planned.user, planId}, 'no order of moves keeps this domain apart; dropped');
    this.#queue.keep(stuck.size === 0 ? left : left.filter(waiting => !stuck.has(waiting)));
  }

  /** Of an evacuation that somebody stopped for now. */
  #isStopped({planned, kind}: QueuedMove): boolean {
    return kind === 'evacuate' && this.#options.isEmptyingPaused(planned.source);
  }

  #begin(queued: QueuedMove): void {
    const {ports, newId} = this.#options;
    const record = firstRecord(queued, newId(), ports.token(), ports.clock.now());
    this.#records.set(record.id, record);
    this.#queue.begun(record.id, queued);
    this.#launch(record, true);
  }

  /** Runs a move to its end in the background; an unexpected failure is ours and is logged, the stored record stays for a successor. */
  #launch(record: MoveRecord, isNew = false): void {
    const {log, signal} = this.#options;
    const {id: moveId, user} = record;
    this.#cancels.begin(moveId);
    this.#drive(record, isNew)
      .catch(error => {
        log.error({err: error, moveId, user}, 'this move is no longer driven here');
      })
      .finally(() => {
        const {step} = this.#known(moveId);
        this.#cancels.end(
          moveId,
          signal.aborted ? new MailherdError('NOT_LEADER', {moveId}) : new MailherdError('MOVE_STATE', {moveId, step}),
        );
      });
  }

  async #drive(record: MoveRecord, isNew: boolean): Promise<void> {
    const {ports, policy, signal} = this.#options;
    if (isNew) await ports.storeMove(record);
    const [leftOnTarget, isSeedless] = [this.#leftOn(record), this.#isSeedless(record)];
    const shared = {kicks: this.#kicks, edgePorts: this.#edgePorts, retries: this.#retries};
    const fresh = {heldSince: null, passes: 0, isWarm: false, isTargetHeard: isNew, isCancelled: false, source: null};
    const context: MoveContext = {ports, limits: policy().move, ...shared, ...fresh, leftOnTarget, isSeedless};
    let current = isNew ? record : await this.#takeOver(context, record);
    this.#edgePorts.now(current.id, current.step);
    while (!signal.aborted && STEPS[current.step].phase !== 'end') {
      const begun = ports.clock.monotonic();
      const next = this.#stamped(await this.#step(context, current), current);
      if (signal.aborted) return;
      await ports.storeMove(next);
      this.#take(next);
      if (next.step === 'backingOut') this.#cancels.stored(next.id);
      this.#edgePorts.now(next.id, next.step);
      ports.stepped(next, ports.clock.monotonic() - begun);
      current = next;
    }
    this.#queue.ended(current);
    this.#pump();
  }

  async #takeOver(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
    for (let attempts = 1; ; attempts++) {
      try {
        // The record first: from here on a predecessor that still runs can no longer store what it makes of this move.
        const ours = await this.#keep(record, record);
        const next = await takeOver(context, ours);
        return next === ours ? ours : await this.#keep(next, ours);
      } catch (error) {
        if (!(error instanceof MailherdError) || !isWorthAnotherTry(error) || this.#options.signal.aborted) throw error;
        await context.ports.clock.sleep(backoff(attempts), this.#options.signal);
      }
    }
  }

  async #step(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
    const {id, step} = record;
    const {phase} = STEPS[step];
    const cancelled: MoveRecord = {...record, step: 'backingOut', attempts: 0, refusal: {code: 'CANCELLED', detail: {}}};
    // A flip that this run has not begun yet is none.
    if (this.#cancels.isAsked(id) && (phase === 'before' || phase === 'held')) return cancelled;
    try {
      return await this.#tried(context, record);
    } catch (error) {
      if (!(error instanceof MailherdError) || error.code !== 'CANCELLED') throw error;
      context.isCancelled = true;
      return cancelled;
    }
  }

  async #tried(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
    const {id, step} = record;
    const {run} = STEPS[step];
    try {
      if (step === 'reserving') await this.#cancels.unlessAsked(id, this.#purgeOnTarget(record));
      // What writes the route is waited for; it does not take long.
      return await (step === 'seeding' || step === 'copying' ? this.#cancels.unlessAsked(id, run(context, record)) : run(context, record));
    } catch (error) {
      if (!(error instanceof MailherdError) || ENDS_RUN.has(error.code)) throw error;
      return this.#afterFailure(context, record, error);
    }
  }

  async #afterFailure(context: MoveContext, record: MoveRecord, error: MailherdError): Promise<MoveRecord> {
    const {clock} = context.ports;
    const {phase} = STEPS[record.step];
    const attempts = record.attempts + 1;
    const refusal = storedRefusal(error);
    if (record.step === 'purging') return {...record, step: 'retained', attempts: 0, refusal};
    if (phase === 'held' || (phase === 'before' && (attempts >= context.limits.attemptsMax || !isWorthAnotherTry(error)))) {
      return {...record, step: 'backingOut', attempts: 0, refusal};
    }
    // The user must not be bound to a host that may never come back, or where a session never ends.
    if (record.step === 'retaining' && attempts >= RETAIN_TRIES)
      return {...record, step: 'retained', attempts: 0, refusal, isRetainDue: true};
    const pause = clock.sleep(backoff(attempts), this.#options.signal);
    await (phase === 'before' ? this.#cancels.unlessAsked(record.id, pause) : pause);
    // A back-out keeps the first reason: that is what a person wants to know.
    return {...record, attempts, refusal: record.step === 'backingOut' ? (record.refusal ?? refusal) : refusal};
  }

  /**
   * A user who comes back to a host that still retains the old copy: that one is purged first, with its own check. Nothing begins before:
   * of a mailbox that lives there again no copy could ever be purged.
   * @throws MailherdError why a copy is not purged.
   */
  async #purgeOnTarget({user, target}: MoveRecord): Promise<void> {
    const left = this.records().filter(other => other.user === user && other.source === target && isPurgeable(other));
    for (const {id} of left) {
      await this.#until(() => !this.#quiet.isQuieting(this.#known(id), this.#options.policy().move.quietMs));
      if (this.#known(id).step === 'retained') await this.purge([id]);
      await this.#until(() => this.#known(id).step !== 'purging');
      const {step: ended, refusal} = this.#known(id);
      if (ended !== 'purged') throw fromRefusal(refusal ?? {code: 'MOVE_STATE', detail: {moveId: id, step: ended}});
    }
  }

  async #until(isDone: () => boolean): Promise<void> {
    const {ports, signal} = this.#options;
    while (!isDone() && !signal.aborted) await ports.clock.sleep(50, signal);
  }

  #leftOn(record: MoveRecord): string[] {
    return this.records()
      .filter(other => other.id !== record.id && other.user === record.user && other.target === record.target && other.step === 'backedOut')
      .map(other => other.id);
  }

  #isSeedless({id, user, source}: MoveRecord): boolean {
    return this.records().some(other => other.id !== id && other.user === user && other.source === source && isSeedRefuted(other));
  }

  #stamped(next: MoveRecord, before: MoveRecord): MoveRecord {
    const now = this.#options.ports.clock.now();
    const token = this.#options.ports.token();
    if (next.step === before.step) return {...next, token, updatedAtMs: now};
    assert(!isSettled(before) || before.step === 'retained', 'a finished move does not go on');
    // A purge that failed changes nothing: the copy is retained since when it was, and a hundred of them must not push that out of the timeline.
    if (before.step === 'purging' && next.step === 'retained')
      return {...next, token, updatedAtMs: now, attempts: 0, timeline: next.timeline.filter(({step}) => step !== 'purging')};
    return {...next, token, updatedAtMs: now, attempts: 0, timeline: [...next.timeline, {step: next.step, atMs: now}].slice(-60)};
  }
}

function isPurgeable({step}: MoveRecord): boolean {
  return step === 'retained' || step === 'purging';
}

function isBeforeFlip(step: MoveRecord['step']): boolean {
  const {phase} = STEPS[step];
  return phase === 'before' || (phase === 'held' && step !== 'flipping');
}
