import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';

const SECONDS = 5;
/** A search that goes by nothing would take some 2^80 inputs. */
const PLANTED_SECONDS_MAX = 120;
const PROGRAM = join(import.meta.dirname, '../../native/fuzz/main.io.ts');
const seed = process.env.MAILHERD_SEED ?? String(Date.now() % 1_000_000);

function fuzz(seconds: number, env: Record<string, string> = {}): {status: number | null; output: string} {
  const {status, stderr, stdout} = spawnSync(process.execPath, [PROGRAM, String(seconds), seed], {
    encoding: 'utf8',
    env: {...process.env, ...env},
  });
  return {status, output: stdout + stderr};
}

test(`parsers survive what a search by coverage makes of kernel files, records and queue names; MAILHERD_SEED=${seed}`, () => {
  const {status, output} = fuzz(SECONDS);
  expect(status, output).toBe(0);
  expect(Number(/number_of_executed_units: (\d+)/.exec(output)?.[1])).toBeGreaterThan(100);
}, 600_000);

test('an error behind conditions that chance does not meet is found', () => {
  const {status, output} = fuzz(PLANTED_SECONDS_MAX, {MAILHERD_FUZZ_PLANTED: '1'});
  expect(status, output).not.toBe(0);
  expect(output).toContain('FallIntoTrap');
}, 600_000);
