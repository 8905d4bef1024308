import {expect, test} from 'vitest';
import {Rate} from '../../../../agent/move/rate.ts';
import type {Clock} from '../../../../base/clock.ts';

function clockAt(): {clock: Clock; at: () => number; pass: (ms: number) => void} {
  let nowMs = 1_000;
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  const clock = {now: () => nowMs, monotonic: () => nowMs, sleep: async (ms: number) => pass(ms)};
  return {clock, at: () => nowMs - 1_000, pass};
}

test('bytes go as fast as they may, half a second at once', async () => {
  const {clock, at} = clockAt();
  const rate = new Rate(1_000, clock);
  await rate.passed(500);
  expect(at()).toBe(0);
  for (let sent = 0; sent < 4_000; sent += 100) await rate.passed(100);
  expect(at()).toBeCloseTo(4_000);
});

test('a long rest is no credit for more than half a second', async () => {
  const {clock, at, pass} = clockAt();
  const rate = new Rate(1_000, clock);
  await rate.passed(500);
  pass(60_000);
  await rate.passed(1_500);
  expect(at()).toBeCloseTo(61_000);
});
