import fc from 'fast-check';
import {expect, test} from 'vitest';
import {Reminder} from '../../../../agent/route/reminder.ts';

test('says it at once, and again only after the span', () => {
  const reminder = new Reminder(60_000);
  expect([0, 1, 59_999, 60_000, 60_001, 119_999, 120_000].map(nowMs => reminder.isDue(nowMs))).toEqual([
    true,
    false,
    false,
    true,
    false,
    false,
    true,
  ]);
});

test('however often it is asked, two times are never nearer than the span', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({min: 0, max: 1_000_000}), {minLength: 1}), times => {
      const reminder = new Reminder(60_000);
      const said = times.sort((a, b) => a - b).filter(nowMs => reminder.isDue(nowMs));
      expect(said[0]).toBe(times[0]);
      for (const [at, nowMs] of said.entries()) if (at > 0) expect(nowMs - (said[at - 1] ?? 0)).toBeGreaterThanOrEqual(60_000);
    }),
  );
});
