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
