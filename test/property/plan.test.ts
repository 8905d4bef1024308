import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {Fleet} from '../../coordinator/fleet.ts';
import {emptyFleet, fleetHost} from '../../coordinator/fleet.ts';
import {buildPlan} from '../../coordinator/plan/build.ts';
import {checkPlan} from '../../coordinator/plan/check.ts';
import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {Verdict, VerdictKind} from '../../wire/record.ts';
import {GIB, moveOf, OLD, recordOf, reportOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};
const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const RUNS = {numRuns: 200, seed: SEED};

const aHost = fc.record({
  kind: fc.constantFrom<VerdictKind>('healthy', 'healthy', 'healthy', 'unknown', 'suspect', 'sick', 'silent'),
  stage: fc.constantFrom('active', 'active', 'active', 'draining', 'probation'),
  isCordoned: fc.nat({max: 4}).map(drawn => drawn === 0),
  freeGib: fc.nat({max: 60}),
  /** Sizes of its mailboxes in MiB, and whether each is on its way already. */
  mailboxes: fc.array(fc.record({mib: fc.nat({max: 8_000}), isMoving: fc.nat({max: 9}).map(drawn => drawn === 0)}), {maxLength: 12}),
});
const aFarm = fc.array(aHost, {minLength: 1, maxLength: 8});
type Drawn = typeof aFarm extends fc.Arbitrary<infer T> ? T : never;

function build(drawn: Drawn): {fleet: Fleet; verdicts: Verdict[]} {
  const fleet = emptyFleet();
  const moves: ReturnType<typeof moveOf>[] = [];
  const verdicts = drawn.map(({kind, stage, isCordoned, freeGib, mailboxes}, index): Verdict => {
    const host = `be${index}`;
    const cordon = isCordoned ? {by: 'x', reason: 'x', atMs: 0} : null;
    const record = recordOf(host, OLD, {stage: stage as 'active', cordon});
    const mailStore = {totalBytes: 100 * GIB, freeBytes: freeGib * GIB, freeInodes: null};
    fleet.hosts.set(host, {...fleetHost(record), reports: [reportOf(record, 1, START_MS, {mailStore})]});
    mailboxes.forEach(({mib, isMoving}, at) => {
      const user = `u${at}@${host}.example`;
      fleet.routes.set(user, {host, generation: 1, moveId: null});
      fleet.mailboxes.set(user, {bytes: mib * 2 ** 20, messages: 1});
      if (isMoving) moves.push(moveOf(user, host, `be${(index + 1) % drawn.length}`, 'copying', {bytes: mib * 2 ** 20}));
    });
    return {host, kind, sinceMs: 0, because: '', evidence: []};
  });
  fleet.moves = moves.filter(({source, target}) => source !== target);
  return {fleet, verdicts};
}

test(`evacuations: the linter finds nothing, everyone is placed or named, order of input is nothing (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(aFarm, fc.nat({max: 7}), (drawn, first) => {
      const {fleet, verdicts} = build(drawn);
      const hosts = [...new Set([`be${first % drawn.length}`, 'be0'])];
      const plan = buildPlan({kind: 'evacuate', hosts}, {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY}, IDS, 'test');
      expect(checkPlan(plan, fleet, verdicts, [], DEFAULT_POLICY)).toEqual([]);
      const moving = new Set(fleet.moves.map(({user}) => user));
      const due = [...fleet.routes].filter(([user, {host}]) => hosts.includes(host) && !moving.has(user)).map(([user]) => user);
      expect([...plan.moves, ...plan.unplaced].map(({user}) => user).sort()).toEqual(due.sort());
      const turned = {...fleet, routes: new Map([...fleet.routes].reverse()), hosts: new Map([...fleet.hosts].reverse())};
      expect(
        buildPlan({kind: 'evacuate', hosts: hosts.reverse()}, {fleet: turned, verdicts, cohorts: [], policy: DEFAULT_POLICY}, IDS, 'test'),
      ).toEqual(plan);
    }),
    RUNS,
  );
});

test(`rebalances: the linter finds nothing, and no host ends fuller than the fullest was (MAILHERD_SEED=${SEED})`, () => {
  fc.assert(
    fc.property(aFarm, drawn => {
      const {fleet, verdicts} = build(drawn);
      const plan = buildPlan({kind: 'rebalance'}, {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY}, IDS, 'test');
      expect(checkPlan(plan, fleet, verdicts, [], DEFAULT_POLICY)).toEqual([]);
      const counts = new Map<string, number>();
      const add = (host: string, by: number): unknown => counts.set(host, (counts.get(host) ?? 0) + by);
      for (const {host} of fleet.routes.values()) add(host, 1);
      for (const {source, target} of fleet.moves) {
        add(source, -1);
        add(target, 1);
      }
      const before = Math.max(0, ...counts.values());
      for (const {source, target} of plan.moves) {
        add(source, -1);
        add(target, 1);
      }
      expect(Math.max(0, ...counts.values())).toBeLessThanOrEqual(before);
    }),
    RUNS,
  );
});
