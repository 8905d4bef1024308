import {describe, expect, test} from 'vitest';
import {Leisure} from '../../../../agent/mover/leisure.ts';

const IDLE_MS = 300_000;
const HOUR_MS = 3_600_000;

describe('a mover ends', () => {
  test('soon when nobody calls it after all, never while a call is open', () => {
    const leisure = new Leisure(IDLE_MS, 0);
    expect([999, 1_000].map(now => leisure.isOver(now, false))).toEqual([false, true]);
    leisure.opened();
    expect(leisure.isOver(HOUR_MS * 10, false)).toBe(false);
  });

  test('some minutes after the last call for a mailbox, seconds after any other', () => {
    const leisure = new Leisure(IDLE_MS, 0);
    leisure.opened();
    leisure.closed(false, 10_000);
    expect([10_999, 11_000].map(now => leisure.isOver(now, false))).toEqual([false, true]);
    leisure.opened();
    leisure.closed(true, 20_000);
    leisure.opened();
    leisure.closed(false, 30_000);
    expect([319_999, 320_000].map(now => leisure.isOver(now, false))).toEqual([false, true]);
  });

  test('an hour after it was used last while it remembers texts', () => {
    const leisure = new Leisure(IDLE_MS, 0);
    leisure.opened();
    leisure.closed(true, 0);
    expect([HOUR_MS - 1, HOUR_MS].map(now => leisure.isOver(now, true))).toEqual([false, true]);
  });
});
