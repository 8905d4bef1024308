import {expect, test} from 'vitest';
import {seededRng} from '../../base/random.ts';
import {emptyFleet, fleetHost} from '../../coordinator/fleet.ts';
import {buildPlan} from '../../coordinator/plan/build.ts';
import {caseOf} from '../../coordinator/plan/case.ts';
import {construct} from '../../coordinator/plan/construct.ts';
import {type FarmHost, LEVELS, type Movables, modelOfFarm} from '../../coordinator/plan/farm.ts';
import type {PlanModel, Search} from '../../coordinator/plan/model.ts';
import {costOf, violationsOf} from '../../coordinator/plan/model-check.ts';
import {searchTargets} from '../../coordinator/plan/search-targets.ts';
import {searchPlan} from '../../native/binding.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {Plan, Verdict} from '../../wire/record.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
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

test(`small farms: never dearer than each mailbox in turn to the emptiest host (MAILHERD_SEED=${SEED})`, async () => {
  let [dearer, compared] = [0, 0];
  for (let at = 0; at < 100; at++) {
    const {hosts, movables, model} = drawFarm(SEED + at);
    const room = hosts.map(({isOpen, roomBytes}) => (isOpen ? roomBytes : -1));
    const naive = Int32Array.from(movables.home);
    for (const [unit, bytes] of movables.bytes.entries()) {
      const best = room.indexOf(Math.max(...room));
      if ((room[best] ?? 0) < bytes) continue;
      naive[unit] = best;
      room[best] = (room[best] ?? 0) - bytes;
    }
    const found = await search(model, construct(model, LEVELS), {ms: 0, steps: 0, threads: 1, seed: 1, enough: 0, heat: 0.05});
    expect(violationsOf(model, found.assignment)).toEqual([]);
    compared++;
    if (costOf(model, found.assignment).total > costOf(model, naive).total) dearer++;
  }
  expect([dearer, compared]).toEqual([0, 100]);
});

function drawFarm(seed: number): {hosts: FarmHost[]; movables: Movables; model: PlanModel} {
  const rng = seededRng(seed);
  const hosts = Array.from({length: 2 + rng.below(7)}, (_, at): FarmHost => {
    const [roomBytes, stayBytes] = [rng.below(60) * GIB, rng.below(60) * GIB];
    const isOpen = at > 0;
    return {
      name: `be${at}`,
      roomBytes: isOpen ? roomBytes : 0,
      stayBytes,
      stayLoad: rng.below(60),
      loadMax: null,
      isOpen,
      strength: 1 + rng.below(2),
    };
  });
  const count = 1 + rng.below(40);
  const movables = {
    home: new Int32Array(count),
    bytes: Float64Array.from({length: count}, () => rng.below(9 * GIB)),
    load: Float64Array.from({length: count}, () => rng.below(4)),
  };
  return {hosts, movables, model: modelOfFarm(hosts, movables).model};
}
