import type {Instant} from '../../base/units.ts';
import type {Farm} from '../farm.io.ts';
import {tryRunIn} from '../machine/enter.io.ts';
import type {LedgerEntry} from '../mail/ledger.ts';
import {resentInLog} from './resent.ts';

/** Mail that was with a host when its power went may have been handed over without the host knowing: mail that had waited there too. */
const IN_FLIGHT_MS = 3_000;

/**
 * Messages that a Postfix had to hand over again without knowing whether the first time counted: SMTP cannot tell (RFC 1047), with or
 * without a move. Told by Postfix's own log; a host that lost its power lost its log too, there it is the mail that had just come, and what had just been delivered.
 * @param offAtMs when the power of a host went, or its Postfix was killed; null = neither.
 */
export async function resentMail(
  {paths, layout}: Farm,
  entries: readonly LedgerEntry[],
  sinceMs: Instant,
  offAtMs: Instant | null,
): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const {name, role} of layout.hosts) {
    if (role === 'control') continue;
    const since = `--since=@${Math.floor(sinceMs / 1_000)}`;
    const {stdout} = await tryRunIn(paths, name, ['journalctl', '--quiet', '--no-pager', '--output=cat', since, '--facility=mail']);
    for (const id of resentInLog(stdout)) ids.add(id);
  }
  for (const entry of entries) {
    if (offAtMs === null || (entry.kind !== 'accepted' && entry.kind !== 'seen')) continue;
    if (entry.atMs > offAtMs - IN_FLIGHT_MS && entry.atMs < offAtMs + IN_FLIGHT_MS) ids.add(entry.messageId);
  }
  return ids;
}
