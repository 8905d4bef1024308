import {expect, test} from 'vitest';
import {type FleetHost, fleetHost} from '../../../../coordinator/fleet.ts';
import {measure, median} from '../../../../coordinator/health/sli.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {HostRecord} from '../../../../wire/record.ts';
import type {HostReport} from '../../../../wire/report.ts';
import {OLD, type ReportChange, recordOf, reportOf, START_MS} from '../fleet-builder.ts';

const {judge} = DEFAULT_POLICY;
const NOW_MS = START_MS + 300_000;

function measured(changes: ReportChange[], nowMs = NOW_MS): ReturnType<typeof measure> {
  const record = recordOf('be1', OLD);
  const reports: HostReport[] = changes.map((change, index) =>
    reportOf(record, index, NOW_MS - (changes.length - 1 - index) * 10_000, change),
  );
  return measure({...fleetHost(record), reports, receivedAtMs: NOW_MS, generationSinceMs: START_MS}, judge, nowMs);
}

test('median', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNull();
});

test('what was not measured stays null and is no zero', () => {
  const {values} = measured([1, 2, 3].map(() => ({slis: {deliveryMsP95: null, imapSessions: null}})));
  expect(values.deliveryMsP95).toBeNull();
  expect(values.imapDroppedShare).toBeNull();
  expect(values.probeLoginMs).toBe(80);
});

test('dropped sessions are pooled, and one or two are chance', () => {
  expect(measured([{slis: {imapDropped: 2, imapSessions: 4}}, {}, {}]).values.imapDroppedShare).toBe(0);
  expect(measured([{slis: {imapDropped: 4, imapSessions: 60}}, {}, {}]).values.imapDroppedShare).toBeCloseTo(4 / 60, 10);
});

test('only the window counts', () => {
  const old = Array.from({length: 6}, () => ({slis: {deliveryMsP95: 99_000}}));
  expect(measured([...old, ...old.map(() => ({}))]).values.deliveryMsP95).toBe(400);
});

test('states', () => {
  expect(measured([{}, {}]).state).toBe('WARMING');
  expect(measured([{}, {}, {}]).state).toBe('measured');
  expect(measured([{}, {}, {}], NOW_MS + judge.silentMs + 1).state).toBe('SILENT');
  const reinstalling = fleetHost(recordOf('be1', OLD, {stage: 'reinstalling'}));
  expect(measure(reinstalling, judge, NOW_MS).state).toBe('NOT_IN_SERVICE');
  expect(measure(fleetHost(recordOf('be1', OLD)), judge, NOW_MS).state).toBe('NO_REPORT');
});

test('a host whose last report is older than reports are kept is silent once a coordinator that starts has waited for it', () => {
  const host = (over: Partial<HostRecord>): FleetHost => ({...fleetHost(recordOf('be1', OLD, over)), awaitedSinceMs: START_MS});
  const stateAfter = (ms: number, over: Partial<HostRecord> = {agentGeneration: 3}): string =>
    measure(host(over), judge, START_MS + ms).state;
  expect([stateAfter(judge.silentMs), stateAfter(judge.silentMs + 1)]).toEqual(['NO_REPORT', 'SILENT']);
  expect(stateAfter(judge.silentMs + 1, {agentGeneration: null})).toBe('NO_REPORT');
  expect(stateAfter(judge.silentMs + 1, {agentGeneration: 3, stage: 'provisioning'})).toBe('NO_REPORT');
});

test('a session counts once, however many intervals it stays open', () => {
  // 20 stay open all the time; each interval 5 others end, one of them dropped.
  const interval = {slis: {imapDropped: 1, imapSessions: 25}, load: {imapSessions: 20}};
  expect(measured([interval, interval, interval]).values.imapDroppedShare).toBeCloseTo(3 / 35, 10);
  // Where open ones are not counted, only the dropped are known to have ended.
  const blind = {...interval, load: {imapSessions: null}};
  expect(measured([blind, blind, blind]).values.imapDroppedShare).toBeCloseTo(3 / 27, 10);
});

test('an interval of two mails is no match for one of two hundred', () => {
  const slow = {slis: {deliveryMsP95: 60_000}, load: {deliveriesPerSecond: 0.2}};
  const busy = {slis: {deliveryMsP95: 300}, load: {deliveriesPerSecond: 20}};
  expect(measured([slow, slow, busy]).values.deliveryMsP95).toBe(300);
});

const queueOf = (deferred: number, complete = true): NonNullable<HostReport['queue']> => {
  return {maildrop: 0, incoming: 0, active: 0, deferred, hold: 0, complete};
};

test("a few old messages in the queue are somebody else's dead address", () => {
  const waiting = (deferred: number, complete = true): ReportChange => ({
    slis: {queueAgeMsP95: 9e6},
    queue: queueOf(deferred, complete),
  });
  const ageOf = (change: ReportChange): number | null => measured([change, change, change]).values.queueAgeMsP95;
  expect(ageOf(waiting(4))).toBe(0);
  expect(ageOf(waiting(5))).toBe(9e6);
  expect(ageOf(waiting(4, false))).toBe(9e6);
  // Nor is a heap of mail that waits for others.
  const here = (count: number | null): ReportChange => ({...waiting(300), queue: {...queueOf(300), here: count}});
  expect(ageOf(here(4))).toBe(0);
  expect(ageOf(here(5))).toBe(9e6);
  expect(ageOf({...here(null), slis: {queueAgeMsP95: null}})).toBeNull();
});

test('unmeasured load is not known to be idle, users of the window are its most', () => {
  const still = {load: {deliveriesPerSecond: 0, loginsPerSecond: 0, imapSessions: 0}};
  expect(measured([still, still, still]).state).toBe('IDLE');
  const unknown = {load: {...still.load, deliveriesPerSecond: null}};
  expect(measured([unknown, unknown, unknown]).state).toBe('measured');
  const users = [7, 3, null].map(activeUsers => ({load: {activeUsers}}));
  expect(measured(users).activeUsers).toBe(7);
});
