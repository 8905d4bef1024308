import {MailherdError} from '../../base/errors.ts';

/**
 * May a command under this fencing token run here? (M. Kleppmann's fencing: the resource itself refuses the past.)
 * @param highest the greatest token this host has ever obeyed, from disk.
 * @returns the value to remember durably before acting.
 * @throws MailherdError TOKEN_STALE when a newer leader has spoken to this host.
 */
export function admit(token: number, highest: number): number {
  if (token < highest) throw new MailherdError('TOKEN_STALE', {token, highest});
  return token;
}
