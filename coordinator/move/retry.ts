import type {MailherdError} from '../../base/errors.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';

const BACKOFF_MAX_MS = 30 * SECOND_MS;
const PASSING: ReadonlySet<string> = new Set(['SESSIONS_LINGER', 'CLOCK_AHEAD', 'HOLD_LOST', 'FLIP_TOO_LATE', 'COPY_FAILED']);

/** Whether a whole move that was backed out so may well succeed a little later. */
export function isPassing(record: Pick<MoveRecord, 'step' | 'refusal' | 'isSeeded'>): boolean {
  const {refusal} = record;
  return refusal !== null && (PASSING.has(refusal.code) || isSeedRefuted(record));
}

/**
 * Whether its copy began as a seed and was not what the source has: files may say otherwise than the source's Dovecot, which goes by its cache, as of
 * dates where a maildir was restored with it, but without the times of its files. The next move of that mailbox from there goes without one.
 */
export function isSeedRefuted({step, refusal, isSeeded}: Pick<MoveRecord, 'step' | 'refusal' | 'isSeeded'>): boolean {
  return step === 'backedOut' && isSeeded === true && refusal?.code === 'MANIFEST_DIFFERS';
}

/** Whether a step that failed so may succeed a little later. */
export function isWorthAnotherTry(error: MailherdError): boolean {
  switch (error.code) {
    case 'HOST_SILENT':
    case 'NATS_DOWN':
    case 'COPY_FAILED':
    case 'COMMAND_FAILED':
    case 'MESSAGE_UNREADABLE':
    case 'ROUTE_LAGS':
    case 'ROUTE_STALE':
    case 'STORE_CONFLICT':
      return true;
    default:
      return false;
  }
}

/** So long is waited before the next try. @param attempts that failed, 1 or more. */
export function backoff(attempts: number): Millis {
  return Math.min(SECOND_MS * 2 ** (attempts - 1), BACKOFF_MAX_MS);
}
