import type {Clock} from '../../base/clock.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {TuneReport} from '../../wire/tune.ts';
import type {Audit} from '../audit.io.ts';
import type {Commander} from '../command.io.ts';
import {budgetVeto} from '../decision/budget.ts';
import {MAILHERD} from '../host/cordon.ts';
import type {Picture} from '../picture.ts';
import {tunedHosts, tunePolicyOf} from './hosts.ts';
import {rollout} from './rollout.ts';

const COMMAND_MS = 15 * SECOND_MS;
/** What a host refused is not asked of it again before. */
const REFUSED_PAUSE_MS = 5 * MINUTE_MS;

export interface TuneKeeperDeps {
  picture: Picture;
  command: Commander;
  /** Fencing token of the term. */
  token: number;
  audit: Audit;
  clock: Clock;
  log: Log;
}

/** Carries tuning through the farm as the policy has it, and writes down what hosts did. Leader only. */
export class TuneKeeper {
  readonly #deps: TuneKeeperDeps;
  #known: ReadonlyMap<string, string> = new Map();
  readonly #pausedUntilMs = new Map<string, number>();
  readonly #asking = new Set<string>();
  #isFirst = true;

  constructor(deps: TuneKeeperDeps) {
    this.#deps = deps;
  }

  /** One look: what is new in the reports goes to the audit log; what the policy wants next is asked of hosts, without waiting. */
  async look(): Promise<void> {
    const {picture, clock} = this.#deps;
    await this.#noteChanges();
    const {value: policy} = picture.policy;
    if (policy.modes.tune !== 'on' || policy.paused !== null) return;
    const {apply, revert} = rollout(tunedHosts(picture), tunePolicyOf(policy), clock.now());
    for (const {host, knob, because} of revert) this.#ask('untune', host, knob, {because}, () => this.revert(MAILHERD, host, knob));
    for (const {host, adviceId, because, evidence} of apply) {
      if (budgetVeto(host, picture.fleet, policy, clock.now()) !== null) continue;
      this.#ask('tune', host, adviceId, {because, evidence}, () => this.#tune(MAILHERD, host, adviceId, true));
    }
  }

  /** A person approves an advice. @throws MailherdError HOST_UNKNOWN, ADVICE_UNKNOWN, TUNE_REFUSED, HOST_SILENT. */
  apply(by: string, host: string, adviceId: string): Promise<void> {
    return this.#tune(by, host, adviceId, false);
  }

  /** @throws MailherdError HOST_UNKNOWN, TUNE_REFUSED, HOST_SILENT. */
  async revert(by: string, host: string, knob: string): Promise<void> {
    this.#assertKnown(host);
    await this.#deps.command(host, 'untune', {v: 1, token: this.#deps.token, knob, by}, COMMAND_MS);
  }

  async #tune(by: string, host: string, adviceId: string, automatic: boolean): Promise<void> {
    this.#assertKnown(host);
    await this.#deps.command(host, 'tune', {v: 1, token: this.#deps.token, adviceId, by, automatic}, COMMAND_MS);
  }

  #assertKnown(host: string): void {
    if (!this.#deps.picture.hosts.has(host)) throw new MailherdError('HOST_UNKNOWN', {host});
  }

  /** In the background: a host that does not answer holds up no round. Its outcome is written down, and a refusal rests. */
  #ask(action: string, host: string, what: string, detail: Record<string, unknown>, work: () => Promise<void>): void {
    const {audit, clock, log} = this.#deps;
    const key = `${action} ${host} ${what}`;
    if (this.#asking.has(host) || (this.#pausedUntilMs.get(key) ?? 0) > clock.monotonic()) return;
    this.#asking.add(host);
    const line = {by: MAILHERD, action, subject: host};
    const carryOut = async (): Promise<void> => {
      try {
        await audit.write({...line, atMs: clock.now(), detail: {what, ...detail}, result: 'decided'});
        await work();
      } catch (error) {
        const refusal = toRefusal(error);
        this.#pausedUntilMs.set(key, clock.monotonic() + REFUSED_PAUSE_MS);
        log.warn({host, what, refusal}, 'not tuned');
        await audit.write({...line, atMs: clock.now(), detail: {what, refusal}, result: 'failed'});
      } finally {
        this.#asking.delete(host);
      }
    };
    carryOut().catch(error => log.error({err: error}, 'tuning could not be written down'));
  }

  /** One audit line for every value that a host has changed, kept or given back. What a new leader finds is no news. */
  async #noteChanges(): Promise<void> {
    const {picture, audit} = this.#deps;
    const present = new Map<string, string>();
    for (const {host, tune} of tunedHosts(picture)) {
      for (const {key, line} of linesOf(tune)) {
        const id = `${host} ${key}`;
        present.set(id, line.action);
        if (this.#known.get(id) !== line.action && !this.#isFirst) await audit.write({...line, subject: host, result: 'ok'});
      }
    }
    this.#known = present;
    if (picture.isComplete) this.#isFirst = false;
  }
}

interface NewsLine {
  key: string;
  line: {atMs: number; by: string; action: string; detail: Record<string, unknown>};
}

/** What stands in a report, as audit lines; a change has one for being made and one for being kept. */
function linesOf({changes, ended}: TuneReport): NewsLine[] {
  return [
    ...changes.map(({knob, old, value, by, reason, stage, effect, atMs}): NewsLine => {
      const action = stage === 'kept' ? 'tune kept' : 'tune changed';
      return {key: `${knob} ${atMs}`, line: {atMs, by, action, detail: {knob, from: old, to: value, reason, effect}}};
    }),
    ...ended.map(({knob, value, outcome, because, atMs}): NewsLine => {
      return {key: `ended ${knob} ${atMs}`, line: {atMs, by: MAILHERD, action: `tune ${outcome}`, detail: {knob, value, because}}};
    }),
  ];
}
