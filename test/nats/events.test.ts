import {jetstreamManager} from '@nats-io/jetstream';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {systemClock} from '../../base/clock.io.ts';
import {EventPublisher} from '../../coordinator/events.io.ts';
import {openStore} from '../../coordinator/store.io.ts';
import {decode} from '../../wire/codec.ts';
import {FarmEvent} from '../../wire/event.ts';
import {Follower} from '../../wire/follow.io.ts';
import {EVENT_STREAM, EVENT_SUBJECTS} from '../../wire/subjects.ts';
import {memoryLog} from './plain-server.ts';
import {TestServer} from './server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server.end();
});

test('an event that the server does not take is told of, and holds up none of the others', async () => {
  const nc = await server.connect('coordinator');
  await openStore(nc);
  const [log, end] = [memoryLog(), new AbortController()];
  const publisher = new EventPublisher(nc, 'events-test', systemClock, log, end.signal);
  const max = nc.info?.max_payload ?? 0;
  publisher.emit('paused', null, {by: 'ada', reason: 'before'});
  publisher.emit('paused', 'be01', {by: 'ada', reason: 'x'.repeat(max)});
  publisher.emit('paused', null, {by: 'ada', reason: 'after'});
  await publisher.drain(20_000);
  const told: FarmEvent[] = [];
  const last = (await (await jetstreamManager(nc, {checkAPI: false})).streams.info(EVENT_STREAM)).state.last_seq;
  const follower = new Follower(nc, {
    stream: EVENT_STREAM,
    filter: EVENT_SUBJECTS,
    after: 0,
    onMessage: ({data}) => void told.push(decode(FarmEvent, data, 'event') as FarmEvent),
    onTrouble: () => undefined,
    signal: end.signal,
  });
  await follower.start();
  end.abort();
  expect(last).toBe(told.length);
  expect(told).toMatchObject([
    {type: 'paused', data: {reason: 'before'}},
    {type: 'paused', data: {reason: 'after'}},
    {type: 'eventLost', host: 'be01', data: {type: 'paused', eventId: 'events-test-2', code: 'PUBLISH_REFUSED'}},
  ]);
  const [line, ...more] = log.lines.filter(({level}) => level === 'error');
  expect(more).toEqual([]);
  expect(line?.fields).toMatchObject({type: 'paused', id: 'events-test-2', refusal: {code: 'PUBLISH_REFUSED'}});
});
