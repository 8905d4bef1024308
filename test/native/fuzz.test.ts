import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';

const SECONDS = 3;
const seed = process.env.MAILHERD_SEED ?? String(Date.now() % 1_000_000);

test(`parsers survive mutated kernel files, records and queue names; MAILHERD_SEED=${seed} replays it`, () => {
  const program = join(import.meta.dirname, '../../native/fuzz/main.io.ts');
  const {status, stdout, stderr} = spawnSync(process.execPath, [program, String(SECONDS), seed, 'mutate'], {encoding: 'utf8'});
  expect({status, stderr}).toEqual({status: 0, stderr: ''});
  expect(stdout).toMatch(/^\d+ inputs$/m);
}, 240_000);
