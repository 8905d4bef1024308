import {describe, expect, test} from 'vitest';
import {budgetVeto, spendingOf, withinBudget} from '../../../../coordinator/decision/budget.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {Decision, Veto} from '../../../../wire/record.ts';
import {Farm, GIB, moveOf, OLD, recordOf, START_MS} from '../fleet-builder.ts';

const CORDON = {by: 'mailherd', reason: 'x', atMs: START_MS};

function tenHosts(): Farm {
  const farm = new Farm();
  for (let index = 0; index < 10; index++) farm.add(recordOf(`be${index}`, OLD));
  farm.pass(10);
  return farm;
}
const wish = (kind: Decision['kind'], host: string | null): Decision => {
  return {kind, host, atMs: START_MS, because: 'x', evidence: [], vetoes: [], mode: 'on'};
};
const budget = (outShareMax: number, changedShareMax = 1): Policy => {
  return {...DEFAULT_POLICY, budget: {outShareMax, changedShareMax, windowMs: 3_600_000}};
};
const vetoesOf = (farm: Farm, policy: Policy, wishes: Decision[]): Veto[][] =>
  withinBudget(wishes, farm.fleet, policy, farm.nowMs).map(({vetoes}) => vetoes);

describe('capacity out of service', () => {
  test('what is out already and what this round takes out share one budget; the veto says the figures', () => {
    const farm = tenHosts();
    farm.change('be0', {cordon: CORDON});
    farm.change('be1', {stage: 'reinstalling'});
    const found = vetoesOf(farm, budget(0.3), [wish('evacuate', 'be2'), wish('evacuate', 'be3'), wish('evacuate', 'be0')]);
    expect(found[0]).toEqual([]);
    expect(found[1]).toEqual([
      {code: 'CAPACITY_OUT', detail: {outShare: 0.3, wouldBe: 0.4, outShareMax: 0.3, hosts: ['be0', 'be1', 'be2']}},
    ]);
    // Out already: emptying it takes nothing more away.
    expect(found[2]).toEqual([]);
  });

  test('the more urgent spends first, wherever it stands; what others stop spends nothing', () => {
    const farm = tenHosts();
    const stopped = {...wish('evacuate', 'be9'), vetoes: [{code: 'PAUSED', detail: {}}]};
    const found = vetoesOf(farm, budget(0.1), [wish('drain', 'be1'), stopped, wish('cordon', 'be2')]);
    expect(found.map(vetoes => vetoes.map(({code}) => code))).toEqual([['CAPACITY_OUT'], ['PAUSED'], []]);
  });

  test('who is emptied spends before who is only cordoned, the sick before the well that share a label with them', () => {
    const farm = tenHosts();
    const well = {...wish('cordon', 'be0'), because: 'SHARES_SICK_COHORT'};
    const wishes = [well, wish('cordon', 'be1'), wish('cordon', 'be2'), wish('evacuate', 'be2'), wish('evacuate', 'be3')];
    const found = (share: number): string[][] => vetoesOf(farm, budget(share), wishes).map(vetoes => vetoes.map(({code}) => code));
    expect(found(0.2)).toEqual([['CAPACITY_OUT'], ['CAPACITY_OUT'], [], [], []]);
    expect(found(0.3)).toEqual([['CAPACITY_OUT'], [], [], [], []]);
  });

  test('hosts count by the size of their stores; a single host may always go', () => {
    const farm = new Farm();
    for (const host of ['big', 'small', 'tiny']) farm.add(recordOf(host, OLD));
    const store = (size: number) => ({mailStore: {totalBytes: size * GIB, freeBytes: GIB, freeInodes: null}});
    farm.pass(10, {big: store(80), small: store(15), tiny: store(5)});
    expect(vetoesOf(farm, budget(0.2), [wish('evacuate', 'big')])).toEqual([[]]);
    expect(vetoesOf(farm, budget(0.2), [wish('evacuate', 'small'), wish('evacuate', 'tiny')])).toEqual([[], []]);
    farm.change('tiny', {cordon: CORDON});
    expect(vetoesOf(farm, budget(0.2), [wish('evacuate', 'big')])[0]?.[0]).toMatchObject({code: 'CAPACITY_OUT', detail: {wouldBe: 0.85}});
  });
});

describe('hosts changed at the same time', () => {
  test('moves, reliefs, tuning and what was taken out within the window count for improvements', () => {
    const farm = tenHosts();
    farm.fleet.moves = [moveOf('u@x', 'be0', 'be9', 'copying'), moveOf('v@x', 'be8', 'be9', 'retained')];
    const relief = {relay: null, sinceMs: START_MS, untilMs: START_MS + 60_000, by: 'mailherd'};
    farm.pass(10, {be1: {relief}});
    farm.change('be2', {history: [{stage: 'draining', atMs: farm.nowMs - 60_000, reason: 'x'}]});
    farm.change('be3', {history: [{stage: 'draining', atMs: farm.nowMs - 7_200_000, reason: 'x'}]});
    expect([...spendingOf(farm.fleet, budget(1), farm.nowMs).changed].sort()).toEqual(['be0', 'be1', 'be2']);
    expect(vetoesOf(farm, budget(1, 0.4), [wish('queue-relief', 'be5'), wish('rebalance', 'be6'), wish('queue-relief', 'be1')])).toEqual([
      [],
      [
        {
          code: 'BUDGET_SPENT',
          detail: {changed: 4, backends: 10, wouldBe: 0.5, changedShareMax: 0.4, windowMs: 3_600_000},
        },
      ],
      [],
    ]);
    expect(budgetVeto('be7', farm.fleet, budget(1, 0.3), farm.nowMs)?.code).toBe('BUDGET_SPENT');
    expect(budgetVeto('be7', farm.fleet, budget(1, 0.4), farm.nowMs)).toBeNull();
  });

  test('the sick are not held up by improvements, only by how many were taken out lately', () => {
    const farm = tenHosts();
    farm.fleet.moves = [0, 1, 2, 3].map(index => moveOf(`u${index}@x`, `be${index}`, 'be9', 'copying'));
    expect(vetoesOf(farm, budget(1, 0.4), [wish('evacuate', 'be5')])).toEqual([[]]);
    for (const index of [0, 1, 2, 3]) farm.change(`be${index}`, {history: [{stage: 'draining', atMs: farm.nowMs, reason: 'x'}]});
    expect(vetoesOf(farm, budget(1, 0.4), [wish('evacuate', 'be5')])[0]?.[0]?.code).toBe('BUDGET_SPENT');
  });
});
