import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {Manifest} from '../../wire/manifest.ts';
import type {Policy} from '../../wire/policy.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {effectiveRoute, type Route} from '../../wire/route.ts';
import type {KickRate} from './kicks.ts';
import type {MailRetries} from './mail-retries.ts';
import type {MovePorts, StoredRoute} from './move-ports.ts';
import type {EdgePorts} from './turn.ts';

/** What a running move knows beside its record; gone after a restart, on purpose. */
export interface MoveContext {
  ports: MovePorts;
  limits: Policy['move'];
  /** Monotonic time just before the hold was written; null when this process did not write it: then it must not flip. */
  heldSince: Millis | null;
  /** When further sessions may be ended; one for all moves of a coordinator. */
  kicks: KickRate;
  /** How many more users may be held; the same. */
  edgePorts: EdgePorts;
  retries: MailRetries;
  /** Passes begun by this run. */
  passes: number;
  /** The target has made a manifest in this run. */
  isWarm: boolean;
  /** Each time that the target was asked whether it had emptied the home its answer has come. */
  isTargetHeard: boolean;
  /** Somebody ended it: what it waited for then may go on for a while, but must begin nothing. */
  isCancelled: boolean;
  /** The source's manifest, read while it was held. */
  source: Manifest | null;
  /** Ids of earlier moves of this user that were backed out of this target: what they left there may go. */
  leftOnTarget: readonly string[];
  /** An earlier copy of this mailbox that began as a seed did not stand the proof: dsync does it all. */
  isSeedless: boolean;
}

export const COMMAND_MS = 20 * SECOND_MS;
export const PURGE_MS = 10 * MINUTE_MS;
/** Edges are told of routes for the users' comfort only; the backends fence. */
const EDGE_MS = SECOND_MS;

/** Postfix tries deferred mail again by itself; asking it to do so now only makes it sooner. */
export const ignoreLateMail = (): void => undefined;

/** Has every edge follow the routes up to `revision`, without waiting for it. */
export function tellEdges(ports: MovePorts, revision: number): void {
  for (const told of edgeSyncs(ports, revision, EDGE_MS)) told.catch(ignoreLateMail);
}

/** The same, to be waited for. */
export function edgeSyncs(ports: MovePorts, revision: number, timeoutMs: Millis): Promise<unknown>[] {
  return ports.edges().map(edge => ports.command(edge, 'sync', {v: 1, token: ports.token(), revision}, timeoutMs));
}

/** What every command of a move says. */
export function ofMove(ports: MovePorts, record: MoveRecord): {v: 1; token: number; moveId: string; user: string} {
  return {v: 1, token: ports.token(), moveId: record.id, user: record.user};
}

/**
 * One pass of dsync from source to target. @throws MailherdError COPY_FAILED and the like; CANCELLED when the move backs out by now: a source that was started anew
 * since has forgotten that no pass of it may come.
 */
export async function pass(
  context: MoveContext,
  record: MoveRecord,
  full: boolean,
  timeoutMs: Millis,
): Promise<{tookMs: number; again: boolean}> {
  const {ports} = context;
  const {source, target} = record;
  if (context.isCancelled) throw new MailherdError('CANCELLED', {moveId: record.id});
  context.passes++;
  const request = {...ofMove(ports, record), target, targetAddress: ports.address(target), full, pass: context.passes};
  return ports.command(source, 'copy', request, timeoutMs);
}

/** How long mail is put off for a pass and what comes between it and the hold. */
const CALM_MS = 15 * SECOND_MS;

/**
 * Mail for the user waits from now on, and what was being delivered is stored; his sessions go on.
 * @returns until when, in monotonic time, that is so; null when the source did not do it, which harms nothing.
 */
export async function calm(ports: MovePorts, record: MoveRecord): Promise<Millis | null> {
  const untilMs = ports.clock.monotonic() + CALM_MS;
  try {
    await ports.command(record.source, 'calm', {...ofMove(ports, record), spanMs: CALM_MS}, COMMAND_MS);
    return untilMs;
  } catch (error) {
    if (error instanceof MailherdError && error.code !== 'TOKEN_STALE') return null;
    throw error;
  }
}

/** The manifest of the mailbox as it lies on `host`. @throws MailherdError COMMAND_FAILED when something of it cannot be read. */
export async function manifestAt(
  ports: MovePorts,
  record: MoveRecord,
  host: string,
  {folder = null, texts = false, timeoutMs}: {folder?: string | null; texts?: boolean; timeoutMs: Millis},
): Promise<Manifest> {
  return (await ports.command(host, 'manifest', {...ofMove(ports, record), folder, texts}, timeoutMs)).manifest;
}

/** What was written for the user on `host` so far is on disk when it resolves. */
export async function persist(ports: MovePorts, {user}: MoveRecord, host: string, timeoutMs: Millis): Promise<void> {
  await ports.command(host, 'persist', {v: 1, token: ports.token(), users: [user]}, timeoutMs);
}

/** @throws MailherdError USER_UNKNOWN when there is none. */
export async function routeOf(ports: MovePorts, user: string): Promise<StoredRoute> {
  const stored = await ports.readRoute(user);
  if (stored === null) throw new MailherdError('USER_UNKNOWN', {user});
  return stored;
}

/** The route as it counts, and no move has it any more. */
export function unlocked({route, storedAtMs}: Pick<StoredRoute, 'route' | 'storedAtMs'>): Route {
  const {host, isVoid} = effectiveRoute(route, storedAtMs);
  return {...route, host, generation: route.generation + (isVoid ? 1 : 0), move: null, hold: null, flip: null};
}

/** The route, locked by this very move. */
export async function ownRoute(ports: MovePorts, record: MoveRecord): Promise<StoredRoute> {
  const stored = await routeOf(ports, record.user);
  if (stored.route.move?.id !== record.id)
    throw new MailherdError('ROUTE_STALE', {user: record.user, moveId: stored.route.move?.id ?? null});
  return stored;
}

/** @returns milliseconds in which the flip must be written. @throws MailherdError HOLD_LOST when there are none. */
export function timeLeft({heldSince, limits, ports}: MoveContext): Millis {
  if (heldSince === null) throw new MailherdError('HOLD_LOST', {reason: 'held by an earlier run'});
  const left = heldSince + limits.holdMs - limits.marginMs - ports.clock.monotonic();
  if (left <= 0) throw new MailherdError('HOLD_LOST', {reason: 'out of time'});
  return left;
}
