import {expect, test} from 'vitest';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {buildPlan, placeNew} from '../../../../coordinator/plan/build.ts';
import {checkPlan} from '../../../../coordinator/plan/check.ts';
import {placingOf, whyNoTarget} from '../../../../coordinator/plan/filter.ts';
import type {Plan} from '../../../../wire/record.ts';
import {type Farm, fiveHosts, GIB, IDLE, moveOf, NEW, OLD, recordOf, SICK} from '../fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};

function evacuate(farm: Farm, {verdicts, cohorts}: FlowOutcome, hosts: string[]): Plan {
  return buildPlan({kind: 'evacuate', hosts}, {fleet: farm.fleet, verdicts, cohorts, policy: farm.policy}, IDS, 'test');
}
const breaches = (plan: Plan, farm: Farm, {verdicts, cohorts}: FlowOutcome): string[] =>
  checkPlan(plan, farm.fleet, verdicts, cohorts, farm.policy).map(({rule}) => rule);
const landing = (plan: Plan): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const {target} of plan.moves) counts[target] = (counts[target] ?? 0) + 1;
  return counts;
};

test('a sick cohort is spread evenly over the healthy hosts, of users who are as busy the largest mailbox last', () => {
  const farm = fiveHosts();
  farm.fleet.mailboxes.set('u005@be4.example', {bytes: 3 * GIB, messages: 1});
  farm.pass(200);
  const outcome = farm.pass(100, {be4: SICK, be5: SICK});
  const plan = evacuate(farm, outcome, ['be4', 'be5']);
  expect(plan.unplaced).toEqual([]);
  expect(plan.moves.filter(({source}) => source === 'be4').at(-1)).toMatchObject({user: 'u005@be4.example', bytes: 3 * GIB});
  expect(Object.keys(landing(plan)).sort()).toEqual(['be1', 'be2', 'be3']);
  expect(Math.max(...Object.values(landing(plan))) - Math.min(...Object.values(landing(plan)))).toBeLessThanOrEqual(2);
  expect(breaches(plan, farm, outcome)).toEqual([]);
  expect(evacuate(farm, outcome, ['be4', 'be5'])).toEqual(plan);
});

test('what does not fit is unplaced with its code, and nothing is overfilled', () => {
  const farm = fiveHosts();
  const full = {mailStore: {totalBytes: 100 * GIB, freeBytes: 18 * GIB, freeInodes: null}};
  farm.pass(200);
  const outcome = farm.pass(100, {be1: SICK, be2: full, be3: full, be4: full, be5: full});
  const plan = evacuate(farm, outcome, ['be1', 'be2']);
  expect(landing(plan)).toEqual({be3: 3, be4: 3, be5: 3});
  expect(plan.unplaced).toHaveLength(15);
  expect(new Set(plan.unplaced.map(({code}) => code))).toEqual(new Set(['SPACE']));
  expect(breaches(plan, farm, outcome)).toEqual([]);
});

test('running and waiting moves are counted, and their users are left to them', () => {
  const farm = fiveHosts();
  const outcome = farm.pass(200);
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be2', 'copying', {bytes: 60 * GIB})];
  farm.fleet.waiting = [{user: 'u001@be1.example', source: 'be1', target: 'be2', bytes: 5 * GIB, why: ''}];
  const plan = evacuate(farm, outcome, ['be1']);
  expect(plan.moves).toHaveLength(10);
  expect(landing(plan).be2).toBeUndefined();
  expect(breaches(plan, farm, outcome)).toEqual([]);
});

test('why not that host', () => {
  const farm = fiveHosts();
  farm
    .add(recordOf('edge1', OLD, {role: 'edge'}))
    .add(recordOf('be6', NEW))
    .add(recordOf('be7', OLD))
    .add(recordOf('be8', OLD))
    .add(recordOf('be9', NEW))
    .add(recordOf('be10', OLD));
  farm.change('be2', {cordon: {by: 'ada', reason: 'x', atMs: 0}});
  farm.change('be8', {stage: 'probation'});
  farm.pass(200);
  const outcome = farm.pass(100, {be4: SICK, be5: SICK, be9: SICK, be7: null});
  const early = farm.fleet.hosts.get('be10');
  if (early !== undefined) early.ahead = {ms: 61_000, receivedAtMs: farm.nowMs};
  farm.fleet.moves = [moveOf('u000@be1.example', 'be3', 'be1', 'retained')];
  const outlook = {fleet: farm.fleet, verdicts: outcome.verdicts, cohorts: outcome.cohorts, policy: farm.policy};
  const why = (host: string): string | null => whyNoTarget(host, placingOf(outlook));
  expect([why('be1'), why('be2'), why('be4'), why('be6'), why('be7'), why('be8'), why('be10'), why('edge1'), why('nobody')]).toEqual([
    null,
    'CORDONED',
    'SICK',
    'SICK_COHORT',
    'SILENT',
    'STAGE',
    'CLOCK_AHEAD',
    'ROLE',
    'HOST_UNKNOWN',
  ]);
  const named = (...users: string[]): Plan =>
    buildPlan({kind: 'named', moves: users.map(user => ({user, target: 'be3'}))}, outlook, IDS, 'test');
  // Two that fit one by one, and not both.
  for (const user of ['u001@be1.example', 'u002@be1.example']) farm.fleet.mailboxes.set(user, {bytes: 40 * GIB, messages: 1});
  expect(named('u001@be1.example', 'u002@be1.example')).toMatchObject({moves: [{user: 'u001@be1.example'}], unplaced: [{code: 'SPACE'}]});
});

test('a copy that was left behind: not where the planner chooses, and where a person names it', () => {
  const farm = fiveHosts();
  const outcome = farm.pass(200);
  const user = 'u000@be1.example';
  farm.fleet.moves = ['be2', 'be3', 'be4'].map(host => moveOf(user, host, 'be1', 'retained'));
  const outlook = {fleet: farm.fleet, verdicts: outcome.verdicts, cohorts: outcome.cohorts, policy: farm.policy};
  const chosen = buildPlan({kind: 'single', user}, outlook, IDS, 'test');
  expect(chosen.moves).toMatchObject([{target: 'be5'}]);
  expect(breaches({...chosen, moves: chosen.moves.map(move => ({...move, target: 'be3'}))}, farm, outcome)).toEqual(['COPY_RETAINED']);
  const back = buildPlan({kind: 'named', moves: [{user, target: 'be3'}]}, outlook, IDS, 'test');
  expect(back).toMatchObject({moves: [{user, source: 'be1', target: 'be3'}], unplaced: []});
  expect(breaches(back, farm, outcome)).toEqual([]);
});

test.each([
  ['active', null],
  ['draining', null],
  ['drained', null],
  ['safeToWipe', 'STAGE'],
  ['reinstalling', 'STAGE'],
] as const)('back to a cordoned host that is %s, for whom it keeps the copy and nobody else', (stage, code) => {
  const farm = fiveHosts();
  const outcome = farm.pass(200);
  farm.change('be3', {stage, cordon: {by: 'ada', reason: 'x', atMs: 0}});
  const [user, other] = ['u000@be1.example', 'u001@be1.example'];
  farm.fleet.moves = [moveOf(user, 'be3', 'be1', 'retained')];
  const outlook = {fleet: farm.fleet, verdicts: outcome.verdicts, cohorts: outcome.cohorts, policy: farm.policy};
  const named = (name: string): Plan => buildPlan({kind: 'named', moves: [{user: name, target: 'be3'}]}, outlook, IDS, 'test');
  const back = named(user);
  expect(back.unplaced.map(unplaced => unplaced.code)).toEqual(code === null ? [] : [code]);
  expect(breaches(back, farm, outcome)).toEqual([]);
  expect(named(other).moves).toEqual([]);
  const forced = {...back, unplaced: [], moves: [{user: other, source: 'be1', target: 'be3', bytes: GIB, why: ''}]};
  expect(breaches(forced, farm, outcome)).toEqual([stage === 'active' ? 'TARGET_CORDONED' : 'TARGET_NOT_ACTIVE']);
});

test('nobody is brought back to a sick host', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const outcome = farm.pass(100, {be3: SICK});
  const user = 'u000@be1.example';
  farm.fleet.moves = [moveOf(user, 'be3', 'be1', 'retained')];
  const outlook = {fleet: farm.fleet, verdicts: outcome.verdicts, cohorts: outcome.cohorts, policy: farm.policy};
  expect(buildPlan({kind: 'named', moves: [{user, target: 'be3'}]}, outlook, IDS, 'test').unplaced).toMatchObject([{code: 'SICK'}]);
});

test('rebalance fills a new host, moves no more than needed, and is then done', () => {
  const farm = fiveHosts().add(recordOf('be6', OLD));
  const outcome = farm.pass(200, {be6: IDLE});
  const outlook = {fleet: farm.fleet, verdicts: outcome.verdicts, cohorts: outcome.cohorts, policy: farm.policy};
  const plan = buildPlan({kind: 'rebalance'}, outlook, IDS, 'test');
  expect(plan.moves).toHaveLength(10);
  expect(landing(plan)).toEqual({be6: 10});
  expect(breaches(plan, farm, outcome)).toEqual([]);
  for (const {user, target} of plan.moves) farm.fleet.routes.set(user, {host: target, generation: 2, moveId: null});
  expect(buildPlan({kind: 'rebalance'}, outlook, IDS, 'test').moves).toEqual([]);
  expect(farm.pass(10).decisions).toEqual([]);
});

test('one mailbox: where it fits best, where it is told to, or why not', () => {
  const farm = fiveHosts().add(recordOf('be6', OLD));
  const {verdicts, cohorts} = farm.pass(200, {be6: IDLE});
  const outlook = {fleet: farm.fleet, verdicts, cohorts, policy: farm.policy};
  const single = (user: string, target: string | null): Plan =>
    buildPlan(target === null ? {kind: 'single', user} : {kind: 'named', moves: [{user, target}]}, outlook, IDS, 'test');
  expect(single('u000@be1.example', null).moves).toMatchObject([{target: 'be6'}]);
  expect(single('u000@be1.example', 'be3').moves).toMatchObject([{source: 'be1', target: 'be3'}]);
  expect(single('u000@be1.example', 'be1')).toMatchObject({moves: [], unplaced: [{code: 'SELF'}]});
  expect(() => single('nobody@x.example', null)).toThrow('USER_UNKNOWN');
  expect(() => single('u000@be1.example', 'be99')).toThrow('HOST_UNKNOWN');
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be2', 'copying')];
  expect(() => single('u000@be1.example', null)).toThrow('MOVE_IN_PROGRESS');
  farm.fleet.moves = [moveOf('u000@be1.example', 'be6', 'be1', 'retained')];
  expect(single('u000@be1.example', null).moves.map(({target}) => target)).not.toContain('be6');
  expect(single('u000@be1.example', 'be6').moves).toMatchObject([{source: 'be1', target: 'be6'}]);
  expect(placeNew('new@x.example', outlook)).toBe('be6');
});

test('the linter sees every broken rule by itself', () => {
  const farm = fiveHosts();
  farm.change('be3', {cordon: {by: 'ada', reason: 'x', atMs: 0}});
  farm.pass(200);
  const outcome = farm.pass(100, {be4: SICK, be5: SICK});
  const good = {user: 'u000@be1.example', source: 'be1', target: 'be2', bytes: GIB, why: ''};
  const rules = (...moves: Plan['moves']): string[] =>
    breaches(
      {v: 1, id: 'plan-0001', kind: 'single', createdAtMs: 1, generation: 1, parent: null, because: '', moves, unplaced: []},
      farm,
      outcome,
    );
  expect(rules(good)).toEqual([]);
  expect(rules(good, good)).toEqual(['USER_TWICE']);
  expect(rules({...good, source: 'be2', target: 'be1'})).toEqual(['NOT_AT_SOURCE']);
  expect(rules({...good, target: 'be1'})).toEqual(['TO_ITSELF']);
  expect(rules({...good, target: 'be3'})).toEqual(['TARGET_CORDONED']);
  expect(rules({...good, target: 'be4'})).toEqual(['TARGET_NOT_WELL']);
  expect(rules({...good, target: 'nobody'})).toEqual(['TARGET_UNKNOWN', 'SPACE']);
  expect(rules({...good, bytes: 66 * GIB})).toEqual(['SPACE']);
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be2', 'copying')];
  expect(rules(good)).toEqual(['USER_MOVING']);
  farm.fleet.moves = [moveOf('u000@be1.example', 'be2', 'be1', 'retained')];
  const choice = {code: 'LOWEST_LEVEL', level: 1, next: null} as const;
  expect(rules({...good, choice})).toEqual(['COPY_RETAINED']);
  // Named by a person: brought back.
  expect(rules(good)).toEqual([]);
});
