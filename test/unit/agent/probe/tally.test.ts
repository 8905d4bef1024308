import {expect, test} from 'vitest';
import {ProbeTally} from '../../../../agent/probe/tally.ts';

test('the worst time of what came through; a failure counts but has no time', () => {
  const tally = new ProbeTally();
  tally.add({probe: 'delivery', ok: true, tookMs: 40});
  tally.add({probe: 'delivery', ok: true, tookMs: 90});
  tally.add({probe: 'login', ok: false, reason: 'x'});
  tally.add({probe: 'idle', ok: true, tookMs: 0});
  expect(tally.take()).toEqual({attempts: 4, failures: 1, deliveryMs: 90, loginMs: null});
  expect(tally.take()).toEqual({attempts: 0, failures: 0, deliveryMs: null, loginMs: null});
});
