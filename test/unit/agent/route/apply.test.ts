import {expect, test} from 'vitest';
import {bootFenceMs, FENCE_MAX_MS, rowOf} from '../../../../agent/route/apply.ts';
import type {Route} from '../../../../wire/route.ts';

const ROUTE: Route = {v: 1, user: 'ada@example.org', host: 'be1', generation: 3, move: null, hold: null, flip: null};
const STORED = 1_000_000;

test("a hold runs from this host's own clock, whatever the server's says", () => {
  const route: Route = {...ROUTE, hold: {id: 'move-0001', target: 'be2', spanMs: 30_000}};
  const now = STORED - 500_000; // this host's clock is far behind
  expect(rowOf(route, STORED, now, 'edge1')).toEqual({
    user: ROUTE.user,
    host: 'be1',
    generation: 3,
    heldUntil: (now + 30_000) / 1_000,
    heldTarget: 'be2',
  });
});

test('a hold that somebody left long ago is not taken up again', () => {
  const route: Route = {...ROUTE, hold: {id: 'move-0001', target: 'be2', spanMs: 30_000}};
  expect(rowOf(route, STORED, STORED + 600_001, 'be1').heldUntil).toBe(0);
  expect(rowOf(route, STORED, STORED + 599_000, 'be1').heldUntil).toBeGreaterThan(0);
});

test('a flip counts up to its deadline and is void after it', () => {
  const flipped: Route = {...ROUTE, host: 'be2', generation: 4, flip: {deadlineMs: STORED, from: 'be1', moveId: 'move-0001'}};
  expect(rowOf(flipped, STORED, STORED, 'be1')).toMatchObject({host: 'be2', generation: 4});
  expect(rowOf(flipped, STORED + 1, STORED, 'be1')).toMatchObject({host: 'be1', generation: 3, heldUntil: 0});
});

test('the source itself fences much longer than the hold: it may not have heard of the flip', () => {
  const route: Route = {...ROUTE, hold: {id: 'move-0001', target: 'be2', spanMs: 30_000}};
  expect(rowOf(route, STORED, STORED, 'be1').heldUntil).toBe((STORED + 600_000) / 1_000);
  expect(rowOf(route, STORED, STORED, 'be2').heldUntil).toBe((STORED + 30_000) / 1_000);
});

test('a host that comes back soon is fenced for a moment, one whose disk may be of long ago for longer', () => {
  const minutes = (count: number): number => count * 60_000;
  expect(bootFenceMs(STORED, STORED + minutes(5))).toBe(30_000);
  for (const [currentAtMs, now] of [
    [STORED, STORED + minutes(11)],
    // The clock went back, or was lost.
    [STORED, STORED - minutes(1)],
    [null, STORED],
  ] as const)
    expect(bootFenceMs(currentAtMs, now)).toBe(FENCE_MAX_MS);
});
