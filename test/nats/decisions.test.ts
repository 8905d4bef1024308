import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test, vi} from 'vitest';
import type {HostView, PolicyView, ReliefView, VerdictsView} from '../../wire/api.ts';
import type {Policy} from '../../wire/policy.ts';
import type {Decision} from '../../wire/record.ts';
import {FakeHost} from './fake-host.ts';
import {TestServer} from './server.ts';
import {TestCoordinator} from './test-coordinator.ts';

const WAIT = {timeout: 25_000, interval: 50};
const NAMES = ['be01', 'be02', 'be03', 'be04', 'be05'];

let server: TestServer;
let coordinator: TestCoordinator;
const call: TestCoordinator['call'] = (method, path, body) => coordinator.call(method, path, body);
const hosts = new Map<string, FakeHost>();
const hostOf = (name: string): FakeHost => hosts.get(name) as FakeHost;
const asked = (name: string): Record<string, unknown>[] =>
  hostOf(name).commands.flatMap(({verb, request}) => (verb === 'relieve' ? [request] : []));

async function setPolicy(change: (policy: Policy) => Policy): Promise<void> {
  const view = (await call<PolicyView>('GET', '/v1/policy')).json;
  expect((await call('PUT', '/v1/policy', {...view, policy: change(view.policy)})).status).toBe(200);
}
async function decided(kind: Decision['kind'], host: string): Promise<Decision | undefined> {
  const {decisions = []} = (await call<VerdictsView>('GET', '/v1/verdicts')).json;
  return decisions.find(each => each.kind === kind && each.host === host);
}
const auditLines = (): {by: string; action: string; subject: string | null; result: string; detail: Record<string, unknown>}[] =>
  readFileSync(join(coordinator.stateDir, 'audit.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line));

beforeAll(async () => {
  server = await TestServer.start(NAMES);
  coordinator = await TestCoordinator.start(server, 'ctl1');
  await vi.waitFor(() => expect(coordinator.log).toContain('leading'), WAIT);
  for (const name of NAMES) {
    hosts.set(name, new FakeHost(name, name < 'be04' ? 'debian-12' : 'debian-13', await server.connect(name)));
    await vi.waitFor(
      async () =>
        expect((await call('POST', '/v1/hosts', {host: name, role: 'backend', address: `10.0.0.${name.slice(-1)}`})).status).toBe(201),
      WAIT,
    );
  }
  await setPolicy(policy => ({
    ...policy,
    modes: {...policy.modes, cordon: 'off', 'queue-relief': 'on'},
    judge: {...policy.judge, windowMs: 1_000, warmUpMs: 600, silentMs: 3_000, sickDwellMs: 600, recoverDwellMs: 1_000},
    host: {...policy.host, probationMs: 1_000},
    relief: {relays: ['be05', 'be02'], spanMs: 600_000},
    budget: {outShareMax: 0.2, changedShareMax: 1, windowMs: 60_000},
  }));
  await vi.waitFor(async () => {
    const views = (await call<HostView[]>('GET', '/v1/hosts')).json;
    expect(views.map(({record, verdict}) => [record.stage, verdict?.kind])).toEqual(NAMES.map(() => ['active', 'healthy']));
  }, WAIT);
  for (const [index, name] of NAMES.entries()) await call('POST', '/v1/users', {user: `u${index}@example.org`, host: name});
  Object.assign(hostOf('be04'), {isSick: true, queued: 40});
  Object.assign(hostOf('be05'), {isSick: true});
});

afterAll(async () => {
  for (const host of hosts.values()) host.stop();
  await coordinator.stop();
  await server.end();
});

test('a stuck queue: decided on evidence, asked of its host once, by the first relay that is well', async () => {
  await vi.waitFor(() => expect(asked('be04')).toHaveLength(1), WAIT);
  expect(asked('be04')[0]).toMatchObject({relay: '[10.0.0.2]:25', spanMs: 600_000, by: 'mailherd'});
  await vi.waitFor(async () => expect(await decided('queue-relief', 'be04')).toMatchObject({because: 'QUEUE_STUCK', vetoes: []}), WAIT);
  await vi.waitFor(async () => {
    expect((await call<HostView>('GET', '/v1/hosts/be04')).json.report?.relief).toMatchObject({by: 'mailherd'});
  }, WAIT);
  expect(asked('be04')).toHaveLength(1);
  expect(asked('be05')).toEqual([]);
  await vi.waitFor(
    () => expect(auditLines().find(({action, result}) => action === 'queue-relief' && result === 'ok')).toMatchObject({subject: 'be04'}),
    WAIT,
  );
});

test('one budget: of two hosts that should be emptied the second is beyond it, and the veto says the figures', async () => {
  await vi.waitFor(async () => {
    expect((await decided('evacuate', 'be04'))?.vetoes.map(({code}) => code)).toEqual([]);
    expect((await decided('evacuate', 'be05'))?.vetoes).toEqual([
      {code: 'CAPACITY_OUT', detail: {outShare: 0.2, wouldBe: 0.4, outShareMax: 0.2, hosts: ['be04']}},
    ]);
  }, WAIT);
});

test('a person ends it, and it is not begun anew while the policy does not let it', async () => {
  await setPolicy(policy => ({...policy, modes: {...policy.modes, 'queue-relief': 'approve'}}));
  const ended = await call<ReliefView>('POST', '/v1/hosts/be04/relieve', {end: true});
  expect([ended.status, ended.json]).toEqual([200, {host: 'be04', queued: 40, elsewhere: 1, outgoing: 2}]);
  expect(asked('be04').at(-1)).toMatchObject({relay: null, spanMs: 0, by: 'ada'});
  await vi.waitFor(() => expect(auditLines().map(({action}) => action)).toContain('queue-relief over'), WAIT);
  const count = asked('be04').length;
  const begun = await call<ReliefView>('POST', '/v1/hosts/be04/relieve', {});
  expect(begun.status).toBe(200);
  expect(asked('be04')).toHaveLength(count + 1);
  expect((await call('POST', '/v1/hosts/nobody/relieve', {})).status).toBe(404);
});

test('subscribers hear that it began and ended', async () => {
  const text = await coordinator.eventsUntil(told => told.includes('"isOn":false'));
  expect(text).toContain('"isOn":true');
});
