import {describe, expect, test} from 'vitest';
import {EventLines} from '../../../cli/event-lines.ts';
import {patchPolicy} from '../../../cli/policy-patch.ts';
import {
  areMovesOver,
  renderDecisions,
  renderError,
  renderEvent,
  renderHost,
  renderHosts,
  renderHurt,
  renderMoves,
  renderPlan,
  renderUsers,
  renderVerdicts,
} from '../../../cli/render.ts';
import type {HostView, MovesView} from '../../../wire/api.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import type {CohortVerdict, Decision, MoveRecord, Plan, Verdict} from '../../../wire/record.ts';

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
const move: MoveRecord = {
  v: 1,
  id: 'move-0001',
  user: 'ada@example.org',
  source: 'be04',
  target: 'be01',
  token: 1,
  planId: 'plan-0001',
  because: 'evacuate',
  bytes: 5_200_000,
  createdAtMs: T0,
  updatedAtMs: T0 + 8_000,
  step: 'copying',
  attempts: 0,
  passesMs: [],
  routeRevision: null,
  hold: null,
  verified: null,
  pauseMs: null,
  refusal: null,
  timeline: [],
};

describe('hosts', () => {
  test('one line a host', () => {
    expect(renderHosts([be04], LOOK)).toBe(
      [
        'HOST  ROLE     STAGE     VERDICT  RELEASE    USERS     SIZE  IN  OUT  REPORT  CORDONED',
        'be04  backend  draining  sick     debian-13     12  34.5 MB   0    2   4.2 s  by mailherd',
      ].join('\n'),
    );
    expect(renderHosts([], LOOK)).toBe('No host is registered yet.');
  });

  test('what is not known is shown as not known', () => {
    const unknown = renderHosts([{...be04, verdict: null, reportAgeMs: null, record: {...be04.record, labels: {}, cordon: null}}], LOOK);
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

  test('colour only where it shows', () => {
    expect(renderHosts([be04], {...LOOK, colour: true})).toContain('\u001b[31msick\u001b[0m');
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
    const text = renderVerdicts({verdicts: [sick], cohorts: [cohort], hurt, hurtPeak: hurt}, LOOK);
    expect(text).toContain('Customers hurt  40.0 % (24 of 60; 2 of 5 domains)');
    expect(text).toContain('Cohort         os=debian-13 explains the sick hosts');
    expect(text).toContain('Controls       0 of 3 without it sick: be01, be02, be03');
    expect(text).toContain('Same division  batch');
    expect(text).toMatch(/be04 +sick +1 m 00 s +SLI_WORSE_THAN_PEERS +deliveryMsP95 at equal load/);
  });

  test('decisions: what waits for whom, what is stopped and by what, alike ones in one line', () => {
    const decided: Decision = {kind: 'evacuate', host: 'be04', atMs: T0, because: 'SICK_ALONE', evidence: [], vetoes: [], mode: 'approve'};
    const decisions: Decision[] = [
      decided,
      {...decided, host: 'be05'},
      {...decided, kind: 'rebalance', host: null, because: 'IMBALANCE', vetoes: [{code: 'PAUSED', detail: {by: 'ada'}}], mode: 'on'},
      {...decided, kind: 'cordon', mode: 'on'},
    ];
    const text = renderDecisions({verdicts: [], cohorts: [], hurt: null, hurtPeak: null, decisions}, LOOK);
    expect(text).toMatch(/evacuate +be04 be05 +SICK_ALONE +waits for approval/);
    expect(text).toMatch(/rebalance +the farm +IMBALANCE +stopped by PAUSED: by ada/);
    expect(text).toMatch(/cordon +be04 +SICK_ALONE +carried out/);
    expect(text).toContain('mailherd approve KIND [HOST...]');
    expect(renderDecisions({verdicts: [], cohorts: [], hurt: null, hurtPeak: null}, LOOK)).toBe(
      'Nothing is decided: the farm needs nothing.',
    );
  });

  test('nothing known is not nobody hurt', () => {
    expect(renderVerdicts({verdicts: [], cohorts: [], hurt: null, hurtPeak: null}, LOOK)).toContain('Customers hurt  not known');
  });

  test('hurt over time: runs of the same are one line, the bar is against the peak', () => {
    const text = renderHurt([
      {...hurt, usersHurt: 0, share: 0, byHost: {}},
      hurt,
      {...hurt, atMs: T0 + 5_000},
      {...hurt, usersHurt: 12, share: 0.2},
    ]);
    expect(text.split('\n').map(line => line.match(/#/g)?.length ?? 0)).toEqual([0, 0, 40, 20]);
  });
});

describe('moves and plans', () => {
  const view: MovesView = {
    moves: [move, {...move, id: 'move-0002', step: 'retained', pauseMs: 812}],
    waiting: [{user: 'bob@example.org', source: 'be04', target: 'be02', bytes: 900, because: 'SOURCE_BUDGET'}],
    done: 1,
    total: 3,
    etaMs: 30_000,
  };

  test('of thousands that wait some are listed, the rest is counted by reason', () => {
    const [one] = view.waiting;
    if (one === undefined) throw new Error('nobody waits');
    const many = Array.from({length: 50}, (_, index) => ({
      ...one,
      user: `u${index}@example.org`,
      because: index < 30 ? 'SOURCE_BUDGET' : 'APART',
    }));
    const text = renderMoves({...view, waiting: many}, false, LOOK);
    expect(text.match(/u\d+@/g)).toHaveLength(20);
    expect(text).toContain('and 20 APART, 10 SOURCE_BUDGET (--all lists them)');
    expect(renderMoves({...view, waiting: many}, true, LOOK).match(/u\d+@/g)).toHaveLength(50);
  });

  test('running and waiting; finished ones on demand', () => {
    const text = renderMoves(view, false, LOOK);
    expect(text).toMatch(/move-0001 +ada@example\.org +be04 +be01 +5\.2 MB +copying +1 m 00 s +-/);
    expect(text).toMatch(/bob@example\.org +be04 +be02 +900 B +waiting +SOURCE_BUDGET/);
    expect(text).not.toContain('move-0002');
    expect(text.split('\n').at(-1)).toBe(
      `[${'#'.repeat(13)}${'.'.repeat(27)}] 1 of 3 moves done, 1 running, 1 waiting, about 30.0 s left.`,
    );
    expect(renderMoves(view, true, LOOK)).toMatch(/move-0002 .*retained +8\.0 s +812 ms/);
  });

  test('of what runs how long it is in its step, how far it is, and how long it takes; of what waits the last', () => {
    const running = [{id: 'move-0001', sinceMs: LOOK.nowMs - 5_000, share: 0.437, etaMs: 90_000}];
    const waiting = view.waiting.map(own => ({...own, etaMs: 120_000}));
    const text = renderMoves({...view, running, waiting}, false, LOOK);
    expect(text).toMatch(/move-0001 .* copying +1 m 00 s +5\.0 s +43 % +1 m 30 s +-/);
    expect(text).toMatch(/bob@example\.org .* waiting +2 m 00 s +SOURCE_BUDGET/);
    const unknown = renderMoves({...view, running: [{...running[0], id: 'move-0001', sinceMs: 0, share: null, etaMs: null}]}, false, LOOK);
    expect(unknown).toMatch(/move-0001 .* copying .* +- +- +-/);
  });

  test('one line an evacuation, and who stopped it', () => {
    const own = {
      host: 'be04',
      sinceMs: T0,
      isLow: false,
      paused: null,
      done: 3,
      left: 1,
      leftBytes: 5_000,
      running: 1,
      waiting: 0,
      etaMs: 4_000,
    };
    const paused = {by: 'ada', reason: 'switch', atMs: T0};
    const lines = renderMoves({...view, evacuations: [own, {...own, isLow: true, paused, etaMs: null}]}, false, LOOK).split('\n');
    const counts = '3 of 4 mailboxes have left, 5.0 kB to go, 1 running, 0 waiting';
    const bar = `[${'#'.repeat(30)}${'.'.repeat(10)}]`;
    expect(lines.slice(-3, -1)).toEqual([
      `${bar} be04 is being emptied: ${counts}, about 4.0 s left.`,
      `${bar} be04 is being emptied, after everything else: ${counts}; paused by ada at 2027-01-15 08:00:00Z: switch.`,
    ]);
  });

  test('over only when nothing runs and nothing waits', () => {
    expect(areMovesOver(view)).toBe(false);
    expect(areMovesOver({...view, waiting: []})).toBe(false);
    expect(areMovesOver({...view, waiting: [], moves: [{...move, step: 'backedOut'}]})).toBe(true);
  });

  test('a dry run says that nothing was changed; what has no place is named', () => {
    const plan: Plan = {
      v: 1,
      id: 'plan-0001',
      parent: null,
      generation: 1,
      createdAtMs: T0,
      kind: 'evacuate',
      because: 'asked',
      moves: [{user: 'ada@example.org', source: 'be04', target: 'be01', bytes: 5_000, why: 'most free'}],
      unplaced: [{user: 'big@example.org', source: 'be04', bytes: 9_000_000_000, code: 'NO_SPACE'}],
    };
    const dry = renderPlan({plan, dryRun: true});
    expect(dry).toContain('Would move 1 mailboxes, 5.0 kB. Nothing was changed.');
    expect(dry).toMatch(/big@example\.org +be04 +9\.0 GB +NO_SPACE/);
    expect(renderPlan({plan, dryRun: false})).toContain('Will move 1 mailboxes, 5.0 kB (plan plan-0001).');
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
