import {expect, test} from 'vitest';
import {Incidents, incidentMarkdown, renderIncidents} from '../../../cli/incidents.ts';
import type {EventData, EventType, FarmEvent} from '../../../wire/event.ts';
import type {CohortVerdict, Hurt, Verdict} from '../../../wire/record.ts';

const T0 = 1_800_000_000_000;
const MINUTE = 60_000;

function at<T extends EventType>(minute: number, type: T, host: string | null, data: EventData<T>): FarmEvent {
  return {v: 1, id: `event-${minute}`, type, host, atMs: T0 + minute * MINUTE, data} as unknown as FarmEvent;
}
const verdict = (host: string, kind: Verdict['kind']): Verdict => {
  const evidence = [{sli: 'deliveryMsP95', unit: 'ms', value: 60_000, baseline: 500, ratio: 120, note: ''}];
  return {
    host,
    kind,
    sinceMs: T0,
    because: kind === 'sick' ? 'SLI_WORSE_THAN_PEERS' : 'WITHIN_BOUNDS',
    evidence: kind === 'healthy' ? [] : evidence,
  };
};
const turned = (minute: number, host: string, kind: Verdict['kind']): FarmEvent =>
  at(minute, 'verdictChanged', host, {from: null, verdict: verdict(host, kind)});
const hurt = (minute: number, usersHurt: number): FarmEvent => {
  const data: Hurt = {
    atMs: T0 + minute * MINUTE,
    users: 100,
    usersHurt,
    share: usersHurt / 100,
    byHost: {},
    byCause: {'os=new': usersHurt},
  };
  return at(minute, 'hurtChanged', null, data);
};
const cohort: CohortVerdict = {
  labels: {os: 'new'},
  confounded: ['hardware'],
  alternatives: [{hardware: 'gen11'}],
  sick: ['be4', 'be5'],
  members: ['be4', 'be5'],
  controls: ['be1', 'be2', 'be3'],
  controlsSick: 0,
  effect: 120,
  chance: 0.1,
  explained: true,
  sinceMs: T0,
  evidence: [],
};
const moveStepped = (minute: number, step: string, pauseMs: number | null): FarmEvent =>
  at(minute, 'moveStepped', null, {moveId: 'move-0001', user: 'u', source: 'be4', target: 'be1', step, tookMs: 1, pauseMs, refusal: null});

/** A release falls sick on two hosts, both are emptied and come back. */
const STORY: FarmEvent[] = [
  hurt(0, 0),
  turned(1, 'be4', 'suspect'),
  turned(2, 'be4', 'sick'),
  hurt(2, 8),
  turned(3, 'be5', 'sick'),
  at(4, 'cohortJudged', null, {cohort}),
  at(5, 'decided', 'be4', {
    decision: {kind: 'evacuate', host: 'be4', atMs: T0, because: 'SICK_COHORT os=new', evidence: [], vetoes: [], mode: 'approve'},
  }),
  moveStepped(6, 'retained', 900),
  moveStepped(7, 'backedOut', 5_000),
  hurt(12, 2),
  at(20, 'hostStaged', 'be4', {from: 'probation', to: 'active', reason: 'proved well', tookMs: 1}),
  hurt(22, 0),
  turned(30, 'be5', 'healthy'),
  turned(40, 'be5', 'healthy'),
];

function folded(events: readonly FarmEvent[]): Incidents {
  const incidents = new Incidents();
  for (const [index, event] of events.entries()) incidents.take(index + 1, event);
  return incidents;
}

test('from the first evidence to the last host that is well: one incident with all that matters', () => {
  const {all} = folded(STORY);
  expect(all).toHaveLength(1);
  expect(all[0]).toMatchObject({
    id: 3,
    onsetMs: T0 + MINUTE,
    openedAtMs: T0 + 2 * MINUTE,
    closedAtMs: T0 + 30 * MINUTE,
    cause: 'os=new',
    hosts: ['be4', 'be5'],
    moved: 1,
    longestPauseMs: 900,
  });
  expect(all[0]?.peak?.usersHurt).toBe(8);
  // 8 customers for ten minutes, 2 for ten.
  expect(all[0]?.hurtMinutes).toBeCloseTo(100, 6);
  expect(all[0]?.hurtMinutesByCause).toEqual({'os=new': 100});
  const times = all[0]?.timeline.map(({atMs}) => atMs) ?? [];
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test('the report reads from onset to recovery', () => {
  const [incident] = folded(STORY).all;
  const text = incident === undefined ? '' : incidentMarkdown(incident);
  expect(text).toContain('# Incident 3');
  expect(text).toContain('- **Cause**: os=new');
  expect(text).toContain('- **Customers hurt at peak**: 8.00 % (8 of 100)');
  expect(text).toContain('- **Customer minutes**: 100 (os=new 100)');
  expect(text).toContain('first evidence on be4: deliveryMsP95 60000 ms, 120.0 times the others');
  expect(text).toContain('os=new explains 2 sick of 2, 0 of 3 without it sick, cannot be told from hardware=gen11');
  expect(text).toContain('decided: evacuate be4 (SICK_COHORT os=new), mode approve');
  expect(text.trimEnd().split('\n').at(-1)).toMatch(/over$/);
});

test('it lasts while one of its hosts is sick, and a new one begins after it', () => {
  const {all} = folded([...STORY.slice(0, 10), turned(50, 'be5', 'healthy')]);
  expect(all[0]?.closedAtMs).toBeNull();
  expect(renderIncidents(all, T0 + 60 * MINUTE)).toContain('lasts');
  expect(folded([...STORY, turned(60, 'be1', 'sick')]).all.map(({hosts}) => hosts)).toEqual([['be4', 'be5'], ['be1']]);
  expect(renderIncidents([], T0)).toBe('No incident in the events that are kept.');
});

test('everything slow at once: a person was called, it ends when nobody is hurt any more', () => {
  const page = {
    kind: 'page' as const,
    host: null,
    atMs: T0,
    because: 'TOO_MANY_UNEXPLAINED',
    evidence: [],
    vetoes: [],
    mode: 'on' as const,
  };
  const {all} = folded([hurt(0, 60), at(1, 'decided', null, {decision: page}), hurt(9, 0)]);
  expect(all).toMatchObject([{cause: 'TOO_MANY_UNEXPLAINED', hosts: [], closedAtMs: T0 + 9 * MINUTE}]);
  expect(all[0]?.hurtMinutes).toBeCloseTo(480, 6);
});

test('what is decided alike of many hosts at once is one line; customers hurt are told when they become many more, and none', () => {
  const wish = (host: string, vetoes: {code: string; detail: Record<string, unknown>}[] = []) => ({
    decision: {kind: 'evacuate' as const, host, atMs: T0, because: 'SICK_COHORT os=new', evidence: [], vetoes, mode: 'on' as const},
  });
  const held = [{code: 'CAUSE_OPEN', detail: {untilMs: T0}}];
  const {all} = folded([
    hurt(0, 4),
    turned(1, 'be4', 'sick'),
    at(2, 'decided', 'be4', wish('be4')),
    at(2, 'decided', 'be5', wish('be5')),
    at(2, 'decided', 'be6', wish('be6', held)),
    hurt(3, 5),
    hurt(4, 20),
    hurt(5, 0),
    at(6, 'decided', 'be4', wish('be4')),
  ]);
  const lines = all[0]?.timeline.map(({what}) => what) ?? [];
  expect(lines.filter(line => line.startsWith('decided'))).toEqual([
    'decided: evacuate be4, be5 (SICK_COHORT os=new)',
    'decided: evacuate be6 (SICK_COHORT os=new), stopped by CAUSE_OPEN: untilMs 2027-01-15 08:00:00Z',
    'decided: evacuate be4 (SICK_COHORT os=new)',
  ]);
  expect(lines.filter(line => line.includes('customer'))).toEqual([
    '4 of 100 customers are hurt (4.00 %)',
    '20 of 100 customers are hurt (20.0 %)',
    'no customer is hurt any more',
  ]);
});
