import {expect, test} from 'vitest';
import {CLEAR_AFTER_MS, Limits} from '../../../../agent/sample/limits.ts';

const IMAP = {limit: 'dovecotProcesses', service: 'imap', max: 3} as const;
const AFTER_MS = CLEAR_AFTER_MS.dovecotProcesses;

test('the first complaint opens, further ones keep open, a time without clears', () => {
  const limits = new Limits();
  expect(limits.saw(IMAP, 1_000)).toMatchObject({...IMAP, sinceMs: 1_000});
  expect(limits.saw(IMAP, 60_000)).toBeNull();
  expect(limits.clear(60_000 + AFTER_MS - 1)).toEqual([]);
  expect(limits.clear(60_000 + AFTER_MS)).toMatchObject([{...IMAP, sinceMs: 1_000, lastMs: 60_000, complaints: 2}]);
  expect(limits.open).toEqual([]);
  expect(limits.saw(IMAP, 9_000_000)).not.toBeNull();
});

test('services and limits are told apart, and survive a restart', () => {
  const limits = new Limits();
  limits.saw(IMAP, 1);
  limits.saw({...IMAP, service: 'lmtp'}, 2);
  limits.saw({limit: 'inotifyInstances', service: 'imap', max: null}, 3);
  const again = new Limits(limits.open);
  expect(again.open).toEqual(limits.open);
  expect(again.saw(IMAP, 4)).toBeNull();
  expect(limits.open[0]?.complaints).toBe(1);
});

test('a clock that jumps back neither clears nor forgets; complaints without end are bounded', () => {
  const limits = new Limits();
  limits.saw(IMAP, 1e12);
  expect(limits.clear(1)).toEqual([]);
  limits.saw(IMAP, 5);
  expect(limits.open[0]?.lastMs).toBe(1e12);
  for (let at = 0; at < 1_000; at++) limits.saw({...IMAP, service: `s${at}`}, 1);
  expect(limits.open.length).toBeLessThanOrEqual(64);
});
