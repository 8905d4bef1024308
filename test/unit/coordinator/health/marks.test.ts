import {expect, test} from 'vitest';
import {standsOut} from '../../../../coordinator/health/marks.ts';
import type {HostSlis} from '../../../../coordinator/health/sli.ts';

/** A host whose probes failed in that share of so many reports. */
const tried = (host: string, probeFailureShare: number, trials: number): Pick<HostSlis, 'host' | 'values' | 'trials'> => {
  return {host, values: {probeFailureShare} as HostSlis['values'], trials: {probeFailureShare: trials}};
};

test.each([
  ['three failed probes of a dozen, on a farm where hardly any ever fails', 0.25, 6, false],
  ['the same with a report less', 0.3, 5, false],
  ['one round of two', 0.5, 2, false],
  ['four of a dozen', 0.34, 6, true],
  ['two rounds of three', 0.67, 3, true],
  ['the only round there was', 1, 1, true],
])('%s', (_what, share, trials, isProof) => {
  const others = Array.from({length: 276}, (_, index) => tried(`be${index}`, 0, 6));
  const own = tried('bad', share, trials);
  expect(standsOut(own, [...others, own], 'probeFailureShare')).toBe(isProof);
});
