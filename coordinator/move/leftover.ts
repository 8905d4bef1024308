import {assert} from '../../base/assert.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import type {LateFolder} from '../../wire/command.ts';
import type {Manifest} from '../../wire/manifest.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {effectiveRoute} from '../../wire/route.ts';
import {canonicalManifest, lostSince, messageCount} from '../verify/compare.ts';
import {COMMAND_MS, manifestAt, ofMove, PURGE_MS, persist, routeOf} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

const CARRIES_MAX = 5;
const LOST_TOLD_MAX = 5;
/** 90 KB of a record, which must fit a message of NATS with all else; of a mailbox with more late mail is merged anywhere. */
const FOLDERS_NOTED_MAX = 2_000;

/**
 * The retained copy must be what was verified; where a delivery was still under way during the hold it is not, and what came late
 * is carried to where the user lives now. A copy that was removed before, by a purge whose answer was lost or by a predecessor, makes the
 * record purged.
 * @returns the record with the digest of the retained copy as it is after that.
 * @throws MailherdError COPY_UNKNOWN when something lies there that no copy of this move is known of.
 */
export async function carryLate(ports: MovePorts, record: MoveRecord): Promise<MoveRecord> {
  return (await looked(ports, record)).record;
}

/**
 * The same right before the copy goes, which it may only where the mailbox is there without it.
 * @throws MailherdError LAST_COPY when the host where the user lives now does not show that.
 */
export async function proveNeedless(ports: MovePorts, record: MoveRecord): Promise<MoveRecord> {
  const {record: proved, copy} = await looked(ports, record);
  if (copy !== null) await requireMailboxElsewhere(ports, proved, copy);
  return proved;
}

/** @returns the retained copy's manifest too; null where there is no copy any more. */
async function looked(ports: MovePorts, record: MoveRecord): Promise<{record: MoveRecord; copy: Manifest | null}> {
  const purged = {record: {...record, step: 'purged', refusal: null}, copy: null} as const;
  try {
    return await carried(ports, record);
  } catch (error) {
    if (!(error instanceof MailherdError)) throw error;
    if (isReplaced(error, record)) return purged;
    if (error.code !== 'COPY_MISSING') throw error;
    // The host looks itself, and refuses where anything lies.
    await ports.command(record.source, 'discard', {...ofMove(ports, record), ...(await goneOf(ports, record))}, PURGE_MS);
    return purged;
  }
}

/** Of a user whom somebody removed there is no mailbox elsewhere, and need not be. */
async function requireMailboxElsewhere(ports: MovePorts, record: MoveRecord, copy: Manifest): Promise<void> {
  const {user, source, id} = record;
  const stored = await ports.readRoute(user);
  if (stored === null) return;
  const {host} = effectiveRoute(stored.route, stored.storedAtMs);
  if (host === source) throw new MailherdError('STILL_OWNER', {user, host});
  const lost = lostSince(copy, await ownManifest(ports, record, host));
  if (lost.length > 0) throw new MailherdError('LAST_COPY', {user, host, moveId: id, copy: source, reason: lost.slice(0, LOST_TOLD_MAX)});
}

/**
 * Of the mailbox where the user lives now.
 * @throws MailherdError LAST_COPY when that host does not show it; what it answers must not be taken for what the host with the copy does.
 */
async function ownManifest(ports: MovePorts, record: MoveRecord, host: string): Promise<Manifest> {
  const request = {...ofMove(ports, record), folder: null, texts: false, own: true} as const;
  try {
    return (await ports.command(host, 'manifest', request, PURGE_MS)).manifest;
  } catch (error) {
    if (!(error instanceof MailherdError) || error.code === 'TOKEN_STALE') throw error;
    const {user, id: moveId, source: copy} = record;
    throw new MailherdError('LAST_COPY', {user, host, moveId, copy, reason: toRefusal(error)});
  }
}

/** A host has one copy of a user at most, and takes another, or the user himself, only once the one before is removed. */
function isReplaced({code, detail}: MailherdError, {id, source}: MoveRecord): boolean {
  if (code === 'STILL_OWNER') return detail.host === source;
  return code === 'COPY_UNKNOWN' && typeof detail.moveId === 'string' && detail.moveId !== id;
}

async function carried(ports: MovePorts, record: MoveRecord): Promise<{record: MoveRecord; copy: Manifest}> {
  // null: the coordinator that verified it died before it could note so; carrying once more does no harm.
  let {verified} = record;
  for (let carries = 0; ; carries++) {
    const manifest = await manifestAt(ports, record, record.source, {timeoutMs: PURGE_MS});
    const digest = ports.digest(canonicalManifest(manifest));
    if (digest === verified?.digest) return {record: {...record, verified}, copy: manifest};
    if (carries === CARRIES_MAX) throw new MailherdError('NOT_EMPTY', {user: record.user, reason: 'the retained copy keeps changing'});
    const stored = await routeOf(ports, record.user);
    // Not where a flip that came too late points to: that copy will be removed.
    const owner = effectiveRoute(stored.route, stored.storedAtMs).host;
    if (owner === record.source) throw new MailherdError('STILL_OWNER', {user: record.user, host: owner});
    const folders = await placed(ports, record, owner, manifest, lateFolders(verified, manifest));
    // What else a session of the last moment changed, as flags, stays here.
    if (folders === null || folders.length > 0) {
      const where = {target: owner, targetAddress: ports.address(owner), ...(folders === null ? {} : {folders})};
      await ports.command(record.source, 'carry', {...ofMove(ports, record), ...where}, PURGE_MS);
      await persist(ports, record, owner, PURGE_MS);
    }
    verified = verifiedAs(digest, manifest);
  }
}

/**
 * After the flip: nobody works at the source any more, its old copy is retained, and what came late is carried.
 * @returns the record, purged where the user lives at the source again: somebody has brought him back by hand.
 * @throws MailherdError HOST_SILENT and the like: try again.
 */
export async function retainAtSource(ports: MovePorts, record: MoveRecord): Promise<MoveRecord> {
  assert(record.routeRevision !== null, 'retaining follows a flip');
  const request = {...ofMove(ports, record), revision: record.routeRevision, ...(await goneOf(ports, record))};
  try {
    await ports.command(record.source, 'retain', request, COMMAND_MS);
    return await carryLate(ports, record);
  } catch (error) {
    if (!(error instanceof MailherdError)) throw error;
    if (error.code === 'STILL_OWNER' && isReplaced(error, record)) return {...record, step: 'purged', refusal: null};
    // Later looks, and the purge, find it as it is then.
    if (error.code === 'LAST_COPY') return {...record, refusal: toRefusal(error)};
    throw error;
  }
}

/** What is noted of a manifest by which a copy was proved. */
export function verifiedAs(digest: string, manifest: Manifest): NonNullable<MoveRecord['verified']> {
  const {folders} = manifest;
  const said = {digest, messages: messageCount(manifest), folders: folders.length};
  if (folders.length > FOLDERS_NOTED_MAX) return said;
  return {...said, uidNexts: Object.fromEntries(folders.map(({guid, uidNext}) => [guid, uidNext]))};
}

/** Folders of a retained copy into which mail has come since it was verified; null when nobody knows. UIDs only ever rise. */
export function lateFolders(verified: MoveRecord['verified'], {folders}: Manifest): LateFolder[] | null {
  const before = verified?.uidNexts;
  if (before === undefined) return null;
  return folders
    .map(({guid, name, uidNext}) => ({guid, name, first: before[guid] ?? 1, last: uidNext - 1, nameNow: name}))
    .filter(({first, last}) => last >= first);
}

/**
 * With what has become of these folders where the user lives now; mail for one that he has deleted since goes to his INBOX.
 * @throws MailherdError LAST_COPY when that host does not tell.
 */
async function placed(
  ports: MovePorts,
  record: MoveRecord,
  owner: string,
  copy: Manifest,
  late: LateFolder[] | null,
): Promise<LateFolder[] | null> {
  const known = record.verified?.uidNexts ?? {};
  if (late === null || late.every(({guid, name}) => name === 'INBOX' || known[guid] === undefined)) return late;
  const {folders} = await ownManifest(ports, record, owner);
  return named(late, known, copy, new Map(folders.map(({guid, name}) => [guid, name])));
}

/**
 * @param known what was verified, by GUID: other folders came with the late mail, and are made.
 * @param names of the folders where the user lives, by GUID.
 */
export function named(
  late: readonly LateFolder[],
  known: Readonly<Record<string, number>>,
  {folders}: Manifest,
  names: ReadonlyMap<string, string>,
): LateFolder[] {
  const told = late.map(each => ({...each, nameNow: known[each.guid] === undefined ? each.name : (names.get(each.guid) ?? null)}));
  const inbox = folders.find(({name}) => name === 'INBOX');
  if (inbox === undefined || !told.some(({nameNow}) => nameNow === null) || told.some(({guid}) => guid === inbox.guid)) return told;
  const {guid, name, uidNext} = inbox;
  return [...told, {guid, name, first: uidNext, last: uidNext - 1, nameNow: name}];
}

/**
 * What runs at the source for a move that backs out is ended, then waited for: of a mailbox that takes hours nobody waits for the pass.
 * @throws MailherdError HOST_SILENT and the like: try again.
 */
export async function endAtSource(ports: MovePorts, record: MoveRecord): Promise<void> {
  await ports.command(record.source, 'abort', ofMove(ports, record), COMMAND_MS).catch(error => {
    // An agent of an older release comes to its end by itself; one that is silent does not answer the next question either.
    if (!(error instanceof MailherdError) || (error.code !== 'COMMAND_UNKNOWN' && error.code !== 'HOST_SILENT')) throw error;
  });
  await ports.command(record.source, 'settle', ofMove(ports, record), PURGE_MS);
}

/** What commands say of a user whom somebody removed meanwhile. */
export async function goneOf(ports: MovePorts, {user}: MoveRecord): Promise<{gone?: true}> {
  return (await ports.readRoute(user)) === null ? {gone: true} : {};
}

/** Removes what a move that was backed out left on its target. @throws MailherdError HOST_SILENT and the like: try again. */
export async function discardLeft(ports: MovePorts, record: MoveRecord): Promise<void> {
  const request = {...ofMove(ports, record), ...(await goneOf(ports, record))};
  await ports.command(record.target, 'discard', request, PURGE_MS).catch(error => {
    if (!(error instanceof MailherdError) || !NOTHING_OF_OURS.has(error.code)) throw error;
  });
}

/** A target that answers so holds no copy that this move made, or is the user's own host. */
const NOTHING_OF_OURS = new Set(['COPY_UNKNOWN', 'COPY_MISSING', 'STILL_OWNER', 'USER_UNKNOWN', 'USER_UNSERVED']);
