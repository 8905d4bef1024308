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
  expect(text).toMatch(/Host +be4: 12 customers hurt/);
  expect(text).toMatch(/Verdict +sick \(SLI_WORSE_THAN_PEERS\) for 1 m 30 s: users feel it, and others with as much to do are better/);
  expect(text).toMatch(/Decided +nothing\n/);
  expect(text).toMatch(/Seen +deliveryMsP95 60100 ms against 500, x120\.2 \(floor 5000 ms; 4 peers\)/);
  expect(text).toMatch(/Where +stageSendingMs 58000 ms against 20, x2900\.0 \(while Dovecot stores it\)/);
  expect(text).toMatch(/Along +diskFlushMs 412 ms against 4, x103\.0 \(goes along with it\)/);
  expect(text).toContain('os=debian-13: explains its sick hosts');
  expectReadable(text);
});

/** Ten lines, or one more where an experiment would tell; and no line that a terminal breaks twice. */
function expectReadable(text: string): void {
  const lines = text.split('\n');
  expect(lines.length).toBeLessThanOrEqual(11);
  expect(Math.max(...lines.map(({length}) => length))).toBeLessThanOrEqual(160);
}

test('a cohort: effect with interval, controls, what it cannot be told from and what would tell', () => {
  const text = renderWhy('os=debian-13', VIEW, LOOK) ?? '';
  expect(text).toContain('2 of 2 with it, 0 of 3 without it; by chance p = 0.1');
  expect(text).toContain('x120.2 (100.0 to 140.0); cannot be told from hardware=gen11');
  expect(text).toContain('change os on be4, be5 first');
  expect(text).toContain('24 (40.0 %)');
  expect(text).toMatch(/Along +diskFlushMs 412 ms against 4, x103\.0 \(on 2 of 2\)/);
  expectReadable(text);
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

test('a host that is well; one that shares nothing; a name nobody has, if objects do', () => {
  expect(renderWhy('be1', VIEW, LOOK)?.split('\n')).toEqual([
    'Host     be1: 0 customers hurt',
    'Verdict  healthy (WITHIN_BOUNDS) for 1 m 30 s: users feel nothing',
  ]);
  expect(renderWhy('be4', {...VIEW, cohorts: []}, LOOK)).toMatch(/Shared +nothing with other sick hosts/);
  for (const name of ['be9', 'toString']) expect(renderWhy(name, VIEW, LOOK)).toBeNull();
});

test('what does not explain is one line, what is not felt any more is not told as seen now, and that nothing is decided is said', () => {
  const [cohort] = VIEW.cohorts;
  const [own] = VIEW.verdicts;
  if (cohort === undefined || own === undefined) throw new Error('no cohort');
  const watch = {kind: 'watch' as const, host: 'be4', atMs: T0, because: 'RECOVERING', evidence: [], vetoes: [], mode: 'on' as const};
  const view = {...VIEW, verdicts: [{...own, because: 'RECOVERING'}], cohorts: [{...cohort, explained: false}], decisions: [watch]};
  const text = renderWhy('be4', view, LOOK) ?? '';
  expect(text).toMatch(/Seen last +deliveryMsP95/);
  expect(text).toMatch(/Decided +nothing; it is watched/);
  expect(text).toMatch(/Shared +nothing that is proved to be the cause; nearest is os=debian-13: 2 of 2 with it, 0 of 3 without it/);
  expect(text).not.toContain('Cohort');
});

test('a farm of hundreds on its worst day is told in as few lines, none of them endless', () => {
  const hosts = Array.from({length: 130}, (_, index) => `be${index}`);
  const [cohort] = VIEW.cohorts;
  const [own] = VIEW.verdicts;
  if (cohort === undefined || own === undefined) throw new Error('no cohort');
  const many = ['kernel', 'image', 'dovecot', 'postfix', 'firmware', 'bios', 'disk', 'batch'].map(key => ({[key]: 'a-name-of-its-own'}));
  const vetoes = [
    {code: 'TOO_MANY_UNEXPLAINED', detail: {hosts, backends: 300}},
    {code: 'NO_HEALTHY_TARGET', detail: {hosts}},
  ];
  const evacuate = {kind: 'evacuate' as const, host: 'be4', atMs: T0, because: 'SICK_ALONE', evidence: [], mode: 'on' as const};
  const stoppedBy = (veto: (typeof vetoes)[number]): VerdictsView => ({
    ...VIEW,
    cohorts: [{...cohort, sick: hosts, members: hosts, controls: hosts, alternatives: many}],
    decisions: [{...evacuate, vetoes: [veto]}],
  });
  for (const veto of vetoes) for (const name of ['be4', 'os=debian-13']) expectReadable(renderWhy(name, stoppedBy(veto), LOOK) ?? '');
  const told = '130 of 300 backends are ill and nothing explains it (be0, be1, be2, be3, be4 and 125 more)';
  expect(vetoes.map(veto => renderWhy('be4', stoppedBy(veto), LOOK)?.includes(told))).toEqual([true, false]);
});

test('what is not the host stands with the host, and by its code', () => {
  const storm = {code: 'MAIL_STORM' as const, sinceMs: T0, hosts: ['be1', 'be4'], evidence: [SEEN]};
  const cut = {code: 'PLACE_CUT_OFF' as const, sinceMs: T0, labels: {rack: 'r1'}, hosts: ['be9'], evidence: []};
  const view = {...VIEW, circumstances: [storm, cut]};
  expect(renderWhy('be1', view, LOOK)).toMatch(/Not the hosts +MAIL_STORM: far more mail than usual comes to all of them \(be1, be4\)/);
  expect(renderWhy('be1', view, LOOK)).not.toContain('PLACE_CUT_OFF');
  expect(renderWhy('MAIL_STORM', view, LOOK)).toMatch(/Seen +deliveryMsP95/);
  const most = {code: 'MAJORITY_BAD' as const, sinceMs: T0, labels: {os: 'debian-13'}, hosts: ['be1'], evidence: [SEEN]};
  const majority = {...VIEW, cohorts: [], circumstances: [most]};
  for (const name of ['be1', 'os=debian-13'])
    expect(renderWhy(name, majority, LOOK)).toMatch(/Most hosts +MAJORITY_BAD os=debian-13: bad on most/);
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
