import {expect, test} from 'vitest';
import {Activity} from '../../../../agent/sample/activity.ts';
import {DAY_MS, HOUR_MS} from '../../../../base/units.ts';

/** Deliveries at a steady rate for some days. */
function steady(perDay: number, days: number): Activity {
  const activity = new Activity(null, 0);
  for (let at = 0; at < perDay * days; at++) activity.add('a', 'deliveries', ((at + 0.5) / perDay) * DAY_MS);
  return activity;
}

test.each([
  [24, 1],
  [24, 10],
  [200, 0.5],
])('%d a day for %d days are told as that', (perDay, days) => {
  const rate = steady(perDay, days).perDay('a', days * DAY_MS);
  expect(rate?.sessions).toBe(0);
  expect(Math.abs((rate?.deliveries ?? 0) / perDay - 1)).toBeLessThan(0.03);
});

test('what was long ago fades, by half each day', () => {
  const activity = steady(100, 10);
  const then = activity.perDay('a', 10 * DAY_MS)?.deliveries ?? 0;
  expect(activity.perDay('a', 12 * DAY_MS)?.deliveries).toBeCloseTo(then / 4, 0);
});

test('nothing is known at first; then a silent user is known to be silent', () => {
  const activity = new Activity(null, 0);
  activity.add('a', 'sessions', 1_000);
  expect(activity.perDay('a', HOUR_MS)).toBeNull();
  expect(activity.perDay('b', DAY_MS)).toEqual({deliveries: 0, sessions: 0});
  expect(activity.lastMs('a')).toBe(1_000);
  expect(activity.lastMs('b')).toBeNull();
});

test('kept and taken up again; those long silent are forgotten', () => {
  const activity = steady(100, 3);
  activity.add('b', 'sessions', 0);
  const again = new Activity(JSON.parse(JSON.stringify(activity.keep(6 * DAY_MS))), 6 * DAY_MS);
  expect(again.perDay('a', 6 * DAY_MS)?.deliveries).toBeCloseTo(activity.perDay('a', 6 * DAY_MS)?.deliveries ?? 0, 1);
  expect(again.lastMs('b')).toBeNull();
});

test('a clock that is set back makes nobody busier', () => {
  const activity = new Activity(null, 10 * DAY_MS);
  activity.add('a', 'sessions', 12 * DAY_MS);
  activity.add('a', 'sessions', 11 * DAY_MS);
  expect(activity.perDay('a', 12 * DAY_MS)?.sessions).toBeLessThan(3);
});
