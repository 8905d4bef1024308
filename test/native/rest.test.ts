import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, expect, test} from 'vitest';
import {HostSource} from '../../agent/sample/host.io.ts';

const spool = mkdtempSync(join(tmpdir(), 'mailherd-rest-'));
afterEach(() => rmSync(spool, {recursive: true}));

test('a walk that rests is told as it was last, and no message counts twice for its domain', async () => {
  for (const queue of ['maildrop', 'incoming', 'active', 'deferred', 'hold']) mkdirSync(join(spool, queue));
  const host = new HostSource({store: '/', spool, intervalMs: 10_000});
  const queue = host.collectors.find(({name}) => name === 'queue');
  if (queue === undefined) throw new Error('no walk');
  queue.every = 2;
  // Nothing is known yet: there is nothing to tell.
  const first = await host.sample();
  expect([first.queue, first.failing.queue]).toEqual([null, expect.stringContaining('CPU budget')]);
  expect((await host.sample()).queue).toMatchObject({deferred: 0});
  writeFileSync(join(spool, 'deferred', '4Qz2Nm5LTgzDZk8'), '', {mode: 0o700});
  const rested = await host.sample();
  expect(rested.queue).toMatchObject({deferred: 0, samples: []});
  expect(rested.failing.queue).toBeUndefined();
  expect((await host.sample()).queue).toMatchObject({deferred: 1});
});
