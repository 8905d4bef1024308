import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import {Intake} from '../../../../coordinator/report/intake.ts';
import {Farm, IDLE, NEW, OLD, type ReportChange, recordOf, reportOf, SICK} from '../fleet-builder.ts';

const evacuated = ({decisions}: FlowOutcome): (string | null)[] =>
  decisions.filter(({kind, vetoes}) => kind === 'evacuate' && vetoes.length === 0).map(({host}) => host);

function farmOf(count: number, labels = OLD): Farm {
  const farm = new Farm();
  for (let index = 0; index < count; index++) farm.add(recordOf(`be${index}`, labels), 5);
  farm.pass(400);
  return farm;
}

test('a farm of one: suspect at most, nothing done', () => {
  const outcome = farmOf(1).pass(400, {be0: SICK});
  expect(outcome.verdicts[0]).toMatchObject({kind: 'suspect', because: 'NO_PEERS'});
  expect(evacuated(outcome)).toEqual([]);
});

test('a farm of two: the one that fell sick is told from the other', () => {
  const outcome = farmOf(2).pass(200, {be1: SICK});
  expect(outcome.verdicts.map(({kind}) => kind)).toEqual(['healthy', 'sick']);
  expect(outcome.cohorts.some(({explained}) => explained)).toBe(false);
});

test('all of one release: hosts are judged, the release is not', () => {
  const outcome = farmOf(10, NEW).pass(200, {be1: SICK, be2: SICK});
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host)).toEqual(['be1', 'be2']);
  expect(outcome.cohorts.some(({explained}) => explained)).toBe(false);
});

test('half of it silent: the rest is judged, nothing is done', () => {
  const farm = farmOf(10);
  const silent = Object.fromEntries(Array.from({length: 5}, (_, index) => [`be${index}`, null]));
  const outcome = farm.pass(300, {...silent, be9: SICK});
  expect(outcome.verdicts.find(({host}) => host === 'be9')?.kind).toBe('sick');
  expect(evacuated(outcome)).toEqual([]);
});

test('delays of ages are no measurement', () => {
  const outcome = farmOf(5).pass(200, {be1: {slis: {deliveryMsP95: 1e300, probeLoginMs: 1e12}}});
  expect(outcome.verdicts.find(({host}) => host === 'be1')?.kind).toBe('healthy');
});

test('a report of another host, of the future, with nonsense: refused, and nobody is blamed', () => {
  const farm = farmOf(3);
  const intake = new Intake(farm.fleet, () => undefined);
  const record = recordOf('be1', OLD);
  const send = (change: ReportChange, text = JSON.stringify(reportOf(record, 900, farm.nowMs, {...SICK, ...change}))): void =>
    intake.take('mailherd.report.be1', new TextEncoder().encode(text), farm.nowMs);
  send({host: 'be2'});
  send({sampledAtMs: farm.nowMs + 3_600_000});
  send({}, JSON.stringify(reportOf(record, 901, farm.nowMs, SICK)).replace('90000', '-90000'));
  send({}, '{"v":');
  expect(intake.accepted).toBe(0);
  expect(farm.pass(100).verdicts.every(({kind}) => kind === 'healthy')).toBe(true);
});

test('no number that is none, in whatever figure; no host with thousands of labels: refused at the door', () => {
  const farm = farmOf(3);
  const told: unknown[] = [];
  const intake = new Intake(farm.fleet, (_host, _reason, path) => told.push(path));
  const record = recordOf('be1', OLD);
  const send = (text: string, atMs: number): void => intake.take('mailherd.report.be1', new TextEncoder().encode(text), atMs);
  const fine = reportOf(record, 900, farm.nowMs, {
    slis: {deliveryMsP95: 123_456},
    load: {loginsPerSecond: 123_457},
    kernel: {diskFlushMs: 123_458},
  });
  const misfits = ['NaN', 'Infinity', '-1', '1e999', '"1"', 'true', '{}', '[]'].flatMap(bad =>
    ['123456', '123457', '123458'].map(figure => JSON.stringify(fine).replace(figure, bad)),
  );
  const labels = Object.fromEntries(Array.from({length: 10_000}, (_, index) => [`label${index}`, 'x']));
  for (const text of [...misfits, JSON.stringify({...fine, labels}), JSON.stringify({...fine, labels: {os: 'x'.repeat(10_000)}})]) {
    send(text, farm.nowMs);
  }
  expect([intake.accepted, intake.refused().get('be1')]).toEqual([0, misfits.length + 2]);
  send(JSON.stringify(fine), farm.nowMs);
  expect(intake.accepted).toBe(1);
});

test.each<[string, ReportChange]>([
  ['deliveryMsP95', {slis: {deliveryMsP95: 1e300}}],
  ['queueAgeMsP95', {slis: {queueAgeMsP95: 1e300}}],
  ['imapDropped', {slis: {imapDropped: 1e300, imapSessions: 1e300}}],
  ['more dropped than there were', {slis: {imapDropped: 1e6, imapSessions: 1}}],
  ['deliveries', {load: {deliveriesPerSecond: 1e300}}],
  ['sessions', {load: {imapSessions: 1e300, activeUsers: 1e300}}],
  ['kernel', {kernel: {diskFlushMs: 1e300, retransmitsPerSecond: 1e300, psiIoFull10: 1e300}}],
  ['an interval of nothing', {intervalMs: 0}],
  ['an interval of an age', {intervalMs: 1e300}],
])('one host lies about %s: nobody else is blamed, nothing is done to anybody else, and customers hurt stay customers', (_what, lie) => {
  const farm = farmOf(8);
  for (let minute = 0; minute < 4; minute++) {
    const {verdicts, decisions, hurt, cohorts, circumstances} = farm.pass(60, {be3: lie});
    expect(verdicts.filter(({host, kind}) => host !== 'be3' && kind !== 'healthy')).toEqual([]);
    expect(decisions.filter(({host}) => host !== 'be3')).toEqual([]);
    expect(hurt.usersHurt).toBeLessThanOrEqual(5);
    expect(cohorts.filter(({explained, sick}) => explained && sick.length > 1)).toEqual([]);
    expect(circumstances.filter(({hosts}) => hosts.length > 1)).toEqual([]);
  }
});

test('a policy whose floors are nothing: everything is felt, every figure is one, and who is sick is found as ever', () => {
  const farm = farmOf(8);
  const {judge} = farm.policy;
  const floors = {deliveryMsP95: 0, queueAgeMsP95: 0, probeDeliveryMs: 0, probeLoginMs: 0, probeFailureShare: 0, imapDroppedShare: 0};
  farm.policy = {...farm.policy, judge: {...judge, floors: {...floors, lmtpMsP95: 0, loginMsP95: 0}}};
  farm.pass(400, {be0: {slis: {queueAgeMsP95: 0}}});
  const outcome = farm.pass(200, {be3: {...SICK, slis: {...SICK.slis, probeFailureShare: 1, imapDropped: 6}}});
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host)).toEqual(['be3']);
  const told = [...outcome.verdicts, ...outcome.circumstances].flatMap(({evidence}) => evidence);
  expect(told.length).toBeGreaterThan(8);
  for (const {value, baseline, ratio} of told) expect([value, baseline ?? 0, ratio ?? 0].every(Number.isFinite)).toBe(true);
  const {figures} = farm.memory.figures;
  expect(Object.values(figures).every(({hosts}) => hosts.rows.every(Number.isFinite))).toBe(true);
});

test('a label with thousands of values, or that changes with every report, explains nobody', () => {
  const farm = new Farm();
  for (let index = 0; index < 60; index++)
    farm.add(recordOf(`be${index}`, {os: 'debian-13', asset: `a${index}`, tag: `t${index % 31}`}), 2);
  farm.pass(400);
  let explained = 0;
  for (let round = 0; round < 20; round++) {
    const churning = Object.fromEntries(
      Array.from({length: 60}, (_, index): [string, ReportChange] => {
        const labels = {os: 'debian-13', asset: `a${index}`, tag: `t${round}-${index}`};
        return [`be${index}`, index < 3 ? {...SICK, labels} : {labels}];
      }),
    );
    explained += farm.pass(10, churning).cohorts.filter(cohort => cohort.explained).length;
  }
  expect(explained).toBe(0);
});

test('a farm of none, and small farms of which anything is silent, idle or without labels: no exception, nobody emptied for lack of knowledge (seed 12)', () => {
  expect(new Farm().pass(60)).toMatchObject({verdicts: [], cohorts: [], decisions: [], circumstances: []});
  const weather = fc.constantFrom<ReportChange | null>(null, IDLE, {}, {labels: {}}, {...IDLE, labels: {}});
  fc.assert(
    fc.property(
      fc.integer({min: 1, max: 5}),
      fc.array(fc.array(weather, {minLength: 5, maxLength: 5}), {minLength: 2, maxLength: 4}),
      (count, spells) => {
        const farm = new Farm();
        for (let index = 0; index < count; index++) farm.add(recordOf(`be${index}`, index % 2 === 0 ? OLD : {}), 2);
        for (const spell of spells) {
          const outcome = farm.pass(60, Object.fromEntries(spell.map((change, index) => [`be${index}`, change])));
          expect(outcome.verdicts.map(({kind}) => kind)).not.toContain('sick');
          expect(outcome.decisions.filter(({kind}) => !['page', 'watch', 'rebalance'].includes(kind))).toEqual([]);
        }
      },
    ),
    {numRuns: 30, seed: 12},
  );
});

test('labels missing, or different on every host: never an exception, no cohort out of thin air', () => {
  const farm = new Farm();
  for (let index = 0; index < 40; index++) farm.add(recordOf(`be${index}`, index % 2 === 0 ? {} : {serial: `${index}`}), 2);
  farm.pass(400);
  const outcome = farm.pass(200, {be1: SICK, be2: SICK, be3: SICK});
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick')).toHaveLength(3);
  expect(outcome.cohorts.some(({explained}) => explained)).toBe(false);
});

test('any weather: no exception, no figure that is not one (seed 11)', {timeout: 30_000}, () => {
  const figure = fc.option(fc.oneof(fc.double({min: 0, max: 1e300, noNaN: true}), fc.constantFrom(0, 400, 90_000)));
  const share = fc.option(fc.double({min: 0, max: 1, noNaN: true}));
  const change = fc.oneof(
    fc.constant(null),
    fc.constant(IDLE),
    fc.record({
      slis: fc.record({deliveryMsP95: figure, queueAgeMsP95: figure, probeLoginMs: figure, probeFailureShare: share, imapDropped: figure}),
      load: fc.record({deliveriesPerSecond: figure, imapSessions: figure}),
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(change, change, change), {minLength: 5, maxLength: 15}), rounds => {
      const farm = new Farm();
      for (const host of ['be0', 'be1', 'be2']) farm.add(recordOf(host, OLD), 2);
      farm.pass(200);
      for (const [be0, be1, be2] of rounds) {
        const {verdicts} = farm.pass(10, {be0, be1, be2});
        for (const {evidence} of verdicts)
          for (const {value, ratio} of evidence) expect([value, ratio ?? 0].every(Number.isFinite)).toBe(true);
      }
    }),
    {numRuns: 60, seed: 11},
  );
});
