import {describe, expect, test} from 'vitest';
import {decide} from '../../../../coordinator/decision/decide.ts';
import {RunningMoves} from '../../../../coordinator/move/budget.ts';
import {buildPlan} from '../../../../coordinator/plan/build.ts';
import {checkPlan} from '../../../../coordinator/plan/check.ts';
import {overloadOf} from '../../../../coordinator/plan/overload.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {Decision, MoveRecord, Verdict} from '../../../../wire/record.ts';
import {type Farm, fiveHosts, GIB, moveOf} from '../fleet-builder.ts';

const HOUR_MS = 3_600_000;
const POLICY: Policy = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, drain: 'on', rebalance: 'on', evacuate: 'on'}};
const IDS = {planId: 'plan-0001', generation: 1, parent: null, nowMs: 0};

/** Five hosts with twelve users each, be1 three times as busy as the others. */
function busyFarm(): Farm {
  const farm = fiveHosts();
  farm.pass(60, {be1: {load: {deliveriesPerSecond: 6}}});
  return farm;
}
const verdict = (host: string, kind: Verdict['kind'], because: string, sinceMs: number): Verdict => ({
  host,
  kind,
  because,
  sinceMs,
  evidence: [],
});
const well = (farm: Farm, but: Verdict): Verdict[] =>
  ['be1', 'be2', 'be3', 'be4', 'be5'].map(host => (host === but.host ? but : verdict(host, 'healthy', 'WITHIN_BOUNDS', farm.nowMs)));
const decided = (farm: Farm, verdicts: Verdict[], kind: Decision['kind']): Decision[] =>
  decide(farm.fleet, verdicts, [], POLICY, farm.nowMs).filter(each => each.kind === kind);

describe('drain', () => {
  const odd = (farm: Farm, forMs: number): Verdict[] => well(farm, verdict('be2', 'suspect', 'KERNEL_ONLY', farm.nowMs - forMs));

  test('a kernel that is odd for an hour though nobody feels it; not sooner, and not beside anything more urgent', () => {
    const farm = busyFarm();
    expect(decided(farm, odd(farm, HOUR_MS - 1), 'drain')).toEqual([]);
    expect(decided(farm, odd(farm, HOUR_MS), 'drain')).toMatchObject([{host: 'be2', because: 'KERNEL_ONLY', mode: 'on', vetoes: []}]);
    const sick = odd(farm, HOUR_MS).map(each => (each.host === 'be4' ? verdict('be4', 'sick', 'SLI_WORSE_THAN_PEERS', farm.nowMs) : each));
    expect(decided(farm, sick, 'drain')).toEqual([]);
    farm.fleet.moves = [moveOf('u000@be5.example', 'be5', 'be1', 'copying')];
    expect(decided(farm, odd(farm, HOUR_MS), 'drain')).toEqual([]);
  });

  test('where its users do not fit it says how much is missing', () => {
    const farm = busyFarm();
    const full = {mailStore: {totalBytes: 100 * GIB, freeBytes: 16 * GIB, freeInodes: null}};
    farm.pass(10, {be1: full, be2: full, be3: full, be4: full, be5: full});
    const [veto] = decided(farm, odd(farm, HOUR_MS), 'drain')[0]?.vetoes ?? [];
    expect(veto).toMatchObject({code: 'DOES_NOT_FIT', detail: {neededBytes: 12 * GIB, freeBytes: 4 * GIB, missingBytes: 8 * GIB}});
  });

  test('its moves wait for all others, and go one at a time', () => {
    const farm = busyFarm();
    const verdicts = odd(farm, HOUR_MS);
    const plan = buildPlan(
      {kind: 'evacuate', hosts: ['be2'], isLow: true},
      {fleet: farm.fleet, verdicts, cohorts: [], policy: POLICY},
      IDS,
      'x',
    );
    expect(plan.moves).toHaveLength(12);
    expect(plan.moves.every(({isLow}) => isLow === true)).toBe(true);
    const [first, second] = plan.moves;
    if (first === undefined || second === undefined) throw new Error('no moves');
    const ask = (planned: typeof first, records: MoveRecord[]): string | null =>
      new RunningMoves(records, () => false).why(planned, POLICY.move, {});
    expect(ask(first, [])).toBeNull();
    expect(ask(second, [moveOf(first.user, 'be2', first.target, 'copying')])).toBe('LOWER_PRIORITY');
    expect(ask({...second, isLow: false}, [moveOf(first.user, 'be2', first.target, 'copying')])).toBeNull();
  });
});

describe('a host that failed', () => {
  const history = [{stage: 'failed' as const, atMs: 0, reason: 'REINSTALL_FAILED: exit 3'}];

  test('is named with the reason for as long as it is failed, silent or not, and once', () => {
    const farm = busyFarm();
    const called = (but: Verdict): unknown[] =>
      decided(farm, well(farm, but), 'page').map(({host, because, mode}) => [host, because, mode]);
    const silent = verdict('be2', 'silent', 'REPORTS_STALE', 0);
    expect(called(silent)).toEqual([['be2', 'SILENT', 'on']]);
    farm.change('be2', {stage: 'failed', history});
    for (const but of [silent, verdict('be2', 'healthy', 'WITHIN_BOUNDS', 0)]) {
      expect(called(but)).toEqual([['be2', 'REINSTALL_FAILED: exit 3', 'on']]);
    }
    farm.change('be2', {stage: 'draining'});
    expect(called(verdict('be2', 'healthy', 'WITHIN_BOUNDS', 0))).toEqual([]);
  });
});

describe('an overloaded host', () => {
  const busy = (farm: Farm): Verdict[] => well(farm, verdict('be1', 'suspect', 'OVERLOADED', farm.nowMs - HOUR_MS));
  const outlook = (farm: Farm) => ({fleet: farm.fleet, verdicts: busy(farm), cohorts: [], policy: POLICY});

  function told(farm: Farm, of: (index: number) => number): void {
    for (const [user, {host}] of farm.fleet.routes) {
      const index = Number(user.slice(1, 4));
      farm.fleet.mailboxes.set(user, {bytes: GIB, messages: 1, deliveriesPerDay: host === 'be1' ? of(index) : 10, sessionsPerDay: 0});
    }
  }

  test('gives its busiest few away, as many as it has too much to do', () => {
    const farm = busyFarm();
    told(farm, index => (index < 3 ? 100 : 10));
    expect(decided(farm, busy(farm), 'rebalance')).toMatchObject([
      {host: 'be1', because: 'OVERLOADED', vetoes: [], evidence: [{sli: 'deliveriesPerSecond', value: 6, baseline: 2, ratio: 3}]},
    ]);
    const plan = buildPlan({kind: 'unload', host: 'be1'}, outlook(farm), IDS, 'OVERLOADED');
    // Two thirds of a load of 402 are three mailboxes of 101.
    expect(plan.moves.map(({user}) => user).sort()).toEqual(['u000@be1.example', 'u001@be1.example', 'u002@be1.example']);
    expect([plan.kind, plan.unplaced]).toEqual(['rebalance', []]);
    expect(checkPlan(plan, farm.fleet, busy(farm), [], POLICY)).toEqual([]);
  });

  test('whose work is one mailbox is not helped by moving that', () => {
    const farm = busyFarm();
    told(farm, index => (index === 4 ? 1_000 : 10));
    expect(decided(farm, busy(farm), 'rebalance')[0]?.vetoes).toEqual([
      {code: 'ONE_MAILBOX', detail: {user: 'u004@be1.example', share: 0.892}},
    ]);
    const note = 'of the work is for u004@be1.example';
    expect(decided(farm, busy(farm), 'page')).toMatchObject([
      {host: 'be1', because: 'ONE_MAILBOX', evidence: [{sli: 'mailboxShare', value: 0.892, note}, {}]},
    ]);
    told(farm, () => 10);
    expect(decided(farm, busy(farm), 'page')).toEqual([]);
    // A storm of the last minutes, of which the loads by the day know nothing yet.
    const newest = farm.fleet.hosts.get('be1')?.reports.at(-1);
    if (newest === undefined) throw new Error('be1 has reported');
    newest.load.busiest = {user: 'u002@be1.example', share: 0.9};
    expect(decided(farm, busy(farm), 'rebalance')[0]?.vetoes).toEqual([
      {code: 'ONE_MAILBOX', detail: {user: 'u002@be1.example', share: 0.9}},
    ]);
  });

  test('never gives more than ten at once, and none where nothing is known of its load', () => {
    const farm = busyFarm();
    told(farm, () => 10);
    expect(overloadOf('be1', outlook(farm)).users).toHaveLength(8);
    const unknown = fiveHosts();
    expect(overloadOf('be1', outlook(unknown)).users).toEqual([]);
  });
});
