import Type from 'typebox';
import type {Instant, Millis} from '../base/units.ts';
import {Generation, HostName, InstantMs, MoveId, orNull, SpanMs, Token, UserName} from './schema.ts';

/**
 * Where a user lives: one KV entry a user, changed by compare-and-set only. It is also the user's lock: `move` names the
 * one move that may work on the mailbox.
 *
 * Two rules make it safe without comparing the clocks of two hosts (all times below are the NATS server's own timestamps
 * of entries):
 * - A hold lasts `hold.spanMs` from the moment each host applies it, so it ends on every host no sooner than
 *   (timestamp of the hold entry + spanMs), and ends by itself even if nobody lives to end it.
 * - A flip counts only if the server stored it no later than `flip.deadlineMs` = timestamp of the hold entry + a span
 *   that is shorter than the hold. A flip that arrives late is void: every reader goes on with `flip.from`.
 */
export const Route = Type.Object({
  v: Type.Literal(1),
  user: UserName,
  host: HostName,
  /** Grows by one with each change of host; a new user begins with the seconds since 1970. Hosts take no smaller one. */
  generation: Generation,
  move: orNull(Type.Object({id: MoveId, source: HostName, target: HostName, token: Token})),
  /** While held, the source accepts nothing for the user and edges already point to `target`, which refuses until the flip. */
  hold: orNull(Type.Object({id: MoveId, target: HostName, spanMs: SpanMs})),
  /** Set by the flip, cleared by the next change: the condition under which this entry is valid, and what holds otherwise. */
  flip: orNull(Type.Object({deadlineMs: InstantMs, from: HostName, moveId: MoveId})),
});
export type Route = Type.Static<typeof Route>;

/**
 * An entry of a hold that seems older than this to a host, by its own clock, is not taken up any more there: it was left by a coordinator that
 * never came back. A host whose clock is so much ahead finds every hold too old.
 */
export const HOLD_AGE_MAX_MS: Millis = 600_000;

/** What a reader may believe of an entry. */
export interface EffectiveRoute {
  user: string;
  host: string;
  generation: number;
  /** null when nothing is held; else where edges send the user meanwhile and for how long from now on. */
  held: {target: string; spanMs: Millis} | null;
  /** True when the entry is a flip that came too late: `host` is then the old one. */
  isVoid: boolean;
}

/**
 * The one interpretation of a route entry, the same on every host and in the coordinator.
 * @param storedAtMs the NATS server's timestamp of the entry.
 */
export function effectiveRoute(route: Route, storedAtMs: Instant): EffectiveRoute {
  const {user, generation} = route;
  if (route.flip !== null && storedAtMs > route.flip.deadlineMs) {
    return {user, host: route.flip.from, generation: generation - 1, held: null, isVoid: true};
  }
  const held = route.hold === null ? null : {target: route.hold.target, spanMs: route.hold.spanMs};
  return {user, host: route.host, generation, held, isVoid: false};
}
