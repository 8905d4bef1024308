import {expect, test} from 'vitest';
import {missing, type Said, SCOPES, selectTrials, TRIAL_FAULTS, trialName, VERDICT_LAYOUT, wrong} from '../../../farm/verdict/cases.ts';
import type {CohortVerdict, VerdictKind} from '../../../wire/record.ts';

const said = (kinds: Record<string, VerdictKind>, labels: Record<string, string>[] = []): Said => ({
  verdicts: Object.entries(kinds).map(([host, kind]) => ({host, kind, sinceMs: 0, because: '', evidence: []})),
  cohorts: labels.map(own => ({labels: own, confounded: [], explained: true, members: ['jd4', 'jd5']}) as unknown as CohortVerdict),
});

test('at least eight faults, each on one host, on a release, on everything', () => {
  expect(Object.keys(TRIAL_FAULTS).length).toBeGreaterThanOrEqual(8);
  expect(new Set(selectTrials(null).map(trialName)).size).toBe(3 * Object.keys(TRIAL_FAULTS).length);
  expect(selectTrials('cut,power-off/all').map(trialName)).toEqual(['power-off/all', 'cut/host', 'cut/cohort', 'cut/all']);
  const trixie = VERDICT_LAYOUT.hosts.filter(({release}) => release === 'trixie').map(({name}) => name);
  expect(trixie).toEqual([...SCOPES.cohort]);
});

test('a cohort is told right when its hosts are sick and the release is named', () => {
  const trial = {name: 'slow-fsync', scope: 'cohort'} as const;
  expect(missing(trial, said({jd4: 'sick', jd5: 'suspect'}))).toEqual(['jd5 is not called sick', 'the release is not named']);
  expect(missing(trial, said({jd4: 'sick', jd5: 'sick'}, [{os: 'debian-13'}]))).toEqual([]);
  expect(missing({name: 'power-off', scope: 'cohort'}, said({jd4: 'silent', jd5: 'silent'}))).toEqual([]);
});

test('to blame who has nothing is wrong; where everybody has it, to blame anybody', () => {
  expect(wrong({name: 'cut', scope: 'host'}, said({jd1: 'silent', jd2: 'sick'}))).toEqual(['jd2 is called sick']);
  expect(wrong({name: 'slow-fsync', scope: 'host'}, said({jd1: 'sick'}, [{rack: 'r1'}]))).toEqual(['{"rack":"r1"} is blamed']);
  expect(wrong({name: 'slow-fsync', scope: 'all'}, said({jd1: 'sick', jd2: 'suspect'}))).toEqual(['jd1 is called sick']);
});
