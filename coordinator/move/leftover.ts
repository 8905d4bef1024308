import {MailherdError} from '../../base/errors.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {effectiveRoute} from '../../wire/route.ts';
import {canonicalManifest, messageCount} from '../verify/compare.ts';
import {manifestAt, ofMove, PURGE_MS, persist, routeOf} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

const CARRIES_MAX = 5;

/**
 * The retained copy must be what was verified; where a delivery was still under way during the hold it is not, and what came late
 * is carried to where the user lives now. A copy that was removed before, by a purge whose answer was lost or by a predecessor, makes the
 * record purged.
 * @returns the record with the digest of the retained copy as it is after that.
 * @throws MailherdError COPY_UNKNOWN when something lies there that no copy of this move is known of.
 */
export async function carryLate(ports: MovePorts, record: MoveRecord): Promise<MoveRecord> {
  try {
    return await carried(ports, record);
  } catch (error) {
    if (!(error instanceof MailherdError)) throw error;
    if (isReplaced(error, record)) return {...record, step: 'purged', refusal: null};
    if (error.code !== 'COPY_MISSING') throw error;
    // The host looks itself, and refuses where anything lies.
    await ports.command(record.source, 'discard', ofMove(ports, record), PURGE_MS);
    return {...record, step: 'purged', refusal: null};
  }
}

/** A host has one copy of a user at most, and takes another, or the user himself, only once the one before is removed. */
function isReplaced({code, detail}: MailherdError, {id, source}: MoveRecord): boolean {
  if (code === 'STILL_OWNER') return detail.host === source;
  return code === 'COPY_UNKNOWN' && typeof detail.moveId === 'string' && detail.moveId !== id;
}

async function carried(ports: MovePorts, record: MoveRecord): Promise<MoveRecord> {
  // null: the coordinator that verified it died before it could note so; carrying once more does no harm.
  let {verified} = record;
  for (let carries = 0; ; carries++) {
    const manifest = await manifestAt(ports, record, record.source, {timeoutMs: PURGE_MS});
    const digest = ports.digest(canonicalManifest(manifest));
    if (digest === verified?.digest) return {...record, verified};
    if (carries === CARRIES_MAX) throw new MailherdError('NOT_EMPTY', {user: record.user, reason: 'the retained copy keeps changing'});
    const stored = await routeOf(ports, record.user);
    // Not where a flip that came too late points to: that copy will be removed.
    const owner = effectiveRoute(stored.route, stored.storedAtMs).host;
    if (owner === record.source) throw new MailherdError('STILL_OWNER', {user: record.user, host: owner});
    await ports.command(record.source, 'carry', {...ofMove(ports, record), target: owner, targetAddress: ports.address(owner)}, PURGE_MS);
    await persist(ports, record, owner, PURGE_MS);
    verified = {digest, messages: messageCount(manifest), folders: manifest.folders.length};
  }
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
