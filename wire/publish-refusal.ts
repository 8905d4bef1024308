import {JetStreamApiError} from '@nats-io/jetstream';
import {errors} from '@nats-io/transport-node';
import {MailherdError} from '../base/errors.ts';

/**
 * Whether it was this one message that the server, or the library on its behalf, does not take, whatever becomes of others.
 * @returns PUBLISH_REFUSED with what to do; null: the error is of another kind, and may be over the next moment.
 */
export function publishRefusal(error: unknown, subject: string): MailherdError | null {
  const {message, cause = error} = error as Error;
  const remedy = remedyOf(cause);
  return remedy === null ? null : new MailherdError('PUBLISH_REFUSED', {subject, reason: message, do: remedy}, {cause: error});
}

function remedyOf(error: unknown): string | null {
  if (error instanceof errors.PermissionViolationError)
    return 'is this the host that the seed is of? Run "mailherd init farm" of this release again, give the server its nats-users.conf, reload it';
  if (error instanceof errors.InvalidArgumentError) return 'raise max_payload of the NATS server';
  // 4xx is of the message, 5xx of the server.
  if (error instanceof JetStreamApiError && error.status < 500) return "look at the stream's limits with nats stream info";
  return null;
}
