import type {Instant, Millis} from '../../base/units.ts';
import type {LedgerEntry} from '../mail/ledger.ts';

const ANSWERS: readonly LedgerEntry['kind'][] = ['login', 'known', 'appended', 'flagged', 'seen'];

/** The longest time without any answer to a mail program that ended after `fromMs`, at the latest with the ledger; null of an empty one. */
export function longestAwayMs(entries: readonly LedgerEntry[], fromMs: Instant): Millis | null {
  const answered = entries.filter(({kind}) => ANSWERS.includes(kind)).map(({atMs}) => atMs);
  const lastMs = entries.at(-1)?.atMs;
  if (lastMs !== undefined) answered.push(lastMs);
  let longest: Millis | null = null;
  for (const [index, end] of answered.entries()) {
    const begin = answered[index - 1];
    if (begin === undefined || end < fromMs) continue;
    longest = Math.max(longest ?? 0, end - begin);
  }
  return longest;
}
