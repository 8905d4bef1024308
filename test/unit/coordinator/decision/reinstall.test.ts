import {expect, test} from 'vitest';
import type {Experiment} from '../../../../wire/incident.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {CohortVerdict, Decision} from '../../../../wire/record.ts';
import {FakeFarm} from '../fake-farm.ts';
import {cohort as STORY_COHORT} from '../incident/story.ts';

const cohort: CohortVerdict = {
  ...STORY_COHORT,
  labels: {os: 'debian-13'},
  confounded: [],
  alternatives: [],
  sick: ['be04', 'be05'],
  members: ['be04', 'be05'],
  controls: ['be01', 'be02', 'be03'],
  sinceMs: 0,
};

/** Five hosts, two of them of the newest release and sick; be04 is emptied by decision. @returns who asked to reinstall it. */
async function askedBy(outcome: Experiment['outcome'] | undefined): Promise<string | null | undefined> {
  const farm = new FakeFarm();
  await farm.setPolicy({...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, evacuate: 'on', reinstall: 'on'}});
  for (const host of ['be01', 'be02', 'be03']) await farm.addHost(host, {labels: {os: 'debian-12'}});
  for (const host of ['be04', 'be05']) await farm.addHost(host, {labels: {os: 'debian-13'}});
  await farm.addUser('ada@example.org', 'be04');
  await farm.rounds();
  const judged = farm.picture.judge([], [], farm.clock.now());
  farm.picture.outcome = {...judged, cohorts: [cohort]};
  const made = {
    labels: cohort.labels,
    alternatives: [{hardware: 'gen11'}],
    change: 'os',
    from: 'debian-13',
    hosts: ['be01', 'be02'],
    sinceMs: 0,
  };
  farm.picture.fleet.experiments = outcome === undefined ? [] : [{...made, sinceMs: farm.clock.now(), outcome}];
  const evacuate: Decision = {kind: 'evacuate', host: 'be04', atMs: 0, because: 'x', evidence: [], vetoes: [], mode: 'on'};
  await farm.actor.act([evacuate]);
  const record = farm.picture.hosts.get('be04')?.value;
  expect(record).toMatchObject({stage: 'draining', reinstallTo: 'debian-12'});
  return record?.reinstallAskedBy;
}

test('a host is emptied and not asked for while the first two have not told, or where they told that it is something else', async () => {
  expect(await askedBy(undefined)).toBe('mailherd');
  expect(await askedBy(null)).toBeNull();
  const told = {atMs: 0, blamed: [{hardware: 'gen11'}], cleared: [{os: 'debian-13'}], hosts: []};
  expect(await askedBy(told)).toBeNull();
  expect(await askedBy({...told, blamed: told.cleared, cleared: told.blamed})).toBe('mailherd');
});
