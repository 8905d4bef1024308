import {expect, test} from 'vitest';
import {Collector} from '../../../../agent/sample/collect.io.ts';
import {MailherdError} from '../../../../base/errors.ts';

test('a value, and how long it took', async () => {
  expect(await new Collector('x', 1000, async () => 7).collect()).toMatchObject({ok: true, value: 7});
});

test('a failure becomes its reason', async () => {
  const failing = new Collector('x', 1000, async () => {
    throw new MailherdError('NATIVE_FAILED', {code: 'EACCES', op: 'open', path: '/p'});
  });
  expect(await failing.collect()).toEqual({ok: false, reason: 'NATIVE_FAILED EACCES open /p'});
});

test('one that hangs is given up, not started again, and its late value is thrown away', async () => {
  let release: (value: number) => void = () => undefined;
  let calls = 0;
  const collector = new Collector('x', 5, () => {
    calls++;
    return new Promise<number>(resolve => {
      release = resolve;
    });
  });
  expect(await collector.collect()).toEqual({ok: false, reason: 'no answer within 5 ms'});
  expect(await collector.collect()).toMatchObject({ok: false, reason: expect.stringMatching(/^hangs since/)});
  expect(calls).toBe(1);
  release(1);
  await Promise.resolve();
  await new Promise(resolve => setImmediate(resolve));
  const next = collector.collect();
  release(2);
  expect(await next).toMatchObject({ok: true, value: 2});
  expect(calls).toBe(2);
  expect(collector.figures).toMatchObject({gave: 1, failed: 0, missed: 2});
});

test('a dear one can be run in each n-th round only, and says so in the others', async () => {
  let calls = 0;
  const collector = new Collector('x', 1000, async () => ++calls);
  collector.every = 3;
  const rounds = [];
  for (let round = 0; round < 6; round++) rounds.push({...(await collector.collect()), rests: collector.rests});
  expect(rounds.map(({ok, rests}) => [ok, rests])).toEqual([false, false, true, false, false, true].map(ok => [ok, !ok]));
  expect(rounds[0]).toMatchObject({reason: expect.stringContaining('1 interval of 3')});
  collector.every = 1;
  expect(await collector.collect()).toMatchObject({ok: true, value: 3});
  expect(collector.figures).toMatchObject({gave: 3, failed: 0, missed: 0});
});
