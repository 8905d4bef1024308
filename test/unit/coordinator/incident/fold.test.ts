import {expect, test} from 'vitest';
import {incidentMarkdown, renderIncidents} from '../../../../cli/incidents.ts';
import {IncidentFold, NO_INCIDENTS} from '../../../../coordinator/incident/fold.ts';
import {fits, parse} from '../../../../wire/codec.ts';
import type {FarmEvent} from '../../../../wire/event.ts';
import {Incident, IncidentState} from '../../../../wire/incident.ts';
import type {Decision} from '../../../../wire/record.ts';
import {at, cohort, hurt, MINUTE, moveStepped, STORY, T0, turned, verdict} from './story.ts';

const PAGE: Decision = {kind: 'page', host: null, atMs: T0, because: 'TOO_MANY_UNEXPLAINED', evidence: [], vetoes: [], mode: 'on'};
const paged = (minute: number, because: string, host: string | null = null): FarmEvent =>
  at(minute, 'decided', host, {decision: {...PAGE, host, because}});

/** All incidents of these events, those that last at the end too. */
function folded(events: readonly FarmEvent[], minutesAfter = 0): Incident[] {
  const fold = new IncidentFold();
  for (const [index, event] of events.entries()) fold.take(index + 1, event);
  fold.settle((events.at(-1)?.atMs ?? T0) + minutesAfter * MINUTE);
  expect(fits(IncidentState, fold.state)).toBe(true);
  const {open} = fold.state;
  return [...fold.closed, ...(open === null ? [] : [open])].map(incident => parse(Incident, incident, 'incident'));
}
const lines = (incident: Incident | undefined): string[] => incident?.timeline.map(({what}) => what) ?? [];

test('from the first evidence to the last host that is well: one incident with all that matters', () => {
  const all = folded(STORY);
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
    usersHurt: 0,
  });
  expect(all[0]?.peak?.usersHurt).toBe(8);
  expect(all[0]?.hurt.map(({atMs, usersHurt}) => [(atMs - T0) / MINUTE, usersHurt])).toEqual([
    [2, 0],
    [2, 8],
    [12, 2],
    [22, 0],
  ]);
  // 8 customers for ten minutes, 2 for ten.
  expect(all[0]?.hurtMinutes).toBeCloseTo(100, 6);
  expect(all[0]?.hurtMinutesByCause).toEqual({'os=new': 100});
  const times = all[0]?.timeline.map(({atMs}) => atMs) ?? [];
  expect(times).toEqual([...times].sort((a, b) => a - b));
  const phases = all[0]?.timeline.map(({phase}) => phase);
  expect(phases).toEqual([
    ...['evidence', 'verdict', 'hurt', 'verdict', 'cause', 'decision', 'action'],
    ...['recovery', 'hurt', 'recovery', 'over', 'over'],
  ]);
});

test('whoever goes on from a stored state, at any event, comes to the same, and takes no event twice', () => {
  const whole = JSON.stringify(folded(STORY));
  for (let cut = 0; cut <= STORY.length; cut++) {
    const first = new IncidentFold();
    for (const [index, event] of STORY.slice(0, cut).entries()) first.take(index + 1, event);
    const second = new IncidentFold(parse(IncidentState, JSON.parse(JSON.stringify(first.state)), 'state'));
    // The stream gives what came before once more.
    for (const [index, event] of STORY.entries()) if (index + 1 > cut - 3) second.take(index + 1, event);
    const {open} = second.state;
    expect(JSON.stringify([...first.closed, ...second.closed, ...(open === null ? [] : [open])])).toBe(whole);
  }
  expect(NO_INCIDENTS).toMatchObject({sequence: 0, open: null, ill: {}});
});

test('the report reads from onset to recovery', () => {
  const [incident] = folded(STORY);
  const text = incident === undefined ? '' : incidentMarkdown(incident);
  expect(text).toContain('# Incident 3');
  expect(text).toContain('- **Cause**: os=new');
  expect(text).toContain('- **Customers hurt at peak**: 8.00 % (8 of 100)');
  expect(text).toContain('- **Customer minutes**: 100 (os=new 100)');
  expect(text).toContain('first evidence on be4: deliveryMsP95 60000 ms, 120.0 times the others');
  expect(text).toContain('os=new explains 2 sick of 2, 0 of 3 without it sick, cannot be told from hardware=gen11');
  expect(text).toContain('decided: evacuate be4 (SICK_COHORT os=new), mode approve');
  expect(text).toMatch(/ over\n\n## Customers hurt over time\n\n08:02:00 0, 08:02:00 8, 08:12:00 2, 08:22:00 0$/);
});

test('it lasts while one of its hosts is sick, and a new one begins after it; what comes again at once is the same', () => {
  const all = folded([...STORY.slice(0, 10), turned(50, 'be5', 'healthy')]);
  expect(all[0]?.closedAtMs).toBeNull();
  expect(renderIncidents({incidents: all}, T0 + 60 * MINUTE)).toContain('lasts');
  expect(folded([...STORY, turned(60, 'be1', 'sick')]).map(({hosts}) => hosts)).toEqual([['be4', 'be5'], ['be1']]);
  const again = [turned(1, 'be1', 'sick'), turned(5, 'be1', 'healthy'), turned(6, 'be1', 'sick'), turned(9, 'be1', 'healthy')];
  expect(folded(again, 3)).toMatchObject([{id: 1, closedAtMs: T0 + 9 * MINUTE, hosts: ['be1']}]);
  expect(folded(again, 1)).toMatchObject([{closedAtMs: null}]);
  expect(renderIncidents({incidents: []}, T0)).toBe('No incident.');
});

test('everything slow at once: a person was called, it ends when nobody is hurt any more, or when nobody is called for', () => {
  const [incident, ...none] = folded([hurt(0, 60), paged(1, 'TOO_MANY_UNEXPLAINED'), hurt(9, 0)], 5);
  expect(none).toEqual([]);
  expect(incident).toMatchObject({cause: 'TOO_MANY_UNEXPLAINED', hosts: [], closedAtMs: T0 + 9 * MINUTE});
  expect(incident?.hurtMinutes).toBeCloseTo(480, 6);
  const unfelt = [hurt(0, 0), paged(1, 'MONITOR_SUSPECT')];
  expect(folded(unfelt, 60)).toMatchObject([{closedAtMs: null}]);
  expect(folded([...unfelt, at(7, 'pageEnded', null, {because: 'MONITOR_SUSPECT'})], 5)).toMatchObject([{closedAtMs: T0 + 7 * MINUTE}]);
});

test('a silent host that is back with nothing to judge it by ends its incident, and one that is sick goes on', () => {
  const quiet = at(5, 'verdictChanged', 'be1', {from: 'unknown', verdict: {...verdict('be1', 'unknown'), because: 'IDLE'}});
  expect(folded([paged(1, 'SILENT', 'be1'), quiet], 5)).toMatchObject([{cause: 'SILENT', hosts: ['be1'], closedAtMs: T0 + 5 * MINUTE}]);
  const ended = at(4, 'pageEnded', 'be1', {because: 'SILENT'});
  expect(folded([paged(1, 'SILENT', 'be1'), ended], 5)).toMatchObject([{closedAtMs: T0 + 4 * MINUTE}]);
  expect(folded([paged(1, 'SILENT', 'be1'), turned(3, 'be1', 'sick'), ended], 5)).toMatchObject([{closedAtMs: null}]);
});

test('a host that failed is called well again by no verdict: its incident ends when nobody is called for it, or when it is retired', () => {
  const failed = [turned(0, 'be4', 'sick'), paged(1, 'REINSTALL_FAILED: exit 3', 'be4'), turned(2, 'be4', 'healthy')];
  expect(folded(failed, 60)).toMatchObject([{hosts: ['be4'], closedAtMs: null}]);
  const [ended] = folded([...failed, at(9, 'pageEnded', 'be4', {because: 'REINSTALL_FAILED: exit 3'})], 5);
  expect(ended?.closedAtMs).toBe(T0 + 9 * MINUTE);
  expect(lines(ended)).toContain('be4 is no longer REINSTALL_FAILED: exit 3');
  const gone = at(9, 'hostStaged', 'be4', {from: 'failed', to: 'retired', reason: 'by ada', tookMs: 1});
  expect(folded([...failed, gone], 5)).toMatchObject([{closedAtMs: T0 + 9 * MINUTE}]);
  const well = [turned(10, 'be4', 'sick'), at(11, 'pageEnded', 'be4', {because: 'REINSTALL_FAILED: exit 3'})];
  expect(folded([...failed, ...well], 5)).toMatchObject([{closedAtMs: null}]);
});

test('a new leader tells again what was decided: the timeline does not', () => {
  const again = [
    turned(1, 'be4', 'sick'),
    at(2, 'decided', 'be4', {decision: {...PAGE, kind: 'evacuate', host: 'be4', because: 'SICK_ALONE'}}),
  ];
  const led = at(3, 'leaderElected', null, {holder: 'ctl2', token: 8});
  const [incident] = folded([...again, led, turned(3.1, 'be4', 'sick'), {...(again[1] as FarmEvent), atMs: T0 + 3.2 * MINUTE}]);
  expect(lines(incident)).toEqual([
    'be4 is sick (SLI_WORSE_THAN_PEERS): deliveryMsP95 60000 ms, 120.0 times the others',
    'decided: evacuate be4 (SICK_ALONE)',
    'ctl2 leads',
  ]);
});

test('what is decided alike of many hosts at once is one line; customers hurt are told when they become many more, and none', () => {
  const wish = (host: string, vetoes: Decision['vetoes'] = []): {decision: Decision} => ({
    decision: {...PAGE, kind: 'evacuate', host, because: 'SICK_COHORT os=new', vetoes},
  });
  const held = [{code: 'CAUSE_OPEN', detail: {untilMs: T0}}];
  const [incident] = folded([
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
  expect(lines(incident).filter(line => line.startsWith('decided'))).toEqual([
    'decided: evacuate be4, be5 (SICK_COHORT os=new)',
    'decided: evacuate be6 (SICK_COHORT os=new), stopped by CAUSE_OPEN: others may follow, what they share is waited for until 08:00:00Z',
    'decided: evacuate be4 (SICK_COHORT os=new)',
  ]);
  expect(lines(incident).filter(line => line.includes('customer'))).toEqual([
    '4 of 100 customers are hurt (4.00 %)',
    '20 of 100 customers are hurt (20.0 %)',
    'no customer is hurt any more',
  ]);
});

test('it tells of a host that fell silent, of what was done by whom, and of relieved queues', () => {
  const [incident] = folded([
    paged(1, 'SILENT', 'be4'),
    at(2, 'hostCordoned', 'be4', {by: 'mailherd', reason: 'SICK_ALONE'}),
    at(4, 'queueRelieved', 'be4', {isOn: true, relay: '[10.0.0.9]:25', queued: 40, by: 'mailherd'}),
    at(5, 'apiCalled', null, {by: 'ada', method: 'POST', path: '/v1/hosts/be4/evacuate', status: 202}),
    at(6, 'apiCalled', null, {by: 'ada', method: 'POST', path: '/v1/moves', status: 409}),
    moveStepped(6, 'retained', null),
  ]);
  const text = incident === undefined ? '' : incidentMarkdown(incident);
  expect(text).toContain('be4 gets no new mailbox: SICK_ALONE (mailherd)');
  expect(text).toContain('be4: its queue is being relieved by [10.0.0.9]:25, 40 messages wait');
  expect(text).toContain('ada: POST /v1/hosts/be4/evacuate');
  expect(text).not.toContain('/v1/moves');
  expect(text).toContain('- **Mailboxes moved**: 1\n');
});

test('a confounded cause, its experiment and what that told', () => {
  const confounded = {...cohort, experiment: {change: 'os', hosts: ['be4', 'be5']}};
  const outcome = {hosts: [{host: 'be4', kind: 'sick', to: 'old'}], blamed: [{hardware: 'gen11'}], cleared: [{os: 'new'}]};
  const [incident] = folded([
    turned(1, 'be4', 'sick'),
    at(2, 'cohortJudged', null, {cohort: confounded}),
    at(3, 'cohortJudged', null, {cohort: {...confounded, sick: ['be4']}}),
    at(9, 'experimentEnded', null, {change: 'os', from: 'new', ...outcome}),
  ]);
  expect(incident?.cause).toBe('hardware=gen11');
  expect(incident?.experiments).toMatchObject([{labels: {os: 'new'}, from: 'new', change: 'os', hosts: ['be4', 'be5'], outcome}]);
  expect(incident?.timeline.filter(({phase}) => phase === 'experiment').map(({what}) => what)).toEqual([
    'to tell os=new from hardware=gen11: change os on be4, be5 first',
    'experiment: be4 sick with os=old: hardware=gen11 is blamed, os=new cleared',
  ]);
});

test('an experiment that is made on other hosts than those named first: both are waited for, and the cause is not told twice', () => {
  const named = (...hosts: string[]): typeof cohort => ({...cohort, experiment: {change: 'os', hosts}});
  const [incident] = folded([
    turned(1, 'be4', 'sick'),
    at(2, 'cohortJudged', null, {cohort: named('be4', 'be5')}),
    at(3, 'cohortJudged', null, {cohort: named('be8', 'be9')}),
  ]);
  expect(incident?.experiments).toMatchObject([{hosts: ['be4', 'be5', 'be8', 'be9'], outcome: null}]);
  expect(incident?.timeline.filter(({phase}) => phase === 'cause' || phase === 'experiment')).toHaveLength(2);
});

test('a host whose clock is a day ahead makes nobody hurt for a day, and closes nothing', () => {
  const ahead = at(24 * 60, 'pressureRose', 'be7', {resource: 'io', kind: 'full', share: 0.3, windowMs: 2_000, lateMs: 1});
  const [incident, ...none] = folded([hurt(0, 50), turned(1, 'be1', 'sick'), ahead, hurt(3, 0), turned(4, 'be1', 'healthy')], 5);
  expect(none).toEqual([]);
  expect(incident).toMatchObject({hurtMinutes: 100, closedAtMs: T0 + 4 * MINUTE});
});

test('a timeline is bounded: stages of many hosts are one line, what matters stays, what is left out is counted', () => {
  const names = Array.from({length: 40}, (_, index) => `be${index}`);
  const staged = (from: string, to: string, minute: number): FarmEvent[] =>
    names.map((host, index) => at(minute + index / 100, 'hostStaged', host, {from, to, reason: 'r', tookMs: 1}));
  const many = Array.from({length: 400}, (_, index) =>
    at(10 + index / 100, 'apiCalled', null, {by: 'ada', method: 'POST', path: `/${index}`, status: 200}),
  );
  const [incident] = folded(
    [
      ...names.map((host, index) => turned(1 + index / 100, host, 'sick')),
      hurt(2, 50),
      ...staged('active', 'draining', 3),
      ...staged('draining', 'drained', 9),
      ...many,
      hurt(20, 0),
      ...staged('probation', 'active', 21),
    ],
    5,
  );
  const told = lines(incident);
  expect(told.length).toBeLessThanOrEqual(200);
  expect(told.filter(line => line.includes('is sick'))).toHaveLength(40);
  expect(incident?.timeline.filter(({phase}) => phase === 'recovery')).toHaveLength(40);
  expect(told).toContain(`${names.join(', ')}: active -> draining (r)`);
  expect(told.filter(line => line.includes('customer'))).toHaveLength(2);
  expect(told).toEqual(expect.arrayContaining(['ada: POST /0', 'ada: POST /399']));
  expect(told.at(-1)).toBe('over');
  const actions = told.filter(line => line.startsWith('ada')).length;
  expect(incident?.leftOut).toEqual({action: 400 - actions});
  expect(incident === undefined ? '' : incidentMarkdown(incident)).toContain(`no room for lines in between: ${400 - actions} of action`);
});
