import {expect, test} from 'vitest';
import {MINUTE_MS} from '../../../../base/units.ts';
import type {MovePorts} from '../../../../coordinator/move/move-ports.ts';
import {OrphanLocks} from '../../../../coordinator/move/orphans.ts';
import type {MoveRecord} from '../../../../wire/record.ts';
import type {Route} from '../../../../wire/route.ts';
import {FakeClock, silentLog} from '../fakes.ts';
import {moveOf} from '../fleet-builder.ts';

const USER = 'ada@d.example';
const move = {id: 'm1', source: 'be1', target: 'be2', token: 3};
const LOCKED: Route = {v: 1, user: USER, host: 'be1', generation: 4, move, hold: {id: 'm1', target: 'be2', spanMs: 30_000}, flip: null};

/** What becomes of a lock of m1 that is seen for `minutes`. @param known to this leader. @param stored by whoever. */
async function after(
  minutes: number,
  {route = LOCKED, known = [], stored = []}: {route?: Route; known?: MoveRecord[]; stored?: MoveRecord[]} = {},
): Promise<Route[]> {
  const clock = new FakeClock();
  const written: Route[] = [];
  const ports = {
    clock,
    token: () => 4,
    edges: () => [],
    locks: () => [{user: USER, moveId: 'm1'}],
    readRoute: async () => ({route, revision: 7, storedAtMs: 1_000}),
    writeRoute: async (next: Route, expected: number) => {
      expect(expected).toBe(7);
      return written.push(next);
    },
    loadMoves: async () => stored,
  } as unknown as MovePorts;
  const orphans = new OrphanLocks(ports, new Map(known.map(record => [record.id, record])), silentLog);
  await orphans.look();
  await clock.advance(minutes * MINUTE_MS);
  await orphans.look();
  return written;
}

const record = (step: MoveRecord['step']): MoveRecord => moveOf(USER, 'be1', 'be2', step, {id: 'm1'});

test('a lock of no move, or of one that is through, is removed once it has been seen for long enough', async () => {
  const unlocked = {...LOCKED, move: null, hold: null};
  expect(await after(2)).toEqual([]);
  expect(await after(3)).toEqual([unlocked]);
  expect(await after(3, {known: [record('backedOut')], stored: [record('backedOut')]})).toEqual([unlocked]);
});

test('one of a move that runs is not, nor of one that only a later leader knows, nor where the route has another by now', async () => {
  expect(await after(9, {known: [record('copying')]})).toEqual([]);
  expect(await after(9, {stored: [record('copying')]})).toEqual([]);
  expect(await after(9, {route: {...LOCKED, move: {...move, id: 'm2'}}})).toEqual([]);
});

test('a flip that counts stays, one that came too late does not', async () => {
  const flipped = {...LOCKED, host: 'be2', generation: 5, hold: null, flip: {deadlineMs: 2_000, from: 'be1', moveId: 'm1'}};
  expect(await after(3, {route: flipped})).toMatchObject([{host: 'be2', generation: 5, move: null, flip: null}]);
  const late = {...flipped, flip: {...flipped.flip, deadlineMs: 500}};
  expect(await after(3, {route: late})).toMatchObject([{host: 'be1', generation: 6, move: null, flip: null}]);
});
