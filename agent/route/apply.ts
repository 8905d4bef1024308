import type {Instant} from '../../base/units.ts';
import {effectiveRoute, type Route} from '../../wire/route.ts';

/** One row of `routes` in routes.db. `heldUntil` in seconds since 1970 by this host's clock, 0 = not held. */
export interface RouteRow {
  user: string;
  host: string;
  generation: number;
  heldUntil: number;
  heldTarget: string | null;
}

/**
 * A hold that is older than this when first seen was left by a coordinator that died and never came back; it is not taken up
 * again by a restarting agent. Until then it is taken up for its whole span: holding too long is safe, too short is not.
 */
const HOLD_FORGOTTEN_MS = 600_000;

/**
 * What a KV entry of the route bucket becomes on this host.
 * @param storedAtMs the NATS server's timestamp of the entry.
 * @param now this host's wall clock: the hold runs from here, not from the entry's time, so that no two clocks are compared.
 */
export function rowOf(route: Route, storedAtMs: Instant, now: Instant): RouteRow {
  const {user, host, generation, held} = effectiveRoute(route, storedAtMs);
  const isHeld = held !== null && now - storedAtMs < HOLD_FORGOTTEN_MS;
  return {
    user,
    host,
    generation,
    heldUntil: isHeld ? (now + held.spanMs) / 1_000 : 0,
    heldTarget: isHeld ? held.target : null,
  };
}
