import {MailherdError} from '../../base/errors.ts';
import {HOUR_MS, type Millis} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';
import {type MoveContext, manifestAt, ofMove, PURGE_MS, persist} from './asks.ts';
import type {MovePorts} from './move-ports.ts';

/** For what takes as long as a mailbox is large. */
export const COPY_MS = 12 * HOUR_MS;

/** Reads the texts of messages ahead; what comes later is read later. */
export async function readTexts(ports: MovePorts, record: MoveRecord, host: string): Promise<void> {
  await ports.command(host, 'readTexts', ofMove(ports, record), COPY_MS);
}

/** Messages come and go while they are read ahead; who must read them all does so later. @throws what ends a move. */
export function ignoreUnread(error: unknown): void {
  if (error instanceof MailherdError && error.code !== 'TOKEN_STALE') return;
  throw error;
}

/** The copy goes to disk now, and the rest of its texts is read, so that what is left for the hold is little. @returns how long it took. */
export async function prepareHold(context: MoveContext, record: MoveRecord): Promise<Millis> {
  const {ports} = context;
  const begun = ports.clock.monotonic();
  const ready = readTexts(ports, record, record.target).then(() => warm(context, record));
  await Promise.all([persist(ports, record, record.target, PURGE_MS), ready]);
  return ports.clock.monotonic() - begun;
}

/**
 * One manifest of each end before those that count: Dovecot works out the size of every message at the first one, and keeps it in its cache.
 * Where that fails the hold takes longer, no more.
 */
async function warm(context: MoveContext, record: MoveRecord): Promise<void> {
  if (context.isWarm) return;
  context.isWarm = true;
  const {ports} = context;
  const read = (host: string): Promise<unknown> => manifestAt(ports, record, host, {texts: true, timeoutMs: COPY_MS}).catch(ignoreUnread);
  await Promise.all([record.source, record.target].map(read));
}
