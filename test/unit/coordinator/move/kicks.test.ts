import {expect, test} from 'vitest';
import {KickRate} from '../../../../coordinator/move/kicks.ts';

const RATES = {perSecondMax: 20, perTargetPerSecondMax: 5};

/** Holds as fast as they may begin, with users of so many sessions each. @returns [when, target, sessions] of each. */
function run(targets: readonly string[], sessions: () => number, untilMs: number): [number, string, number][] {
  const kicks = new KickRate();
  const held: [number, string, number][] = [];
  for (let nowMs = 0; nowMs < untilMs; nowMs += 10) {
    for (const target of targets) {
      if (kicks.take(target, RATES, nowMs) > 0) continue;
      const ended = sessions();
      kicks.ended(target, ended);
      held.push([nowMs, target, ended]);
    }
  }
  return held;
}

function most(held: readonly [number, string, number][], windowMs: number): number {
  return Math.max(...held.map(([from]) => held.filter(([at]) => at >= from && at < from + windowMs).reduce((sum, [, , n]) => sum + n, 0)));
}

test('no target gets more than its rate, a first second of it, and what the last user had more than expected', () => {
  for (const each of [1, 3, 12]) {
    const held = run(['be1'], () => each, 30_000);
    for (const seconds of [1, 5, 20]) expect(most(held, seconds * 1_000)).toBeLessThanOrEqual(5 * seconds + 5 + each - 1);
    // And it is used.
    expect(held.reduce((sum, [, , n]) => sum + n, 0)).toBeGreaterThan(5 * 28);
  }
});

test('all targets together keep the rate of the farm', () => {
  const targets = Array.from({length: 12}, (_, at) => `be${at}`);
  const held = run(targets, () => 2, 20_000);
  expect(most(held, 10_000)).toBeLessThanOrEqual(20 * 10 + 20 + 1);
  expect(new Set(held.slice(0, 12).map(([, target]) => target)).size).toBeGreaterThan(5);
});

test('users without sessions wait for nobody', () => {
  expect(run(['be1'], () => 0, 1_000)).toHaveLength(100);
});

test('who must wait is told how long, and a rate below one a second lets one go', () => {
  const kicks = new KickRate();
  const slow = {perSecondMax: 0.1, perTargetPerSecondMax: 0.1};
  expect(kicks.take('be1', slow, 0)).toBe(0);
  expect(kicks.take('be1', slow, 0)).toBe(10_000);
  kicks.ended('be1', 4);
  expect([kicks.take('be1', slow, 0), kicks.take('be2', slow, 30_000), kicks.take('be2', slow, 40_000)]).toEqual([40_000, 10_000, 0]);
});
