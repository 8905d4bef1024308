import {expect, test} from 'vitest';
import {ProbeTally} from '../../../../agent/probe/tally.ts';

test('the worst time of what came through; a failure counts but has no time', () => {
  const tally = new ProbeTally();
  tally.add({probe: 'delivery', ok: true, tookMs: 40});
  tally.add({probe: 'delivery', ok: true, tookMs: 90});
  tally.add({probe: 'login', ok: false, reason: 'x'});
  tally.add({probe: 'lmtp', ok: true, tookMs: 12});
  tally.add({probe: 'idle', ok: false, reason: 'x', idle: {open: 1, dropped: 1}});
  tally.add({probe: 'idle', ok: true, tookMs: 0, idle: {open: 2, dropped: 0}});
  expect(tally.take()).toEqual({failureShare: 1, deliveryMs: 90, loginMs: null, lmtpMs: 12, idle: {open: 2, dropped: 1}});
  expect(tally.take()).toEqual({failureShare: null, deliveryMs: null, loginMs: null, lmtpMs: null, idle: null});
});

test('failures are a share of those of their kind: where one way is closed, those that are open do not make up for it', () => {
  const tally = new ProbeTally();
  for (const probe of ['login', 'lmtp', 'idle'] as const) tally.add({probe, ok: true, tookMs: 1});
  tally.add({probe: 'delivery', ok: true, tookMs: 1});
  expect(tally.take().failureShare).toBe(0);
  for (const probe of ['login', 'lmtp', 'idle'] as const) tally.add({probe, ok: true, tookMs: 1});
  tally.add({probe: 'delivery', ok: false, reason: 'x'});
  expect(tally.take().failureShare).toBe(1);
  tally.add({probe: 'delivery', ok: false, reason: 'x'});
  tally.add({probe: 'delivery', ok: true, tookMs: 1});
  expect(tally.take().failureShare).toBe(0.5);
});

test('a way that is closed stays closed while its next probe runs into the deadline, whatever ends meanwhile', () => {
  const tally = new ProbeTally();
  tally.add({probe: 'login', ok: true, tookMs: 1});
  expect(tally.take().failureShare).toBe(0);
  tally.add({probe: 'delivery', ok: false, reason: 'deadline'});
  tally.endRound();
  expect(tally.take().failureShare).toBe(1);
  tally.add({probe: 'login', ok: true, tookMs: 1});
  expect(tally.take()).toMatchObject({failureShare: 1, loginMs: 1});
  expect(tally.take().failureShare).toBeNull();
  tally.add({probe: 'delivery', ok: true, tookMs: 1});
  expect(tally.take().failureShare).toBe(0);
});

test('what could not be tried in a whole round is not known to fail any more', () => {
  const tally = new ProbeTally();
  tally.add({probe: 'delivery', ok: false, reason: 'deadline'});
  tally.endRound();
  tally.take();
  tally.add({probe: 'login', ok: true, tookMs: 1});
  tally.endRound();
  expect(tally.take().failureShare).toBe(0);
});
