import {readFileSync, statSync} from 'node:fs';
import {connect, type NatsConnection, nkeyAuthenticator} from '@nats-io/transport-node';
import {MailherdError} from '../base/errors.ts';
import type {Log} from './log.ts';

export interface NatsConfig {
  servers: string[];
  /** File with an nkey seed, mode 0600; null for a server without authentication. */
  seedFile: string | null;
  /** Shown by the server's monitoring. */
  name: string;
  /** Replies come back below this; the server's permissions allow one's own only. */
  inboxPrefix: string;
}

/**
 * Connects and stays connected: the first connection is waited for, a lost one is sought again for ever, with jitter so that a
 * farm does not come back as one.
 * @throws MailherdError CONFIG_INVALID when the seed cannot be read or others may read it.
 */
export async function connectNats(config: NatsConfig, log: Log): Promise<NatsConnection> {
  const nc = await connect({
    servers: config.servers,
    name: config.name,
    inboxPrefix: config.inboxPrefix,
    ...(config.seedFile === null ? {} : {authenticator: nkeyAuthenticator(readSeed(config.seedFile))}),
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    reconnectTimeWait: 500,
    reconnectJitter: 1_500,
    timeout: 5_000,
    pingInterval: 10_000,
    maxPingOut: 2,
  });
  void (async () => {
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') log.warn({server: status.server}, 'NATS connection lost; reconnecting');
      else if (status.type === 'reconnect') log.info({server: status.server}, 'NATS connection is back');
      else if (status.type === 'error') log.error({err: status.error}, 'NATS refused something');
    }
  })();
  return nc;
}

function readSeed(file: string): Uint8Array {
  try {
    if ((statSync(file).mode & 0o077) !== 0)
      throw new MailherdError('CONFIG_INVALID', {file, reason: 'others may read this secret; chmod 600'});
    return new TextEncoder().encode(readFileSync(file, 'utf8').trim());
  } catch (cause) {
    if (cause instanceof MailherdError) throw cause;
    throw new MailherdError('CONFIG_INVALID', {file, reason: 'the NATS seed cannot be read'}, {cause});
  }
}
