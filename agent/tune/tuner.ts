import {assert} from '../../base/assert.ts';
import type {Clock} from '../../base/clock.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {AgentEventType, EventData} from '../../wire/event.ts';
import type {Log} from '../../wire/log.ts';
import type {HostReport} from '../../wire/report.ts';
import type {Advice, ChangeOutcome, TuneMode, TuneReport} from '../../wire/tune.ts';
import type {KernelSpans} from '../sample/span.ts';
import {advise, type Standing} from './advice.ts';
import {effectOf, sightOf} from './effect.ts';
import type {Facts} from './facts.ts';
import {brake, type GuardLook} from './guard.ts';
import type {StoredChange, TuneMemory} from './memory.ts';
import {HISTORY_MAX, inertKnobs} from './proposals.ts';
import type {Writer} from './writer.io.ts';

type Sighted = Pick<HostReport, 'slis' | 'load' | 'kernel' | 'queue' | 'system'>;

/** What a tuner needs of its host. */
export interface TunerPorts {
  writer: Writer;
  clock: Clock;
  /**
   * One look at the host.
   * @param spans the reading behind the report. @param held knobs that are read in any case.
   * @throws MailherdError when it cannot be had.
   */
  look(report: Sighted, spans: KernelSpans | null, held: readonly string[]): Promise<Facts>;
  guardLook(): Promise<GuardLook>;
  /** Name of the disk under the mail store, once it is known. */
  disk(): string | null;
  memory: {load(): TuneMemory; save(memory: TuneMemory): Promise<void>};
  emit: <T extends AgentEventType>(type: T, data: EventData<T>) => void;
  log: Log;
  signal: AbortSignal;
}

export interface TunerOptions {
  mode: TuneMode;
  /** Pressure is watched so long after a change. */
  guardMs: Millis;
  /** So long, after that, the time before and the time since are compared. */
  effectMs: Millis;
}

const GUARD_LOOK_MS = SECOND_MS;
/** The writer puts a value back by itself when the agent has been gone for so long. */
const LEASE_S = 3_600;
const RENEW_MS = 15 * MINUTE_MS;
const BEFORE_MAX = 60;
const ENDED_MAX = 8;
/** Values that are as they were are told again so often: the coordinator keeps the last report that told them. */
const TELL_VALUES_MS = 5 * MINUTE_MS;
const UNDONE_MAX = 2;

/**
 * Tunes one host: evidence gives advice; a word from outside (a person's, or the coordinator's by the farm's policy) makes one change at
 * a time; its effect decides whether it stays. Every value is written by the writer, which puts it back whatever happens to us.
 */
export class Tuner {
  readonly #options: TunerOptions;
  readonly #ports: TunerPorts;
  #memory: TuneMemory;
  #history: Facts[] = [];
  #reports: {report: Sighted; facts: Facts | null}[] = [];
  #standing: Standing[] = [];
  #writerFails: string | null = null;
  #renewedMs = 0;
  /** The values as they were told last, and when. */
  #told: {text: string; atMs: Millis} | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  /** For tests: resolves when the last guard has ended. */
  guarding: Promise<void> = Promise.resolve();

  constructor(options: TunerOptions, ports: TunerPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#memory = ports.memory.load();
    // A guard does not outlive its process: what it watched is compared at once.
    const stored = this.#memory.changes.map(each => (each.change.stage === 'guarded' ? this.#staged(each, 'measured') : each));
    const undoing = {outcome: 'reverted', because: 'tuning is off'} as const;
    this.#memory = {...this.#memory, changes: options.mode === 'off' ? stored.map(each => ({...each, undoing})) : stored};
  }

  /** The report with what there is to say of tuning now; its figures are taken in meanwhile. */
  take(report: HostReport, spans: KernelSpans | null): HostReport {
    void this.observe(report, spans);
    return {...report, tune: this.#news()};
  }

  /** What seldom changes is told seldom. */
  #news(): TuneReport {
    const {values, inert, ...rest} = this.report();
    const nowMs = this.#ports.clock.monotonic();
    const text = JSON.stringify([values, inert]);
    if (values === undefined || inert === undefined) return rest;
    if (text === this.#told?.text && nowMs - this.#told.atMs < TELL_VALUES_MS) return rest;
    this.#told = {text, atMs: nowMs};
    return {...rest, values, inert};
  }

  /** Takes in one report and a look of its own; goes on with what is under way. Never rejects. */
  observe(report: Sighted, spans: KernelSpans | null): Promise<void> {
    return this.#inTurn(() => this.#observe(report, spans)).catch(error => {
      this.#ports.log.warn({refusal: toRefusal(error)}, 'tuning could not go on');
    });
  }

  report(): TuneReport {
    const {changes, ended, retired} = this.#memory;
    const now = this.#history.at(-1);
    return {
      mode: this.#options.mode,
      writer: this.#writerFails,
      ...(now !== undefined && {
        values: Object.fromEntries([...now.values].map(([knob, value]) => [knob, value.slice(0, 40)])),
        inert: inertKnobs(now),
      }),
      advice: this.#standing.map(({advice}) => advice),
      changes: changes.map(({change}) => change),
      ended,
      retired,
    };
  }

  /** A changed kernel is a trait of the host: should it make hosts sick, that is what they share. Empty when nothing is changed. */
  labels(): {tuned?: string} {
    const pairs = this.#memory.changes.map(({change: {knob, value}}) => `${knob}=${value}`).sort();
    return pairs.length === 0 ? {} : {tuned: pairs.join(',').slice(0, 120)};
  }

  /**
   * Makes the change of a standing advice, on somebody's word. Asked again, it answers as before.
   * @param automatic it is the farm's policy that speaks, not a person.
   * @throws MailherdError ADVICE_UNKNOWN; TUNE_REFUSED with MODE, NOT_AUTOMATIC, RETIRED, BUSY, or the writer's code.
   */
  apply(adviceId: string, by: string, automatic: boolean): Promise<void> {
    return this.#inTurn(() => this.#apply(adviceId, by, automatic));
  }

  /** Puts a value back. @throws MailherdError TUNE_REFUSED NOT_HELD, or the writer's code. */
  revert(knob: string, by: string): Promise<void> {
    return this.#inTurn(async () => {
      const stored = this.#memory.changes.find(({change}) => change.knob === knob);
      if (stored === undefined) throw new MailherdError('TUNE_REFUSED', {knob, code: 'NOT_HELD', reason: 'nothing of ours is in it'});
      await this.#undo(stored, 'reverted', `asked by ${by}`);
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #observe(report: Sighted, spans: KernelSpans | null): Promise<void> {
    const {clock, log, emit, disk} = this.#ports;
    for (const stored of this.#memory.changes) {
      if (stored.undoing === null) continue;
      await this.#tryUndo(stored).catch(error => log.warn({knob: stored.change.knob, refusal: toRefusal(error)}, 'not undone yet'));
    }
    if (this.#options.mode === 'off') return;
    const held = this.#memory.changes.map(({change}) => change.knob);
    const facts = await this.#ports.look(report, spans, held).catch(error => {
      log.debug({refusal: toRefusal(error)}, 'no look at the host');
      return null;
    });
    this.#reports = [...this.#reports, {report, facts}].slice(-BEFORE_MAX);
    if (facts !== null) {
      this.#history = [...this.#history, facts].slice(-HISTORY_MAX);
      const before = new Set(this.#standing.map(({advice}) => advice.id));
      this.#standing = advise(this.#history, disk(), this.#standing, Math.round(clock.now()));
      for (const {advice} of this.#standing) if (!before.has(advice.id)) emit('tuneAdvised', {advice});
    }
    for (const stored of this.#memory.changes) await this.#goOn(stored, report, facts);
    await this.#renew();
  }

  async #goOn(stored: StoredChange, report: Sighted, facts: Facts | null): Promise<void> {
    const {change, before, sinceMs, undoing} = stored;
    const {knob, value, stage} = change;
    if (undoing !== null) return;
    const present = facts?.values.get(knob);
    if (present !== undefined && present !== value) return this.#undo(stored, 'lost', 'the value was no longer there');
    if (stage !== 'measured') return;
    const after = [...stored.after, sightOf(report, facts, knob)];
    const isOver = this.#ports.clock.now() - sinceMs >= this.#options.effectMs;
    const {verdict, text} = effectOf(knob, before, after, isOver);
    if (verdict === 'undo') return this.#undo({...stored, after}, 'undone', text);
    await this.#put(
      verdict === 'wait'
        ? {...stored, after}
        : {...this.#staged(stored, 'kept'), before: [], after: [], change: {...change, stage: 'kept', effect: text}},
    );
    if (verdict === 'keep') this.#ports.emit('tuneKept', {knob, value, adviceId: change.adviceId, effect: text});
  }

  async #apply(adviceId: string, by: string, automatic: boolean): Promise<void> {
    const {writer, clock, emit, log} = this.#ports;
    if (this.#memory.changes.some(({change, undoing}) => change.adviceId === adviceId && undoing === null)) return;
    const advice = this.#admit(adviceId, automatic);
    const {knob, to, evidence, because} = advice;
    const known = this.#memory.changes.find(({change}) => change.knob === knob);
    assert(advice.from !== null, 'an automatic change is of a kernel value');
    const nowMs = Math.round(clock.now());
    const before = this.#reports.map(({report, facts}) => sightOf(report, facts, knob));
    const reason = `${because}: ${evidence}`.slice(0, 300);
    const change = {
      knob,
      old: known?.change.old ?? advice.from,
      value: to,
      adviceId,
      by,
      reason,
      stage: 'guarded',
      atMs: nowMs,
      effect: null,
    } as const;
    const base = await this.#ports.guardLook();
    // Remembered first: what the writer holds and we do not know would only end with its lease.
    await this.#put({change, sinceMs: nowMs, before, after: [], undoing: null});
    try {
      await this.#write(() => writer.set(knob, advice.from ?? '', to, LEASE_S, `${by}: ${reason}`));
    } catch (error) {
      await this.#drop(knob, known);
      throw error;
    }
    this.#renewedMs = nowMs;
    if (!automatic) await this.#save({...this.#memory, retired: this.#memory.retired.filter(name => name !== knob)});
    this.#standing = this.#standing.filter(({advice: each}) => each.knob !== knob);
    log.info({knob, from: advice.from, to, by, reason}, 'kernel value changed');
    emit('tuneChanged', {knob, from: advice.from, to, adviceId, by, reason});
    this.guarding = this.#guard(knob, base);
  }

  #admit(adviceId: string, automatic: boolean): Advice {
    const {mode} = this.#options;
    const refused = (code: string, reason: string): MailherdError => new MailherdError('TUNE_REFUSED', {adviceId, code, reason});
    if (mode === 'off' || (automatic && mode !== 'on')) throw refused('MODE', `tune.mode of this host is ${mode}`);
    const advice = this.#standing.find(standing => standing.advice.id === adviceId)?.advice;
    if (advice === undefined) throw new MailherdError('ADVICE_UNKNOWN', {adviceId});
    if (advice.level !== 'automatic') throw refused('NOT_AUTOMATIC', 'the agent cannot do that and undo it');
    if (automatic && this.#memory.retired.includes(advice.knob))
      throw refused('RETIRED', 'it was undone twice, or an administrator took over');
    const busy = this.#memory.changes.find(({change}) => change.stage !== 'kept');
    if (busy !== undefined) throw refused('BUSY', `${busy.change.knob} is being judged: one change at a time`);
    return advice;
  }

  async #guard(knob: string, base: GuardLook): Promise<void> {
    const {clock, signal} = this.#ports;
    const looks: GuardLook[] = [];
    const endMs = clock.monotonic() + this.#options.guardMs;
    while (!signal.aborted && clock.monotonic() < endMs) {
      await clock.sleep(GUARD_LOOK_MS, signal);
      const look = await this.#ports.guardLook().catch(() => null);
      if (look !== null) looks.push(look);
      const because = brake(base, looks);
      if (because !== null) return this.#endGuard(knob, because);
    }
    if (!signal.aborted) await this.#endGuard(knob, null);
  }

  /** @param because why it must go at once, or null when nothing happened. */
  async #endGuard(knob: string, because: string | null): Promise<void> {
    try {
      await this.#inTurn(async () => {
        const stored = this.#memory.changes.find(
          ({change, undoing}) => change.knob === knob && change.stage === 'guarded' && undoing === null,
        );
        if (stored === undefined) return;
        if (because === null) await this.#put(this.#staged(stored, 'measured'));
        else await this.#undo(stored, 'undone', because);
      });
    } catch (error) {
      this.#ports.log.warn({knob, refusal: toRefusal(error)}, 'the guard could not end as it should');
    }
  }

  /** Written down first, so that it is tried again until the writer answers. @throws MailherdError TUNE_REFUSED of the writer. */
  async #undo(stored: StoredChange, outcome: ChangeOutcome, because: string): Promise<void> {
    const undoing = {...stored, undoing: {outcome, because: because.slice(0, 300)}};
    await this.#put(undoing);
    await this.#tryUndo(undoing);
  }

  async #tryUndo({change, undoing}: StoredChange): Promise<void> {
    const {writer, clock, emit, log} = this.#ports;
    if (undoing === null) return;
    const {knob, value, adviceId} = change;
    const undone = await this.#write(() => writer.undo(knob));
    // What a person wants back is back either way; else the writer tells who has written it.
    const outcome = undone.kind === 'released' ? 'released' : undoing.outcome;
    const because = undone.kind === 'released' ? `somebody else wrote ${undone.value}` : undoing.because;
    const times = (this.#memory.undone[knob] ?? 0) + (outcome === 'undone' ? 1 : 0);
    const isRetired = outcome === 'released' || times >= UNDONE_MAX;
    await this.#save({
      ...this.#memory,
      changes: this.#memory.changes.filter(each => each.change.knob !== knob),
      ended: [...this.#memory.ended, {knob, value, adviceId, outcome, because, atMs: Math.round(clock.now())}].slice(-ENDED_MAX),
      undone: {...this.#memory.undone, [knob]: times},
      retired: isRetired ? [...new Set([...this.#memory.retired, knob])] : this.#memory.retired,
    });
    log.info({knob, value, outcome, because}, 'kernel value given back');
    emit('tuneEnded', {knob, value, adviceId, outcome, because, isRetired});
  }

  async #renew(): Promise<void> {
    const nowMs = this.#ports.clock.now();
    if (this.#memory.changes.length === 0 || Math.abs(nowMs - this.#renewedMs) < RENEW_MS) return;
    for (const {change} of this.#memory.changes) await this.#write(() => this.#ports.writer.renew(change.knob, LEASE_S));
    this.#renewedMs = nowMs;
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#writerFails = null;
      return result;
    } catch (error) {
      const {detail} = toRefusal(error);
      if (detail.code === 'NO_WRITER') this.#writerFails = String(detail.reason).slice(0, 200);
      throw error;
    }
  }

  #staged(stored: StoredChange, stage: StoredChange['change']['stage']): StoredChange {
    return {...stored, sinceMs: Math.round(this.#ports.clock.now()), change: {...stored.change, stage}};
  }

  #put(stored: StoredChange): Promise<void> {
    const others = this.#memory.changes.filter(({change}) => change.knob !== stored.change.knob);
    return this.#save({...this.#memory, changes: [...others, stored]});
  }

  #drop(knob: string, known: StoredChange | undefined): Promise<void> {
    const others = this.#memory.changes.filter(({change}) => change.knob !== knob);
    return this.#save({...this.#memory, changes: known === undefined ? others : [...others, known]});
  }

  async #save(memory: TuneMemory): Promise<void> {
    this.#memory = memory;
    await this.#ports.memory.save(memory);
  }
}
