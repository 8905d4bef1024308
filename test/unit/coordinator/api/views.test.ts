import Type from 'typebox';
import {beforeEach, expect, test} from 'vitest';
import {patchPolicy} from '../../../../cli/policy-patch.ts';
import {FarmView, HostView, MovesView, UsersView, VerdictsView} from '../../../../wire/api.ts';
import {parse} from '../../../../wire/codec.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {MoveRecord} from '../../../../wire/record.ts';
import {FakeFarm, retainedMove} from '../fake-farm.ts';

let farm: FakeFarm;

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be02', 'be01']) await farm.addHost(host, {labels: {os: 'debian-12'}});
  for (const user of ['cy', 'ada', 'bob']) await farm.addUser(`${user}@example.org`, user === 'bob' ? 'be02' : 'be01');
});

test('before the first round nothing is known, and nothing looks like health', () => {
  expect(farm.views.farm().hurt).toBeNull();
  expect(farm.views.host('be01')).toMatchObject({verdict: null, reportAgeMs: null, report: null});
  expect(farm.views.verdicts()).toEqual({
    verdicts: [],
    cohorts: [],
    hurt: null,
    hurtPeak: null,
    decisions: [],
    circumstances: [],
    experiments: [],
  });
  expect(farm.views.metrics()).not.toContain('mailherd_users_hurt');
});

test('every view fits its schema', async () => {
  await farm.rounds(['be02']);
  parse(Type.Array(HostView), farm.views.hosts(), 'hosts');
  parse(FarmView, farm.views.farm(), 'farm');
  parse(UsersView, farm.views.users({host: null, after: null, limit: 10}), 'users');
  parse(VerdictsView, farm.views.verdicts(), 'verdicts');
  farm.mover.moves = [retainedMove('move-0001', 'ada@example.org', 'be02', 'be01', farm.clock.now())];
  parse(MovesView, farm.views.moves(), 'moves');
  expect(farm.views.hosts().map(({record, users, bytes}) => [record.host, users, bytes])).toEqual([
    ['be01', 2, 2_000_000],
    ['be02', 1, 1_000_000],
  ]);
});

test('the farm at a glance: verdicts, stages, who cordoned what, how old the newest report is, what moves', async () => {
  await farm.rounds(['be02']);
  const cordon = {by: 'ada', reason: 'memory test', atMs: farm.clock.now()};
  await farm.addHost('be03', {cordon});
  await farm.addHost('be04', {stage: 'draining', cordon: {...cordon, by: 'mailherd'}, emptying: {isLow: false, paused: cordon}});
  const {verdicts, ...glance} = farm.views.farm();
  expect(verdicts?.sick).toBe(1);
  expect(glance).toMatchObject({
    stages: {active: 3, draining: 1},
    cordoned: [{host: 'be03', ...cordon}],
    emptied: {hosts: 1, paused: ['be04']},
  });
  expect(glance.newestReportAgeMs).toBeLessThan(60_000);
  expect(glance).toMatchObject({clockBehindMs: null, agents: {'0.1.0': 2}});
  for (const host of farm.picture.fleet.hosts.values()) host.receivedAtMs = farm.clock.now() + 90_000;
  expect(farm.views.farm()).toMatchObject({clockBehindMs: 90_000, newestReportAgeMs: 0});
  expect(glance.failing).toBeNull();
  farm.failing = {sinceMs: 1, reason: 'ENOSPC'};
  expect(farm.views.farm().failing).toEqual(farm.failing);
  expect(glance.moves).toMatchObject({running: 0, total: farm.mover.queue.length});
});

test('of thousands that wait as many are listed as asked, the others counted by their reason', () => {
  const planned = {user: 'ada@example.org', source: 'be01', target: 'be02', bytes: 9_000, why: 'x'};
  farm.mover.queue = ['A', 'B', 'B', 'C'].map(because => ({planId: 'plan-0001', planned, because}));
  const view = farm.views.moves(2);
  expect([view.waiting.map(({because}) => because), view.unlisted, view.total]).toEqual([['A', 'B'], {B: 1, C: 1}, 4]);
  expect(farm.views.moves(null)).toMatchObject({waiting: {length: 4}, unlisted: {}, total: 4});
});

test('bytes of hosts are summed once in ten seconds, not for everybody who watches', async () => {
  expect(farm.views.host('be01').bytes).toBe(2_000_000);
  await farm.addUser('dan@example.org', 'be01', 3_000);
  expect(farm.views.host('be01').bytes).toBe(2_000_000);
  await farm.clock.advance(10_000);
  expect(farm.views.host('be01').bytes).toBe(2_003_000);
});

test('what is planned is to go though no size is known, as after a change of leaders', async () => {
  await farm.addHost('be03', {stage: 'draining'});
  await farm.addUser('dan@example.org', 'be03', 3_000);
  farm.picture.fleet.mailboxes.clear();
  expect(farm.views.host('be03').bytes).toBeNull();
  const planned = {user: 'dan@example.org', source: 'be03', target: 'be01', bytes: 9_000, why: 'x'};
  farm.mover.queue = [{planId: 'plan-0001', planned, because: 'BUDGET'}];
  expect(farm.views.moves().evacuations?.[0]).toMatchObject({left: 1, leftBytes: 9_000, waiting: 1});
});

test('users by page and by host', () => {
  const first = farm.views.users({host: null, after: null, limit: 2});
  expect([first.users.map(({user}) => user), first.next]).toEqual([['ada@example.org', 'bob@example.org'], 'bob@example.org']);
  expect(farm.views.users({host: null, after: first.next, limit: 2})).toMatchObject({users: [{user: 'cy@example.org'}], next: null});
  expect(farm.views.users({host: 'be02', after: null, limit: 2}).users.map(({user}) => user)).toEqual(['bob@example.org']);
  expect(() => farm.views.users({host: 'be77', after: null, limit: 2})).toThrow(/HOST_UNKNOWN/);
  expect(() => farm.views.user('nobody')).toThrow(/USER_UNKNOWN/);
});

test('progress counts the work that is under way, not all that ever was', () => {
  const nowMs = farm.clock.now();
  const old = {...retainedMove('move-0001', 'ada@example.org', 'be01', 'be02', nowMs - 9e6), planId: 'plan-0009'};
  const done = {...retainedMove('move-0002', 'bob@example.org', 'be01', 'be02', nowMs), createdAtMs: nowMs - 10_000, bytes: 500};
  farm.mover.moves = [old, done, {...done, id: 'move-0003', step: 'copying', bytes: 1_000}];
  expect(farm.views.moves()).toMatchObject({done: 1, total: 2, etaMs: 20_000});
  // It is 10 s old, as the other was at its end, and as large but for what counts for any.
  expect(farm.views.moves().running).toEqual([{id: 'move-0003', sinceMs: nowMs, share: 0.95, etaMs: 526}]);
  farm.mover.moves = [old, done];
  expect(farm.views.moves()).toMatchObject({done: 1, total: 1, etaMs: null});
  expect(farm.views.move('move-0001')).toBe(old);
  expect(() => farm.views.move('move-0009')).toThrow(/MOVE_UNKNOWN/);
});

test('how far each evacuation is: what left since it began, at the speed of the time in which anything moved', async () => {
  const nowMs = farm.clock.now();
  const paused = {by: 'ada', reason: 'switch', atMs: nowMs};
  const sinceMs = nowMs - 100_000;
  await farm.addHost('be03', {stage: 'draining', sinceMs, emptying: {isLow: true, paused: null}});
  await farm.addUser('dan@example.org', 'be03', 3_000);
  // 10 s for 1,000 bytes, then nothing moved for long, as in a pause.
  const move = (id: string, agoMs: number): MoveRecord => ({
    ...retainedMove(id, `${id}@example.org`, 'be03', 'be01', nowMs - agoMs),
    createdAtMs: nowMs - agoMs - 10_000,
    // Its copy was looked at since.
    updatedAtMs: nowMs,
  });
  farm.mover.moves = [move('m-before', 200_000), move('m-first', 80_000)];
  const [view] = farm.views.moves().evacuations ?? [];
  const own = {host: 'be03', sinceMs, isLow: true, paused: null, done: 1, left: 1, leftBytes: 3_000, running: 0, waiting: 0};
  expect(view).toEqual({...own, etaMs: 30_000});
  const entry = farm.hosts.rows.get('be03');
  if (entry !== undefined) farm.picture.applyHost({...entry, revision: 99, value: {...entry.value, emptying: {isLow: true, paused}}});
  expect(farm.views.moves().evacuations).toEqual([{...own, paused, etaMs: null}]);
});

test('the permission to wipe is not shown', async () => {
  await farm.addHost('be03', {stage: 'safeToWipe', wipe: {token: 'be03:secret', expiresAtMs: 9e12}});
  expect(JSON.stringify([farm.views.hosts(), farm.views.host('be03')])).not.toContain('secret');
  expect(farm.views.host('be03').record.wipe?.expiresAtMs).toBe(9e12);
});

test('metrics: one line a sample, labels escaped', async () => {
  await farm.rounds(['be02']);
  const text = farm.views.metrics();
  expect(text).toContain('mailherd_hosts{stage="active"} 2\n');
  expect(text).toContain('mailherd_host_users{host="be01"} 2\n');
  expect(text).toContain('mailherd_moves{step="copying"} 0\n');
  for (const line of text.trim().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) mailherd_\w+ .+|mailherd_\w+(\{\w+="[^"]*"\})? -?[\d.e+-]+)$/);
});

test('a policy of an older release is shown with what it leaves open, and that can be changed by name', async () => {
  const {relief: _, budget: __, ...older} = DEFAULT_POLICY;
  const {drain: ___, 'queue-relief': ____, ...modes} = older.modes;
  await farm.setPolicy({...older, modes: {...modes, evacuate: 'off'}});
  const {policy} = farm.views.policy();
  expect(policy).toEqual({...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, evacuate: 'off'}});
  const changed = patchPolicy(policy, ['modes.queue-relief=on', 'relief.relays=["be2"]', 'budget.outShareMax=0.4']);
  expect([changed.modes['queue-relief'], changed.relief?.relays, changed.budget?.outShareMax]).toEqual(['on', ['be2'], 0.4]);
});
