import {expect, test} from 'vitest';
import {renderWhatIf} from '../../../../cli/render-what-if.ts';
import {decide} from '../../../../coordinator/decision/decide.ts';
import {buildPlan} from '../../../../coordinator/plan/build.ts';
import {checkPlan} from '../../../../coordinator/plan/check.ts';
import {type Outlook, placingOf} from '../../../../coordinator/plan/filter.ts';
import {loadsOf} from '../../../../coordinator/plan/load.ts';
import {whatIf} from '../../../../coordinator/plan/what-if.ts';
import type {Policy} from '../../../../wire/policy.ts';
import type {Plan} from '../../../../wire/record.ts';
import {Farm, OLD, recordOf} from '../fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};
const MIB = 2 ** 20;

/** Four hosts with twelve mailboxes of 100 MiB and 20 deliveries a day. @param busy deliveries a day of some. */
function farm(busy: Record<string, number | null> = {}, place: Partial<Policy['place']> = {}): {farm: Farm; on: Outlook} {
  const built = new Farm();
  for (const host of ['be1', 'be2', 'be3', 'be4']) built.add(recordOf(host, OLD), 12, 100 * MIB);
  for (const [user, facts] of built.fleet.mailboxes) {
    const deliveriesPerDay = busy[user] === undefined ? 20 : busy[user];
    built.fleet.mailboxes.set(user, {...facts, deliveriesPerDay, sessionsPerDay: 0});
  }
  const {verdicts, cohorts} = built.pass(200);
  const policy: Policy = {
    ...built.policy,
    modes: {...built.policy.modes, rebalance: 'on'},
    place: {...built.policy.place, headroomShare: 0, ...place},
  };
  return {farm: built, on: {fleet: built.fleet, verdicts, cohorts, policy}};
}

function plan(task: Parameters<typeof buildPlan>[0], on: Outlook): Plan {
  const made = buildPlan(task, on, IDS, 'test');
  expect(checkPlan(made, on.fleet, on.verdicts, on.cohorts, on.policy)).toEqual([]);
  return made;
}

function loadsAfter(made: Plan, on: Outlook): number[] {
  const loads = loadsOf(on.fleet);
  const after = new Map([...on.fleet.routes].map(([user, {host}]) => [user, host]));
  for (const {user, target} of made.moves) after.set(user, target);
  return ['be1', 'be2', 'be3', 'be4'].map(host =>
    [...after].reduce((sum, [user, at]) => sum + (at === host && user !== '' ? loads.of(user) : 0), 0),
  );
}

test('a load is what is stored, half of the logins, and one for being there; who is not known is an average one', () => {
  const {fleet} = farm({'u000@be1.example': 40, 'u001@be1.example': null, 'u002@be1.example': Number.NaN}).on;
  fleet.mailboxes.set('u003@be1.example', {bytes: 1, messages: 1, deliveriesPerDay: 0, sessionsPerDay: 10});
  const loads = loadsOf(fleet);
  expect([loads.of('u000@be1.example'), loads.of('u003@be1.example'), loads.of('u000@be2.example')]).toEqual([41, 6, 21]);
  const mean = (41 + 6 + 44 * 21) / 46;
  expect([loads.of('u001@be1.example'), loads.of('u002@be1.example'), loads.of('new@x.example')]).toEqual([mean, mean, mean]);
  expect([loads.unknown, loads.isKnown]).toEqual([2, true]);
  for (const facts of fleet.mailboxes.values()) facts.deliveriesPerDay = null;
  expect(loadsOf(fleet)).toMatchObject({unknown: 48, isKnown: false});
  expect(loadsOf(fleet).of('u000@be1.example')).toBe(1);
});

test('a busy host is relieved by few moves of busy mailboxes, whatever the bytes say', () => {
  // Four small mailboxes are most of the work on be1; its others are as everywhere, and the other hosts hold more bytes.
  const busy = Object.fromEntries(['u000', 'u001', 'u002', 'u003'].map(name => [`${name}@be1.example`, 160]));
  const {farm: built, on} = farm(busy);
  for (const user of Object.keys(busy))
    built.fleet.mailboxes.set(user, {
      ...on.fleet.mailboxes.get(user),
      bytes: 10 * MIB,
      messages: 1,
      deliveriesPerDay: 160,
      sessionsPerDay: 0,
    });
  const [due] = decide(on.fleet, on.verdicts, on.cohorts, on.policy, built.nowMs).filter(({kind}) => kind === 'rebalance');
  expect(due?.evidence[0]).toMatchObject({sli: 'load', unit: 'mailboxes'});
  const made = plan({kind: 'rebalance'}, on);
  expect(made.moves.length).toBeGreaterThan(0);
  expect(made.moves.length).toBeLessThanOrEqual(4);
  expect(made.moves.every(({user}) => busy[user] !== undefined)).toBe(true);
  const after = loadsAfter(made, on);
  expect(Math.max(...after)).toBeLessThan(0.75 * Math.max(...loadsAfter({...made, moves: []}, on)));
});

test('the landing is spread by load as well as by bytes', () => {
  const busy = Object.fromEntries(['u000', 'u001', 'u002'].map(name => [`${name}@be1.example`, 400]));
  const {on} = farm(busy);
  const made = plan({kind: 'evacuate', hosts: ['be1']}, on);
  expect(new Set(made.moves.filter(({user}) => busy[user] !== undefined).map(({target}) => target)).size).toBe(3);
  expect(made.account).toMatchObject({loadUnknown: 0, binding: {loadMax: null}});
});

test('a limit of load is kept, said when it lacks, read by the linter, and without effect while no load is known', () => {
  // 252 on each: one more third of be1 would be 336.
  const {farm: built, on} = farm({}, {loadMax: 300});
  const made = plan({kind: 'evacuate', hosts: ['be1']}, on);
  expect([made.moves.length, new Set(made.unplaced.map(({code}) => code))]).toEqual([6, new Set(['LOAD'])]);
  expect(made.account?.lack).toMatchObject({mailboxes: 6, load: 126, standardHosts: 1, tiers: [{resource: 'LOAD', standardHosts: 1}]});
  const more = made.unplaced.map(({user, source, bytes}) => ({user, source, bytes, target: 'be2', why: ''}));
  const tooMuch = {...made, moves: [...made.moves, ...more], unplaced: []};
  expect(checkPlan(tooMuch, on.fleet, on.verdicts, on.cohorts, on.policy).map(({rule}) => rule)).toEqual(['LOAD']);
  const view = whatIf({evacuate: ['be1'], growth: 0.25}, on);
  expect(view).toMatchObject({fits: false, overloaded: ['be2', 'be3', 'be4'].map(host => ({host, lackLoad: 15}))});
  expect(renderWhatIf(view, true, {colour: false, nowMs: 0})).toMatch(/be2 would have 15 more load[\s\S]*315 of 300/);
  expect(whatIf({evacuate: ['be1'], add: 1}, on).fits).toBe(true);
  for (const facts of built.fleet.mailboxes.values()) facts.deliveriesPerDay = null;
  const blind = plan({kind: 'evacuate', hosts: ['be1']}, on);
  expect([blind.moves.length, blind.account?.loadUnknown]).toEqual([12, 48]);
  expect(renderWhatIf(whatIf({evacuate: ['be1']}, on), false, {colour: false, nowMs: 0})).toContain(
    'The load of 48 mailboxes is not known',
  );
});

test('what runs and waits is load at its target', () => {
  const {farm: built, on} = farm();
  built.fleet.waiting = [{user: 'u000@be1.example', source: 'be1', target: 'be2', bytes: 100 * MIB, why: ''}];
  const {rooms} = placingOf(on);
  expect([rooms.get('be1')?.load, rooms.get('be2')?.load]).toEqual([11 * 21, 13 * 21]);
});

test('who gains most for the time his move takes leaves first: busy users before an archive, whatever it weighs', () => {
  const {farm: built, on} = farm({'u003@be1.example': 500, 'u004@be1.example': 400, 'u005@be1.example': 0});
  for (const [user, mib] of [
    ['u003@be1.example', 300],
    ['u004@be1.example', 100],
    ['u005@be1.example', 5_000],
  ] as const)
    built.fleet.mailboxes.set(user, {...built.fleet.mailboxes.get(user), bytes: mib * MIB, messages: 1});
  const users = plan({kind: 'evacuate', hosts: ['be1']}, on).moves.map(({user}) => user);
  expect([users.slice(0, 2), users.at(-1)]).toEqual([['u004@be1.example', 'u003@be1.example'], 'u005@be1.example']);
});
