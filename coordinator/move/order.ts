import {count} from '../../base/counts.ts';
import {type Instant, MINUTE_MS} from '../../base/units.ts';
import type {MoveRecord, PlannedMove} from '../../wire/record.ts';
import {domainOf} from '../../wire/schema.ts';
import {isBusy} from './budget.ts';
import type {WaitingMove} from './mover.ts';

/** Where the users of domains that are kept apart live, as far as the coordinator has heard. */
export interface Whereabouts {
  /** Least number of racks by domain. */
  apart: ReadonlyMap<string, number>;
  usersOf(domain: string): readonly string[];
  hostOf(user: string): string | null;
  rackOf(host: string): string;
}

/** A flip is heard of long before. */
const HEARD_AFTER_MS = MINUTE_MS;
const ARRIVED: ReadonlySet<MoveRecord['step']> = new Set(['retaining', 'retained', 'purging', 'purged']);

/**
 * Keeps domains apart while moves run: the plan's order does, but a move that waits for a host's budget is passed by later ones. Of such a
 * domain one mailbox moves at a time, and none begins that would leave the domain in fewer racks than asked, or than it is in. What a
 * person moves by name is not held to that.
 */
export class DomainOrder {
  readonly #where: Whereabouts;
  /** Domains of which a mailbox is on its way. */
  readonly #busy = new Set<string>();
  /** Where those are who have just arrived. */
  readonly #arrived = new Map<string, {host: string; createdAtMs: Instant}>();

  /** Good for one look at the queue. */
  constructor(where: Whereabouts, records: Iterable<MoveRecord>, nowMs: Instant) {
    this.#where = where;
    if (where.apart.size === 0) return;
    for (const record of records) {
      const {user, target, step, createdAtMs, updatedAtMs} = record;
      if (!where.apart.has(domainOf(user))) continue;
      if (isBusy(record)) this.#busy.add(domainOf(user));
      if (!ARRIVED.has(step) || nowMs - updatedAtMs >= HEARD_AFTER_MS) continue;
      if ((this.#arrived.get(user)?.createdAtMs ?? 0) <= createdAtMs) this.#arrived.set(user, {host: target, createdAtMs});
    }
  }

  /** @returns null when the move may begin now, else a coded reason for waiting. */
  why({user, source, target, choice}: PlannedMove): 'DOMAIN_MOVING' | 'APART' | null {
    const {apart, rackOf, usersOf} = this.#where;
    const [domain, from, to] = [domainOf(user), rackOf(source), rackOf(target)];
    const least = apart.get(domain);
    if (least === undefined || choice === undefined) return null;
    if (this.#busy.has(domain)) return 'DOMAIN_MOVING';
    const racks = new Map<string, number>();
    for (const other of usersOf(domain)) {
      const host = this.#arrived.get(other)?.host ?? this.#where.hostOf(other);
      if (host !== null) count(racks, rackOf(host));
    }
    const isCloser = from !== to && racks.get(from) === 1 && racks.has(to);
    return isCloser && racks.size <= least ? 'APART' : null;
  }

  begun({user}: PlannedMove): void {
    if (this.#where.apart.has(domainOf(user))) this.#busy.add(domainOf(user));
  }

  /** Moves that wait for ever: only another of them could let one begin. They are planned again. */
  stuck(waiting: readonly WaitingMove[]): Set<WaitingMove> {
    const held = waiting.filter(({because}) => because === 'APART');
    if (held.length === 0) return new Set();
    // What is of lower priority waits for these.
    const mayGo = waiting.filter(({because}) => because !== 'APART' && because !== 'LOWER_PRIORITY');
    const free = new Set(mayGo.map(({planned}) => domainOf(planned.user)));
    return new Set(held.filter(({planned: {user}}) => !this.#busy.has(domainOf(user)) && !free.has(domainOf(user))));
  }
}
