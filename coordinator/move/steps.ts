import {assert} from '../../base/assert.ts';
import {MailherdError, type Refusal, toRefusal} from '../../base/errors.ts';
import type {Feature, Request} from '../../wire/command.ts';
import type {Manifest} from '../../wire/manifest.ts';
import type {MoveRecord, MoveStep} from '../../wire/record.ts';
import {effectiveRoute, type Route} from '../../wire/route.ts';
import {canonicalManifest, compareLines, compareManifests, type Difference, sameFolders} from '../verify/compare.ts';
import {COPY_MS, prepareHold, readBesidePass} from './ahead.ts';
import {
  COMMAND_MS,
  calm,
  edgeSyncs,
  type MoveContext,
  manifestAt,
  ofMove,
  ownRoute,
  PURGE_MS,
  pass,
  persist,
  routeOf,
  tellEdges,
  timeLeft,
  unlocked,
} from './asks.ts';
import {discardLeft, endAtSource, goneOf, proveNeedless, retainAtSource, verifiedAs} from './leftover.ts';
import type {MovePorts, StoredRoute} from './move-ports.ts';
import {untilMayHold} from './turn.ts';

/**
 * before: any trouble means another try or back to the source. held: any trouble means back to the source at once.
 * after: only forward, for as long as it takes. end: nothing to do by itself.
 */
export type Phase = 'before' | 'held' | 'after' | 'end';
type Step = {phase: Phase; run: (context: MoveContext, record: MoveRecord) => Promise<MoveRecord>};

const EDGES_READY_MS = 300;
const FINAL_PASSES_MAX = 3;
const VERIFY_TRIES_MAX = 3;
/** A target that does not remove the copy is asked so often, and once more, before the move ends without it. */
const DISCARD_TRIES = 2;
const DIFFERENCES_MAX = 20;
/** Seeds that break off before the passes do it all. */
const SEED_TRIES_MAX = 2;

/** The protocol of a move as a table; docs/MOVE.md tells it with the crash table. */
export const STEPS: Record<MoveStep, Step> = {
  reserving: {phase: 'before', run: reserve},
  seeding: {phase: 'before', run: seed},
  copying: {phase: 'before', run: copy},
  holding: {phase: 'held', run: hold},
  finalizing: {phase: 'held', run: finalize},
  verifying: {phase: 'held', run: verify},
  flipping: {phase: 'held', run: flip},
  adopting: {phase: 'after', run: adopt},
  retaining: {phase: 'after', run: retain},
  retained: {phase: 'end', run: rest},
  purging: {phase: 'after', run: purge},
  purged: {phase: 'end', run: rest},
  backingOut: {phase: 'after', run: backOut},
  backedOut: {phase: 'end', run: rest},
};

async function rest(_context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  return record;
}

/**
 * Makes a move that another coordinator began ours: the lock in the route gets our token, so that its flip, if it is still under
 * way, no longer finds the revision it expects. What it has done by then is seen in the route, not believed from the record.
 * @throws MailherdError STORE_CONFLICT, NATS_DOWN: try again.
 */
export async function takeOver({ports}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {id, source, target} = record;
  const {phase} = STEPS[record.step];
  if (phase !== 'before' && phase !== 'held') return record;
  const stored = await ports.readRoute(record.user);
  if (stored === null) return {...record, step: 'backingOut', refusal: {code: 'USER_UNKNOWN', detail: {user: record.user}}};
  const {route} = stored;
  const {isVoid, host} = effectiveRoute(route, stored.storedAtMs);
  if (route.flip?.moveId === id && !isVoid) return {...record, step: 'adopting', routeRevision: stored.revision};
  if (route.move?.id === id) {
    if (route.move.token !== ports.token())
      await ports.writeRoute({...route, move: {id, source, target, token: ports.token()}}, stored.revision);
    return phase === 'held'
      ? {...record, step: 'backingOut', refusal: {code: 'HOLD_LOST', detail: {reason: 'another coordinator leads now'}}}
      : record;
  }
  if (record.step === 'reserving') return record;
  if (host === target) return {...record, step: 'retaining', routeRevision: stored.revision};
  return {...record, step: 'backingOut'};
}

async function reserve({ports, leftOnTarget}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {user, source, target, id} = record;
  const stored = await routeOf(ports, user);
  const {route} = stored;
  if (route.move !== null && route.move.id !== id) throw new MailherdError('MOVE_IN_PROGRESS', {user, moveId: route.move.id});
  const {host} = effectiveRoute(route, stored.storedAtMs);
  if (host !== source) throw new MailherdError('PLAN_STALE', {user, planned: source, owner: host});
  const move = {id, source, target, token: ports.token()};
  const revision =
    route.move === null ? await ports.writeRoute({...route, move, hold: null, flip: null}, stored.revision) : stored.revision;
  // Either may not have heard of a user who is new.
  const synced = (host: string): Promise<unknown> => ports.command(host, 'sync', {v: 1, token: ports.token(), revision}, COMMAND_MS);
  const room = {source, bytes: record.bytes, discard: [...leftOnTarget]};
  const reserve = (needs: Feature[]): Promise<unknown> =>
    ports.command(target, 'reserve', {...ofMove(ports, record), ...room, needs}, COMMAND_MS);
  const [{needs}] = await Promise.all([
    synced(source).then(() => ports.command(source, 'needs', ofMove(ports, record), COMMAND_MS)),
    synced(target).then(() => reserve([])),
  ]);
  // Hardly anybody has any.
  if (needs.length > 0) await reserve(needs);
  return {...record, step: 'seeding', routeRevision: revision};
}

/** Of what may leave a host, when as many mailboxes leave it at once as may. */
function shareOf({bytesPerSecondMax, perSourceMax}: MoveContext['limits']): {bytesPerSecond?: number} {
  return bytesPerSecondMax === undefined ? {} : {bytesPerSecond: bytesPerSecondMax / Math.max(1, perSourceMax)};
}

/**
 * The bulk of the mailbox as files, where the target can read them: what dsync does a message at a time, each with its own fsync, is
 * done at once. A seed is an advantage, never a condition: where it fails the passes do it all.
 */
async function seed({ports, limits, isSeedless}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {target, source} = record;
  const receive = receiving(ports, record);
  const open = !isSeedless && record.attempts < Math.min(SEED_TRIES_MAX, limits.attemptsMax - 1);
  const {offer} = await ports.command(target, 'receive', {...receive, open}, PURGE_MS);
  // Asked again and given none, the target may have it by a try whose answer was lost.
  if (offer === null) return {...record, step: 'copying', isSeeded: open && record.attempts > 0};
  const send = {...ofMove(ports, record), target, offer, ...shareOf(limits)};
  const {seeded, tookMs} = await ports.command(source, 'seed', send, COPY_MS);
  if (seeded) return {...record, step: 'copying', isSeeded: true, passesMs: [...record.passesMs, tookMs]};
  await closeSeed(ports, record);
  return {...record, step: 'copying'};
}

function receiving(ports: MovePorts, record: MoveRecord): Omit<Request<'receive'>, 'open'> {
  return {...ofMove(ports, record), address: ports.address(record.target), bytes: record.bytes};
}

/** No seed may come any more. @returns whether what had come was lost and is removed. @throws MailherdError COPY_MISSING when the target knows nothing of this move. */
async function closeSeed(ports: MovePorts, record: MoveRecord): Promise<boolean> {
  const {emptied = false} = await ports.command(record.target, 'receive', {...receiving(ports, record), open: false}, PURGE_MS);
  return emptied;
}

async function copy(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {limits, ports} = context;
  // Where the last one was no longer than a hold may be this pass may be the last: nothing shall lock the mailbox or come in between.
  const mayBeLast = (record.passesMs.at(-1) ?? Number.POSITIVE_INFINITY) <= limits.holdMs;
  // A target that was reinstalled meanwhile would be filled with a copy that nobody knows.
  const {isTargetHeard: wasHeard} = context;
  context.isTargetHeard = false;
  const [calmUntilMs, isEmptied] = await Promise.all([mayBeLast ? calm(ports, record) : null, closeSeed(ports, record)]);
  context.isTargetHeard = true;
  // Stored before the next pass, which may fail: the target tells it once. Whoever may have missed that takes the home for empty.
  if ((isEmptied || !wasHeard) && record.passesMs.length > 0)
    return {...record, passesMs: [], isSeeded: record.isSeeded === true && !isEmptied};
  const [answer] = await Promise.all([pass(context, record, false, COPY_MS), readBesidePass(ports, record)]);
  const passesMs = [...record.passesMs, answer.tookMs];
  const isShort = answer.tookMs <= limits.catchUpMsMax;
  if (!(passesMs.length > 1 && isShort) && passesMs.length < limits.passesMax) return {...record, passesMs};
  if (isShort || answer.tookMs <= limits.holdMs / 4) {
    const preparedMs = await prepareHold(context, record, answer.tookMs);
    // What was written meanwhile wants another pass.
    const isCalm = calmUntilMs !== null && ports.clock.monotonic() < calmUntilMs;
    const isAtOnce = isCalm || preparedMs <= limits.catchUpMsMax || passesMs.length >= limits.passesMax;
    return isAtOnce ? untilMayHold(context, {...record, passesMs}) : {...record, passesMs};
  }
  throw new MailherdError('COPY_FAILED', {
    reason: 'the passes do not get short enough for a hold',
    lastPassMs: answer.tookMs,
    passes: passesMs.length,
  });
}

async function hold(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {ports, limits} = context;
  const stored = await ownRoute(ports, record);
  context.heldSince = ports.clock.monotonic();
  const held: Route = {...stored.route, hold: {id: record.id, target: record.target, spanMs: limits.holdMs}};
  const revision = await ports.writeRoute(held, stored.revision);
  const entry = await ownRoute(ports, record);
  if (entry.revision !== revision) throw new MailherdError('STORE_CONFLICT', {user: record.user, revision, found: entry.revision});
  // Who is sent away by the source would otherwise come back to it through an edge that has not heard yet, and be refused.
  await Promise.allSettled(edgeSyncs(ports, revision, EDGES_READY_MS));
  const {storedAtMs} = entry;
  const {sessions = 1} = await ports.command(record.source, 'hold', {...ofMove(ports, record), revision, storedAtMs}, timeLeft(context));
  context.kicks.ended(record.target, sessions);
  const deadlineMs = storedAtMs + limits.holdMs - limits.marginMs;
  return {...record, step: 'finalizing', routeRevision: revision, hold: {heldAtMs: storedAtMs, deadlineMs, spanMs: limits.holdMs}};
}

async function finalize(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  context.source = await finalPasses(context, record);
  return {...record, step: 'verifying'};
}

/**
 * @returns the source's manifest. Nothing of it changes while the mailbox is held, so it is read while the pass runs; what was stored late
 * all the same is then a difference to the target.
 */
async function finalPasses(context: MoveContext, record: MoveRecord): Promise<Manifest> {
  for (let passes = 1; ; passes++) {
    const [answer, source] = await Promise.all([
      pass(context, record, true, timeLeft(context)),
      manifestAt(context.ports, record, record.source, {texts: true, timeoutMs: timeLeft(context)}),
    ]);
    if (!answer.again) return source;
    if (passes === FINAL_PASSES_MAX) throw new MailherdError('COPY_FAILED', {reason: 'the mailbox changes although it is held', passes});
  }
}

async function verify(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {ports} = context;
  for (let attempt = 1; ; attempt++) {
    const target = await durableManifest(context, record);
    const {source} = context;
    assert(source !== null, 'verifying follows a last pass of the same run');
    const differences = compareManifests(source, target);
    const isStill = differences.length === 0 && (await isUntouched(context, record, source));
    if (isStill) {
      return {...record, step: 'flipping', verified: verifiedAs(ports.digest(canonicalManifest(source)), source)};
    }
    if (attempt >= 2 && differences.length > 0) {
      const listed = [...differences, ...(await differingMessages(context, record, differences))];
      throw new MailherdError('MANIFEST_DIFFERS', {differences: listed.slice(0, DIFFERENCES_MAX), count: listed.length});
    }
    if (attempt === VERIFY_TRIES_MAX) throw new MailherdError('COPY_FAILED', {reason: 'the mailbox changes although it is held', attempt});
    context.source = await finalPasses(context, record);
  }
}

/**
 * The last look before the flip. A login that Dovecot had let through right before the fence may have become a session after all sessions
 * were ended, and may be over again: who is there is ended, and what anybody did since the manifest was read wants another pass.
 */
async function isUntouched(context: MoveContext, record: MoveRecord, source: Manifest): Promise<boolean> {
  const {ports} = context;
  const revision = record.routeRevision;
  assert(revision !== null, 'what is verified is held');
  const request = {...ofMove(ports, record), revision, look: true};
  const {sessions = 0, folders = null} = await ports.command(record.source, 'hold', request, timeLeft(context));
  if (sessions > 0) return false;
  if (folders !== null && sameFolders(folders, source.folders)) return true;
  // Reading alone may have raised a HIGHESTMODSEQ.
  const again = await manifestAt(ports, record, record.source, {texts: true, timeoutMs: timeLeft(context)});
  return canonicalManifest(again) === canonicalManifest(source);
}

/** Which messages they are, of the first folder that has any. */
async function differingMessages(context: MoveContext, record: MoveRecord, differences: readonly Difference[]): Promise<Difference[]> {
  const {ports} = context;
  const folder = differences.find(({what}) => what === 'messages' || what === 'digest' || what === 'texts')?.folder ?? null;
  if (folder === null) return [];
  const [source, target] = await Promise.all(
    [record.source, record.target].map(host => manifestAt(ports, record, host, {folder, texts: true, timeoutMs: timeLeft(context)})),
  );
  return compareLines(folder, source?.lines ?? [], target?.lines ?? []);
}

/**
 * The durable point: a power cut of the target right after the flip loses nothing. On disk first, then read: else a target that lost
 * power in between would have shown what it no longer has.
 */
async function durableManifest(context: MoveContext, record: MoveRecord): Promise<Manifest> {
  await persist(context.ports, record, record.target, timeLeft(context));
  return manifestAt(context.ports, record, record.target, {texts: true, timeoutMs: timeLeft(context)});
}

/**
 * The commit point. The write is a compare-and-set on the revision of the hold under which the copy was verified, and it counts
 * only if the server stored it by the deadline (wire/route.ts).
 */
async function flip(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {ports} = context;
  const {user, source, target, id, hold: held} = record;
  assert(held !== null && record.verified !== null, 'only a held and verified mailbox is flipped');
  const stored = await routeOf(ports, user);
  if (stored.route.flip?.moveId === id) return flipped(record, stored);
  if (stored.revision !== record.routeRevision) throw new MailherdError('HOLD_LOST', {user, moveId: id});
  timeLeft(context);
  const route: Route = {
    ...stored.route,
    host: target,
    generation: stored.route.generation + 1,
    hold: null,
    flip: {deadlineMs: held.deadlineMs, from: source, moveId: id},
  };
  await ports.writeRoute(route, stored.revision).catch(async error => {
    if (!(error instanceof MailherdError) || error.code !== 'NATS_DOWN') throw error;
  });
  const written = await routeOf(ports, user);
  if (written.route.flip?.moveId !== id)
    throw new MailherdError('HOLD_LOST', {user, moveId: id, reason: 'it is not known that the flip was written'});
  return flipped(record, written);
}

function flipped(record: MoveRecord, written: StoredRoute): MoveRecord {
  if (effectiveRoute(written.route, written.storedAtMs).isVoid) {
    throw new MailherdError('FLIP_TOO_LATE', {user: record.user, storedAtMs: written.storedAtMs, deadlineMs: record.hold?.deadlineMs});
  }
  return {...record, step: 'adopting', routeRevision: written.revision};
}

async function adopt(context: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {ports} = context;
  assert(record.routeRevision !== null, 'adopting follows a flip');
  const found = await ports.readRoute(record.user);
  // Another run of this step got to the end of it; the user may have moved on since, or was removed.
  if (found?.route.move?.id !== record.id) return {...record, step: 'retaining'};
  const lost = await adopted(ports, record, record.routeRevision);
  const pauseMs = record.pauseMs ?? (context.heldSince === null ? null : ports.clock.monotonic() - context.heldSince);
  const stored = await routeOf(ports, record.user);
  let revision = stored.revision;
  if (stored.route.move?.id === record.id) {
    revision = await ports.writeRoute({...stored.route, move: null, hold: null, flip: null}, stored.revision);
  }
  tellEdges(ports, revision);
  for (const host of new Set([record.source, record.target, ...ports.edges()])) context.retries.ask(host, record.user);
  return {...record, step: 'retaining', pauseMs, routeRevision: revision, refusal: lost ?? record.refusal};
}

/**
 * @returns why the target has not what it was switched over to, as after a reinstall; null when it has. The user lives there all the same: the
 * retained copy is the last one then, and stays (`proveNeedless`).
 */
async function adopted(ports: MovePorts, record: MoveRecord, revision: number): Promise<Refusal | null> {
  try {
    await ports.command(record.target, 'adopt', {...ofMove(ports, record), revision}, COMMAND_MS);
    return null;
  } catch (error) {
    if (!(error instanceof MailherdError) || error.code !== 'COPY_MISSING') throw error;
    return toRefusal(error);
  }
}

async function retain({ports}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const retained = await retainAtSource(ports, record);
  return retained.step === 'purged' ? retained : {...retained, step: 'retained'};
}

async function purge({ports}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const proved = await proveNeedless(ports, record);
  if (proved.step === 'purged') return proved;
  await ports.command(record.source, 'discard', {...ofMove(ports, record), ...(await goneOf(ports, record))}, PURGE_MS);
  return {...proved, step: 'purged'};
}

async function backOut({ports, retries}: MoveContext, record: MoveRecord): Promise<MoveRecord> {
  const {user, source, id} = record;
  const stored = await ports.readRoute(user);
  // Somebody removed the user: there is nothing to unlock.
  if (stored !== null) {
    const {route, storedAtMs, revision: expected} = stored;
    const {isVoid} = effectiveRoute(route, storedAtMs);
    if (route.flip?.moveId === id && !isVoid) return {...record, step: 'adopting', refusal: null, routeRevision: expected};
    if (route.move?.id === id) {
      const revision = await ports.writeRoute(unlocked(stored), expected);
      tellEdges(ports, revision);
      retries.ask(source, user);
    } else if (route.move === null && record.routeRevision === null) {
      // Our lock may still be on its way: after this write it no longer finds the revision it expects.
      await ports.writeRoute(route, expected);
    }
  }
  await endAtSource(ports, record);
  try {
    await discardLeft(ports, record);
  } catch (error) {
    // The user must not be bound to a host that may never come back, or whose disk takes no more; what lies there is removed when it does.
    if (!(error instanceof MailherdError) || error.code === 'TOKEN_STALE' || record.attempts < DISCARD_TRIES) throw error;
    return {...record, step: 'backedOut', isLeftOnTarget: true};
  }
  return {...record, step: 'backedOut'};
}
