import {describe, expect, test} from 'vitest';
import {renderStatus, type Status} from '../../../cli/status.ts';
import type {CohortVerdict, Decision} from '../../../wire/record.ts';

const T0 = 1_800_000_000_000;
const LOOK = {colour: false, nowMs: T0 + 7_200_000};
const SICK = Array.from({length: 60}, (_, at) => `be${100 + at}`);
const decided = (kind: Decision['kind'], host: string | null, over: Partial<Decision> = {}): Decision => {
  return {kind, host, atMs: T0, because: 'COHORT_SICK', evidence: [], vetoes: [], mode: 'approve', ...over};
};
const COHORT: CohortVerdict = {
  ...{labels: {os: 'debian-13'}, confounded: [], sick: SICK, members: SICK, controls: ['be001'], controlsSick: 0},
  ...{effect: 60, chance: 1e-9, explained: true, sinceMs: T0, evidence: []},
};
const HURT = {atMs: T0, users: 400_000, usersHurt: 150_000, share: 0.375, byHost: Object.fromEntries(SICK.map((host, at) => [host, at]))};
const WORST: Status = {
  farm: {
    ...{leader: 'ctl1', answeredBy: 'ctl1', token: 3, nowMs: LOOK.nowMs, paused: null, hosts: 160, users: 400_000, hurt: HURT},
    incident: {id: 4711, onsetMs: T0, cause: 'os=debian-13', hosts: SICK},
    verdicts: {healthy: 100, sick: 60},
    stages: {active: 160},
    cordoned: ['be001', 'be002'].map(host => ({host, by: 'ada', reason: 'memory test', atMs: T0})),
    newestReportAgeMs: 900,
    moves: {running: 8, waiting: 4_992, done: 500, total: 5_500, etaMs: 7_200_000},
    emptied: {hosts: 2, paused: ['be100']},
  },
  verdicts: {
    verdicts: [],
    cohorts: [COHORT],
    hurt: HURT,
    hurtPeak: null,
    decisions: [
      ...SICK.slice(0, 30).map(host => decided('evacuate', host)),
      ...SICK.slice(30).map((host, at) => decided('evacuate', host, {vetoes: [{code: 'DOES_NOT_FIT', detail: {missingBytes: at}}]})),
      decided('page', null, {because: 'NOT_THE_HOSTS', mode: 'on'}),
      decided('watch', 'be001', {mode: 'on'}),
    ],
  },
};

describe('the worst day on one page', () => {
  const text = renderStatus(WORST, LOOK);

  test('what is wrong, since when, who is hurt, why, what is done, what waits, what people did', () => {
    expect(text).toMatch(/^Farm +160 hosts; 100 healthy, 60 sick; 160 active; 400000 users$/m);
    expect(text).toMatch(/^Customers hurt +37\.5 % \(150000 of 400000\); most on be159, be158, be157 and 57 more$/m);
    expect(text).toMatch(/^Incident +4711, since 2027-01-15 08:00:00Z \(2 h 00 m\): os=debian-13, 60 hosts$/m);
    expect(text).toMatch(/^Cause +os=debian-13: 60 of 60 with it sick, 0 of 1 without it$/m);
    expect(text).toMatch(/^For a person +NOT_THE_HOSTS \(the farm\)$/m);
    expect(text).toMatch(/^To approve +evacuate COHORT_SICK \(30 hosts: be100, be101, be102 and 27 more\)$/m);
    expect(text).toMatch(/^Stopped +evacuate COHORT_SICK \(30 hosts: .*; stopped by DOES_NOT_FIT: .*figures of the first/m);
    expect(text).toMatch(/^Moves +500 of 5500 done \(9\.09 %\), 8 running, 4992 waiting, about 2 h 00 m left$/m);
    expect(text).toMatch(/^Emptied +2 hosts, of be100 paused$/m);
    expect(text).toMatch(/^Cordoned +2 by ada: memory test \(be001, be002\)$/m);
    expect(text).not.toContain('watch');
    expect(text.split('\n').length).toBeLessThan(25);
  });

  test('and where to look on', () => {
    expect(text).toContain('mailherd why os=debian-13');
    expect(text).toContain('mailherd approve evacuate');
    expect(text).toContain('mailherd incidents 4711');
    expect(text).toContain('mailherd pause --reason');
  });
});

test('when hardware must be ordered', () => {
  const figure = {atMs: LOOK.nowMs, hosts: 160, users: 400_000, heldBytes: 100e12, usableBytes: 156e12};
  const forecast = {
    ...{figure, spare: 0.56, wanted: 0.5, days: 60, growthBytesPerDay: 1e11, belowAtMs: LOOK.nowMs + 40 * 864e5},
    ...{
      orderByMs: LOOK.nowMs - 2 * 864e5,
      leadDays: 42,
      isDue: true,
      hostsPerMonth: 4.62,
      orderHosts: 7,
      orderUntilMs: LOOK.nowMs + 84 * 864e5,
    },
    standardBytes: 975e9,
  };
  expect(renderStatus({...WORST, farm: {...WORST.farm, forecast}}, LOOK)).toContain(
    'Hardware        spare 56.0 % of the 100 TB held, wanted 50.0 %, falls below on 2027-02-24; 100 GB a day more over 60 days, as of 4.6 hosts in 30 days; 7 hosts of 975 GB (enough until 2027-04-09; they take 42 days to come) should have been ordered by 2027-01-13',
  );
  const unknown = {...forecast, growthBytesPerDay: null, belowAtMs: null, orderByMs: null, hostsPerMonth: null, orderHosts: null, days: 3};
  expect(renderStatus({...WORST, farm: {...WORST.farm, forecast: unknown}}, LOOK)).toContain(
    'growth is told after 7 days of figures (3 so far)',
  );
});

test('what makes the page old or without effect stands first', () => {
  const farm = {
    ...WORST.farm,
    leader: null,
    newestReportAgeMs: 300_000,
    paused: {by: 'ada', atMs: T0, reason: 'network'},
    failing: {sinceMs: T0, reason: 'ENOSPC'},
    clockBehindMs: 90_000,
    agents: {'0.2.0': 100, '0.1.0': 60},
  };
  const [leader, reports, clock, failing, paused, , agents] = renderStatus({...WORST, farm}, LOOK).split('\n');
  expect(clock).toMatch(/Clock +that of ctl1 is 1 m 30 s behind/);
  expect(agents).toMatch(/Agents +100 of 0\.2\.0, 60 of 0\.1\.0/);
  expect(leader).toContain('nobody leads');
  expect(reports).toContain('none from any host for 5 m 00 s');
  expect(failing).toMatch(/Failing +nothing is carried out for 2 h 00 m: ENOSPC/);
  expect(paused).toMatch(/Paused +by ada for 2 h 00 m: network \(mailherd resume\)/);
});

test('another than the leader does not say that nothing waits', () => {
  const farm = {...WORST.farm, answeredBy: 'ctl2', moves: {running: 8, waiting: null, done: 500, total: 508, etaMs: null}};
  expect(renderStatus({...WORST, farm}, LOOK)).toMatch(/8 running, not known how many waiting/);
});

test('a quiet farm, told by an older coordinator', () => {
  const {leader, answeredBy, token, nowMs, paused, hosts, users} = WORST.farm;
  const farm = {leader, answeredBy, token, nowMs, paused, hosts, users, hurt: null};
  const text = renderStatus({farm, verdicts: {verdicts: [], cohorts: [], hurt: null, hurtPeak: null}}, LOOK);
  expect(text).toMatch(/^Farm +160 hosts; 400000 users$/m);
  expect(text).toMatch(/^Customers hurt +not known$/m);
  expect(text).not.toContain('undefined');
});
