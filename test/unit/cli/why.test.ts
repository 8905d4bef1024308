import {expect, test} from 'vitest';
import {renderWhy} from '../../../cli/why.ts';
import type {VerdictsView} from '../../../wire/api.ts';

const T0 = 1_800_000_000_000;
const LOOK = {colour: false, nowMs: T0 + 90_000};
const SEEN = {sli: 'deliveryMsP95', unit: 'ms', value: 60_123.4, baseline: 500, ratio: 120.2, note: 'floor 5000 ms; 4 peers'};
const ALONG = {sli: 'diskFlushMs', unit: 'ms', value: 412, baseline: 4, ratio: 103, note: 'goes along with it', explains: true as const};
const WHERE = {...ALONG, sli: 'stageSendingMs', value: 58_000, baseline: 20, ratio: 2_900, note: 'while Dovecot stores it'};
const VIEW: VerdictsView = {
  verdicts: [
    {host: 'be4', kind: 'sick', sinceMs: T0, because: 'SLI_WORSE_THAN_PEERS', evidence: [SEEN, SEEN, SEEN, WHERE, ALONG]},
    {host: 'be1', kind: 'healthy', sinceMs: T0, because: 'WITHIN_BOUNDS', evidence: []},
  ],
  cohorts: [
    {
      labels: {os: 'debian-13'},
      confounded: ['hardware'],
      alternatives: [{hardware: 'gen11'}],
      experiment: {change: 'os', hosts: ['be4', 'be5']},
      sick: ['be4', 'be5'],
      members: ['be4', 'be5'],
      controls: ['be1', 'be2', 'be3'],
      controlsSick: 0,
      effect: 120.2,
      effectLow: 100,
      effectHigh: 140,
      chance: 0.1,
      explained: true,
      sinceMs: T0,
      evidence: [SEEN, SEEN, SEEN, {...ALONG, note: 'on 2 of 2'}],
    },
  ],
  hurt: {atMs: T0, users: 60, usersHurt: 24, share: 0.4, byHost: {be4: 12, be5: 12}},
  hurtPeak: null,
};

test('a sick host: its evidence and what it shares, in about ten lines', () => {
  const text = renderWhy('be4', VIEW, LOOK) ?? '';
  expect(text).toMatch(/Verdict +sick \(SLI_WORSE_THAN_PEERS\) for 1 m 30 s/);
  expect(text).toMatch(/Seen +deliveryMsP95 60100 ms against 500, x120\.2 \(floor 5000 ms; 4 peers\)/);
  expect(text).toMatch(/Where +stageSendingMs 58000 ms against 20, x2900\.0 \(while Dovecot stores it\)/);
  expect(text).toMatch(/Along +diskFlushMs 412 ms against 4, x103\.0 \(goes along with it\)/);
  expect(text).toContain('os=debian-13: explains its sick hosts');
  expect(text.split('\n').length).toBeLessThanOrEqual(12);
});

test('a cohort: effect with interval, controls, what it cannot be told from and what would tell', () => {
  const text = renderWhy('os=debian-13', VIEW, LOOK) ?? '';
  expect(text).toContain('2 of 2 with it, 0 of 3 without it; by chance p = 0.1');
  expect(text).toContain('x120.2 (100.0 to 140.0); cannot be told from hardware=gen11');
  expect(text).toContain('change os on be4, be5 first');
  expect(text).toContain('24 (40.0 %)');
  expect(text).toMatch(/Along +diskFlushMs 412 ms against 4, x103\.0 \(on 2 of 2\)/);
  expect(text.split('\n').length).toBeLessThanOrEqual(12);
});

test('what an experiment has told stands with the cohort', () => {
  const hosts = [{host: 'be4', kind: 'healthy', to: 'debian-12'}];
  const outcome = {atMs: T0, blamed: [{os: 'debian-13'}], cleared: [{hardware: 'gen11'}], hosts};
  const tried = {
    labels: {os: 'debian-13'},
    alternatives: [{hardware: 'gen11'}],
    change: 'os',
    from: 'debian-13',
    hosts: ['be4'],
    sinceMs: T0,
  };
  expect(renderWhy('os=debian-13', {...VIEW, experiments: [{...tried, outcome}]}, LOOK)).toMatch(
    /Tried +be4 healthy with os=debian-12: os=debian-13 is blamed, hardware=gen11 cleared/,
  );
  expect(renderWhy('os=debian-13', {...VIEW, experiments: [{...tried, outcome: null}]}, LOOK)).not.toContain('Tried');
});

test('a host that shares nothing; a name nobody has', () => {
  expect(renderWhy('be1', VIEW, LOOK)).toContain('nothing with other sick hosts');
  expect(renderWhy('be9', VIEW, LOOK)).toBeNull();
});

test('what is not the host stands with the host, and by its code', () => {
  const storm = {code: 'MAIL_STORM' as const, sinceMs: T0, hosts: ['be1', 'be4'], evidence: [SEEN]};
  const cut = {code: 'PLACE_CUT_OFF' as const, sinceMs: T0, labels: {rack: 'r1'}, hosts: ['be9'], evidence: []};
  const view = {...VIEW, circumstances: [storm, cut]};
  expect(renderWhy('be1', view, LOOK)).toMatch(/Not the host +MAIL_STORM: far more mail than usual comes to all of them \(be1, be4\)/);
  expect(renderWhy('be1', view, LOOK)).not.toContain('PLACE_CUT_OFF');
  expect(renderWhy('MAIL_STORM', view, LOOK)).toMatch(/Seen +deliveryMsP95/);
  expect(renderWhy('rack=r1', view, LOOK)).toMatch(/PLACE_CUT_OFF rack=r1: all hosts of this place are silent/);
});

test('one label of several that explain it together is enough to ask, and so is what cannot be told from it', () => {
  const [cohort] = VIEW.cohorts;
  if (cohort === undefined) throw new Error('no cohort');
  const view = {...VIEW, cohorts: [{...cohort, labels: {os: 'debian-13', kernel: '6.12'}}]};
  for (const name of ['kernel=6.12', 'os=debian-13', 'hardware=gen11'])
    expect(renderWhy(name, view, LOOK)).toContain('os=debian-13 kernel=6.12');
  expect(renderWhy('os=debian-12', view, LOOK)).toBeNull();
});
