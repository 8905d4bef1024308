import {expect, test} from 'vitest';
import {buildPlan, placeNew} from '../../../../coordinator/plan/build.ts';
import {checkPlan} from '../../../../coordinator/plan/check.ts';
import {construct} from '../../../../coordinator/plan/construct.ts';
import {type FarmHost, LEVELS, type Movables, modelOfFarm} from '../../../../coordinator/plan/farm.ts';
import type {Outlook} from '../../../../coordinator/plan/filter.ts';
import {lackOf} from '../../../../coordinator/plan/lack.ts';
import {assertModel} from '../../../../coordinator/plan/model.ts';
import {violationsOf} from '../../../../coordinator/plan/model-check.ts';
import {whatIf} from '../../../../coordinator/plan/what-if.ts';
import type {Policy} from '../../../../wire/policy.ts';
import type {Plan} from '../../../../wire/record.ts';
import {fiveHosts, GIB, recordOf} from '../fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};

function outlook(place: Partial<Policy['place']> = {}): Outlook {
  const farm = fiveHosts([]);
  const {verdicts, cohorts} = farm.pass(200);
  return {fleet: farm.fleet, verdicts, cohorts, policy: {...farm.policy, place: {...farm.policy.place, ...place}}};
}

const plan = (on: Outlook, hosts: string[]): Plan => {
  const made = buildPlan({kind: 'evacuate', hosts}, on, IDS, 'test');
  expect(checkPlan(made, on.fleet, on.verdicts, on.cohorts, on.policy)).toEqual([]);
  return made;
};
const codes = ({unplaced}: Plan): string[] => [...new Set(unplaced.map(({code}) => code))];

const HOST: FarmHost = {name: 'be1', roomBytes: 10, stayBytes: 0, stayLoad: 0, loadMax: null, isOpen: true, strength: 1};
const OLD: FarmHost = {...HOST, name: 'old', roomBytes: 0, isOpen: false};
const one = (bytes: number, load = 1): Movables => ({home: Int32Array.of(1), bytes: Float64Array.of(bytes), load: Float64Array.of(load)});

test.each([
  ['a size that is no number', [HOST, OLD], one(Number.NaN)],
  ['a negative size', [HOST, OLD], one(-1)],
  ['a size without end', [HOST, OLD], one(Number.POSITIVE_INFINITY)],
  ['a load that is no number', [HOST, OLD], one(1, Number.NaN)],
  ['a room that is no number', [{...HOST, roomBytes: Number.NaN}, OLD], one(1)],
  ['a negative room', [{...HOST, roomBytes: -1}, OLD], one(1)],
  ['no strength', [{...HOST, strength: 0}, OLD], one(1)],
  ['a home that is no host', [HOST, OLD], {...one(1), home: Int32Array.of(7)}],
  ['fewer sizes than mailboxes', [HOST, OLD], {...one(1), bytes: new Float64Array(0)}],
])('%s is refused by name', (_, hosts, movables) => {
  expect(() => modelOfFarm(hosts, movables)).toThrow(/INPUT_INVALID/);
});

test('nothing, of nothing, on nothing: no plan and no error', () => {
  const none = {home: new Int32Array(0), bytes: new Float64Array(0), load: new Float64Array(0)};
  const problem = modelOfFarm([HOST], none);
  assertModel(problem.model);
  expect(construct(problem.model, LEVELS)).toHaveLength(0);
  const zero = modelOfFarm([{...HOST, roomBytes: 0}, OLD], one(0, 0));
  assertModel(zero.model);
  expect(violationsOf(zero.model, construct(zero.model, LEVELS))).toEqual([]);
});

test('sizes that are missing or nonsense count as the mean of the others', () => {
  const on = outlook();
  on.fleet.mailboxes.set('u000@be1.example', {bytes: Number.NaN, messages: 1});
  on.fleet.mailboxes.set('u001@be1.example', {bytes: -5, messages: 1});
  on.fleet.mailboxes.delete('u002@be1.example');
  const {moves, unplaced} = plan(on, ['be1']);
  expect([moves.length, unplaced.length]).toEqual([12, 0]);
  expect(new Set(moves.map(({bytes}) => bytes))).toEqual(new Set([GIB]));
});

test('a host that tells nonsense takes nothing', () => {
  const on = outlook();
  for (const report of on.fleet.hosts.get('be2')?.reports ?? [])
    report.mailStore = {totalBytes: Number.NaN, freeBytes: GIB, freeInodes: null};
  expect(plan(on, ['be1']).moves.every(({target}) => target !== 'be2')).toBe(true);
});

test('a mailbox larger than any host stays, the others go; all hosts excluded: nobody goes', () => {
  const on = outlook();
  on.fleet.mailboxes.set('u000@be1.example', {bytes: 500 * GIB, messages: 1});
  const partial = plan(on, ['be1', 'be1']);
  expect([partial.moves.length, codes(partial)]).toEqual([11, ['SPACE']]);
  expect(partial.account?.lack).toMatchObject({mailboxes: 1, largestBytes: 500 * GIB, standardHosts: null});
  const none = plan(on, ['be1', 'be2', 'be3', 'be4', 'be5']);
  expect([none.moves.length, codes(none)]).toEqual([0, ['NO_TARGET']]);
  expect(none.account?.lack?.tiers).toMatchObject([{tier: 'any', resource: 'TARGET', mailboxes: 60}]);
  expect(() => plan(on, ['be9'])).toThrow(/HOST_UNKNOWN/);
});

test('a domain larger than every host cannot be kept together: it stays, and the figures say why', () => {
  const on = outlook({together: ['be1.example']});
  for (const user of on.fleet.mailboxes.keys())
    if (user.endsWith('@be1.example')) on.fleet.mailboxes.set(user, {bytes: 9 * GIB, messages: 1});
  const made = plan(on, ['be1']);
  expect([made.moves.length, codes(made)]).toEqual([0, ['SPACE']]);
  expect(made.account?.lack).toMatchObject({mailboxes: 1, bytes: 108 * GIB, standardHosts: null});
});

test('a tier that no host offers, and one that is full', () => {
  const on = outlook({
    tiers: [
      {who: '@be1.example', labels: ['hardware=none']},
      {who: '@be2.example', labels: ['os=debian-12']},
    ],
  });
  const made = plan(on, ['be1', 'be2']);
  expect([made.moves.length, codes(made)]).toEqual([12, ['TIER']]);
  expect(made.account?.lack?.tiers).toMatchObject([{tier: 'hardware=none', resource: 'TARGET', mailboxes: 12, standardHosts: null}]);
  const view = whatIf({evacuate: ['be1', 'be2']}, on);
  expect(view).toMatchObject({fits: false, moves: 12});
});

test('a million mailboxes on one host', {timeout: 120_000}, () => {
  const count = 1_000_000;
  const hosts = [...Array.from({length: 20}, (_, at): FarmHost => ({...HOST, name: `be${at}`, roomBytes: 40_000 * GIB})), OLD];
  const movables = {
    home: new Int32Array(count).fill(20),
    bytes: Float64Array.from({length: count}, (_, at) => (at % 1000) * 2 ** 20),
    load: new Float64Array(count).fill(1),
  };
  const {model} = modelOfFarm(hosts, movables);
  const assignment = construct(model, LEVELS);
  expect(lackOf(hosts, movables, assignment)).toBeNull();
  const small = hosts.map(host => ({...host, roomBytes: Math.floor(host.roomBytes / 100)}));
  const lack = lackOf(small, movables, construct(modelOfFarm(small, movables).model, LEVELS));
  expect(lack?.standardHosts).toBeGreaterThan(1000);
});

test('a new mailbox when nobody takes one, and users that are not there', () => {
  const on = outlook();
  for (const host of on.fleet.hosts.values())
    host.record = {...recordOf(host.record.host, host.record.labels), cordon: {by: 'x', reason: 'x', atMs: 0}};
  expect(placeNew('new@x.example', on)).toBeNull();
  expect(() => buildPlan({kind: 'single', user: 'nobody@x.example'}, on, IDS, 'x')).toThrow(/USER_UNKNOWN/);
});
