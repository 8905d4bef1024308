import type {Millis} from '../../base/units.ts';
import type {MailEvent} from './maillog.ts';

/** What the mail log said in one interval. Users are counted, never named. */
export interface MailFigures {
  deliveryMs: Millis[];
  deliveries: number;
  logins: number;
  /** IMAP sessions that were open at some time in the interval, with those that ended and those that were refused. */
  sessions: number;
  sessionsOpen: number;
  dropped: number;
  activeUsers: number;
}

const DELIVERIES_KEPT_MAX = 20_000;
/** More than a host serves; a set that grew beyond has missed ends, and begins anew. */
const SESSIONS_MAX = 100_000;

/** Sums up mail events until `take`; remembers open sessions across intervals. */
export class MailTally {
  readonly #open: Map<string, string>;
  #deliveryMs: Millis[] = [];
  #deliveries = 0;
  #logins = 0;
  #ended = 0;
  #dropped = 0;
  #users = new Set<string>();

  /** @param open sessions known from before, as `openSessions` gave them. */
  constructor(open: readonly (readonly [string, string])[] = []) {
    this.#open = new Map(open);
  }

  /** An event from before the interval, read late: it only tells which sessions are open. */
  replay(event: MailEvent): void {
    if (event.kind === 'login') this.#opened(event.session, event.user);
    if (event.kind === 'ended' && event.session !== null) this.#open.delete(event.session);
  }

  add(event: MailEvent): void {
    this.replay(event);
    this.#users.add(event.user);
    switch (event.kind) {
      case 'delivered':
        this.#deliveries++;
        if (this.#deliveryMs.length < DELIVERIES_KEPT_MAX) this.#deliveryMs.push(event.delayMs);
        return;
      case 'login':
        this.#logins++;
        return;
      case 'ended':
        this.#ended++;
        if (!event.orderly) this.#dropped++;
        return;
      case 'refused':
        this.#ended++;
        this.#dropped++;
        return;
    }
  }

  /** Figures since the last `take`. */
  take(): MailFigures {
    const users = this.#users;
    for (const user of this.#open.values()) users.add(user);
    const figures = {
      deliveryMs: this.#deliveryMs,
      deliveries: this.#deliveries,
      logins: this.#logins,
      sessions: this.#open.size + this.#ended,
      sessionsOpen: this.#open.size,
      dropped: this.#dropped,
      activeUsers: users.size,
    };
    this.#deliveryMs = [];
    this.#deliveries = this.#logins = this.#ended = this.#dropped = 0;
    this.#users = new Set();
    return figures;
  }

  #opened(session: string, user: string): void {
    if (this.#open.size >= SESSIONS_MAX) this.#open.clear();
    this.#open.set(session, user);
  }

  openSessions(): [string, string][] {
    return [...this.#open];
  }
}
