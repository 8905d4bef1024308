import {expect, test} from 'vitest';
import {fewAtOnce} from '../../../base/few-at-once.ts';

test('none is begun after one has failed', async () => {
  const begun: number[] = [];
  const work = fewAtOnce([1, 2, 3, 4, 5, 6], 2, async item => {
    begun.push(item);
    await null;
    if (item === 2) throw new Error('no');
    await new Promise(resolve => setImmediate(resolve));
  });
  await expect(work).rejects.toThrow('no');
  await new Promise(resolve => setTimeout(resolve, 10));
  expect(begun).toEqual([1, 2]);
  expect(await fewAtOnce([], 2, async () => 1)).toEqual([]);
});
