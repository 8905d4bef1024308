import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {nextGeneration, thisStart} from '../../../../agent/report/generation.io.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-generation-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('grows with each start, also when the clock went back, and is on disk before it is used', async () => {
  expect(await nextGeneration(folder, 1_700_000_000_900)).toBe(1_700_000_000);
  expect(readFileSync(join(folder, 'generation'), 'utf8')).toBe('1700000000\n');
  expect(await nextGeneration(folder, 1_700_000_000_950)).toBe(1_700_000_001);
  expect(await nextGeneration(folder, 0)).toBe(1_700_000_002);
});

test('a reinstalled host, whose state is gone, does not begin anew', async () => {
  const before = await nextGeneration(folder, 1_700_000_000_000);
  rmSync(join(folder, 'generation'));
  expect(await nextGeneration(folder, 1_700_000_060_000)).toBeGreaterThan(before);
});

test('the first start on a system is remembered for as long as that system is there', async () => {
  expect(await thisStart(folder, 7_000)).toEqual({generation: 7, installation: 7});
  expect(await thisStart(folder, 9_000)).toEqual({generation: 9, installation: 7});
  rmSync(folder, {recursive: true});
  mkdirSync(folder);
  expect(await thisStart(folder, 9_000)).toEqual({generation: 9, installation: 9});
});

test.each(['', 'x\n', '-3\n', '1.5\n', '99999999999999999999\n'])(
  'a spoilt file (%j) stops the start instead of counting from one again',
  async text => {
    writeFileSync(join(folder, 'generation'), text);
    await expect(nextGeneration(folder, 0)).rejects.toMatchObject({code: 'STORE_CORRUPT'});
  },
);
