import {expect, test} from 'vitest';
import {MINUTE_MS, SECOND_MS} from '../../../../base/units.ts';
import {MailRetries} from '../../../../coordinator/move/mail-retries.ts';
import type {MovePorts} from '../../../../coordinator/move/move-ports.ts';
import {FakeClock} from '../fakes.ts';

/** Hosts on which a look at the queue takes so long. */
function hosts(lookMs: number, fails = false) {
  const clock = new FakeClock();
  const looks: {host: string; users: number; atMs: number}[] = [];
  const command = async (host: string, verb: string, {users}: {users: string[]}): Promise<unknown> => {
    expect(verb).toBe('retry');
    looks.push({host, users: users.length, atMs: clock.monotonic()});
    await clock.sleep(lookMs);
    if (fails) throw new Error('no queue');
    return {requeued: 0};
  };
  const ports = {clock, command, token: () => 1} as unknown as MovePorts;
  return {clock, looks, retries: new MailRetries(ports, new AbortController().signal)};
}

test.each([false, true])('one look at a queue serves all who wait for one in that moment (it fails: %s)', async fails => {
  const {clock, looks, retries} = hosts(4 * SECOND_MS, fails);
  const users = Array.from({length: 500}, (_, index) => `u${index}@d.example`);
  for (const user of users) retries.ask('be1', user);
  retries.ask('edge1', 'u0@d.example');
  await clock.advance(SECOND_MS);
  for (const user of users) retries.ask('be1', user);
  retries.ask('be1', 'u0@d.example');
  await clock.advance(MINUTE_MS);
  const of = (host: string): number[] => looks.filter(look => look.host === host).map(look => look.users);
  expect([of('be1'), of('edge1')]).toEqual([[500, 500], [1]]);
});

test('a host whose queue is long rests between two looks', async () => {
  const {clock, looks, retries} = hosts(4 * SECOND_MS);
  for (let second = 0; second < 300; second++) {
    retries.ask('be1', `u${second}@d.example`);
    await clock.advance(SECOND_MS);
  }
  const gaps = looks.slice(1).map(({atMs}, index) => atMs - (looks[index]?.atMs ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(20 * SECOND_MS);
  expect(looks.reduce((sum, look) => sum + look.users, 0)).toBeGreaterThan(270);
});
