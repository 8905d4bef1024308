import {expect, test} from 'vitest';
import {Activity} from '../../../../agent/sample/activity.ts';
import {DAY_MS, HOUR_MS} from '../../../../base/units.ts';

const HERE = new Set(['a', 'b']);

/** Deliveries at a steady rate for some days to a mailbox that has been watched all the time. */
function steady(perDay: number, days: number): Activity {
  const activity = new Activity();
  activity.live(HERE, 0);
  for (let at = 0; at < perDay * days; at++) activity.add('a', 'deliveries', ((at + 0.5) / perDay) * DAY_MS);
  return activity;
}

test.each([
  [24, 1],
  [24, 10],
  [200, 1.5],
])('%d a day for %d days are told as that', (perDay, days) => {
  const rate = steady(perDay, days).perDay('a', days * DAY_MS);
  expect(rate?.sessions).toBe(0);
  expect(Math.abs((rate?.deliveries ?? 0) / perDay - 1)).toBeLessThan(0.03);
});

test('what was long ago fades, by half in three days', () => {
  const activity = steady(100, 30);
  const then = activity.perDay('a', 30 * DAY_MS)?.deliveries ?? 0;
  expect(activity.perDay('a', 36 * DAY_MS)?.deliveries).toBeCloseTo(then / 4, 0);
});

test('nothing is known at first; then a silent user is known to be silent', () => {
  const activity = new Activity();
  activity.add('a', 'sessions', 1_000);
  activity.live(HERE, 2_000);
  expect(activity.perDay('a', 23 * HOUR_MS)).toBeNull();
  expect(activity.perDay('a', DAY_MS + 1_000)?.sessions).toBeGreaterThan(0.8);
  expect(activity.perDay('b', DAY_MS + 2_000)).toEqual({deliveries: 0, sessions: 0});
  expect(activity.lastMs('a')).toBe(1_000);
  expect(activity.lastMs('b')).toBeNull();
});

test('a mailbox that has come is no idle one, and one that comes back is a new one', () => {
  const activity = steady(100, 10);
  activity.live(new Set(['a', 'new']), 10 * DAY_MS);
  expect(activity.perDay('new', 10.9 * DAY_MS)).toBeNull();
  expect(activity.perDay('new', 11 * DAY_MS)).toEqual({deliveries: 0, sessions: 0});
  expect(activity.perDay('b', 11 * DAY_MS)).toBeNull();
  activity.live(HERE, 12 * DAY_MS);
  expect(activity.perDay('b', 12.9 * DAY_MS)).toBeNull();
});

test('kept and taken up again', () => {
  const activity = steady(100, 3);
  const again = new Activity(JSON.parse(JSON.stringify(activity.keep())));
  expect(again.perDay('a', 6 * DAY_MS)?.deliveries).toBeCloseTo(activity.perDay('a', 6 * DAY_MS)?.deliveries ?? 0, 1);
  expect(again.perDay('b', 6 * DAY_MS)).toEqual({deliveries: 0, sessions: 0});
});

test('a clock that is set back makes nobody busier', () => {
  const activity = new Activity();
  activity.add('a', 'sessions', 12 * DAY_MS);
  activity.add('a', 'sessions', 11 * DAY_MS);
  activity.live(HERE, 9 * DAY_MS);
  expect(activity.perDay('a', 10 * DAY_MS)).toBeNull();
  expect(activity.perDay('a', 13 * DAY_MS)?.sessions).toBeLessThan(3);
});
