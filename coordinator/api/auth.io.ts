import {createHash, timingSafeEqual} from 'node:crypto';
import {MailherdError} from '../../base/errors.ts';
import type {ApiToken} from '../config.ts';

export type CallerRole = ApiToken['role'];
export interface Caller {
  name: string;
  role: CallerRole;
}

/**
 * Who calls. The digest of what was sent is compared with every known digest in constant time, so that neither the place of the first
 * differing byte nor the number of tokens before the right one can be measured.
 * @param header the `authorization` header. @throws MailherdError UNAUTHORIZED.
 */
export function authenticate(header: string | undefined, tokens: readonly ApiToken[]): Caller {
  const match = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(header ?? '');
  const digest = createHash('sha256')
    .update(match?.[1] ?? '')
    .digest();
  let caller: Caller | null = null;
  for (const {name, role, sha256} of tokens) {
    if (timingSafeEqual(digest, Buffer.from(sha256, 'hex'))) caller = {name, role};
  }
  if (match === null || caller === null) throw new MailherdError('UNAUTHORIZED');
  return caller;
}

/** @throws MailherdError FORBIDDEN when a token that may only read asks for a change. */
export function authorize(caller: Caller, needed: CallerRole): void {
  if (needed === 'operate' && caller.role !== 'operate') throw new MailherdError('FORBIDDEN', {name: caller.name, needed});
}
