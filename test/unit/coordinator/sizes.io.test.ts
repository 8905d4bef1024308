import {expect, test} from 'vitest';
import type {Commander} from '../../../coordinator/command.io.ts';
import {Sizes} from '../../../coordinator/sizes.io.ts';
import {FakeFarm} from './fake-farm.ts';
import {silentLog} from './fakes.ts';

async function farmOf(answer: (after: string) => object): Promise<{farm: FakeFarm; sizes: Sizes; asked: string[]}> {
  const [farm, asked] = [new FakeFarm(), [] as string[]];
  const command = (async (_host: string, _verb: string, {after}: {after: string}) => {
    asked.push(after);
    return answer(after);
  }) as unknown as Commander;
  const {picture, clock} = farm;
  const sizes = new Sizes({picture, command, token: 7, clock, log: silentLog, signal: farm.end.signal, everyMs: 60_000});
  await farm.addHost('be1');
  await farm.addHost('be2');
  for (const user of ['a@x', 'b@x']) await farm.addUser(user, 'be1');
  return {farm, sizes, asked};
}
const row = (user: string, deliveriesPerDay: number | null) => ({user, bytes: 5, messages: 1, deliveriesPerDay, sessionsPerDay: 2});

test('a host is asked page by page, and an agent that knows no pages tells all at once', async () => {
  const paged = await farmOf(after => ({mailboxes: [row(after === '' ? 'a@x' : 'b@x', 9)], next: after === '' ? 'a@x' : null}));
  await paged.sizes.refresh(['be1']);
  expect(paged.asked).toEqual(['', 'a@x']);
  expect([...paged.farm.picture.fleet.mailboxes.values()].map(({bytes}) => bytes)).toEqual([5, 5]);
  const whole = await farmOf(() => ({mailboxes: [row('a@x', 9), row('b@x', 9)]}));
  await whole.sizes.refresh(['be1']);
  expect(whole.asked).toEqual(['']);
});

test('a mailbox that has moved keeps its load until its new host knows it', async () => {
  let told: number | null = 9;
  const {farm, sizes} = await farmOf(() => ({mailboxes: [row('a@x', told)]}));
  await sizes.refresh(['be1']);
  const {picture, clock} = farm;
  picture.applyRoute({
    value: {v: 1, user: 'a@x', host: 'be2', generation: 2, move: null, hold: null, flip: null},
    storedAtMs: clock.now(),
  });
  told = null;
  await sizes.refresh(['be2']);
  expect(picture.fleet.mailboxes.get('a@x')).toMatchObject({deliveriesPerDay: 9, sessionsPerDay: 2});
  told = 4;
  await clock.advance(60_000);
  await sizes.refresh(['be2']);
  expect(picture.fleet.mailboxes.get('a@x')).toMatchObject({deliveriesPerDay: 4});
});
