import {setImmediate} from 'node:timers/promises';
import type {Worker} from 'node:worker_threads';
import {expect, test} from 'vitest';
import {deskHere, type PlanWish} from '../../coordinator/plan/desk.ts';
import {deskAway} from '../../coordinator/plan/desk-away.io.ts';
import type {Outlook} from '../../coordinator/plan/filter.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import {Farm, GIB, moveOf, NEW, OLD, recordOf} from '../unit/coordinator/fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};

/** More users than are copied at once, one of them on his way, one with an old copy. */
function outlook(): Outlook {
  const farm = new Farm();
  for (let at = 0; at < 8; at++) farm.add(recordOf(`be${at}`, at < 2 ? NEW : OLD), 400, GIB / 100);
  farm.fleet.moves = [moveOf('u001@be0.example', 'be0', 'be3', 'copying'), moveOf('u002@be0.example', 'be4', 'be0', 'retained')];
  farm.fleet.waiting = [{user: 'u003@be0.example', source: 'be0', target: 'be5', bytes: GIB, why: 'test'}];
  const {verdicts, cohorts} = farm.pass(900);
  return {fleet: farm.fleet, verdicts, cohorts, policy: DEFAULT_POLICY};
}

/** Everybody of two hosts to named ones: a search would end by the clock, and not twice the same. */
function wishFor({fleet: {routes}}: Outlook): PlanWish {
  const users = [...routes].flatMap(([user, {host}]) => (host === 'be0' || host === 'be1' ? [user] : []));
  const standing = users.filter(user => !['u001@be0.example', 'u003@be0.example'].includes(user));
  return {kind: 'named', moves: standing.map((user, at) => ({user, target: `be${2 + (at % 6)}`}))};
}

test('a plan is the same wherever it is made, and others have their turn while it is made elsewhere', async () => {
  const [on, here] = [outlook(), deskHere(() => Promise.reject(new Error('searched')))];
  const plan = await here.plan(wishFor(on), on, IDS, 'test');
  let [turns, isMade] = [0, false];
  const away = deskAway(new AbortController().signal).plan(wishFor(on), on, IDS, 'test');
  const counted = (async () => {
    for (; !isMade; turns++) await setImmediate();
  })();
  expect(await away.finally(() => (isMade = true))).toEqual(plan);
  await counted;
  expect(plan.moves.length).toBe(798);
  // A plan that were made on this thread would leave none.
  expect(turns).toBeGreaterThan(10);
  const wish = {evacuate: ['be0'], survive: 'host'};
  expect(await deskAway(new AbortController().signal).whatIf(wish, on)).toEqual(await here.whatIf(wish, on));
});

test('one what-if and one plan are made at a time, also after one that failed', async () => {
  const [on, desk] = [outlook(), deskAway(new AbortController().signal)];
  let [now, most, all] = [0, 0, 0];
  const begun = (thread: Worker): void => {
    [now, all] = [now + 1, all + 1];
    most = Math.max(most, now);
    thread.once('exit', () => now--);
  };
  process.on('worker', begun);
  const whatIfs = ['be99', 'be0', 'be1'].map(host => desk.whatIf({evacuate: [host]}, on));
  const plans = ['nobody@example.org', 'u004@be0.example'].map(user => desk.plan({kind: 'single', user}, on, IDS, 'test'));
  const ended = await Promise.allSettled([...whatIfs, ...plans]).finally(() => process.off('worker', begun));
  expect(ended.map(({status}) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect([all, most]).toEqual([5, 2]);
});

test('a refusal keeps its code on the way back', async () => {
  const on = outlook();
  const desk = deskAway(new AbortController().signal);
  expect((await desk.plan({kind: 'single', user: 'u004@be0.example'}, on, IDS, 'test')).moves).toMatchObject([{source: 'be0'}]);
  await expect(desk.plan({kind: 'single', user: 'nobody@example.org'}, on, IDS, 'test')).rejects.toMatchObject({code: 'USER_UNKNOWN'});
  const moving = desk.plan({kind: 'single', user: 'u003@be0.example'}, on, IDS, 'test');
  await expect(moving).rejects.toMatchObject({code: 'MOVE_IN_PROGRESS', detail: {user: 'u003@be0.example'}});
});

test('who leads no longer makes no plan', async () => {
  const [on, end] = [outlook(), new AbortController()];
  const desk = deskAway(end.signal);
  const asked = desk.plan(wishFor(on), on, IDS, 'test');
  await setImmediate();
  end.abort();
  await expect(asked).rejects.toMatchObject({code: 'NOT_LEADER'});
  await expect(desk.plan(wishFor(on), on, IDS, 'test')).rejects.toMatchObject({code: 'NOT_LEADER'});
});
