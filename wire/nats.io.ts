import {readFileSync, statSync} from 'node:fs';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  createInbox,
  type NatsConnection,
  nkeyAuthenticator,
} from '@nats-io/transport-node';
import {systemClock} from '../base/clock.io.ts';
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

const FIRST_CONNECT_WAIT_MS = 500;
const FIRST_CONNECT_JITTER_MS = 1_500;
/** While the first connection is waited for, the log says so this often. */
const STILL_WAITING_MS = 60_000;

const STAY_CONNECTED: ConnectionOptions = {
  maxReconnectAttempts: -1,
  // The library gives up after two refused logins; a credential may be added to the server's configuration later.
  ignoreAuthErrorAbort: true,
  // Names are looked up anew for each attempt, by the system.
  resolve: false,
  reconnectTimeWait: 500,
  reconnectJitter: 1_500,
  timeout: 5_000,
  pingInterval: 10_000,
  maxPingOut: 2,
};

const made = new WeakMap<NatsConnection, {log: Log; inboxPrefix: string; seed: string | null}>();

/** Says what nobody asked about to the standard error output, when a connection was made without a log. */
const warnings: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => process.emitWarning(`${message} ${JSON.stringify(fields)}`),
  error: (fields, message) => process.emitWarning(`${message} ${JSON.stringify(fields)}`),
};

/** The log a connection was made with. */
export function natsLog(nc: NatsConnection): Log {
  return made.get(nc)?.log ?? warnings;
}

/** The seed a connection was made with; null without one. */
export function natsSeed(nc: NatsConnection): string | null {
  return made.get(nc)?.seed ?? null;
}

/** A new subject of one's own, where the server lets this connection listen. */
export function ownInbox(nc: NatsConnection): string {
  return createInbox(made.get(nc)?.inboxPrefix);
}

/**
 * Connects and stays connected: the first connection is waited for, a lost one is sought again for ever, with jitter so that a
 * farm does not come back as one. What is published while disconnected is lost (the library keeps it and then throws it away):
 * publish through a spool, or by a request that fails.
 * @param onRefused called whenever a server answers during that wait and does not know these credentials.
 * @throws MailherdError CONFIG_INVALID when the seed cannot be read or others may read it; CANCELLED when `signal` ends the wait.
 */
export async function connectNats(
  config: NatsConfig,
  log: Log,
  signal?: AbortSignal,
  onRefused: () => void = () => undefined,
): Promise<NatsConnection> {
  const seed = config.seedFile === null ? null : readSeed(config.seedFile);
  const options: ConnectionOptions = {
    ...STAY_CONNECTED,
    servers: config.servers,
    name: config.name,
    inboxPrefix: config.inboxPrefix,
    ...(seed === null ? {} : {authenticator: nkeyAuthenticator(new TextEncoder().encode(seed))}),
  };
  const nc = await firstConnection(options, log, onRefused, signal);
  made.set(nc, {log, inboxPrefix: config.inboxPrefix, seed});
  void report(nc, log);
  return nc;
}

/** The library could wait by itself, but would not say what for. */
async function firstConnection(options: ConnectionOptions, log: Log, onRefused: () => void, signal?: AbortSignal): Promise<NatsConnection> {
  let saidAtMs = Number.NEGATIVE_INFINITY;
  while (signal?.aborted !== true) {
    try {
      return await connect(options);
    } catch (error) {
      if (error instanceof AuthorizationError) onRefused();
      const nowMs = systemClock.monotonic();
      if (nowMs - saidAtMs >= STILL_WAITING_MS) {
        log.warn({servers: options.servers, reason: messageOf(error)}, 'NATS cannot be reached; trying again');
        saidAtMs = nowMs;
      }
    }
    await systemClock.sleep(FIRST_CONNECT_WAIT_MS + Math.random() * FIRST_CONNECT_JITTER_MS, signal);
  }
  throw new MailherdError('CANCELLED', {waitedFor: 'NATS'});
}

async function report(nc: NatsConnection, log: Log): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === 'disconnect') log.warn({server: status.server}, 'NATS connection lost; reconnecting');
    else if (status.type === 'reconnect') log.info({server: status.server}, 'NATS connection is back');
    else if (status.type === 'staleConnection') log.warn({}, 'NATS does not answer pings');
    else if (status.type === 'slowConsumer') log.warn({subject: status.sub.getSubject(), pending: status.pending}, 'messages pile up here');
    else if (status.type === 'error') log.error({reason: messageOf(status.error)}, 'NATS refused something');
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function readSeed(file: string): string {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: 'others may read this secret; chmod 600'});
    }
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    if (cause instanceof MailherdError) throw cause;
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: `the NATS seed cannot be read: ${messageOf(cause)}`}, {cause});
  }
}
