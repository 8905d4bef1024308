import type Type from 'typebox';
import {MailherdError} from '../base/errors.ts';
import {ErrorView} from '../wire/api.ts';
import {fits, parse} from '../wire/codec.ts';

/** How an operator reaches the coordinator. */
export interface ApiAccess {
  api: string;
  token: string;
}

const TIMEOUT_MS = 15_000;

/**
 * One call of the coordinator's API, as any operator's tool makes it.
 * @throws MailherdError API_FAILED with what the coordinator said, or why there was no answer.
 */
export async function call<T extends Type.TSchema>(
  {api, token}: ApiAccess,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  schema: T,
  body?: object,
): Promise<Type.Static<T>> {
  let response: Response;
  try {
    response = await fetch(`${api}${path}`, {
      method,
      headers: {authorization: `Bearer ${token}`, ...(body === undefined ? {} : {'content-type': 'application/json'})},
      ...(body === undefined ? {} : {body: JSON.stringify(body)}),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new MailherdError('API_FAILED', {path, reason: String((cause as Error).cause ?? cause)}, {cause});
  }
  const answer: unknown = await response.json();
  if (response.ok) return parse(schema, answer, `answer to ${method} ${path}`);
  throw new MailherdError('API_FAILED', {path, status: response.status, answer: fits(ErrorView, answer) ? answer.message : answer});
}
