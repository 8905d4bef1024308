import {jetstream} from '@nats-io/jetstream';
import {afterAll, beforeAll, expect, test, vi} from 'vitest';
import type {FarmView, HurtView, IncidentsView} from '../../wire/api.ts';
import type {Incident} from '../../wire/incident.ts';
import {eventSubject} from '../../wire/subjects.ts';
import {TestServer} from './server.ts';
import {TestCoordinator} from './test-coordinator.ts';

const WAIT = {timeout: 25_000, interval: 50};
let server: TestServer;
let first: TestCoordinator;
let second: TestCoordinator;

async function farm(of: TestCoordinator): Promise<FarmView> {
  return (await of.call<FarmView>('GET', '/v1/farm')).json;
}

beforeAll(async () => {
  server = await TestServer.start(['be01']);
  first = await TestCoordinator.start(server, 'ctl1');
  await vi.waitFor(async () => expect((await farm(first)).leader).toBe('ctl1'), WAIT);
  second = await TestCoordinator.start(server, 'ctl2');
  await vi.waitFor(async () => expect((await farm(second)).leader).toBe('ctl1'), WAIT);
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await server.end();
});

test('a follower knows what the leader knows, and sends writers to it', async () => {
  const host = {host: 'be01', role: 'backend', address: '127.0.0.1'};
  await vi.waitFor(async () => expect((await first.call('POST', '/v1/hosts', host)).status).toBe(201), WAIT);
  await vi.waitFor(async () => expect((await second.call('GET', '/v1/hosts/be01')).status).toBe(200), WAIT);
  const refused = await second.call<{error: object; next: string}>('POST', '/v1/pause', {});
  expect(refused).toMatchObject({status: 503, json: {error: {code: 'NOT_LEADER', detail: {leader: 'ctl1'}}, next: 'retry'}});
  expect((await farm(first)).paused).toBeNull();
});

test('how many customers were hurt, and what the farm held, is known to a coordinator that starts later', async () => {
  await first.eventsUntil(text => text.includes('event: hurtChanged\n'));
  const figure = {atMs: Date.now(), hosts: 1, users: 0, heldBytes: 5e10, usableBytes: 8e10};
  const measured = {v: 1, id: 'test-capacity-1', type: 'capacityMeasured', host: null, atMs: Date.now(), data: figure};
  await jetstream(await server.connect('coordinator')).publish(eventSubject('farm', 'capacityMeasured'), JSON.stringify(measured));
  const startMs = Date.now();
  const third = await TestCoordinator.start(server, 'ctl3');
  await vi.waitFor(async () => {
    const {history} = (await third.call<HurtView>('GET', '/v1/hurt')).json;
    expect(history[0]?.atMs).toBeLessThan(startMs);
    expect((await farm(third)).forecast).toMatchObject({figure, growthBytesPerDay: null});
  }, WAIT);
  await third.stop();
});

const incidents = async (of: TestCoordinator): Promise<IncidentsView['incidents']> =>
  (await of.call<IncidentsView>('GET', '/v1/incidents')).json.incidents;

test('an incident is stored, and known to every coordinator', async () => {
  const verdict = {host: 'be01', kind: 'sick', sinceMs: Date.now(), because: 'SLI_WORSE_THAN_PEERS', evidence: []} as const;
  const event = {v: 1, id: 'test-event-1', type: 'verdictChanged', host: 'be01', atMs: Date.now(), data: {from: null, verdict}};
  await jetstream(await server.connect('coordinator')).publish(eventSubject('be01', 'verdictChanged'), JSON.stringify(event));
  await vi.waitFor(async () => expect((await incidents(second))[0]).toMatchObject({hosts: ['be01'], closedAtMs: null}), WAIT);
  const [{id} = {id: 0}] = await incidents(first);
  const {timeline} = (await second.call<Incident>('GET', `/v1/incidents/${id}`)).json;
  expect(timeline[0]).toMatchObject({phase: 'verdict', what: expect.stringContaining('be01 is sick')});
  expect((await second.call('GET', '/v1/incidents/987654')).status).toBe(404);
  expect((await farm(second)).incident).toMatchObject({id, hosts: ['be01']});
});

test('through an outage of NATS nobody leads for long; afterwards one does, and no token comes back', async () => {
  const before = (await farm(first)).token ?? 0;
  await server.stop('SIGKILL');
  await vi.waitFor(() => expect(first.log).toContain('lease lost'), WAIT);
  expect((await first.call<{error: {code: string}}>('POST', '/v1/pause', {})).json.error.code).toBe('NOT_LEADER');
  await server.run();
  await vi.waitFor(async () => {
    const [a, b] = [await farm(first), await farm(second)];
    expect(a.leader).not.toBeNull();
    expect([b.leader, b.token]).toEqual([a.leader, a.token]);
    expect(a.token).toBeGreaterThan(before);
    const leader = a.leader === 'ctl1' ? first : second;
    expect((await leader.call('POST', '/v1/resume', {})).status).toBe(200);
  }, WAIT);
});

test('when the leader ends in order, the other takes over at once', async () => {
  const {leader, token} = await farm(first);
  const [leading, other] = leader === 'ctl1' ? [first, second] : [second, first];
  await leading.stop();
  await vi.waitFor(async () => expect((await other.call('POST', '/v1/resume', {})).status).toBe(200), {timeout: 6_000, interval: 50});
  expect((await farm(other)).token).toBeGreaterThan(token ?? 0);
  // The incident goes on with the new leader.
  await vi.waitFor(async () => {
    const [open] = await incidents(other);
    const {timeline = []} = (await other.call<Incident>('GET', `/v1/incidents/${open?.id}`)).json;
    expect(timeline.map(({what}) => what)).toContain(`${(await farm(other)).leader} leads`);
    expect(timeline.filter(({phase}) => phase === 'verdict')).toHaveLength(1);
  }, WAIT);
});
