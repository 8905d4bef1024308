import {describe, expect, test} from 'vitest';
import {areMovesOver, renderMoves, renderPlan} from '../../../cli/render.ts';
import type {MovesView} from '../../../wire/api.ts';
import type {MoveRecord, Plan} from '../../../wire/record.ts';

const LOOK = {colour: false, nowMs: 1_800_000_060_000};
const T0 = 1_800_000_000_000;
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
    const counted = renderMoves({...view, waiting: many.slice(0, 20), unlisted: {APART: 20, SOURCE_BUDGET: 10}}, false, LOOK);
    expect(counted).toBe(text);
    expect(counted).toContain('1 running, 50 waiting');
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

  test('evacuations of many hosts are a table, what takes longest first', () => {
    const own = {sinceMs: T0, isLow: false, paused: null, done: 3, left: 1, leftBytes: 5_000, running: 1, waiting: 0};
    const evacuations = [1, 2, 3, 4].map(at => ({...own, host: `be0${at}`, etaMs: at === 1 ? null : at * 1_000}));
    const text = renderMoves({...view, evacuations}, false, LOOK);
    expect(text.match(/^be0\d/gm)).toEqual(['be01', 'be04', 'be03', 'be02']);
    expect(text).toMatch(/be04 +3 of 4 +5\.0 kB +1 +0 +4\.0 s/);
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
    const dry = renderPlan({plan, dryRun: true}, false);
    expect(dry).toContain('Would move 1 mailboxes, 5.0 kB. Nothing was changed.');
    expect(renderPlan({plan, dryRun: true, etaMs: 7_200_000}, false)).toContain('5.0 kB, about 2 h 00 m. Nothing');
    expect(renderPlan({plan, dryRun: true, etaMs: null}, false)).toContain('time not known before any move is through');
    const [first] = plan.moves;
    if (first === undefined) throw new Error('no move');
    const many = {
      ...plan,
      moves: Array.from({length: 5_000}, () => first),
      unplaced: Array.from({length: 900}, () => plan.unplaced).flat(),
    };
    const lines = renderPlan({plan: many, dryRun: true}, false).split('\n');
    expect(lines).toHaveLength(46);
    expect(lines).toEqual(expect.arrayContaining(['and 4980 more (--all lists them)', 'and 880 more (--all lists them)']));
    expect(renderPlan({plan: many, dryRun: true}, true).split('\n')).toHaveLength(5_904);
    expect(dry).toMatch(/big@example\.org +be04 +9\.0 GB +NO_SPACE/);
    expect(renderPlan({plan, dryRun: false}, false)).toContain('Will move 1 mailboxes, 5.0 kB (plan plan-0001).');
  });
});
