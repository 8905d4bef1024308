import {JetStreamApiError, jetstream} from '@nats-io/jetstream';
import {errors, type NatsConnection} from '@nats-io/transport-node';
import {MailherdError} from '../../base/errors.ts';
import {SECOND_MS} from '../../base/units.ts';
import type {Parcel} from './frame.io.ts';

const ACK_TIMEOUT_MS = 5 * SECOND_MS;

/** The way out of the host. */
export interface Channel {
  isUp(): boolean;
  /**
   * Resolves once the message is stored at the other end.
   * @throws MailherdError PUBLISH_REFUSED when the server does not take this one, whatever it does with others; other errors when it is not
   * stored, or nobody knows.
   */
  publish(parcel: Parcel): Promise<void>;
  /** Calls back each time the way is there again after an outage. */
  onUp(callback: () => void): void;
}

/** JetStream as the way out. The library keeps what is published while it is disconnected and then throws it away: ask `isUp` first. */
export function natsChannel(connection: NatsConnection): Channel {
  let isUp = !connection.isClosed();
  let callback: () => void = () => undefined;
  const client = jetstream(connection);
  void watch();

  async function watch(): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') isUp = false;
      if (status.type !== 'reconnect') continue;
      isUp = true;
      callback();
    }
    isUp = false;
  }

  return {
    isUp: () => isUp && !connection.isClosed(),
    async publish({subject, id, data}) {
      try {
        await client.publish(subject, JSON.stringify(data), {msgID: id, timeout: ACK_TIMEOUT_MS});
      } catch (error) {
        const {message, cause = error} = error as Error;
        const remedy = remedyOf(cause);
        throw remedy === null ? error : new MailherdError('PUBLISH_REFUSED', {subject, reason: message, do: remedy}, {cause: error});
      }
    },
    onUp(next) {
      callback = next;
    },
  };
}

/** What to do about a refusal of this one message; null: the error is of another kind, and may be over the next moment. */
function remedyOf(error: unknown): string | null {
  if (error instanceof errors.PermissionViolationError)
    return 'is this the host that the seed is of? Run "mailherd init farm" of this release again, give the server its nats-users.conf, reload it';
  if (error instanceof errors.InvalidArgumentError) return 'raise max_payload of the NATS server';
  // 4xx is of the message, 5xx of the server.
  if (error instanceof JetStreamApiError && error.status < 500) return "look at the stream's limits with nats stream info";
  return null;
}
