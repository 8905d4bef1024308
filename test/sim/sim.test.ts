import {describe, expect, test} from 'vitest';
import {simulate} from './run.ts';

const SEEDS = Number(process.env.MAILHERD_SIM_SEEDS ?? 2_000);
const FIRST = Number(process.env.MAILHERD_SEED ?? 1);

describe('moves in a world where everything may die', () => {
  test(`no seed of ${SEEDS} breaks an invariant`, {timeout: 600_000}, async () => {
    let flipped = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const result = await simulate(seed);
      flipped += result.flipped;
      expect(result.violations, `replay: npm run sim -- --seed ${seed}`).toEqual([]);
    }
    expect(flipped, 'a simulation in which nothing moves proves nothing').toBeGreaterThan(SEEDS);
  });
});
