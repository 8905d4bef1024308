import {expect, test} from 'vitest';
import {seededRng} from '../../../base/random.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import {play} from './play.ts';
import {drawInnocent} from './scenario.ts';

const SEEN_MS = 8 * 60_000;

/** Codes that are told within eight minutes of its onset. */
function told(name: string, seed: number): string[] {
  const scenario = drawInnocent(seed, seededRng(seed), name);
  const codes = new Set<string>();
  play(scenario, DEFAULT_POLICY, ({circumstances}, atMs) => {
    for (const {code} of circumstances) codes.add(code);
    return atMs - scenario.onsetMs < SEEN_MS;
  });
  return [...codes].sort();
}

test.each([
  ['nothing at all', []],
  ['Monday morning', []],
  ['a storm of mail from outside', ['MAIL_STORM']],
  ['an upstream resolver makes everything slow', ['EVERYTHING_SLOW']],
  ['every login is slow: one directory for all', ['EVERYTHING_SLOW']],
  ['the far end of every probe is down', ['PROBES_FAIL']],
  ['one abusive user', ['OVERLOADED']],
  ['the network of one rack loses packets', ['PLACE_NETWORK']],
  ['one rack is cut off', ['PLACE_CUT_OFF']],
  ['every report comes twice', []],
])('%s: recognised as what it is (seed 4)', (name, codes) => {
  expect(told(name, 4)).toEqual(codes);
});
