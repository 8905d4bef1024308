import {describe, expect, test} from 'vitest';
import {renderDecisions} from '../../../cli/decisions.ts';
import {EventLines} from '../../../cli/event-lines.ts';
import {patchPolicy} from '../../../cli/policy-patch.ts';
import {renderError, renderEvent, renderHost, renderHosts, renderHurt, renderUsers, renderVerdicts} from '../../../cli/render.ts';
import type {HostView} from '../../../wire/api.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import type {CohortVerdict, Decision, Verdict} from '../../../wire/record.ts';

const LOOK = {colour: false, nowMs: 1_800_000_060_000};
const T0 = 1_800_000_000_000;
const sick: Verdict = {
  host: 'be04',
  kind: 'sick',
  sinceMs: T0,
  because: 'SLI_WORSE_THAN_PEERS',
  evidence: [{sli: 'deliveryMsP95', unit: 'ms', value: 48_123, baseline: 802, ratio: 60.003, note: 'at equal load'}],
};
const be04: HostView = {
  record: {
    v: 1,
    host: 'be04',
    role: 'backend',
    address: '10.77.0.14',
    stage: 'draining',
    sinceMs: T0,
    cordon: {by: 'mailherd', reason: 'COHORT_SICK', atMs: T0},
    labels: {os: 'debian-13', rack: 'r2'},
    wipe: null,
    reinstallTo: 'debian-12',
    reinstallAskedBy: 'mailherd',
    agentGeneration: 3,
    history: [{stage: 'draining', atMs: T0, reason: 'COHORT_SICK'}],
  },
  verdict: sick,
  users: 12,
  bytes: 34_500_000,
  movesIn: 0,
  movesOut: 2,
  reportAgeMs: 4_200,
  report: null,
};
describe('hosts', () => {
  test('one line a host', () => {
    expect(renderHosts([be04], false, LOOK)).toBe(
      [
        'HOST  ROLE     STAGE     VERDICT  RELEASE    USERS     SIZE  IN  OUT  REPORT  CORDONED',
        'be04  backend  draining  sick     debian-13     12  34.5 MB   0    2   4.2 s  by mailherd',
        '1 hosts: 1 sick; 1 cordoned.',
      ].join('\n'),
    );
    expect(renderHosts([], false, LOOK)).toBe('No host is registered yet.');
  });

  test('what is not known is shown as not known', () => {
    const unknown = renderHosts(
      [{...be04, verdict: null, reportAgeMs: null, record: {...be04.record, labels: {}, cordon: null}}],
      false,
      LOOK,
    );
    expect(unknown.split('\n')[1]).toBe('be04  backend  draining  -        -           12  34.5 MB   0    2       -');
  });

  test('one host with evidence and history', () => {
    const text = renderHost(be04, LOOK);
    expect(text).toContain('Stage         draining for 1 m 00 s');
    expect(text).toContain('Verdict       sick (SLI_WORSE_THAN_PEERS) for 1 m 00 s');
    expect(text).toContain('Reinstall     debian-12, asked by mailherd');
    expect(text).toMatch(/deliveryMsP95 +48100 ms +802 ms +x60 +at equal load/);
    expect(text).toMatch(/2027-01-15 08:00:00Z +draining +COHORT_SICK/);
  });

  test('the sick ones first; of the others nothing when only those are asked for of which there is something to say', () => {
    const well: HostView = {
      ...be04,
      verdict: {...sick, host: 'be01', kind: 'healthy'},
      record: {...be04.record, host: 'be01', stage: 'active', cordon: null},
    };
    const cordoned = {...well, record: {...well.record, host: 'be02', cordon: {by: 'ada', reason: 'x', atMs: T0}}};
    const names = (text: string): string[] => text.split('\n').map(line => line.split(' ')[0] ?? '');
    expect(names(renderHosts([well, cordoned, be04], false, LOOK))).toEqual(['HOST', 'be04', 'be01', 'be02', '3']);
    const ill = renderHosts([well, cordoned, be04], true, LOOK);
    expect(names(ill)).toEqual(['HOST', 'be04', 'be02', '3']);
    expect(ill).toContain('3 hosts: 2 healthy, 1 sick; 2 cordoned.');
  });

  test('colour only where it shows', () => {
    expect(renderHosts([be04], false, {...LOOK, colour: true})).toContain('\u001b[31msick\u001b[0m');
  });
});

test('users by page', () => {
  const user = {
    user: 'ada@example.org',
    host: 'be01',
    generation: 2,
    moveId: null,
    held: false,
    bytes: 1_500,
    messages: 3,
    deliveriesPerDay: null,
    sessionsPerDay: null,
  };
  expect(renderUsers({users: [user], next: 'ada@example.org'})).toBe(
    'USER             HOST    SIZE  MESSAGES  MOVE\nada@example.org  be01  1.5 kB         3\nMore: --after ada@example.org',
  );
});

describe('verdicts', () => {
  const hurt = {atMs: T0, users: 60, usersHurt: 24, share: 0.4, byHost: {be04: 12, be05: 12}, domains: 5, domainsHurt: 2};
  const cohort: CohortVerdict = {
    labels: {os: 'debian-13'},
    confounded: ['batch'],
    sick: ['be04', 'be05'],
    members: ['be04', 'be05'],
    controls: ['be01', 'be02', 'be03'],
    controlsSick: 0,
    effect: 60.2,
    chance: 0.1,
    explained: true,
    sinceMs: T0,
    evidence: [],
  };

  test('who is hurt, what explains it, which hosts', () => {
    const text = renderVerdicts({verdicts: [sick], cohorts: [cohort], hurt, hurtPeak: hurt}, false, LOOK);
    expect(text).toContain('Customers hurt  40.0 % (24 of 60; 2 of 5 domains)');
    expect(text).toContain('Cohort         os=debian-13 explains the sick hosts');
    expect(text).toContain('Controls       0 of 3 without it sick: be01, be02, be03');
    expect(text).toContain('Same division  batch');
    expect(text).toMatch(/be04 +sick +1 m 00 s +SLI_WORSE_THAN_PEERS +deliveryMsP95 [\d.]+ ms against .*\(at equal load\)/);
    // What goes along with it may be many times more, and is not what users feel.
    const along = {sli: 'diskFlushMs', unit: 'ms', value: 900, baseline: 1, ratio: 900, note: '', explains: true as const};
    const verdicts = [{...sick, evidence: [...sick.evidence, along]}];
    expect(renderVerdicts({verdicts, cohorts: [], hurt, hurtPeak: hurt}, false, LOOK)).toMatch(/SLI_WORSE_THAN_PEERS +deliveryMsP95/);
  });

  test('decisions: what waits for whom, what is stopped and by what, alike ones in one line', () => {
    const decided: Decision = {kind: 'evacuate', host: 'be04', atMs: T0, because: 'SICK_ALONE', evidence: [], vetoes: [], mode: 'approve'};
    const decisions: Decision[] = [
      decided,
      {...decided, host: 'be05'},
      {...decided, kind: 'rebalance', host: null, because: 'IMBALANCE', vetoes: [{code: 'PAUSED', detail: {by: 'ada'}}], mode: 'on'},
      {...decided, kind: 'cordon', mode: 'on'},
    ];
    const text = renderDecisions({verdicts: [], cohorts: [], hurt: null, hurtPeak: null, decisions}, false, LOOK);
    expect(text).toMatch(/evacuate +2 +SICK_ALONE +be04, be05 +waits for approval/);
    expect(text).toMatch(/rebalance +IMBALANCE +the farm +stopped by PAUSED: by ada/);
    expect(text).toMatch(/cordon +SICK_ALONE +be04 +carried out/);
    expect(text).toContain('mailherd approve KIND [HOST|LABEL=VALUE...]');
    expect(renderDecisions({verdicts: [], cohorts: [], hurt: null, hurtPeak: null}, false, LOOK)).toBe(
      'Nothing is decided: the farm needs nothing.',
    );
    expect(renderDecisions({verdicts: [sick], cohorts: [], hurt: null, hurtPeak: null}, false, LOOK)).toMatch(
      /^Nothing is decided, though 1 hosts are not well/,
    );
    const note = 'repair be04';
    const evidence = [{sli: 'hosts', unit: 'hosts', value: 1, baseline: null, ratio: null, note}];
    const page: Decision = {...decided, kind: 'page', because: 'BY_HAND', evidence, mode: 'on'};
    expect(renderDecisions({verdicts: [], cohorts: [], hurt: null, hurtPeak: null, decisions: [page]}, false, LOOK)).toContain(
      'a person is needed: repair be04',
    );
  });

  test('of sixty hosts a line stays a line; brakes whose figures alone differ are one', () => {
    const hosts = Array.from({length: 60}, (_, at) => `mailstore-fra1-${100 + at}`);
    const stopped = (host: string, at: number): Decision => {
      const vetoes = [{code: 'DOES_NOT_FIT', detail: {missingBytes: at}}];
      return {kind: 'evacuate', host, atMs: T0, because: 'COHORT_SICK', evidence: [], vetoes, mode: 'on'};
    };
    const view = {verdicts: [], cohorts: [{...cohort, sick: hosts, controls: hosts}], hurt, hurtPeak: null, decisions: hosts.map(stopped)};
    const decisions = renderDecisions(view, false, LOOK).split('\n');
    expect(decisions).toHaveLength(2);
    expect(decisions[1]).toMatch(
      /evacuate +60 +COHORT_SICK +mailstore-fra1-100, .* and 56 more +stopped by DOES_NOT_FIT.*figures of the first/,
    );
    expect(renderDecisions(view, true, LOOK)).toContain('mailstore-fra1-159');
    expect(renderVerdicts(view, false, LOOK)).toContain('and 54 more');
    const byHost = Object.fromEntries(hosts.map((host, at) => [host, at]));
    const over = renderHurt(
      Array.from({length: 500}, (_, at) => ({...hurt, usersHurt: at, byHost})),
      false,
    ).split('\n');
    expect(over).toHaveLength(122);
    expect(over[0]).toBe('380 earlier changes (--all lists them)');
    expect(over.at(-1)).toMatch(/mailstore-fra1-159, mailstore-fra1-158, mailstore-fra1-157 and 57 more$/);
  });

  test('healthy hosts are counted, and listed on demand', () => {
    const view = {verdicts: [{...sick, host: 'be01', kind: 'healthy' as const}, sick], cohorts: [], hurt, hurtPeak: null};
    expect(renderVerdicts(view, false, LOOK)).not.toContain('be01');
    expect(renderVerdicts(view, false, LOOK)).toContain('1 hosts are healthy (--all lists them).');
    expect(renderVerdicts(view, true, LOOK)).toMatch(/be04 +sick[\s\S]*be01 +healthy/);
  });

  test('nothing known is not nobody hurt', () => {
    expect(renderVerdicts({verdicts: [], cohorts: [], hurt: null, hurtPeak: null}, false, LOOK)).toContain('Customers hurt  not known');
  });

  test('hurt over time: runs of the same are one line, the bar is against the peak', () => {
    const text = renderHurt(
      [{...hurt, usersHurt: 0, share: 0, byHost: {}}, hurt, {...hurt, atMs: T0 + 5_000}, {...hurt, usersHurt: 12, share: 0.2}],
      false,
    );
    expect(text.split('\n').map(line => line.match(/#/g)?.length ?? 0)).toEqual([0, 0, 40, 20]);
  });
});

test('an event is one line with its essence', () => {
  const line = renderEvent(41, {
    v: 1,
    id: 'x-000001',
    type: 'hostStaged',
    host: 'be04',
    atMs: T0,
    data: {from: 'active', to: 'draining', reason: 'COHORT_SICK', tookMs: 65_000},
  });
  expect(line).toBe('    41  2027-01-15 08:00:00Z  be04      hostStaged      active -> draining after 1 m 05 s: COHORT_SICK');
  expect(renderEvent(1, {v: 1, id: 'x-000002', type: 'resumed', host: null, atMs: T0, data: {by: 'ada'}})).toMatch(
    /farm +resumed +by=ada$/,
  );
});

test('an error is one line: code, meaning, what next', () => {
  const view = {
    error: {code: 'DOES_NOT_FIT', detail: {}},
    next: 'replan',
    message: 'DOES_NOT_FIT: the other hosts cannot take these mailboxes (missingBytes=5)',
  };
  expect(renderError(view)).toBe(
    'mailherd: DOES_NOT_FIT: the other hosts cannot take these mailboxes (missingBytes=5). Look at the farm as it is now and plan again.',
  );
  expect(renderError({error: {code: 'PAUSED', detail: {}}, next: 'retry', message: 'PAUSED: x'})).toContain('mailherd resume');
  expect(renderError({error: {code: 'NEW_CODE', detail: {}}, next: 'dance', message: 'NEW_CODE: x'})).toContain('newer than this command');
});

describe('policy patches', () => {
  test('set by dotted name, the rest stays', () => {
    const patched = patchPolicy(DEFAULT_POLICY, ['modes.evacuate=on', 'move.retainMs=60000']);
    expect(patched).toEqual({
      ...DEFAULT_POLICY,
      modes: {...DEFAULT_POLICY.modes, evacuate: 'on'},
      move: {...DEFAULT_POLICY.move, retainMs: 60_000},
    });
    expect(DEFAULT_POLICY.modes.evacuate).toBe('approve');
  });
  test.each(['modes.evacuat=on', 'nothing=1', 'modes', 'v.x=1', '__proto__.polluted=1', 'modes.constructor=1', '=1'])(
    '%s is refused',
    setting => {
      expect(() => patchPolicy(DEFAULT_POLICY, [setting])).toThrow(/INPUT_INVALID/);
      expect(({} as {polluted?: number}).polluted).toBeUndefined();
    },
  );
});

test('server-sent events are found wherever the chunks break', () => {
  const text = ': hello\n\nid: 7\nevent: resumed\ndata: {"a":\ndata: 1}\n\n: beat\n\nid: 8\r\ndata: {}\r\n\r\n';
  for (let size = 1; size <= text.length; size++) {
    const lines = new EventLines();
    const seen: object[] = [];
    for (let at = 0; at < text.length; at += size) seen.push(...lines.feed(text.slice(at, at + size)));
    expect(seen).toEqual([
      {id: '7', data: '{"a":\n1}'},
      {id: '8', data: '{}'},
    ]);
  }
});
