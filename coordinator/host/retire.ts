import {MailherdError} from '../../base/errors.ts';
import type {HostRecord} from '../../wire/record.ts';
import type {HostFacts} from './facts.ts';

/**
 * Nobody lives there, nothing comes, every retained copy was kept long enough, and it is shut down: what still reports is not gone, and an
 * edge that still serves must be told of every hold.
 * @param due copies that were kept long enough; null while one of them must still be kept.
 * @throws MailherdError NOT_EMPTY with what is left; HOST_STATE while it reports or is being reinstalled.
 */
export function assertRetirable({host, role, stage}: HostRecord, facts: HostFacts, due: readonly string[] | null): void {
  const {users, moves, waiting, retained, report, verdict} = facts;
  if (users !== 0 || moves !== 0 || waiting > 0 || due === null)
    throw new MailherdError('NOT_EMPTY', {host, users, moves, waiting, retained: retained.length, wish: 'retire'});
  const isGone = report === null || verdict === 'silent';
  if (stage === 'reinstalling' || !isGone)
    throw new MailherdError('HOST_STATE', {
      host,
      role,
      stage,
      wish: 'retire',
      reason: 'it reports, or is being reinstalled: shut it down first',
    });
}
