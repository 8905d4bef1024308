import {jetstreamManager} from '@nats-io/jetstream';
import type {NatsConnection} from '@nats-io/transport-node';
import {MailherdError} from '../base/errors.ts';
import {decode} from '../wire/codec.ts';
import {FarmEvent} from '../wire/event.ts';
import {Follower} from '../wire/follow.io.ts';
import type {Log} from '../wire/log.ts';
import {EVENT_STREAM, EVENT_SUBJECTS} from '../wire/subjects.ts';
import type {EventFeed} from './api/ports.ts';

/** The event stream for readers of the API; each has its own consumer, so that a slow one delays nobody. */
export function eventFeed(nc: NatsConnection, log: Log): EventFeed {
  return {
    async follow(since, onEvent, signal) {
      const own = new AbortController();
      const end = AbortSignal.any([own.signal, signal]);
      const follower = new Follower(nc, {
        stream: EVENT_STREAM,
        filter: EVENT_SUBJECTS,
        after: since ?? (await lastSequence(nc)),
        onMessage: ({data, sequence, subject}) => {
          let event: FarmEvent;
          try {
            event = decode(FarmEvent, data, subject) as FarmEvent;
          } catch (error) {
            log.warn({subject, sequence, error: String(error)}, 'an event does not fit its schema');
            return;
          }
          if (!end.aborted && !onEvent(sequence, event)) own.abort();
        },
        onTrouble: reason => log.debug({reason}, 'following events was interrupted'),
        signal: end,
      });
      follower.start().catch(error => {
        if (!end.aborted) log.warn({error: String(error)}, 'events cannot be followed');
        own.abort();
      });
      if (!end.aborted) await new Promise<void>(resolve => end.addEventListener('abort', () => resolve(), {once: true}));
    },
  };
}

async function lastSequence(nc: NatsConnection): Promise<number> {
  try {
    const jsm = await jetstreamManager(nc, {checkAPI: false});
    return (await jsm.streams.info(EVENT_STREAM)).state.last_seq;
  } catch (cause) {
    throw new MailherdError('NATS_DOWN', {stream: EVENT_STREAM, reason: cause instanceof Error ? cause.message : String(cause)}, {cause});
  }
}
