import {createHash} from 'node:crypto';
import {JetStreamApiCodes, jetstreamManager, type StreamConfig} from '@nats-io/jetstream';
import {type NatsConnection, RequestError} from '@nats-io/transport-node';
import {MailherdError} from '../base/errors.ts';
import {farmApi, MIRRORS, mirrorDelivery, type ReaderAccount, readerApi} from './accounts.ts';
import {natsLog, natsSeed} from './nats.io.ts';

interface ApiAnswer {
  error?: {err_code?: number; description?: string};
  config?: StreamConfig;
  state?: {last_seq: number};
}

/** What `farmApi` wants, from the coordinator's seed: whoever has that needs no secret any more. */
export function mirrorSecret(coordinatorSeed: string, account: ReaderAccount): string {
  return createHash('sha256').update(`mirror ${account} ${coordinatorSeed.trim()}`).digest('hex').slice(0, 32);
}

/**
 * Sees to it that hosts or observers can read `stream`, when it is one of theirs: creates its mirror in their account. Only the
 * coordinator may. Does nothing on a server without the accounts of `mailherd init`.
 * @throws MailherdError NATS_DOWN when the server does not answer or refuses.
 */
export async function ensureMirror(nc: NatsConnection, stream: string): Promise<void> {
  await withMirror(nc, stream, async (account, api) => {
    const present = await ask(nc, account, `STREAM.INFO.${stream}`);
    if (present === null) {
      natsLog(nc).warn({account, stream}, 'the NATS server has not this account; its users cannot read the stream');
      return;
    }
    if (present.config?.mirror?.external?.api === api) return;
    // Made with another seed of the coordinator: it can no longer follow.
    if (present.error === undefined) refused(await ask(nc, account, `STREAM.DELETE.${stream}`));
    else if (present.error.err_code !== JetStreamApiCodes.StreamNotFound) refused(present);
    refused(await ask(nc, account, `STREAM.CREATE.${stream}`, await mirrorConfig(nc, stream, account, api)));
  });
}

/** Sequences up to which a stream and its mirror have come. */
export interface MirrorProgress {
  source: number;
  /** null: there should be one, and is none. */
  mirror: number | null;
}

/** @returns null for a stream that needs no mirror here. @throws MailherdError NATS_DOWN. */
export async function mirrorProgress(nc: NatsConnection, stream: string): Promise<MirrorProgress | null> {
  return withMirror(nc, stream, async account => {
    const present = await ask(nc, account, `STREAM.INFO.${stream}`);
    if (present === null) return null;
    const isGone = present.error?.err_code === JetStreamApiCodes.StreamNotFound;
    if (!isGone) refused(present);
    const {state} = await (await jetstreamManager(nc, {checkAPI: false})).streams.info(stream);
    return {source: state.last_seq, mirror: isGone ? null : (present.state?.last_seq ?? 0)};
  });
}

/**
 * Makes the mirror of a stream anew; its readers begin again. Breaks off between the two where the server is slow or goes away: then there
 * is none, as `mirrorProgress` tells. @throws MailherdError NATS_DOWN.
 */
export async function remakeMirror(nc: NatsConnection, stream: string): Promise<void> {
  await withMirror(nc, stream, async account => refused(await ask(nc, account, `STREAM.DELETE.${stream}`)));
  await ensureMirror(nc, stream);
}

/** @returns null where there is nothing to mirror. @throws MailherdError NATS_DOWN. */
async function withMirror<T>(
  nc: NatsConnection,
  stream: string,
  work: (account: ReaderAccount, api: string) => Promise<T>,
): Promise<T | null> {
  const seed = natsSeed(nc);
  const account = MIRRORS.find(mirror => mirror.stream === stream)?.account;
  if (seed === null || account === undefined) return null;
  try {
    return await work(account, farmApi(mirrorSecret(seed, account)));
  } catch (cause) {
    if (cause instanceof MailherdError) throw cause;
    throw new MailherdError('NATS_DOWN', {account, stream, reason: cause instanceof Error ? cause.message : String(cause)}, {cause});
  }
}

async function mirrorConfig(nc: NatsConnection, stream: string, account: ReaderAccount, api: string): Promise<Partial<StreamConfig>> {
  const {config} = await (await jetstreamManager(nc, {checkAPI: false})).streams.info(stream);
  return {
    name: stream,
    storage: config.storage,
    retention: config.retention,
    num_replicas: config.num_replicas,
    max_consumers: -1,
    max_msgs: config.max_msgs,
    max_msgs_per_subject: config.max_msgs_per_subject,
    max_bytes: config.max_bytes,
    max_age: config.max_age,
    max_msg_size: config.max_msg_size,
    // Its users can have the server's answers sent to the API of their own account.
    deny_delete: true,
    deny_purge: true,
    mirror: {name: stream, external: {api, deliver: mirrorDelivery(account)}},
  };
}

/** @returns null when nobody answers there: there is no such account. */
async function ask(nc: NatsConnection, account: ReaderAccount, what: string, payload?: object): Promise<ApiAnswer | null> {
  try {
    const answer = await nc.request(`${readerApi(account)}.${what}`, payload === undefined ? undefined : JSON.stringify(payload), {
      timeout: 5_000,
    });
    return answer.json<ApiAnswer>();
  } catch (error) {
    if (error instanceof RequestError && error.isNoResponders()) return null;
    throw error;
  }
}

function refused(answer: ApiAnswer | null): void {
  const isTwin = answer?.error?.err_code === STREAM_EXISTS;
  if (answer?.error !== undefined && !isTwin) throw new Error(answer.error.description ?? 'refused');
}

/** Another coordinator was faster. */
const STREAM_EXISTS = 10058;
