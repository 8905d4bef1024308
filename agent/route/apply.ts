import {type Instant, type Millis, SECOND_MS} from '../../base/units.ts';
import {effectiveRoute, HOLD_AGE_MAX_MS, type Route} from '../../wire/route.ts';

/** One row of `routes` in routes.db. `heldUntil` in seconds since 1970 by this host's clock, 0 = not held. */
export interface RouteRow {
  user: string;
  host: string;
  generation: number;
  heldUntil: number;
  heldTarget: string | null;
}

/**
 * How long a source fences a held user when it can hear nothing: it may not know that the route was flipped, and two hosts that
 * accept changes are worse than one user who waits. Long before that, as soon as the hold's own span is over and NATS answers, the
 * agent asks whether a flip was stored and opens the fence if not (`isHoldOver`).
 */
export const FENCE_MAX_MS = 600_000;
/** How long an edge goes on holding after the flip, until it hears that the target has taken over. */
export const SETTLE_MAX_MS = 3_000;

/** A host that was away for longer may have come back with a disk of long ago. */
const REBOOT_MAX_MS = 600_000;
const BOOT_FENCE_MS = 30 * SECOND_MS;

/**
 * How long a host that has just booted serves nobody while NATS does not tell it where users live now. Its own last table is as good as the
 * present one (docs/MOVE.md); one of long ago, which a disk may bring back that was rolled back or put aside, is not.
 * @param currentAtMs when this disk last had the routes; null = nobody knows. @param now by a clock that may be wrong.
 */
export function bootFenceMs(currentAtMs: Instant | null, now: Instant): Millis {
  const awayMs = currentAtMs === null ? Number.POSITIVE_INFINITY : now - currentAtMs;
  return awayMs >= 0 && awayMs < REBOOT_MAX_MS ? BOOT_FENCE_MS : FENCE_MAX_MS;
}

/**
 * What a KV entry of the route bucket becomes on host `self`.
 * @param storedAtMs the NATS server's timestamp of the entry.
 * @param now this host's wall clock: the hold runs from here, not from the entry's time, so that no two clocks are compared.
 */
export function rowOf(route: Route, storedAtMs: Instant, now: Instant, self: string): RouteRow {
  const {user, host, generation, held: asked, isVoid} = effectiveRoute(route, storedAtMs);
  // The target may not have applied the flip yet, and would turn away who comes before it has.
  const isSettling = route.flip !== null && route.move !== null && !isVoid && host !== self;
  const held = isSettling ? {target: host, spanMs: SETTLE_MAX_MS} : asked;
  const isHeld = held !== null && now - storedAtMs < HOLD_AGE_MAX_MS;
  const spanMs = host === self ? FENCE_MAX_MS : (held?.spanMs ?? 0);
  return {
    user,
    host,
    generation,
    heldUntil: isHeld ? (now + spanMs) / 1_000 : 0,
    heldTarget: isHeld ? held.target : null,
  };
}

/**
 * Asked by the source once the span of a hold is over since it was applied here.
 * @param held revision of the hold entry; @param present the newest revision of the route.
 * @returns true when nothing was stored after the hold: a flip that came now would be later than its deadline, and void.
 */
export function isHoldOver(held: number, present: number): boolean {
  return present === held;
}

/**
 * Whether an entry is of before what is in force here: a NATS server that lost its last writes, or got an older store back, tells routes of the
 * past. Every host keeps the newer word then; whoever went by the older one would serve a mailbox that has long moved on.
 * @param known of that user; undefined: he is new here, or was removed before.
 */
export function hasGoneBack(row: Pick<RouteRow, 'generation'>, known: Pick<RouteRow, 'generation'> | undefined): boolean {
  return known !== undefined && row.generation < known.generation;
}
