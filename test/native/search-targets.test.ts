import {expect, test} from 'vitest';
import {emptyFleet, fleetHost} from '../../coordinator/fleet.ts';
import {buildPlan} from '../../coordinator/plan/build.ts';
import {caseOf} from '../../coordinator/plan/case.ts';
import type {Search} from '../../coordinator/plan/model.ts';
import {searchTargets} from '../../coordinator/plan/search-targets.ts';
import {searchPlan} from '../../native/binding.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {Plan, Verdict} from '../../wire/record.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const search: Search = (model, start, limits) => searchPlan(model, start, {...limits, ms: 0, steps: 200_000});

test('where the first plan leaves somebody out though all would fit, the search finds the place', async () => {
  const fleet = emptyFleet();
  const verdicts = ['full', 'be1', 'be2'].map((host): Verdict => {
    const record = recordOf(host, OLD);
    // 15 of 100 GiB are reserve: 10 may be placed on each.
    const mailStore = {totalBytes: 100 * GIB, freeBytes: 25 * GIB, freeInodes: null};
    fleet.hosts.set(host, {...fleetHost(record), reports: [reportOf(record, 1, START_MS, {mailStore})]});
    return {host, kind: host === 'full' ? 'sick' : 'healthy', sinceMs: 0, because: '', evidence: []};
  });
  for (const [at, gib] of [5, 5, 4, 3, 3].entries()) {
    fleet.routes.set(`u${at}@example.org`, {host: 'full', generation: 1, moveId: null});
    fleet.mailboxes.set(`u${at}@example.org`, {bytes: gib * GIB, messages: 1});
  }
  const ids = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};
  const outlook = {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY};
  const task = {kind: 'evacuate', hosts: ['full']} as const;
  const plan = (targets?: ReadonlyMap<string, string>): Plan => buildPlan(task, outlook, ids, 'test', targets);
  expect(plan().unplaced).toHaveLength(1);
  const on = caseOf(task, outlook);
  const targets = await searchTargets(on, search);
  expect(plan(targets).unplaced).toEqual([]);
  // What no longer holds when the plan is built is chosen anew.
  expect(plan(new Map(on.users.map(user => [user, 'full']))).moves.every(({target}) => target !== 'full')).toBe(true);
});
