import {expect, test} from 'vitest';
import {PressureAlarm, pressureFell, pressureRose, QUIET_MS} from '../../../../agent/sample/pressure.ts';

test('many signals are one rise and, after quiet, one fall with how long it had been', () => {
  const alarm = new PressureAlarm();
  expect([0, 2_000, 4_000].map(atMs => alarm.signal(2, atMs))).toEqual([true, false, false]);
  expect(alarm.fallen(4_000 + QUIET_MS - 1)).toEqual([]);
  expect(alarm.fallen(4_000 + QUIET_MS)).toEqual([{trigger: 2, lastedMs: 4_000}]);
  expect(alarm.fallen(4_000 + 2 * QUIET_MS)).toEqual([]);
  expect(alarm.signal(2, 90_000)).toBe(true);
});

test('each trigger for itself', () => {
  const alarm = new PressureAlarm();
  expect([alarm.signal(0, 0), alarm.signal(1, 0), alarm.signal(0, 20_000)]).toEqual([true, true, false]);
  expect(alarm.fallen(QUIET_MS)).toEqual([{trigger: 1, lastedMs: 0}]);
});

test('events say what waits, for whom, and how late they are', () => {
  expect(pressureRose(2, 2_000, 0.34)).toEqual({resource: 'io', kind: 'full', share: 0.3, windowMs: 2_000, lateMs: 0.3});
  expect(pressureFell(0, 12.6)).toEqual({resource: 'cpu', kind: 'some', lastedMs: 13});
});
