import {expect, test} from 'vitest';
import {MOVE_BYTES, moveByteMs, progressOf} from '../../../../coordinator/move/progress.ts';
import type {MoveRecord, MoveStep} from '../../../../wire/record.ts';
import {GIB, moveOf, START_MS} from '../fleet-builder.ts';

const move = (step: MoveStep, bytes: number, change: Partial<MoveRecord> = {}): MoveRecord =>
  moveOf('ada@d.example', 'be1', 'be2', step, {bytes, createdAtMs: START_MS, timeline: [{step, atMs: START_MS + 1_000}], ...change});
/** Through after 100 s. */
const DONE = move('retained', GIB - MOVE_BYTES, {timeline: [{step: 'retained', atMs: START_MS + 100_000}]});
const at = (seconds: number, own: MoveRecord, done: MoveRecord[] = [DONE]): [number | null, number | null] => {
  const {share, etaMs} = progressOf(own, moveByteMs(done), START_MS + seconds * 1_000);
  return [share === null ? null : Number(share.toFixed(3)), etaMs];
};

test('a move is as far as others were after that time with as many bytes', () => {
  const own = move('seeding', 2 * GIB - MOVE_BYTES);
  expect([at(50, own), at(150, own)]).toEqual([
    [0.25, 150_000],
    [0.75, 50_000],
  ]);
  expect(progressOf(own, null, START_MS + 5_000).sinceMs).toBe(START_MS + 1_000);
});

test('never before or beyond what its step tells: who takes longer than others is not all but done', () => {
  const own = move('seeding', GIB - MOVE_BYTES);
  expect([at(2, own)[0], at(1_000, own)]).toEqual([0.05, [0.8, 250_000]]);
  expect(at(10, move('copying', GIB - MOVE_BYTES, {passesMs: [9_000]}))).toEqual([0.8, 2_500]);
  expect(at(10, move('verifying', GIB - MOVE_BYTES))[0]).toBe(0.97);
});

test('before the first is through only the step is known; one that backs out is on its way to nowhere', () => {
  expect([at(10, move('seeding', GIB), []), at(10, move('seeding', GIB), [move('backedOut', GIB)])]).toEqual([
    [0.05, null],
    [0.05, null],
  ]);
  expect(at(10, move('backingOut', GIB))).toEqual([null, null]);
});
