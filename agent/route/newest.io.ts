import {type NatsConnection, RequestError} from '@nats-io/transport-node';
import {MailherdError} from '../../base/errors.ts';
import {NEWEST_ROUTE, NEWEST_ROUTE_API} from '../../wire/accounts.ts';
import {ROUTE_BUCKET, userKey} from '../../wire/subjects.ts';

const ANSWER_MS = 5_000;
/** The stream has nothing of that user. */
const NO_MESSAGE = 10037;

interface Answer {
  message?: {seq: number};
  error?: {err_code?: number; description?: string};
}

/**
 * Revision of the newest entry of a user's route, as the farm's own stream has it. The mirror that hosts read may be seconds behind after a
 * restart of the server, or have stopped: by it a flip that was stored would not be there.
 * @returns null when there is none. @throws MailherdError NATS_DOWN when that is not told, also by a server whose accounts do not know the question yet.
 */
export async function newestRevision(nc: NatsConnection, user: string): Promise<number | null> {
  const question = JSON.stringify({last_by_subj: `$KV.${ROUTE_BUCKET}.${userKey(user)}`});
  try {
    const {message, error} = await asked(nc, question);
    if (message !== undefined) return message.seq;
    if (error?.err_code === NO_MESSAGE) return null;
    throw new Error(error?.description ?? 'no answer');
  } catch (cause) {
    throw new MailherdError(
      'NATS_DOWN',
      {bucket: ROUTE_BUCKET, user, reason: cause instanceof Error ? cause.message : String(cause)},
      {cause},
    );
  }
}

async function asked(nc: NatsConnection, question: string): Promise<Answer> {
  const options = {timeout: ANSWER_MS};
  try {
    return (await nc.request(NEWEST_ROUTE, question, options)).json<Answer>();
  } catch (error) {
    // A server without accounts: what is read here is the stream itself.
    if (!(error instanceof RequestError) || !error.isNoResponders()) throw error;
    return (await nc.request(NEWEST_ROUTE_API, question, options)).json<Answer>();
  }
}
