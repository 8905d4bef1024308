import {expect, test} from 'vitest';
import {renderWhy} from '../../../cli/why.ts';
import type {Decision} from '../../../wire/record.ts';
import {decisionWords, experimentWords, verdictWords, vetoWords} from '../../../wire/words.ts';

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
  expect(renderWhy('be4', view, {colour: false, nowMs: 2})).toContain(`Decided  ${words}`);
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
  ['NO_HEALTHY_RELAY', {relays: ['be1', 'be2']}, 'relays be1, be2'],
  ['CAUSE_OPEN', {untilMs: 1_800_000_000_000}, 'others may follow, what they share is waited for until 08:00:00Z'],
  ['MONITOR_SUSPECT', {silent: 5, backends: 9}, '5 of 9 backends are silent, so it may be NATS, the network or the coordinator'],
  ['TOO_MANY_UNEXPLAINED', {hosts: ['be1', 'be2'], backends: 5}, '2 of 5 backends are ill and nothing explains it (be1, be2)'],
  ['NOT_THE_HOSTS', {cause: 'network', labels: {rack: 'r1'}}, 'the network of rack=r1'],
])('%s in words', (code, detail, words) => expect(vetoWords({code, detail})).toBe(`${code}: ${words}`));

test('a verdict in words; one of a newer coordinator by its code alone', () => {
  const verdict = {host: 'be4', kind: 'suspect' as const, sinceMs: 1_000, because: 'NOT_PROVED', evidence: []};
  expect(verdictWords(verdict, 61_000)).toBe(
    'suspect (NOT_PROVED) for 1 m 00 s: users feel it; that it is worse than others is not proved',
  );
  expect(verdictWords({...verdict, because: 'toString'}, 61_000)).toBe('suspect (toString) for 1 m 00 s');
});

test('an experiment in words: what came back how, and what that says', () => {
  const hosts = [{host: 'be4', kind: 'sick', to: 'debian-12'}];
  const tried = {
    labels: {os: 'debian-13'},
    alternatives: [{hardware: 'gen11'}],
    change: 'os',
    from: 'debian-13',
    hosts: ['be4'],
    sinceMs: 1,
  };
  const outcome = {atMs: 2, blamed: [{hardware: 'gen11'}], cleared: [{os: 'debian-13'}], hosts};
  expect(experimentWords({...tried, outcome})).toBe('be4 sick with os=debian-12: hardware=gen11 is blamed, os=debian-13 cleared');
  expect(experimentWords({...tried, outcome: {...outcome, blamed: [], cleared: []}})).toMatch(/do not agree, nothing is told apart$/);
  expect(experimentWords({...tried, outcome: null})).toMatch(/not back yet/);
});
