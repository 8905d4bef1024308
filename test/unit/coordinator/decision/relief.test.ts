import {expect, test} from 'vitest';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import type {QueueFigures} from '../../../../wire/mail-figures.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {Decision} from '../../../../wire/record.ts';
import type {HostReport} from '../../../../wire/report.ts';
import {countedBy, type Farm, fiveHosts, type ReportChange, SICK} from '../fleet-builder.ts';

const queue = (deferred: number): HostReport['queue'] => ({maildrop: 0, incoming: 0, active: 0, deferred, hold: 0, complete: true});
const QUEUE_FIGURES: QueueFigures = {
  ...{bytes: 0, askedShare: 1, halfWritten: 0, forceExpire: 0, unthrottle: 0, stuckIncoming: 0, foreign: 0, unaged: 0},
  ...{activeShare: 0, retry: null, herd: null, directoryBytes: 0, directoryBytesMax: 0, bucketSkew: null, destinations: null},
};
const STUCK: ReportChange = {...SICK, queue: queue(40)};
const LEFT: ReportChange = {queue: queue(2), slis: {queueAgeMsP95: 90_000, queueAgeMsMax: 90_000}};

function farmOn(relays: string[] = []): Farm {
  const farm = fiveHosts();
  const policy: Policy = {...DEFAULT_POLICY, relief: {relays, spanMs: 900_000}};
  farm.policy = {...policy, modes: {...policy.modes, 'queue-relief': 'on'}};
  farm.pass(200);
  return farm;
}
const reliefOf = ({decisions}: FlowOutcome, host: string): Decision | undefined =>
  decisions.find(each => each.kind === 'queue-relief' && each.host === host);
const codes = (found: Decision | undefined): string[] | undefined => found?.vetoes.map(({code}) => code);

test('a queue that is stuck on a sick host is relieved, with its age and size as evidence; a sick host without a queue is not', () => {
  const outcome = farmOn().pass(120, {be4: STUCK, be5: {...SICK, queue: queue(1)}});
  expect(reliefOf(outcome, 'be4')).toMatchObject({because: 'QUEUE_STUCK', mode: 'on', vetoes: []});
  expect(reliefOf(outcome, 'be4')?.evidence).toMatchObject([
    {sli: 'queueAgeMsP95', value: 120_000, baseline: 30_000, ratio: 4},
    {sli: 'queued', value: 40, note: '40 deferred, 0 active, 0 incoming'},
  ]);
  expect(reliefOf(outcome, 'be5')).toBeUndefined();
});

test('a queue of the same age on a host that is well is left to Postfix', () => {
  const old: ReportChange = {queue: queue(40), slis: {queueAgeMsP95: 29_000}};
  expect(
    farmOn()
      .pass(120, {be1: old})
      .decisions.filter(({kind}) => kind === 'queue-relief'),
  ).toEqual([]);
});

test('an empty host with mail in its queue is relieved once that is old; one with users waits for them', () => {
  const farm = farmOn();
  farm.change('be4', {stage: 'drained'});
  expect(reliefOf(farm.pass(20, {be4: LEFT}), 'be4')).toBeUndefined();
  for (const [user, {host}] of farm.fleet.routes) if (host === 'be4') farm.fleet.routes.delete(user);
  expect(reliefOf(farm.pass(20, {be4: LEFT}), 'be4')?.because).toBe('QUEUE_LEFT');
  expect(reliefOf(farm.pass(20, {be4: {queue: queue(2), slis: {queueAgeMsMax: 3_000}}}), 'be4')).toBeUndefined();
});

test('mail for outside that is left on an empty host is relieved, though nothing waits for mailboxes there', () => {
  const farm = farmOn();
  farm.change('be4', {stage: 'drained'});
  for (const [user, {host}] of farm.fleet.routes) if (host === 'be4') farm.fleet.routes.delete(user);
  const figures = (ageMsMax: number): ReportChange => {
    const mailFigures = {...countedBy({}), queue: {...QUEUE_FIGURES, ageMsP95: 1, ageMsMax}};
    return {queue: {...queue(2), here: 0} as HostReport['queue'], slis: {queueAgeMsP95: null, queueAgeMsMax: null}, mailFigures};
  };
  expect(reliefOf(farm.pass(20, {be4: figures(3_000)}), 'be4')).toBeUndefined();
  expect(reliefOf(farm.pass(20, {be4: figures(90_000)}), 'be4')?.because).toBe('QUEUE_LEFT');
});

test('relays of the policy of which none is well stop it; one that is well does not', () => {
  const none = farmOn(['be4', 'be5', 'nobody']).pass(120, {be4: STUCK, be5: STUCK});
  expect(codes(reliefOf(none, 'be4'))).toEqual(['NO_HEALTHY_RELAY']);
  expect(codes(reliefOf(farmOn(['be5', 'be1']).pass(120, {be4: STUCK, be5: STUCK}), 'be4'))).toEqual([]);
});

test('off, paused, and a network that is ill', () => {
  const off = farmOn();
  off.policy = {...off.policy, modes: {...off.policy.modes, 'queue-relief': 'off'}};
  expect(reliefOf(off.pass(120, {be4: STUCK, be5: STUCK}), 'be4')).toBeUndefined();
  const paused = farmOn();
  paused.policy = {...paused.policy, paused: {by: 'ada', atMs: 0, reason: 'lunch'}};
  expect(codes(reliefOf(paused.pass(120, {be4: STUCK, be5: STUCK}), 'be4'))).toEqual(['PAUSED']);
  const {relief: _, modes, ...older} = DEFAULT_POLICY;
  const {'queue-relief': __, ...oldModes} = modes;
  const aged = farmOn();
  aged.policy = {...older, modes: oldModes};
  expect(reliefOf(aged.pass(120, {be4: STUCK, be5: STUCK}), 'be4')?.mode).toBe('approve');
});
