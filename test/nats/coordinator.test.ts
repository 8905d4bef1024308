import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test, vi} from 'vitest';
import type {HostView, MovesView, PlanView, PolicyView, UserView, VerdictsView} from '../../wire/api.ts';
import type {Policy} from '../../wire/policy.ts';
import {FakeHost} from './fake-host.ts';
import {TestServer} from './server.ts';
import {TestCoordinator} from './test-coordinator.ts';

const WAIT = {timeout: 25_000, interval: 50};

let server: TestServer;
let coordinator: TestCoordinator;
const call: TestCoordinator['call'] = (method, path, body) => coordinator.call(method, path, body);
const hosts = new Map<string, FakeHost>();
const NAMES = ['be01', 'be02', 'be03', 'be04', 'be05'];
/** The first user of be02, and what that host tells of him. */
const FIRST = 'u1@example.org';
const FACTS = {bytes: 5e9, messages: 900, deliveriesPerDay: 40.5, sessionsPerDay: 12};
const USERS = Array.from({length: 15}, (_, index) => `u${index}@example.org`);

async function hostView(host: string): Promise<HostView> {
  return (await call<HostView>('GET', `/v1/hosts/${host}`)).json;
}

async function setPolicy(change: (policy: Policy) => Policy): Promise<void> {
  const view = (await call<PolicyView>('GET', '/v1/policy')).json;
  const answer = await call('PUT', '/v1/policy', {...view, policy: change(view.policy)});
  expect(answer.status).toBe(200);
}

beforeAll(async () => {
  server = await TestServer.start(NAMES);
  coordinator = await TestCoordinator.start(server, 'ctl1');
  await vi.waitFor(async () => expect((await call<{leader: string}>('GET', '/v1/farm')).json.leader).toBe('ctl1'), WAIT);
  for (const name of NAMES) {
    hosts.set(name, new FakeHost(name, name < 'be04' ? 'debian-12' : 'debian-13', await server.connect(name)));
  }
  // It is asked once it has a user, and then not for a minute.
  Object.assign(hosts.get('be02') as FakeHost, {mailboxes: ['nobody@example.org', FIRST].map(user => ({user, ...FACTS}))});
  await vi.waitFor(() => expect(coordinator.log).toContain('leading'), WAIT);
  await setPolicy(policy => ({
    ...policy,
    judge: {...policy.judge, windowMs: 1_000, warmUpMs: 600, silentMs: 3_000, sickDwellMs: 600, recoverDwellMs: 1_000},
    move: {...policy.move, retainMs: 1_000, quietMs: 5_000},
    host: {...policy.host, probationMs: 1_000, wipeTokenMs: 20_000, reinstallMax: 1},
  }));
});

afterAll(async () => {
  for (const host of hosts.values()) host.stop();
  await coordinator.stop();
  await server.end();
});

/** The farm goes on from one test to the next, as a farm does. */
describe('the life of a farm, with a real nats-server', () => {
  test('hosts are registered once, prove themselves, and become active', async () => {
    for (const [index, host] of NAMES.entries()) {
      expect((await call('POST', '/v1/hosts', {host, role: 'backend', address: `127.0.0.${index + 1}`})).status).toBe(201);
    }
    const again = await call<{error: {code: string}}>('POST', '/v1/hosts', {host: 'be01', role: 'backend', address: '127.0.0.1'});
    expect([again.status, again.json.error.code]).toEqual([409, 'HOST_EXISTS']);
    await vi.waitFor(async () => {
      const views = (await call<HostView[]>('GET', '/v1/hosts')).json;
      expect(views.map(({record, verdict}) => [record.stage, verdict?.kind])).toEqual(NAMES.map(() => ['active', 'healthy']));
    }, WAIT);
  });

  test('users get a place; unknown ones are 404', async () => {
    for (const [index, user] of USERS.entries()) {
      expect((await call('POST', '/v1/users', {user, host: NAMES[index % NAMES.length]})).status).toBe(201);
    }
    const placed = await call<{host: string}>('POST', '/v1/users', {user: 'New@example.org'});
    expect([placed.status, NAMES.includes(placed.json.host)]).toEqual([201, true]);
    const twice = await call<{error: {code: string}}>('POST', '/v1/users', {user: 'new@example.org'});
    expect([twice.status, twice.json.error.code]).toEqual([409, 'USER_EXISTS']);
    await vi.waitFor(
      async () => expect((await call('GET', '/v1/users/u3@example.org')).json).toMatchObject({host: 'be04', moveId: null}),
      WAIT,
    );
    expect((await call('GET', '/v1/users/nobody@example.org')).status).toBe(404);
    expect((await call('GET', '/v1/moves/move-0000')).status).toBe(404);
  });

  test('a report that does not fit is refused, counted, told once, and the host lives on', async () => {
    const refused = async (): Promise<number> => {
      const text = await (await fetch(`${coordinator.base}/metrics`, {headers: {authorization: `Bearer ${coordinator.token}`}})).text();
      return Number(/mailherd_reports_refused_total\{host="be01"\} (\d+)/.exec(text)?.[1] ?? 0);
    };
    // A host may have reported before it was known.
    const before = await refused();
    await hosts.get('be01')?.report({queue: {deferred: 'many'}});
    await hosts.get('be01')?.report({labels: 7});
    await vi.waitFor(async () => expect(await refused()).toBe(before + 2), WAIT);
    expect(coordinator.log.split('\n').filter(line => line.includes('report refused') && line.includes('"be01"'))).toHaveLength(1);
    expect((await hostView('be01')).verdict?.kind).toBe('healthy');
  });

  test('a dry run changes nothing, and goes by what the host says of its mailboxes then', async () => {
    const before = (await hostView('be02')).record;
    const answer = await call<PlanView>('POST', '/v1/hosts/be02/evacuate', {dryRun: true});
    expect(answer.status).toBe(202);
    expect(answer.json.plan.moves.map(({user}) => user).sort()).toEqual(
      (await call<{users: {user: string}[]}>('GET', '/v1/users?host=be02')).json.users.map(({user}) => user),
    );
    expect(answer.json.plan.moves.find(({user}) => user === FIRST)).toMatchObject({bytes: FACTS.bytes});
    expect((await call('GET', `/v1/users/${FIRST}`)).json).toMatchObject(FACTS);
    expect((await hostView('be02')).record).toEqual(before);
    expect((await call<MovesView>('GET', '/v1/moves')).json).toMatchObject({total: 0, waiting: []});
    expect((await call('GET', `/v1/plans/${answer.json.plan.id}`)).status).toBe(404);
  });

  test('paused: automatic work and plans by people wait, looking goes on', async () => {
    expect((await call('POST', '/v1/pause', {reason: 'test'})).status).toBe(200);
    const refused = await call<{error: {code: string}}>('POST', '/v1/moves', {user: 'u0@example.org', target: 'be02'});
    expect([refused.status, refused.json.error.code]).toEqual([409, 'PAUSED']);
    expect((await call('POST', '/v1/resume', {})).status).toBe(200);
  });

  test('one mailbox is moved live, and a second command for it is refused', async () => {
    const {generation} = (await call<UserView>('GET', '/v1/users/u0@example.org')).json;
    const moved = await call<PlanView>('POST', '/v1/moves', {user: 'u0@example.org', target: 'be02'});
    expect([moved.status, moved.json.plan.moves]).toMatchObject([202, [{user: 'u0@example.org', source: 'be01', target: 'be02'}]]);
    const second = await call<{error: {code: string}}>('POST', '/v1/moves', {user: 'u0@example.org', target: 'be03'});
    expect([second.status, second.json.error.code]).toEqual([409, 'MOVE_IN_PROGRESS']);
    await vi.waitFor(async () => {
      expect((await call('GET', '/v1/users/u0@example.org')).json).toMatchObject({host: 'be02', generation: generation + 1, moveId: null});
    }, WAIT);
    expect((await call('GET', `/v1/plans/${moved.json.plan.id}`)).json).toEqual(moved.json.plan);
    await vi.waitFor(async () => expect((await call<MovesView>('GET', '/v1/moves')).json).toMatchObject({done: 1, total: 1}), WAIT);
  });

  test('a bad release: verdict, cohort, cordon; evacuation waits for approval', async () => {
    for (const name of ['be04', 'be05']) (hosts.get(name) as FakeHost).isSick = true;
    await vi.waitFor(async () => {
      const {verdicts, cohorts, hurt} = (await call<VerdictsView>('GET', '/v1/verdicts')).json;
      expect(verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host)).toEqual(['be04', 'be05']);
      expect(cohorts).toMatchObject([{labels: {os: 'debian-13'}, explained: true, controlsSick: 0}]);
      expect(hurt?.share).toBeGreaterThan(0.3);
    }, WAIT);
    await vi.waitFor(async () => expect((await hostView('be04')).record).toMatchObject({stage: 'suspect', cordon: {by: 'mailherd'}}), WAIT);
    expect((await hostView('be04')).users).toBe(3);
    const onto = await call<{error: {code: string}}>('POST', '/v1/users', {user: 'late@example.org', host: 'be04'});
    expect([onto.status, onto.json.error.code]).toEqual([409, 'HOST_STATE']);
  });

  test('allowed: both are emptied, proved safe to wipe, and reinstalled one after the other with the release of the healthy ones', async () => {
    (hosts.get('be04') as FakeHost).queued = 2;
    await setPolicy(policy => ({...policy, modes: {cordon: 'on', evacuate: 'on', reinstall: 'on', rebalance: 'on', purge: 'on'}}));
    await vi.waitFor(async () => {
      expect((await hostView('be05')).record).toMatchObject({
        stage: 'reinstalling',
        reinstallTo: 'debian-12',
        reinstallAskedBy: 'mailherd',
      });
    }, WAIT);
    const waiting = await hostView('be04');
    expect(waiting.record.stage).toBe('drained');
    expect(waiting.users).toBe(0);
    const checks = (hosts.get('be05') as FakeHost).commands.filter(({verb}) => verb === 'wipeCheck');
    expect(checks.length).toBe(2);
    expect(checks[1]?.request.retained).toHaveLength(3);
    expect((await hostView('be05')).record.wipe?.token).toBe('(hidden)');
    (hosts.get('be04') as FakeHost).queued = 0;
  });

  test('it reports as what was wanted: probation, active, cordon lifted, what it retained is purged', async () => {
    for (const name of ['be05', 'be04']) {
      const host = hosts.get(name) as FakeHost;
      await vi.waitFor(async () => expect((await hostView(name)).record.stage).toBe('reinstalling'), WAIT);
      await vi.waitFor(() => expect(driven()).toMatch(new RegExp(`^${name} debian-12 ${name}:[\\w-]{43}$`, 'm')), WAIT);
      Object.assign(host, {os: 'debian-12', generation: 2, isSick: false});
      writeFileSync(join(coordinator.stateDir, `go-${name}`), '');
      await vi.waitFor(async () => {
        expect((await hostView(name)).record).toMatchObject({
          stage: 'active',
          cordon: null,
          reinstallTo: null,
          wipe: null,
          labels: {os: 'debian-12'},
        });
      }, WAIT);
    }
    const {moves} = (await call<MovesView>('GET', '/v1/moves')).json;
    for (const move of moves.filter(({because}) => because.includes('SICK_COHORT'))) expect(move.step).toBe('purged');
  });

  test('mailboxes come back until the hosts are even', async () => {
    await vi.waitFor(async () => {
      const counts = (await call<HostView[]>('GET', '/v1/hosts')).json.map(({users}) => users);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      expect((await call<MovesView>('GET', '/v1/moves')).json.waiting).toEqual([]);
    }, WAIT);
  });

  test('copies that were kept long enough are purged in their own step', async () => {
    await vi.waitFor(async () => {
      const {moves} = (await call<MovesView>('GET', '/v1/moves')).json;
      expect(new Set(moves.map(({step}) => step))).toEqual(new Set(['purged']));
    }, WAIT);
  });

  test('the event stream tells the whole story from its beginning', async () => {
    const text = await coordinator.eventsUntil(
      told => told.includes('"from":"reinstalling"') && told.match(/"to":"probation"/g)?.length === 7,
    );
    const types = new Set([...text.matchAll(/^event: (\w+)$/gm)].map(match => match[1]));
    for (const type of [
      'leaderElected',
      'apiCalled',
      'hostStaged',
      'reportRefused',
      'verdictChanged',
      'cohortJudged',
      'hurtChanged',
      'decided',
      'planned',
      'moveStepped',
      'wipeAllowed',
      'hostCordoned',
      'hostUncordoned',
      'paused',
      'resumed',
    ]) {
      expect(types).toContain(type);
    }
  });

  test('every change is in the audit log, and no secret is', () => {
    const lines = readFileSync(join(coordinator.stateDir, 'audit.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as {by: string; action: string});
    const actions = new Set(lines.map(({by, action}) => `${by} ${action}`));
    for (const action of [
      'ada POST /v1/users',
      'mailherd cordon',
      'mailherd evacuate',
      'mailherd reinstall',
      'mailherd allow wipe',
      'mailherd rebalance',
    ]) {
      expect(actions).toContain(action);
    }
    const secret = /be0[45]:([\w-]{43})/.exec(driven())?.[1] ?? 'none';
    expect(readFileSync(join(coordinator.stateDir, 'audit.jsonl'), 'utf8')).not.toContain(secret);
    expect(coordinator.log).not.toContain(secret);
    expect(coordinator.log).not.toContain(coordinator.token);
  });
});

function driven(): string {
  return readFileSync(join(coordinator.stateDir, 'driven'), 'utf8');
}
