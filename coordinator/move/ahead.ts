import {MailherdError} from '../../base/errors.ts';
import {HOUR_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {type MoveContext, manifestAt, ofMove, PURGE_MS, persist} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

/** For what takes as long as a mailbox is large. */
export const COPY_MS = 12 * HOUR_MS;
/** Of a mailbox for which a pass that brings little takes so long the first manifest does too: in a hold that would be felt. */
const LONG_PASS_MS = SECOND_MS / 2;

/** Reads the texts of messages ahead; what comes later is read later. */
async function readTexts(ports: MovePorts, record: MoveRecord, host: string): Promise<void> {
  await ports.command(host, 'readTexts', ofMove(ports, record), COPY_MS);
}

/** Messages come and go while they are read ahead; who must read them all does so later. @throws what ends a move. */
function ignoreUnread(error: unknown): void {
  if (error instanceof MailherdError && error.code !== 'TOKEN_STALE') return;
  throw error;
}

/** What is done beside a pass. Of a target to which nothing has come yet Dovecot would make a mailbox by looking. */
export async function readBesidePass(ports: MovePorts, record: MoveRecord): Promise<void> {
  const isBulkThere = record.passesMs.length > 0;
  await Promise.all([
    readTexts(ports, record, record.source),
    isBulkThere ? readTexts(ports, record, record.target).catch(ignoreUnread) : null,
  ]);
}

/**
 * The copy goes to disk now, and the rest of its texts is read, so that what is left for the hold is little.
 * @param passMs what the last pass took. @returns how long it took.
 */
export async function prepareHold(context: MoveContext, record: MoveRecord, passMs: Millis): Promise<Millis> {
  const {ports} = context;
  const begun = ports.clock.monotonic();
  const ready = readTexts(ports, record, record.target).then(() => (passMs > LONG_PASS_MS ? warm(context, record) : undefined));
  await Promise.all([persist(ports, record, record.target, PURGE_MS), ready]);
  return ports.clock.monotonic() - begun;
}

/**
 * One manifest of the target before the one that counts: at the first one Dovecot works out the size of every message, and keeps it in its cache. At the source
 * the user's own sessions and quota have done so. Where it fails the hold takes longer, no more.
 */
async function warm(context: MoveContext, record: MoveRecord): Promise<void> {
  if (context.isWarm) return;
  context.isWarm = true;
  await manifestAt(context.ports, record, record.target, {texts: true, timeoutMs: COPY_MS}).catch(ignoreUnread);
}
