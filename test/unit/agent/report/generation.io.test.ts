import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {nextGeneration} from '../../../../agent/report/generation.io.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-generation-'));
});
afterEach(() => rmSync(folder, {recursive: true}));

test('grows by one with each start and is on disk before it is used', async () => {
  expect(await nextGeneration(folder)).toBe(1);
  expect(readFileSync(join(folder, 'generation'), 'utf8')).toBe('1\n');
  expect(await nextGeneration(folder)).toBe(2);
});

test.each(['', 'x\n', '-3\n', '1.5\n', '99999999999999999999\n'])(
  'a spoilt file (%j) stops the start instead of counting from one again',
  async text => {
    writeFileSync(join(folder, 'generation'), text);
    await expect(nextGeneration(folder)).rejects.toMatchObject({code: 'STORE_CORRUPT'});
  },
);
