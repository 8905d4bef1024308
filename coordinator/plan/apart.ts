import type {PlannedMove} from '../../wire/record.ts';
import {domainOf} from '../../wire/schema.ts';
import type {Placing} from './filter.ts';

/** What an order of moves must not break beside space. */
export interface OrderRule {
  /** Users with the same answer move one in a wave; null for no such rule. */
  aloneOf(user: string): string | null;
  /** May this move be the next, after those that ran? */
  mayRun(move: PlannedMove): boolean;
  ran(move: PlannedMove): void;
}

/** Any order will do. */
export const ANY_ORDER: OrderRule = {aloneOf: () => null, mayRun: () => true, ran: () => undefined};

/** Domains kept apart move one mailbox after the other, and at no moment into fewer racks than asked, or than they have. */
export function apartRule({fleet, rules, moving, rackOf}: Placing): OrderRule {
  if (rules.apart.size === 0) return ANY_ORDER;
  const racks = new Map<string, Map<string, number>>([...rules.apart.keys()].map(domain => [domain, new Map()]));
  const count = (user: string, host: string, change: number): void => {
    const own = racks.get(domainOf(user));
    const [rack, now] = [rackOf(host), (own?.get(rackOf(host)) ?? 0) + change];
    if (now > 0) own?.set(rack, now);
    else own?.delete(rack);
  };
  for (const [user, {host}] of fleet.routes) if (!moving.has(user)) count(user, host, 1);
  const least = new Map([...racks].map(([domain, own]) => [domain, Math.min(own.size, rules.apart.get(domain) ?? 0)]));
  const aloneOf = (user: string): string | null => (racks.has(domainOf(user)) ? domainOf(user) : null);
  return {
    aloneOf,
    mayRun: ({user, source, target}) => {
      const own = racks.get(domainOf(user));
      if (own === undefined || own.size > (least.get(domainOf(user)) ?? 0)) return true;
      return (own.get(rackOf(source)) ?? 0) > 1 || !own.has(rackOf(target)) || rackOf(source) === rackOf(target);
    },
    ran: ({user, source, target}) => {
      if (aloneOf(user) === null) return;
      count(user, source, -1);
      count(user, target, 1);
    },
  };
}
