import {unreachable} from '../../base/assert.ts';
import {count} from '../../base/counts.ts';
import type {Millis} from '../../base/units.ts';
import type {DeliveryFigures} from '../../wire/mail-figures.ts';
import {DeliveryTally} from './deliveries.ts';
import type {EndKind, MailEvent} from './maillog.ts';

/** What the mail log said in one interval. Users are counted, never named. */
export interface MailLogFigures {
  deliveryMs: Millis[];
  deliveries: number;
  logins: number;
  /** IMAP sessions that were open at some time in the interval, with those that ended and those that were refused. */
  sessions: number;
  sessionsOpen: number;
  dropped: number;
  activeUsers: number;
  attempts: DeliveryFigures[];
  ends: Record<string, number>;
  screened: Record<string, number>;
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
  readonly #attempts = new DeliveryTally();
  #ends = new Map<string, number>();
  #screened = new Map<string, number>();

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
    switch (event.kind) {
      case 'attempt':
        this.#attempts.add(event);
        if (isDelivery(event)) this.#delivered(event);
        return;
      case 'login':
        this.#users.add(event.user);
        this.#logins++;
        return;
      case 'ended':
        this.#users.add(event.user);
        this.#end(event.how, event.orderly);
        return;
      case 'refused':
        this.#users.add(event.user);
        this.#end('refused', false);
        return;
      case 'rejected':
        // A wrong password is nobody's session, and a name that is typed there may be anything.
        count(this.#ends, 'authFailed');
        return;
      case 'screened':
        count(this.#screened, event.outcome);
        return;
      case 'limit':
      case 'stored':
        return;
      default:
        unreachable(event);
    }
  }

  /** Figures since the last `take`. */
  take(): MailLogFigures {
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
      attempts: this.#attempts.take(),
      ends: Object.fromEntries(this.#ends),
      screened: Object.fromEntries(this.#screened),
    };
    this.#deliveryMs = [];
    this.#deliveries = this.#logins = this.#ended = this.#dropped = 0;
    this.#users = new Set();
    this.#ends = new Map();
    this.#screened = new Map();
    return figures;
  }

  #delivered({user, delayMs}: {user: string; delayMs: Millis}): void {
    this.#users.add(user);
    this.#deliveries++;
    if (this.#deliveryMs.length < DELIVERIES_KEPT_MAX) this.#deliveryMs.push(delayMs);
  }

  #end(how: EndKind, orderly: boolean): void {
    count(this.#ends, how);
    this.#ended++;
    if (!orderly) this.#dropped++;
  }

  #opened(session: string, user: string): void {
    if (this.#open.size >= SESSIONS_MAX) this.#open.clear();
    this.#open.set(session, user);
  }

  online(): Set<string> {
    return new Set(this.#open.values());
  }

  openSessions(): [string, string][] {
    return [...this.#open];
  }
}

/** A recipient's copy was stored in a mailbox. */
export function isDelivery(event: MailEvent): event is Extract<MailEvent, {kind: 'attempt'}> {
  return event.kind === 'attempt' && event.program === 'lmtp' && event.status === 'sent';
}
