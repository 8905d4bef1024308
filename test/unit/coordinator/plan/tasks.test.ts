import {expect, test} from 'vitest';
import {renderStoredPlan, renderWhatIf} from '../../../../cli/render-what-if.ts';
import {apartRule} from '../../../../coordinator/plan/apart.ts';
import {buildPlan, placeNew} from '../../../../coordinator/plan/build.ts';
import {checkPlan} from '../../../../coordinator/plan/check.ts';
import {type Outlook, placingOf} from '../../../../coordinator/plan/filter.ts';
import {wavesOf} from '../../../../coordinator/plan/waves.ts';
import {whatIf} from '../../../../coordinator/plan/what-if.ts';
import type {Policy} from '../../../../wire/policy.ts';
import type {Plan, PlannedMove} from '../../../../wire/record.ts';
import {Farm, GIB, IDLE, moveOf, OLD, recordOf} from '../fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};

/** Four hosts in two racks with ten mailboxes of 1 GiB each, and one that is empty. */
function farm(place: Partial<Policy['place']> = {}): {farm: Farm; outlook: () => Outlook} {
  const built = new Farm();
  for (let at = 1; at <= 4; at++) built.add(recordOf(`be${at}`, {...OLD, rack: `r${at % 2}`}), 10);
  built.add(recordOf('be5', {...OLD, rack: 'r1', hardware: 'new'}));
  const {verdicts, cohorts} = built.pass(200, {be5: IDLE});
  const policy = {...built.policy, place: {...built.policy.place, ...place}};
  return {farm: built, outlook: () => ({fleet: built.fleet, verdicts, cohorts, policy})};
}

function plan(task: Parameters<typeof buildPlan>[0], on: Outlook): Plan {
  const made = buildPlan(task, on, IDS, 'test');
  expect(checkPlan(made, on.fleet, on.verdicts, on.cohorts, on.policy)).toEqual([]);
  return made;
}

test('a host that comes back is filled, first with those who left it', () => {
  const {farm: built, outlook} = farm();
  const back = ['u007@be1.example', 'u003@be2.example'];
  built.fleet.moves = back.map(user => moveOf(user, 'be5', `be${user.at(-9)}`, 'purged'));
  const {moves, kind} = plan({kind: 'fill', hosts: ['be5']}, outlook());
  expect([kind, moves.length]).toEqual(['fill', 8]);
  expect(new Set(moves.map(({target}) => target))).toEqual(new Set(['be5']));
  for (const host of ['be1', 'be2', 'be3', 'be4']) expect(moves.filter(({source}) => source === host)).toHaveLength(2);
  expect(moves.map(({user}) => user)).toEqual(expect.arrayContaining(back));
});

test('who is pinned stays, and keeps a host from being empty; a person may move him', () => {
  const {outlook} = farm({pinned: ['u000@be1.example', '@be2.example']});
  const {moves, unplaced} = plan({kind: 'evacuate', hosts: ['be1', 'be2']}, outlook());
  expect([moves.length, unplaced.length]).toEqual([9, 11]);
  expect(new Set(unplaced.map(({code}) => code))).toEqual(new Set(['PINNED']));
  expect(whatIf({evacuate: ['be1']}, outlook())).toMatchObject({fits: false, pinned: 1});
  expect(plan({kind: 'named', moves: [{user: 'u000@be1.example', target: 'be3'}]}, outlook()).moves).toHaveLength(1);
});

test('tiers, a domain in one place, a domain in two racks', () => {
  const tiers = [{who: '@be1.example', labels: ['hardware=new']}];
  expect(plan({kind: 'evacuate', hosts: ['be1']}, farm({tiers}).outlook()).moves.every(({target}) => target === 'be5')).toBe(true);
  expect(placeNew('new@be1.example', farm({tiers}).outlook())).toBe('be5');
  const together = plan({kind: 'evacuate', hosts: ['be1']}, farm({together: ['be1.example']}).outlook());
  expect(new Set(together.moves.map(({target}) => target)).size).toBe(1);
  expect(placeNew('new@be2.example', farm({together: ['be2.example']}).outlook())).toBe('be2');
  const {farm: built, outlook} = farm({apart: [{domain: 'be1.example', racks: 2}]});
  for (const user of ['u000@be1.example', 'u001@be1.example']) built.fleet.routes.set(user, {host: 'be2', generation: 1, moveId: null});
  // be1, be3 and be5 are one rack, be2 and be4 the other: the two that leave be2 may not join the eight.
  const apart = plan({kind: 'evacuate', hosts: ['be2']}, outlook());
  expect(apart.moves.filter(({user}) => user.endsWith('@be1.example')).some(({target}) => target === 'be4')).toBe(true);
});

test('a domain kept apart moves one by one, and what would close it up on its way waits for another plan', () => {
  const {farm: built, outlook} = farm({apart: [{domain: 'x.example', racks: 2}], pinned: []});
  const on = outlook();
  const rule = apartRule(placingOf(on));
  const move = (user: string, source: string, target: string): PlannedMove => ({user, source, target, bytes: 1, why: ''});
  built.fleet.routes.set('a@x.example', {host: 'be1', generation: 1, moveId: null});
  built.fleet.routes.set('b@x.example', {host: 'be2', generation: 1, moveId: null});
  const room = new Map(['be1', 'be2', 'be3', 'be4'].map(host => [host, GIB]));
  const limits = {perSourceMax: 9, perTargetMax: 9};
  const order = (...moves: PlannedMove[]): [string[][], string[]] => {
    const {waves, stuck} = wavesOf(moves, room, new Map(), limits, apartRule(placingOf(on)));
    return [waves.map(wave => wave.map(({user}) => user)), stuck.map(({user}) => user)];
  };
  expect(rule.aloneOf('u@y.example')).toBeNull();
  // Within the racks: two waves. Changing places: no order at all.
  expect(order(move('a@x.example', 'be1', 'be3'), move('b@x.example', 'be2', 'be4'))).toEqual([[['a@x.example'], ['b@x.example']], []]);
  expect(order(move('a@x.example', 'be1', 'be4'), move('b@x.example', 'be2', 'be3'))).toEqual([[], ['a@x.example', 'b@x.example']]);
});

test('stronger hardware takes more', () => {
  const {moves} = plan({kind: 'fill', hosts: ['be5']}, farm({strengths: {'hardware=new': 2}}).outlook());
  expect(moves.length).toBeGreaterThan(11);
});

test('whether a host or a rack may be lost, and how many hosts would help', () => {
  const {farm: built, outlook} = farm();
  expect(whatIf({survive: 'host'}, outlook()).survival).toMatchObject({by: 'host', groups: 5, lost: 0});
  // A step each, so that the leader keeps its lease.
  for (const [host, {reports}] of built.fleet.hosts) {
    for (const report of reports) report.mailStore = {totalBytes: 100 * GIB, freeBytes: (host === 'be5' ? 25 : 20) * GIB, freeInodes: null};
  }
  // 15 GiB of each are reserve: 5 GiB of room, 10 on be5.
  const view = whatIf({survive: 'rack'}, outlook());
  expect(view.survival).toMatchObject({
    by: 'rack',
    groups: 2,
    lost: 1,
    worst: [
      {group: 'r1', hosts: 3, bytes: 20 * GIB, lackBytes: 10 * GIB},
      {group: 'r0', lackBytes: 0},
    ],
  });
  expect(renderWhatIf(view, true, {colour: false, nowMs: 0})).toMatch(/1 of 2 cannot be lost/);
  expect(whatIf({survive: 'rack', add: 2}, outlook()).survival?.lost).toBe(0);
});

test('a stored plan says what it cost, and why each mailbox goes where it goes', () => {
  const made = plan({kind: 'evacuate', hosts: ['be1']}, farm().outlook());
  expect(made.account).toMatchObject({before: {moved: 0, stays: 10 * GIB}, after: {moved: 10 * GIB, stays: 0}, lack: null});
  expect(made.account?.headroom.before).toBeGreaterThan(made.account?.headroom.after ?? Number.NaN);
  for (const {choice} of made.moves)
    expect(choice).toMatchObject({code: expect.stringMatching(/LOWEST/), next: {code: expect.any(String)}});
  expect(renderStoredPlan(made, true)).toMatch(/binds by[\s\S]*LOWEST_LEVEL/);
  expect(renderStoredPlan(made, false)).not.toMatch(/LOWEST_LEVEL/);
});

test('a linter of its own reads the words of the policy', () => {
  const {outlook} = farm({
    pinned: ['u000@be1.example'],
    tiers: [{who: '@be2.example', labels: ['hardware=new']}],
    together: ['be3.example'],
  });
  const move = (user: string, target: string): Plan['moves'][number] => {
    return {user, source: user.slice(5, 8), target, bytes: GIB, why: ''};
  };
  const moves = [move('u000@be1.example', 'be2'), move('u000@be2.example', 'be1'), move('u000@be3.example', 'be1')];
  const made: Plan = {
    v: 1,
    id: 'plan-0001',
    kind: 'rebalance',
    createdAtMs: 1,
    generation: 1,
    parent: null,
    because: '',
    moves,
    unplaced: [],
  };
  const on = outlook();
  expect(checkPlan(made, on.fleet, on.verdicts, on.cohorts, on.policy).map(({rule}) => rule)).toEqual(['PINNED', 'TIER', 'DOMAIN_TORN']);
  expect(checkPlan({...made, kind: 'single'}, on.fleet, on.verdicts, on.cohorts, on.policy)).toEqual([]);
});
