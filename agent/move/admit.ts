import {setNewest} from '../../base/bounded.ts';
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

/** So many moves are remembered; older ones ended long ago. */
const MOVES_MAX = 1_000;

/** The newest pass of each move that was begun since this agent started. */
export class Passes {
  readonly #newest = new Map<string, {token: number; pass: number}>();

  /** @throws MailherdError COPY_FAILED when a later pass of that move was begun under that token, or the move is over. */
  admit(moveId: string, token: number, pass: number): void {
    const newest = this.#newest.get(moveId);
    if (newest?.token === token && pass <= newest.pass)
      throw new MailherdError('COPY_FAILED', {moveId, reason: 'a later pass was begun already', pass});
    setNewest(this.#newest, moveId, {token, pass}, MOVES_MAX);
  }

  /** No pass of that move is admitted any more. */
  close(moveId: string, token: number): void {
    setNewest(this.#newest, moveId, {token, pass: Number.MAX_SAFE_INTEGER}, MOVES_MAX);
  }
}
