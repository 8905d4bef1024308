import type {NatsConnection} from '@nats-io/transport-node';
import type Type from 'typebox';
import {CapacityFigure} from '../wire/capacity.ts';
import {decode, parse} from '../wire/codec.ts';
import {type EventType, FarmEvent} from '../wire/event.ts';
import {Follower} from '../wire/follow.io.ts';
import type {Log} from '../wire/log.ts';
import {Hurt} from '../wire/record.ts';
import {EVENT_STREAM, eventSubject, REPORT_STREAM, REPORT_SUBJECTS, userOfKey} from '../wire/subjects.ts';
import type {Picture} from './picture.ts';
import type {Intake} from './report/intake.ts';
import type {Store} from './store.io.ts';

/**
 * Keeps the picture up to date until the signal. Records come first: a report of a host that is not known yet would be refused.
 * @param replaced called when the store is another than was read so far: what is in memory is of one that was lost.
 * @returns once everything that was stored is in the picture, the reports of the last hour included.
 * @throws MailherdError NATS_DOWN, CANCELLED.
 */
export async function watchFarm(
  nc: NatsConnection,
  store: Store,
  picture: Picture,
  intake: Intake,
  log: Log,
  signal: AbortSignal,
  replaced: () => void,
): Promise<void> {
  const anew = (isSure: boolean): void => (isSure ? replaced() : picture.forgetRevisions());
  await watchRecords(store, picture, anew, signal);
  const reports = new Follower(nc, {
    stream: REPORT_STREAM,
    filter: REPORT_SUBJECTS,
    after: 0,
    onMessage: ({subject, data, storedAtMs}) => intake.take(subject, data, storedAtMs),
    onTrouble: reason => log.warn({reason}, 'reading reports was interrupted'),
    signal,
  });
  await reports.start();
  await restore(nc, 'hurtChanged', Hurt, hurt => picture.restoreHurt(hurt), log, signal);
  await restore(nc, 'capacityMeasured', CapacityFigure, figure => picture.capacity.restore(figure), log, signal);
  picture.isComplete = true;
}

async function watchRecords(store: Store, picture: Picture, anew: (isSure: boolean) => void, signal: AbortSignal): Promise<void> {
  await store.policy.watch(
    entry => {
      if (!('removed' in entry)) picture.applyPolicy(entry);
    },
    signal,
    anew,
  );
  await store.hosts.watch(
    entry => {
      if ('removed' in entry) picture.removeHost(entry.key);
      else picture.applyHost(entry);
    },
    signal,
    anew,
  );
  await store.routes.watch(
    entry => {
      if ('removed' in entry) picture.removeRoute(userOfKey(entry.key));
      else picture.applyRoute(entry);
    },
    signal,
    anew,
  );
  await store.moves.watch(
    entry => {
      if ('removed' in entry) picture.moves.delete(entry.key);
      else picture.applyMove(entry.value);
    },
    signal,
    anew,
  );
  await store.incidents.watch(
    entry => {
      if ('removed' in entry) picture.incidents.remove(entry.key);
      else picture.incidents.apply(entry);
    },
    signal,
    anew,
  );
}

/** What predecessors told of the farm, as of customers hurt: the history outlives a coordinator. */
async function restore<S extends Type.TSchema>(
  nc: NatsConnection,
  type: EventType,
  schema: S,
  take: (data: Type.Static<S>) => void,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const own = new AbortController();
  const past = new Follower(nc, {
    stream: EVENT_STREAM,
    filter: eventSubject('farm', type),
    after: 0,
    onMessage: ({data, sequence}) => {
      try {
        take(parse(schema, decode(FarmEvent, data, type).data, type));
      } catch (error) {
        log.warn({sequence, error: String(error)}, 'an event does not fit its schema');
      }
    },
    onTrouble: reason => log.warn({reason}, 'reading events was interrupted'),
    signal: AbortSignal.any([own.signal, signal]),
  });
  try {
    await past.start();
  } finally {
    own.abort();
  }
}
