import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {startWatchdog} from '../../../agent/watchdog.io.ts';

const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};
const stop = new AbortController();
const tell = vi.fn((_: string) => undefined);

beforeEach(() => {
  vi.useFakeTimers();
  vi.clearAllMocks();
});
afterEach(() => {
  stop.abort();
  vi.useRealTimers();
});

test('it tells of life three times in each timeout while rounds end, and falls silent when they no longer do', async () => {
  const round = startWatchdog({timeoutUs: '90000000', intervalMs: 10_000, log, signal: stop.signal, tell});
  for (let at = 0; at < 18; at++) {
    await vi.advanceTimersByTimeAsync(10_000);
    round();
  }
  expect(tell.mock.calls).toEqual(Array(7).fill(['WATCHDOG=1']));
  // An interval and a minute later it is stuck, not late.
  await vi.advanceTimersByTimeAsync(69_000);
  const calls = tell.mock.calls.length;
  expect(calls).toBe(9);
  await vi.advanceTimersByTimeAsync(300_000);
  expect(tell).toHaveBeenCalledTimes(calls);
  expect(log.error).toHaveBeenCalledTimes(1);
  round();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(tell).toHaveBeenCalledTimes(calls + 1);
});

test('nobody is told where nobody watches', async () => {
  startWatchdog({timeoutUs: undefined, intervalMs: 10_000, log, signal: stop.signal, tell});
  await vi.advanceTimersByTimeAsync(100_000);
  expect(tell).not.toHaveBeenCalled();
});
