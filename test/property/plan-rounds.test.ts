import {expect, test} from 'vitest';
import {type Rng, seededRng} from '../../base/random.ts';
import {decide} from '../../coordinator/decision/decide.ts';
import {emptyFleet, type Fleet, fleetHost} from '../../coordinator/fleet.ts';
import {buildPlan} from '../../coordinator/plan/build.ts';
import {checkPlan} from '../../coordinator/plan/check.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {Verdict} from '../../wire/record.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const HOSTS = 8;
const ROUNDS = 50;
const POLICY = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, rebalance: 'on' as const}};

function build(seed: number): {fleet: Fleet; verdicts: Verdict[]} {
  const rng = seededRng(seed);
  const fleet = emptyFleet();
  for (let at = 0; at < HOSTS; at++) {
    const record = recordOf(`be${at}`, OLD, {stage: 'active'});
    const mailStore = {totalBytes: 4_000 * GIB, freeBytes: 3_000 * GIB, freeInodes: null};
    fleet.hosts.set(record.host, {...fleetHost(record), reports: [reportOf(record, 1, START_MS, {mailStore})]});
  }
  for (let at = 0; at < 400; at++) addUser(fleet, `u${at}@example.org`, `be${rng.below(at < 100 ? 1 : HOSTS)}`, rng.below(4 * GIB), rng);
  const verdicts = [...fleet.hosts.keys()].map((host): Verdict => ({host, kind: 'healthy', sinceMs: 0, because: '', evidence: []}));
  return {fleet, verdicts};
}

/** Loads are heavy-tailed, and of every fifth nothing is known. */
function addUser(fleet: Fleet, user: string, host: string, bytes: number, rng: Rng): void {
  fleet.routes.set(user, {host, generation: 1, moveId: null});
  const deliveriesPerDay = rng.unit() < 0.2 ? null : 20 * Math.exp(3 * rng.unit());
  fleet.mailboxes.set(user, {bytes, messages: 1, deliveriesPerDay, sessionsPerDay: 10 * Math.exp(2 * rng.unit())});
}

test.each([1, 2, 3, 4, 5])(`a drifting farm settles, and nobody is sent back and forth (MAILHERD_SEED=${SEED}, farm %i)`, index => {
  const {fleet, verdicts} = build(SEED + index);
  const rng = seededRng(SEED + index).fork('drift');
  const left = new Map<string, Set<string>>();
  let movedLate = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const isDue = decide(fleet, verdicts, [], POLICY, START_MS).some(({kind}) => kind === 'rebalance');
    const ids = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};
    const plan = buildPlan({kind: 'rebalance'}, {fleet, verdicts, cohorts: [], policy: POLICY}, ids, 'test');
    expect(checkPlan(plan, fleet, verdicts, [], POLICY)).toEqual([]);
    for (const {user, source, target} of isDue ? plan.moves : []) {
      expect(left.get(user)?.has(target) ?? false).toBe(false);
      left.set(user, (left.get(user) ?? new Set<string>()).add(source));
      fleet.routes.set(user, {host: target, generation: 1, moveId: null});
      if (round > 2) movedLate++;
    }
    for (const [user, size] of fleet.mailboxes)
      fleet.mailboxes.set(user, {
        ...size,
        bytes: Math.floor(size.bytes * rng.between(0.97, 1.04)),
        deliveriesPerDay: typeof size.deliveriesPerDay === 'number' ? size.deliveriesPerDay * rng.between(0.9, 1.12) : null,
      });
    addUser(fleet, `new${round}@example.org`, `be${rng.below(HOSTS)}`, rng.below(4 * GIB), rng);
  }
  expect(left.size).toBeGreaterThan(0);
  expect(movedLate).toBeLessThan(ROUNDS);
});
