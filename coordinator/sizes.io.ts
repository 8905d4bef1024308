import type {Clock} from '../base/clock.ts';
import {toRefusal} from '../base/errors.ts';
import {fewAtOnce} from '../base/few-at-once.ts';
import {MINUTE_MS, type Millis, SECOND_MS} from '../base/units.ts';
import type {Answer} from '../wire/command.ts';
import type {Log} from '../wire/log.ts';
import type {Commander} from './command.io.ts';
import type {Picture} from './picture.ts';

const LIST_MS = 2 * MINUTE_MS;
/** Before a plan, a host that lists its mailboxes slowly is not waited for longer: sizes of before, or the mean, will do. */
const BEFORE_PLAN_MS = 10 * SECOND_MS;
const FRESH_MS = MINUTE_MS;
const AT_ONCE = 4;

export interface SizesDeps {
  picture: Picture;
  command: Commander;
  token: number;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
  everyMs: Millis;
}

/** Asks hosts how large their mailboxes are: all of them from time to time, those to be emptied right before the plan. Leader only. */
export class Sizes {
  readonly #deps: SizesDeps;
  /** Monotonic time of the last try of each host. */
  readonly #triedMs = new Map<string, number>();
  #isSweeping = false;

  constructor(deps: SizesDeps) {
    this.#deps = deps;
  }

  /** Starts a sweep over the hosts whose sizes are old, unless one runs. */
  sweep(): void {
    const {picture, everyMs} = this.#deps;
    if (this.#isSweeping) return;
    const due = [...picture.hosts.values()]
      .filter(({value}) => value.role === 'backend' && picture.usersOn(value.host) > 0 && this.#isOlder(value.host, everyMs))
      .map(({key}) => key);
    if (due.length === 0) return;
    this.#isSweeping = true;
    void fewAtOnce(due, AT_ONCE, host => this.#ask(host, LIST_MS)).finally(() => {
      this.#isSweeping = false;
    });
  }

  /** Never fails. */
  async refresh(hosts: readonly string[]): Promise<void> {
    await Promise.all(hosts.filter(host => this.#isOlder(host, FRESH_MS)).map(host => this.#ask(host, BEFORE_PLAN_MS)));
  }

  #isOlder(host: string, ageMs: Millis): boolean {
    const triedMs = this.#triedMs.get(host);
    return triedMs === undefined || this.#deps.clock.monotonic() - triedMs >= ageMs;
  }

  async #ask(host: string, timeoutMs: Millis): Promise<void> {
    const {picture, command, token, clock, log, signal} = this.#deps;
    if (signal.aborted) return;
    this.#triedMs.set(host, clock.monotonic());
    try {
      for (let after: string | null = ''; after !== null && !signal.aborted; ) {
        const answer: Answer<'mailboxes'> = await command(host, 'mailboxes', {v: 1, token, after}, timeoutMs);
        picture.applySizes(host, answer.mailboxes);
        after = answer.next ?? null;
      }
    } catch (error) {
      log.warn({host, refusal: toRefusal(error)}, 'sizes of mailboxes not known');
    }
  }
}
