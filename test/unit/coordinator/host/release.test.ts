import {expect, test} from 'vitest';
import {releaseFor} from '../../../../coordinator/host/release.ts';
import type {CohortVerdict} from '../../../../wire/record.ts';

const OS: Record<string, string> = {be01: 'debian-12', be02: 'debian-12', be03: 'ubuntu-24', be04: 'debian-13', be05: 'debian-13'};
const labelsOf = (host: string) => (OS[host] === undefined ? null : {os: OS[host]});
const cohort: CohortVerdict = {
  labels: {os: 'debian-13'},
  confounded: [],
  sick: ['be04', 'be05'],
  members: ['be04', 'be05'],
  controls: ['be01', 'be02', 'be03'],
  controlsSick: 0,
  effect: 9,
  chance: 0.1,
  explained: true,
  sinceMs: 1,
  evidence: [],
};

test('the release most healthy controls run', () => {
  expect(releaseFor('be04', [cohort], labelsOf)).toBe('debian-12');
  expect(releaseFor('be04', [{...cohort, labels: {batch: '7'}, confounded: ['os']}], labelsOf)).toBe('debian-12');
});

test('nothing to install where the release is not to blame, nothing is explained, or nobody runs another', () => {
  expect(releaseFor('be04', [{...cohort, labels: {rack: 'r1'}}], labelsOf)).toBeNull();
  expect(releaseFor('be04', [{...cohort, explained: false}], labelsOf)).toBeNull();
  expect(releaseFor('be04', [{...cohort, controls: ['be05']}], labelsOf)).toBeNull();
  expect(releaseFor('be01', [cohort], labelsOf)).toBeNull();
  expect(releaseFor('be04', [], labelsOf)).toBeNull();
});
