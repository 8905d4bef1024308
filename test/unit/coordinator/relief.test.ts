import {beforeEach, expect, test} from 'vitest';
import {MailherdError} from '../../../base/errors.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import type {Decision} from '../../../wire/record.ts';
import type {Relief} from '../../../wire/report.ts';
import {FakeFarm} from './fake-farm.ts';
import {settle} from './fakes.ts';

const SPAN_MS = 600_000;
let farm: FakeFarm;
const STUCK: Decision = {kind: 'queue-relief', host: 'be01', atMs: 1, because: 'QUEUE_STUCK', evidence: [], vetoes: [], mode: 'on'};

async function look(decision: Decision = STUCK): Promise<void> {
  await farm.relief.look([decision]);
  await settle();
}
function says(relief: Relief | null): void {
  const report = farm.picture.fleet.hosts.get('be01')?.reports.at(-1);
  if (report !== undefined)
    Object.assign(report, {relief, queue: {maildrop: 0, incoming: 1, active: 2, deferred: 3, hold: 9, complete: true}});
}
const on = (leftMs: number): Relief => {
  const nowMs = farm.clock.now();
  return {relay: null, sinceMs: nowMs, untilMs: nowMs + leftMs, by: 'mailherd'};
};
const asked = (): unknown[] => farm.commands.filter(({verb}) => verb === 'relieve').map(({host, request}) => [host, request]);

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy({...DEFAULT_POLICY, relief: {relays: ['be02'], spanMs: SPAN_MS}});
  for (const host of ['be01', 'be02']) await farm.addHost(host);
  await farm.rounds();
});

test('asked once, then again when more than half is over; the relay is a host that is well', async () => {
  await look();
  await look();
  expect(asked()).toEqual([['be01', {v: 1, token: 7, relay: '[10.0.0.1]:25', spanMs: SPAN_MS, by: 'mailherd'}]]);
  expect(farm.lines).toMatchObject([
    {by: 'mailherd', action: 'queue-relief', subject: 'be01', result: 'ok', detail: {because: 'QUEUE_STUCK'}},
  ]);
  await farm.clock.advance(31_000);
  says(on(SPAN_MS * 0.6));
  await look();
  expect(asked()).toHaveLength(1);
  says(on(SPAN_MS * 0.4));
  await look();
  expect(asked()).toHaveLength(2);
});

test('not asked in another mode, nor against a veto', async () => {
  await look({...STUCK, mode: 'approve'});
  await look({...STUCK, vetoes: [{code: 'PAUSED', detail: {}}]});
  expect(asked()).toEqual([]);
});

test('a refusal is written down and rests', async () => {
  farm.answer = () => {
    throw new MailherdError('RELIEF_REFUSED', {host: 'be01'});
  };
  await look();
  await look();
  expect(farm.lines).toMatchObject([{action: 'queue-relief', result: 'failed', detail: {refusal: {code: 'RELIEF_REFUSED'}}}]);
  await farm.clock.advance(61_000);
  await look();
  expect(farm.lines).toHaveLength(2);
});

test('its beginning and end are told, with what waits; what a new leader finds is no news', async () => {
  const idle: Decision = {...STUCK, mode: 'approve'};
  says(on(SPAN_MS));
  await look(idle);
  expect(farm.events.filter(({type}) => type === 'queueRelieved')).toEqual([]);
  says(null);
  await look(idle);
  says(on(SPAN_MS));
  await look(idle);
  const told = farm.events.filter(({type}) => type === 'queueRelieved').map(({host, data}) => [host, data]);
  expect(told).toEqual([
    ['be01', {isOn: false, relay: null, queued: 6, by: 'mailherd'}],
    ['be01', {isOn: true, relay: null, queued: 6, by: 'mailherd'}],
  ]);
  expect(farm.lines.map(({action}) => action)).toEqual(['queue-relief over']);
});

test('a person begins and ends it', async () => {
  await farm.operator.relieve('ada', 'be01', {});
  await farm.operator.relieve('ada', 'be01', {end: true});
  expect(farm.commands.map(({request}) => request)).toMatchObject([
    {relay: '[10.0.0.1]:25', spanMs: SPAN_MS, by: 'ada'},
    {relay: null, spanMs: 0, by: 'ada'},
  ]);
  await expect(farm.operator.relieve('ada', 'be99', {})).rejects.toThrow(/HOST_UNKNOWN/);
});
