import fc from 'fast-check';
import {expect, test} from 'vitest';
import {emptyFleet, type Fleet, fleetHost} from '../../coordinator/fleet.ts';
import {buildPlan} from '../../coordinator/plan/build.ts';
import {caseOf, type PlanTask, settle} from '../../coordinator/plan/case.ts';
import {checkPlan} from '../../coordinator/plan/check.ts';
import type {Outlook} from '../../coordinator/plan/filter.ts';
import {costOf, violationsOf} from '../../coordinator/plan/model-check.ts';
import {fits} from '../../wire/codec.ts';
import {DEFAULT_POLICY, type Policy} from '../../wire/policy.ts';
import {Plan, type Verdict} from '../../wire/record.ts';
import {domainOf} from '../../wire/schema.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../unit/coordinator/fleet-builder.ts';

const SEED = Number(process.env.MAILHERD_SEED ?? 20_261_124);
const RUNS = {numRuns: 200, seed: SEED};
/** A busy machine takes its time. */
const PATIENCE = {timeout: 120_000};
const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 1};

const aWho = fc.constantFrom('@d0.example', '@d1.example', 'u3@d2.example', 'U1@D0.example');
const aDomain = fc.constantFrom('d0.example', 'd1.example', 'D2.example');
const aPolicy = fc.record({
  reserveShare: fc.constantFrom(0, 0.15),
  headroomShare: fc.constantFrom(0, 0.5),
  loadMax: fc.constantFrom(null, 30, 150),
  strengths: fc.constantFrom<Record<string, number>>({}, {'hardware=new': 2}),
  tiers: fc.array(fc.record({who: aWho, labels: fc.constantFrom('hardware=new', 'rack=r0').map(label => [label])}), {maxLength: 2}),
  pinned: fc.array(aWho, {maxLength: 1}),
  together: fc.array(aDomain, {maxLength: 1}),
  apart: fc.array(fc.record({domain: aDomain, racks: fc.constantFrom(2, 3)}), {maxLength: 2}),
});
const aHost = fc.record({
  isWell: fc.nat({max: 5}).map(drawn => drawn > 0),
  hardware: fc.constantFrom('new', 'old'),
  freeGib: fc.nat({max: 90}),
  mailboxes: fc.array(
    fc.record({mib: fc.nat({max: 9_000}), domain: fc.nat({max: 3}), deliveries: fc.option(fc.nat({max: 60})), sessions: fc.nat({max: 60})}),
    {maxLength: 10},
  ),
});
const aFarm = fc.record({hosts: fc.array(aHost, {minLength: 1, maxLength: 7}), place: aPolicy, first: fc.nat({max: 6})});
type Drawn = typeof aFarm extends fc.Arbitrary<infer T> ? T : never;

function build({hosts, place}: Drawn): Outlook {
  const fleet: Fleet = emptyFleet();
  let count = 0;
  const verdicts = hosts.map(({isWell, hardware, freeGib, mailboxes}, at): Verdict => {
    const record = recordOf(`be${at}`, {...OLD, hardware, rack: `r${at % 3}`});
    const mailStore = {totalBytes: 100 * GIB, freeBytes: freeGib * GIB, freeInodes: null};
    fleet.hosts.set(record.host, {...fleetHost(record), reports: [reportOf(record, 1, START_MS, {mailStore})]});
    for (const {mib, domain, deliveries, sessions} of mailboxes) {
      const user = `u${count++}@d${domain}.example`;
      fleet.routes.set(user, {host: record.host, generation: 1, moveId: null});
      fleet.mailboxes.set(user, {bytes: mib * 2 ** 20, messages: 1, deliveriesPerDay: deliveries, sessionsPerDay: sessions});
    }
    return {host: record.host, kind: isWell ? 'healthy' : 'sick', sinceMs: 0, because: '', evidence: []};
  });
  const policy: Policy = {...DEFAULT_POLICY, place: {...DEFAULT_POLICY.place, ...place}};
  return {fleet, verdicts, cohorts: [], policy};
}

function tasksOf({hosts, first}: Drawn): PlanTask[] {
  const name = `be${first % hosts.length}`;
  return [{kind: 'evacuate', hosts: [...new Set([name, 'be0'])]}, {kind: 'rebalance'}, {kind: 'fill', hosts: [name]}];
}

const breaches = (plan: Plan, {fleet, verdicts, cohorts, policy}: Outlook): unknown[] => checkPlan(plan, fleet, verdicts, cohorts, policy);

test(
  `any farm, any policy, any task: rules and linter are kept, the plan can be stored, the same again (MAILHERD_SEED=${SEED})`,
  PATIENCE,
  () => {
    fc.assert(
      fc.property(aFarm, drawn => {
        const outlook = build(drawn);
        for (const task of tasksOf(drawn)) {
          const plan = buildPlan(task, outlook, IDS, 'test');
          expect(breaches(plan, outlook)).toEqual([]);
          expect(fits(Plan, plan)).toBe(true);
          expect(buildPlan(task, outlook, IDS, 'test')).toEqual(plan);
          const on = caseOf(task, outlook);
          expect(violationsOf(on.problem.model, settle(on))).toEqual([]);
          expect(costOf(on.problem.model, settle(on)).total).toBeLessThanOrEqual(costOf(on.problem.model, on.problem.model.home).total);
          if (task.kind === 'evacuate') expect(plan.account?.lack?.mailboxes ?? 0).toBeLessThanOrEqual(plan.unplaced.length);
          else expect(plan.unplaced).toEqual([]);
        }
      }),
      RUNS,
    );
  },
);

test(`moves run in the order of the plan: no moment brings a domain too close or fills a host (MAILHERD_SEED=${SEED})`, PATIENCE, () => {
  fc.assert(
    fc.property(aFarm, drawn => {
      const outlook = build(drawn);
      const {fleet, policy} = outlook;
      for (const task of tasksOf(drawn)) {
        const plan = buildPlan(task, outlook, IDS, 'test');
        const at = new Map([...fleet.routes].map(([user, {host}]) => [user, host]));
        const free = new Map([...fleet.hosts].map(([host, {reports}]) => [host, reports[0]?.mailStore?.freeBytes ?? 0]));
        const racksOf = (domain: string): number => {
          const hosts = [...at].filter(([user]) => domainOf(user) === domain.toLowerCase()).map(([, host]) => host);
          return new Set(hosts.map(host => fleet.hosts.get(host)?.record.labels.rack)).size;
        };
        const least = policy.place.apart.map(({domain, racks}) => ({domain, racks: Math.min(racks, racksOf(domain))}));
        for (const {user, target, bytes} of plan.moves) {
          at.set(user, target);
          free.set(target, (free.get(target) ?? 0) - bytes);
          expect(free.get(target)).toBeGreaterThanOrEqual(0);
          for (const {domain, racks} of least) expect(racksOf(domain)).toBeGreaterThanOrEqual(racks);
        }
      }
    }),
    RUNS,
  );
});

test(`one more host, or more room on one, never leaves more bytes without a place (MAILHERD_SEED=${SEED})`, PATIENCE, () => {
  fc.assert(
    fc.property(aFarm, fc.nat({max: 6}), (drawn, which) => {
      const left = (farm: Drawn): number => {
        const {unplaced} = buildPlan(tasksOf(drawn)[0] as PlanTask, build(farm), IDS, 'test');
        return unplaced.filter(({code}) => code !== 'PINNED').length;
      };
      if (left(drawn) > 0) return;
      const more = drawn.hosts.map((host, at) => (at === which ? {...host, freeGib: 100} : host));
      expect(left({...drawn, hosts: more})).toBe(0);
      expect(left({...drawn, hosts: [...drawn.hosts, {isWell: true, hardware: 'new', freeGib: 100, mailboxes: []}]})).toBe(0);
    }),
    RUNS,
  );
});
