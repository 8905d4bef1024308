import {jetstream} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import {SECOND_MS} from '../../base/units.ts';
import {publishRefusal} from '../../wire/publish-refusal.ts';
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
        throw publishRefusal(error, subject) ?? error;
      }
    },
    onUp(next) {
      callback = next;
    },
  };
}
