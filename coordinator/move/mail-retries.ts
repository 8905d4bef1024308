import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {ignoreLateMail, PURGE_MS} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

/** A look at a queue opens each of its files: a host with a long one looks at most a fifth of the time. */
const REST_FACTOR = 4;
const REST_MS_MAX = MINUTE_MS;
/** What was asked for within this goes in one look. */
const GATHER_MS = SECOND_MS / 5;
/** With the longest names a quarter of what a message of NATS holds. */
const USERS_MAX = 1_000;

/** Postfix tries deferred mail again by itself; this only makes it sooner. One look at a host's queue serves all users who wait for one. */
export class MailRetries {
  readonly #ports: MovePorts;
  readonly #signal: AbortSignal;
  /** Host -> users who wait for the next look at its queue; it has an entry while it is looked at, or rests from that. */
  readonly #waiting = new Map<string, Set<string>>();

  constructor(ports: MovePorts, signal: AbortSignal) {
    this.#ports = ports;
    this.#signal = signal;
  }

  /** Has the mail for `user` that `host` put off tried again soon. */
  ask(host: string, user: string): void {
    const waiting = this.#waiting.get(host);
    if (waiting !== undefined) {
      waiting.add(user);
      return;
    }
    const fresh = new Set([user]);
    this.#waiting.set(host, fresh);
    void this.#look(host, fresh).finally(() => this.#waiting.delete(host));
  }

  async #look(host: string, waiting: Set<string>): Promise<void> {
    const {clock} = this.#ports;
    await clock.sleep(GATHER_MS, this.#signal);
    while (waiting.size > 0 && !this.#signal.aborted) {
      const users = [...waiting].slice(0, USERS_MAX);
      for (const user of users) waiting.delete(user);
      const begun = clock.monotonic();
      await this.#ports.command(host, 'retry', {v: 1, token: this.#ports.token(), users}, PURGE_MS).catch(ignoreLateMail);
      await clock.sleep(Math.min((clock.monotonic() - begun) * REST_FACTOR, REST_MS_MAX), this.#signal);
    }
  }
}
