import {expect, test} from 'vitest';
import {Incidents, incidentMarkdown} from '../../../cli/incidents.ts';
import {decisionWords, vetoWords} from '../../../cli/veto-words.ts';
import {renderWhy} from '../../../cli/why.ts';
import type {Decision} from '../../../wire/record.ts';

const FIT = {
  code: 'DOES_NOT_FIT',
  detail: {neededBytes: 12e9, freeBytes: 8e9, missingBytes: 4e9, largestBytes: 1e9, largestRoomBytes: 2e9, standardHosts: 2, tiers: []},
};
const CUT: Decision = {kind: 'evacuate', host: 'be4', atMs: 1, because: 'SICK_ALONE', evidence: [], vetoes: [FIT], mode: 'on'};

test('an evacuation that does not fit is refused with the missing capacity in figures', () => {
  const words = decisionWords(CUT);
  expect(words).toMatch(/^evacuate be4 \(SICK_ALONE\), stopped by DOES_NOT_FIT: needs 12\.0 GB, free 8\.0 GB, missing 4\.0 GB/);
  expect(words).toContain('2 more hosts of the usual size would do');
  const verdicts = [{host: 'be4', kind: 'sick' as const, sinceMs: 1, because: 'SLI_WORSE_THAN_PEERS', evidence: []}];
  const view = {verdicts, cohorts: [], hurt: null, hurtPeak: null, decisions: [CUT]};
  expect(renderWhy('be4', view, {colour: false, nowMs: 2})).toContain(`Decided         ${words}`);
});

test.each([
  [
    'CAPACITY_OUT',
    {outShare: 0.4, wouldBe: 0.6, outShareMax: 0.5, hosts: []},
    '40.0 % of the capacity is out of service, would be 60.0 %, at most 50.0 %',
  ],
  [
    'BUDGET_SPENT',
    {changed: 3, backends: 5, wouldBe: 0.8, changedShareMax: 0.6, windowMs: 3_600_000},
    '3 of 5 hosts are being changed or were within 1 h 00 m, would be 80.0 %, at most 60.0 %',
  ],
  ['CURE_WORSE', {ratioMax: 1.7, needed: 2}, '1.7 times as bad as the others, moving pays from 2 times on'],
  ['PAUSED', {by: 'ada', reason: 'lunch'}, 'by ada, reason lunch'],
  ['NO_HEALTHY_RELAY', {relays: ['be1', 'be2']}, 'relays be1 be2'],
])('%s in words', (code, detail, words) => expect(vetoWords({code, detail})).toBe(`${code}: ${words}`));

test('an incident tells of a host that fell silent, of what was done by whom, and of relieved queues', () => {
  const incidents = new Incidents();
  const take = (sequence: number, type: string, host: string | null, data: object): void =>
    incidents.take(sequence, {v: 1, id: `event-${sequence}`, type, host, atMs: sequence * 60_000, data} as never);
  const page = {kind: 'page', host: 'be4', atMs: 1, because: 'SILENT', evidence: [], vetoes: [], mode: 'on'};
  take(1, 'decided', 'be4', {decision: page});
  take(2, 'hostCordoned', 'be4', {by: 'mailherd', reason: 'SICK_ALONE'});
  take(3, 'decided', 'be4', {decision: CUT});
  take(4, 'queueRelieved', 'be4', {isOn: true, relay: '[10.0.0.9]:25', queued: 40, by: 'mailherd'});
  take(5, 'apiCalled', null, {by: 'ada', method: 'POST', path: '/v1/hosts/be4/evacuate', status: 202});
  take(6, 'apiCalled', null, {by: 'ada', method: 'POST', path: '/v1/moves', status: 409});
  take(7, 'verdictChanged', 'be4', {
    from: 'silent',
    verdict: {host: 'be4', kind: 'healthy', sinceMs: 1, because: 'WITHIN_BOUNDS', evidence: []},
  });
  expect(incidents.all).toMatchObject([{cause: 'SILENT', hosts: ['be4'], closedAtMs: 420_000}]);
  const [incident] = incidents.all;
  const text = incident === undefined ? '' : incidentMarkdown(incident);
  expect(text).toContain('be4 gets no new mailbox: SICK_ALONE (mailherd)');
  expect(text).toContain('missing 4.0 GB');
  expect(text).toContain('be4: its queue is being relieved by [10.0.0.9]:25, 40 messages wait');
  expect(text).toContain('ada: POST /v1/hosts/be4/evacuate');
  expect(text).not.toContain('/v1/moves');
});
