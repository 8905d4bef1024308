import type {Clock} from '../base/clock.ts';
import {MailherdError, toRefusal} from '../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../base/units.ts';
import type {Answer} from '../wire/command.ts';
import type {Log} from '../wire/log.ts';
import {reliefPolicyOf} from '../wire/policy.ts';
import type {Decision} from '../wire/record.ts';
import type {Relief} from '../wire/report.ts';
import type {Audit} from './audit.io.ts';
import type {Commander} from './command.io.ts';
import {relayFor} from './decision/relief.ts';
import type {Emit} from './events.io.ts';
import {waitingIn} from './health/sli.ts';
import {MAILHERD} from './host/cordon.ts';
import type {Picture} from './picture.ts';

/** A long queue is read from the disk of a sick host. */
const COMMAND_MS = 2 * MINUTE_MS;
/** What a host refused is not asked of it again before. */
const REFUSED_PAUSE_MS = MINUTE_MS;
/** What was asked is in the host's reports by then. */
const TOLD_MS = 30 * SECOND_MS;

export interface ReliefKeeperDeps {
  picture: Picture;
  command: Commander;
  /** Fencing token of the term. */
  token: number;
  emit: Emit;
  audit: Audit;
  clock: Clock;
  log: Log;
}

/**
 * Has queues relieved as decided, and as people wish. A relief ends by itself on its host; as long as it is needed it is asked for
 * anew, so nothing is left behind by a coordinator that dies. Leader only.
 */
export class ReliefKeeper {
  readonly #deps: ReliefKeeperDeps;
  readonly #pausedUntilMs = new Map<string, number>();
  readonly #asking = new Set<string>();
  #known: ReadonlyMap<string, Relief> | null = null;

  constructor(deps: ReliefKeeperDeps) {
    this.#deps = deps;
  }

  /** One look: what began or ended is told; what is decided is asked of hosts, without waiting. */
  async look(decisions: readonly Decision[]): Promise<void> {
    await this.#noteChanges();
    for (const {kind, host, mode, vetoes, because} of decisions) {
      if (kind === 'queue-relief' && host !== null && mode === 'on' && vetoes.length === 0 && this.#isDue(host)) this.#ask(host, because);
    }
  }

  /**
   * @param isEnd no relief any more, at once.
   * @throws MailherdError HOST_UNKNOWN, RELIEF_REFUSED, HOST_SILENT.
   */
  async relieve(by: string, host: string, isEnd: boolean): Promise<Answer<'relieve'>> {
    const {picture, command, token} = this.#deps;
    const {fleet, outcome, policy} = picture;
    if (!picture.hosts.has(host)) throw new MailherdError('HOST_UNKNOWN', {host});
    const relay = isEnd ? null : relayFor(host, {fleet, verdicts: outcome?.verdicts ?? [], policy: policy.value});
    const spanMs = isEnd ? 0 : reliefPolicyOf(policy.value).spanMs;
    return command(host, 'relieve', {v: 1, token, relay, spanMs, by}, COMMAND_MS);
  }

  /** Not on, or more than half over. */
  #isDue(host: string): boolean {
    const {picture, clock} = this.#deps;
    const relief = reliefAt(picture, host);
    return relief === null || relief.untilMs - clock.now() < reliefPolicyOf(picture.policy.value).spanMs / 2;
  }

  /** In the background: a host that does not answer holds up no round. */
  #ask(host: string, because: string): void {
    const {audit, clock, log} = this.#deps;
    if (this.#asking.has(host) || (this.#pausedUntilMs.get(host) ?? 0) > clock.monotonic()) return;
    this.#asking.add(host);
    const line = {by: MAILHERD, action: 'queue-relief', subject: host};
    const carryOut = async (): Promise<void> => {
      try {
        const answer = await this.relieve(MAILHERD, host, false);
        this.#pausedUntilMs.set(host, clock.monotonic() + TOLD_MS);
        await audit.write({...line, atMs: clock.now(), detail: {because, ...answer}, result: 'ok'});
      } catch (error) {
        const refusal = toRefusal(error);
        this.#pausedUntilMs.set(host, clock.monotonic() + REFUSED_PAUSE_MS);
        log.warn({host, refusal}, 'the queue is not relieved');
        await audit.write({...line, atMs: clock.now(), detail: {because, refusal}, result: 'failed'});
      } finally {
        this.#asking.delete(host);
      }
    };
    carryOut().catch(error => log.error({err: error}, 'a relief could not be written down'));
  }

  /** What a new leader finds is no news. */
  async #noteChanges(): Promise<void> {
    const {picture, emit, audit, clock} = this.#deps;
    const present = new Map<string, Relief>();
    for (const host of picture.hosts.keys()) {
      const relief = reliefAt(picture, host);
      if (relief !== null) present.set(host, relief);
    }
    const known = this.#known ?? present;
    this.#known = present;
    for (const [host, {relay, by}] of present) {
      if (!known.has(host)) emit('queueRelieved', host, {isOn: true, relay, queued: queuedAt(picture, host), by});
    }
    for (const [host, {relay, by}] of known) {
      if (present.has(host)) continue;
      const queued = queuedAt(picture, host);
      emit('queueRelieved', host, {isOn: false, relay, queued, by});
      await audit.write({atMs: clock.now(), by, action: 'queue-relief over', subject: host, detail: {relay, queued}, result: 'ok'});
    }
  }
}

function reliefAt({fleet}: Picture, host: string): Relief | null {
  return fleet.hosts.get(host)?.reports.at(-1)?.relief ?? null;
}

function queuedAt({fleet}: Picture, host: string): number | null {
  const queue = fleet.hosts.get(host)?.reports.at(-1)?.queue ?? null;
  return queue === null ? null : waitingIn(queue);
}
