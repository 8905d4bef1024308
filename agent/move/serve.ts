import {MailherdError} from '../../base/errors.ts';
import {type Bytes, type Instant, MIB, SECOND_MS} from '../../base/units.ts';
import type {Answer, Feature, Request, Verb} from '../../wire/command.ts';
import {HOLD_AGE_MAX_MS} from '../../wire/route.ts';
import {admit} from './admit.ts';
import type {Copy, HostPorts} from './host-ports.ts';
import {receiveSeed, requireClosed} from './seed.ts';

type Handlers = {[V in Verb]: (ports: HostPorts, request: Request<V>) => Promise<Answer<V>>};

/** How long a host may lag behind a route that a command speaks of. */
const ROUTE_WAIT_MS = 5 * SECOND_MS;
const SESSIONS_END_MS = 10 * SECOND_MS;
const DELIVERIES_END_MS = 10 * SECOND_MS;
/** What must be free beside a mailbox that comes: its indexes, mail that arrives meanwhile, and everybody else's. */
const BESIDE_BYTES: Bytes = 64 * MIB;
/** With the longest names 750 KB: a message of NATS has at most 1 MB. */
const MAILBOXES_TOLD_MAX = 2_000;

/**
 * Runs one command. Safe to repeat: whoever lost the answer sends the same command again.
 * @throws MailherdError TOKEN_STALE before anything else is looked at; otherwise the refusals of each verb.
 */
export async function serve<V extends Verb>(ports: HostPorts, verb: V, request: Request<V>): Promise<Answer<V>> {
  const highest = ports.memory.highestToken();
  const token = admit(request.token, highest);
  if (token > highest) await ports.memory.rememberToken(token);
  const handler = HANDLERS[verb] as (ports: HostPorts, request: Request<V>) => Promise<Answer<V>>;
  return handler(ports, request);
}

/**
 * Commands of one turn run one after the other, those without (null) beside all others: those for a user. But the mailbox of a user who lives here is read while it is copied, and what
 * ends a command does not wait for it.
 */
export function turnOf(
  {routes, host}: Pick<HostPorts, 'host'> & {routes: Pick<HostPorts['routes'], 'row'>},
  verb: Verb,
  user: string | null,
): string | null {
  // The disk gathers who waits for it.
  if (verb === 'persist') return null;
  if (user === null) return verb;
  if (verb === 'abort') return `ending ${user}`;
  const isReading = verb === 'readTexts' || verb === 'manifest';
  return isReading && routes.row(user)?.host === host ? `reading ${user}` : user;
}

/**
 * What is to be removed need not be read to its end before: called ahead of the turn of a `discard`, which stands behind whatever reads.
 * @throws MailherdError TOKEN_STALE
 */
export function endReading({memory, running}: Pick<HostPorts, 'memory' | 'running'>, {token, moveId}: Request<'discard'>): void {
  admit(token, memory.highestToken());
  running.end(readingOf(moveId));
}

/** Beside a pass of the same move. */
const readingOf = (moveId: string): string => `reading ${moveId}`;

const HANDLERS: Handlers = {
  async needs(ports, {user}) {
    requireHere(ports, user);
    await requireInHome(ports, user);
    const needs = await ports.store.needs(user);
    await requireOffered(ports, user, needs);
    // What lies here is the mailbox. A copy that is noted all the same was of somebody of that name who was removed and came again: in its place
    // the one that this move leaves could never be retained.
    if (ports.memory.copy(user) !== null) await ports.memory.removeCopy(user);
    return {needs};
  },

  async reserve(ports, {user, moveId, bytes, needs, discard}) {
    requireElsewhere(ports, user);
    await requireOffered(ports, user, needs);
    const copy = ports.memory.copy(user);
    if (copy !== null && copy.moveId !== moveId) {
      await ports.files.end(user);
      // A note after which nothing came was left by a command that came late.
      const isLate = copy.kind === 'arriving' && copy.seed === undefined && !(await ports.store.exists(user));
      if (!isLate && !discard.includes(copy.moveId))
        throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host, moveId: copy.moveId, kind: copy.kind});
      await ports.store.endCopies(user);
      await ports.store.remove(user);
      await ports.memory.removeCopy(user);
    }
    if (copy === null && (await ports.store.exists(user))) throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host});
    await requireInHome(ports, user);
    const freeBytes = await ports.store.freeBytes();
    if (bytes + BESIDE_BYTES > freeBytes) {
      throw new MailherdError('SPACE_LACKING', {user, host: ports.host, bytes, besideBytes: BESIDE_BYTES, freeBytes});
    }
    if (copy?.moveId !== moveId) await ports.memory.putCopy({user, moveId, kind: 'arriving'});
    return {freeBytes};
  },

  async receive(ports, request) {
    requireElsewhere(ports, request.user);
    requireCopy(ports, request.user, request.moveId);
    return receiveSeed(ports, request);
  },

  async seed(ports, {user, moveId, offer, bytesPerSecond = null}) {
    requireHere(ports, user);
    const begun = ports.clock.monotonic();
    // While the target proves it there is time to read the texts that it does not tell of.
    const gone = (): void => void ports.store.readAhead(user);
    const outcome = await ports.running.run(moveId, signal => ports.files.send(user, offer, bytesPerSecond, gone, signal));
    const tookMs = ports.clock.monotonic() - begun;
    return outcome.kind === 'seeded'
      ? {seeded: true, reason: null, messages: outcome.messages, bytes: outcome.bytes, tookMs}
      : {seeded: false, reason: outcome.reason, messages: 0, bytes: 0, tookMs};
  },

  async copy(ports, {user, moveId, targetAddress, full, token, pass}) {
    requireHere(ports, user);
    // A pass that comes late would write over what the target has become since: this host may not have seen the flip yet.
    ports.passes.admit(moveId, token, pass);
    const begun = ports.clock.monotonic();
    const {again} = await ports.running.run(moveId, signal => ports.store.backup(user, targetAddress, full, signal));
    return {tookMs: ports.clock.monotonic() - begun, again};
  },

  async calm(ports, {user, spanMs}) {
    requireHere(ports, user);
    const begun = ports.clock.monotonic();
    ports.routes.defer(user, spanMs);
    const deliveries = await ports.store.deliveriesOver(user, DELIVERIES_END_MS);
    return {deliveries, tookMs: ports.clock.monotonic() - begun};
  },

  async hold(ports, {user, revision, look = false, storedAtMs = null}) {
    await ports.routes.reached(revision, ROUTE_WAIT_MS);
    const begun = ports.clock.monotonic();
    requireHere(ports, user);
    requireHeld(ports, user, storedAtMs);
    const sessions = await ports.store.endSessions(user, SESSIONS_END_MS);
    // After that: what a session did that is over by now shows.
    const folders = look ? {folders: await ports.store.folders(user)} : {};
    requireHeld(ports, user, storedAtMs);
    return {tookMs: ports.clock.monotonic() - begun, sessions, ...folders};
  },

  async readTexts(ports, {user, moveId}) {
    await requireMailbox(ports, user, moveId);
    const begun = ports.clock.monotonic();
    const messages = await ports.running.run(readingOf(moveId), signal => ports.store.readTexts(user, signal));
    return {messages, tookMs: ports.clock.monotonic() - begun};
  },

  async manifest(ports, {user, moveId, folder, texts, own = false}) {
    if (own) await requireOwnMailbox(ports, user, moveId);
    else await requireMailbox(ports, user, moveId);
    const begun = ports.clock.monotonic();
    const manifest = await ports.store.manifest(user, {folder, texts});
    return {manifest, tookMs: ports.clock.monotonic() - begun};
  },

  async adopt(ports, {user, moveId, revision}) {
    await ports.routes.reached(revision, ROUTE_WAIT_MS);
    requireHere(ports, user);
    const copy = ports.memory.copy(user);
    if (copy !== null && copy.moveId !== moveId) throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host, moveId: copy.moveId});
    if (copy !== null) await ports.memory.removeCopy(user);
    ports.store.forgetTexts(user);
    // Of what was copied to the host before it was reinstalled, or emptied by hand, nothing is here.
    if (!(await ports.store.exists(user))) throw new MailherdError('COPY_MISSING', {user, host: ports.host, moveId});
    return {appliedAtMs: ports.clock.now()};
  },

  async retain(ports, {user, moveId, revision, gone = false}) {
    await ports.routes.reached(revision, ROUTE_WAIT_MS);
    requireElsewhere(ports, user, gone);
    const copy = ports.memory.copy(user);
    if (copy !== null && copy.moveId !== moveId) throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host, moveId: copy.moveId});
    if (copy === null) await ports.memory.putCopy({user, moveId, kind: 'retained'});
    // A login that Dovecot had let in just before the hold may have become a session after all sessions were ended.
    await ports.store.endSessions(user, SESSIONS_END_MS);
    ports.store.forgetTexts(user);
    return {appliedAtMs: ports.clock.now()};
  },

  async carry(ports, {user, moveId, targetAddress, folders = null}) {
    requireElsewhere(ports, user);
    requireCopy(ports, user, moveId);
    await ports.store.carry(user, targetAddress, folders);
    return {};
  },

  // Not in the turn of what it ends.
  async abort(ports, {moveId, token}) {
    ports.passes.close(moveId, token);
    return {ended: ports.running.end(moveId)};
  },

  // Commands for one user run one after the other: what came before is over. What comes late must find that it is.
  async settle(ports, {user, moveId, token}) {
    ports.passes.close(moveId, token);
    ports.store.forgetTexts(user);
    return {};
  },

  async discard(ports, {user, moveId, gone = false}) {
    requireElsewhere(ports, user, gone);
    const copy = ports.memory.copy(user);
    if (copy === null) {
      if (await ports.store.exists(user)) throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host});
      return {removedBytes: 0};
    }
    const {kind} = requireCopy(ports, user, moveId);
    if (kind === 'retained') await requireNothingStays(ports, user);
    await ports.files.end(user);
    if (kind === 'arriving') await ports.store.endCopies(user);
    const removedBytes = await ports.store.remove(user);
    await ports.memory.removeCopy(user);
    return {removedBytes};
  },

  async persist(ports, {users}) {
    const begun = ports.clock.monotonic();
    await ports.files.persist(users);
    for (const user of users) requireClosed(ports, user);
    return {tookMs: ports.clock.monotonic() - begun};
  },

  async sync(ports, {revision}) {
    await ports.routes.reached(revision, ROUTE_WAIT_MS);
    return {revision: ports.routes.revision()};
  },

  async retry(ports, {users}) {
    return {requeued: await ports.queue.retry(users)};
  },

  async relieve({relief, host}, {relay, spanMs, by}) {
    if (relief === null) throw new MailherdError('RELIEF_REFUSED', {host, reason: 'no backend'});
    return spanMs === 0 ? relief.end() : relief.begin({relay, spanMs, by});
  },

  async mailboxes(ports, {after}) {
    const here = ports.routes.usersHere();
    const isHere = new Set(here);
    if (after === undefined) return {mailboxes: await ports.store.sizes(here, isHere), next: null};
    const rest = here.sort().filter(user => user > after);
    const page = rest.slice(0, MAILBOXES_TOLD_MAX);
    return {mailboxes: await ports.store.sizes(page, isHere), next: rest.length > page.length ? (page.at(-1) ?? null) : null};
  },

  async tune(ports, {adviceId, by, automatic}) {
    await tunerOf(ports).apply(adviceId, by, automatic);
    return {};
  },

  async untune(ports, {knob, by}) {
    await tunerOf(ports).revert(knob, by);
    return {};
  },

  async wipeCheck(ports, {retained}) {
    const copies = ports.memory.copies().filter(copy => copy.kind !== 'retained' || !retained.includes(copy.moveId));
    return {users: ports.routes.usersHere().length, queued: await ports.queue.count(), copies: [...copies]};
  },
};

function tunerOf({tune, host}: HostPorts): NonNullable<HostPorts['tune']> {
  if (tune === null) throw new MailherdError('TUNE_REFUSED', {host, code: 'MODE', reason: 'nothing is tuned here'});
  return tune;
}

/** Whether a mailbox is there, whether anybody works in it, and what a purge removes is told by the home. */
async function requireInHome(ports: HostPorts, user: string): Promise<void> {
  const {mail} = await ports.store.outside(user);
  if (mail !== null) throw new MailherdError('MAIL_ELSEWHERE', {user, host: ports.host, paths: [mail]});
}

/** Nothing of a mailbox is removed, unless all of it is. */
async function requireNothingStays(ports: HostPorts, user: string): Promise<void> {
  const {stays} = await ports.store.outside(user);
  if (stays.length > 0) throw new MailherdError('MAIL_ELSEWHERE', {user, host: ports.host, paths: stays});
}

function requireHere(ports: HostPorts, user: string): void {
  const row = ports.routes.row(user);
  if (row === null) throw new MailherdError('USER_UNKNOWN', {user, host: ports.host});
  if (row.host !== ports.host) throw new MailherdError('NOT_OWNER', {user, host: ports.host, owner: row.host});
}

function requireElsewhere(ports: HostPorts, user: string, mayBeGone = false): void {
  const row = ports.routes.row(user);
  if (row === null && mayBeGone) return;
  if (row === null) throw new MailherdError('USER_UNKNOWN', {user, host: ports.host});
  if (row.host === ports.host) throw new MailherdError('STILL_OWNER', {user, host: ports.host});
}

async function requireOffered(ports: HostPorts, user: string, needs: readonly Feature[]): Promise<void> {
  if (needs.length === 0) return;
  const offers = await ports.store.offers();
  const lacking = needs.filter(feature => !offers.includes(feature));
  if (lacking.length > 0) throw new MailherdError('FEATURE_LACKING', {user, host: ports.host, lacking});
}

/** @param storedAtMs when the hold was stored, by the NATS server's clock: a few seconds ago. */
function requireHeld(ports: HostPorts, user: string, storedAtMs: Instant | null): void {
  const [row, now] = [ports.routes.row(user), ports.clock.now()];
  if (row !== null && row.heldUntil * SECOND_MS > now) return;
  const aheadMs = storedAtMs === null ? 0 : now - storedAtMs;
  if (aheadMs >= HOLD_AGE_MAX_MS) throw new MailherdError('CLOCK_AHEAD', {user, host: ports.host, aheadMs});
  throw new MailherdError('HOLD_LOST', {user, host: ports.host});
}

/**
 * doveadm makes a mailbox where it finds none: on a host that was reinstalled since, nobody would know it; where the removal of a retained
 * copy was interrupted, it would pass for what is retained, and be carried to the user.
 */
async function requireMailbox(ports: HostPorts, user: string, moveId: string): Promise<void> {
  if (ports.routes.row(user)?.host === ports.host) return;
  const {kind} = requireCopy(ports, user, moveId);
  if (kind === 'retained' && !(await ports.store.exists(user))) throw new MailherdError('COPY_MISSING', {user, host: ports.host, moveId});
}

/** Somebody else's copy goes by what is told of this one: Dovecot must not make one for the occasion. */
async function requireOwnMailbox(ports: HostPorts, user: string, moveId: string): Promise<void> {
  requireHere(ports, user);
  if (!(await ports.store.exists(user))) throw new MailherdError('COPY_MISSING', {user, host: ports.host, moveId});
}

function requireCopy(ports: HostPorts, user: string, moveId: string): Copy {
  const copy = ports.memory.copy(user);
  if (copy === null) throw new MailherdError('COPY_MISSING', {user, host: ports.host, moveId});
  if (copy.moveId !== moveId) throw new MailherdError('COPY_UNKNOWN', {user, host: ports.host, moveId: copy.moveId});
  return copy;
}
