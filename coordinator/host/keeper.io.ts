import {randomBytes} from 'node:crypto';
import type {Clock} from '../../base/clock.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {HostRecord} from '../../wire/record.ts';
import type {Audit} from '../audit.io.ts';
import type {BucketPort, Stored} from '../bucket-port.ts';
import type {Commander} from '../command.io.ts';
import {windowVetoes} from '../decision/window.ts';
import type {Emit} from '../events.io.ts';
import type {Mover} from '../move/mover.ts';
import type {Picture} from '../picture.ts';
import {MAILHERD} from './cordon.ts';
import type {Drivers} from './drivers.io.ts';
import type {HostFacts} from './facts.ts';
import {type HostEffect, type HostHappening, type HostTurn, live} from './life.ts';

const WIPE_CHECK_MS = 20 * SECOND_MS;
/** A host that is not clean yet (mail in its queue) is asked again this much later. */
const WIPE_CHECK_PAUSE_MS = 10 * SECOND_MS;
const CONFLICTS_MAX = 5;
/** Less than half of what a message of NATS holds; of copies beyond it the host tells, and its answer may have many parts. */
const RETAINED_TOLD_MAX = 10_000;
const TOKEN_BYTES = 32;

export interface KeeperDeps {
  picture: Picture;
  hosts: BucketPort<HostRecord>;
  mover: Mover;
  command: Commander;
  /** Fencing token of the term. */
  token: number;
  signal: AbortSignal;
  drivers: Drivers;
  emit: Emit;
  audit: Audit;
  clock: Clock;
  log: Log;
}

/** Lets every host live: brings what happens to the pure machine, stores what comes of it, carries out its effects. Leader only. */
export class HostKeeper {
  readonly #deps: KeeperDeps;
  readonly #checks = new Map<string, {running: boolean; atMs: number}>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  /** One look at every host; what fails for one host is tried again at the next look and holds up no other. */
  async look(): Promise<void> {
    const {picture, log, signal} = this.#deps;
    for (const host of [...picture.hosts.keys()]) {
      if (signal.aborted) return;
      try {
        await this.#lookAt(host);
      } catch (error) {
        log.warn({host, refusal: toRefusal(error)}, 'a host could not be taken on');
      }
    }
  }

  async #lookAt(host: string): Promise<void> {
    const {drivers, picture} = this.#deps;
    const ended = drivers.outcome(host, picture.hosts.get(host)?.value.wipe ?? null);
    if (ended !== null) {
      await this.happen(host, {type: 'driverEnded', ok: ended.ok, reason: ended.reason});
      drivers.told(host);
    }
    await this.happen(host, {type: 'observed', facts: this.factsOf(host)});
  }

  factsOf(host: string): HostFacts {
    const {picture, mover, drivers} = this.#deps;
    return picture.factsOf(host, mover.records(), mover.waiting(), drivers.state(host, picture.hosts.get(host)?.value.wipe ?? null));
  }

  /**
   * One happening for one host, one after the other. A happening that carries facts must be made when its turn comes: give a function.
   * @returns the record as it is then. @throws MailherdError HOST_UNKNOWN, HOST_STATE; NOT_LEADER, STORE_CONFLICT, NATS_DOWN.
   */
  happen(host: string, happening: HostHappening | (() => HostHappening)): Promise<HostRecord> {
    const mine = this.#turn.then(() => this.#happen(host, happening));
    // A happening that fails is its caller's matter, not that of the next.
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #happen(host: string, happening: HostHappening | (() => HostHappening)): Promise<HostRecord> {
    const {picture, hosts, mover, clock, signal} = this.#deps;
    for (let conflicts = 0; ; conflicts++) {
      if (signal.aborted) throw new MailherdError('NOT_LEADER', {host});
      const entry = picture.hosts.get(host);
      if (entry === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
      const event = typeof happening === 'function' ? happening() : happening;
      const turn = live(entry.value, event, picture.policy.value, clock.now());
      try {
        // Before the record: should we end in between, the turn is taken again and marks them again.
        if (turn.effects.some(({kind}) => kind === 'markWiped')) await mover.markWiped(host);
        if (turn.record !== entry.value) await this.#store(entry, turn.record);
      } catch (error) {
        if (!(error instanceof MailherdError) || error.code !== 'STORE_CONFLICT' || conflicts === CONFLICTS_MAX) throw error;
        const newest = await hosts.get(host);
        if (newest === null) picture.removeHost(host);
        else picture.applyHost(newest);
        continue;
      }
      await this.#carryOutAll(turn, event);
      return turn.record;
    }
  }

  /** The record is stored: one effect that fails, as when its audit line cannot be written, keeps none of the others from being. */
  async #carryOutAll({record, effects}: HostTurn, event: HostHappening): Promise<void> {
    const failures: unknown[] = [];
    for (const effect of effects) {
      try {
        await this.#carryOut(record, effect, event);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async #store(entry: Stored<HostRecord>, record: HostRecord): Promise<void> {
    const {picture, hosts, clock} = this.#deps;
    const revision = await hosts.update(entry.key, record, entry.revision);
    picture.applyHost({key: entry.key, value: record, revision, storedAtMs: clock.now()});
  }

  async #carryOut(record: HostRecord, effect: HostEffect, event: HostHappening): Promise<void> {
    const {emit, mover, drivers, clock, log, picture} = this.#deps;
    const {host} = record;
    switch (effect.kind) {
      case 'staged':
        emit('hostStaged', host, {from: effect.from, to: effect.to, reason: effect.reason, tookMs: effect.tookMs});
        return this.#audit(byOf(event), `stage ${effect.to}`, host, {from: effect.from, reason: effect.reason});
      case 'cordoned':
        emit('hostCordoned', host, {by: effect.by, reason: effect.reason});
        return this.#audit(effect.by, 'cordon', host, {reason: effect.reason});
      case 'uncordoned':
        emit('hostUncordoned', host, {by: effect.by});
        return this.#audit(effect.by, 'uncordon', host, {});
      case 'emptyingPaused':
        emit('evacuationPaused', host, {by: effect.by, reason: effect.reason});
        return this.#audit(effect.by, 'pause evacuation', host, {reason: effect.reason});
      case 'emptyingResumed':
        emit('evacuationResumed', host, {by: effect.by});
        return this.#audit(effect.by, 'resume evacuation', host, {});
      case 'checkWipe':
        return this.#checkWipe(host, effect.retained);
      case 'wipeAllowed':
        emit('wipeAllowed', host, {expiresAtMs: effect.expiresAtMs});
        return this.#audit(MAILHERD, 'allow wipe', host, {expiresAtMs: effect.expiresAtMs});
      case 'reinstall': {
        await this.#audit(record.reinstallAskedBy ?? MAILHERD, 'reinstall', host, {release: effect.release});
        const timeoutMs = picture.policy.value.host.reinstallTimeoutMs;
        return drivers.start({record, release: effect.release, token: effect.token, nowMs: clock.now(), timeoutMs});
      }
      case 'markWiped':
        return;
      case 'dropWaiting': {
        // What waits to come was named by a person, or has to leave another host.
        const dropped = mover.dropWaiting(({source}) => source === host);
        log.info({host, dropped}, 'waiting moves dropped');
        return;
      }
    }
  }

  /** Asks in the background: a host that does not answer must not hold up the others. */
  #checkWipe(host: string, due: readonly string[]): void {
    const {clock, log} = this.#deps;
    const before = this.#checks.get(host);
    if (before !== undefined && (before.running || clock.monotonic() - before.atMs < WIPE_CHECK_PAUSE_MS)) return;
    this.#checks.set(host, {running: true, atMs: clock.monotonic()});
    this.#askHost(host, due)
      .catch(error => log.warn({host, refusal: toRefusal(error)}, 'not known to be safe to wipe'))
      .finally(() => this.#checks.set(host, {running: false, atMs: this.#pauseFrom(host)}));
  }

  /** A host that has just been allowed is asked once more at once, right before the wipe. */
  #pauseFrom(host: string): number {
    const isAllowed = this.#deps.picture.hosts.get(host)?.value.stage === 'safeToWipe';
    return this.#deps.clock.monotonic() - (isAllowed && this.#mayReinstall(host) ? WIPE_CHECK_PAUSE_MS : 0);
  }

  async #askHost(host: string, due: readonly string[]): Promise<void> {
    const {mover, command, token, log} = this.#deps;
    const proved = new Set(await mover.prove(host));
    const retained = due.filter(id => proved.has(id));
    const told = await command(host, 'wipeCheck', {v: 1, token, retained: retained.slice(0, RETAINED_TOLD_MAX)}, WIPE_CHECK_MS);
    const mayGo = new Set(retained);
    const answer = {...told, copies: told.copies.filter(({kind, moveId}) => kind !== 'retained' || !mayGo.has(moveId))};
    if (answer.users + answer.queued + answer.copies.length > 0) {
      log.info({host, users: answer.users, queued: answer.queued, copies: answer.copies.slice(0, 10)}, 'not safe to wipe yet');
    }
    const permission = `${host}:${randomBytes(TOKEN_BYTES).toString('base64url')}`;
    await this.happen(host, () => {
      const [facts, mayReinstall] = [this.factsOf(host), this.#mayReinstall(host)];
      return {type: 'wipeChecked', facts, retained, answer, token: permission, mayReinstall};
    });
  }

  /** A slot is free, a driver is there, and policy or a person wants it. */
  #mayReinstall(host: string): boolean {
    const {picture, drivers} = this.#deps;
    const {value: policy} = picture.policy;
    const {paused, modes, host: limits} = policy;
    const record = picture.hosts.get(host)?.value;
    if (record === undefined || !drivers.isConfigured) return false;
    const isHour = windowVetoes('reinstall', policy, this.#deps.clock.now()).length === 0;
    const isAllowed = paused === null && (record.reinstallAskedBy !== MAILHERD || (modes.reinstall === 'on' && isHour));
    const running = [...picture.hosts.values()].filter(({value}) => value.stage === 'reinstalling').length;
    return isAllowed && running < limits.reinstallMax;
  }

  #audit(by: string, action: string, subject: string, detail: Record<string, unknown>): Promise<void> {
    return this.#deps.audit.write({atMs: this.#deps.clock.now(), by, action, subject, detail, result: 'ok'});
  }
}

function byOf(event: HostHappening): string {
  return 'by' in event ? event.by : MAILHERD;
}
