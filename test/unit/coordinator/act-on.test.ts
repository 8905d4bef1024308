import {beforeEach, describe, expect, test} from 'vitest';
import {FakeFarm} from './fake-farm.ts';

let farm: FakeFarm;

/** One round of a farm in which Mailherd does nothing of its own. */
async function act(): Promise<void> {
  const {decisions} = farm.picture.judge(farm.mover.records(), farm.mover.waiting(), farm.clock.now());
  await farm.actor.act(decisions);
}

/** Users by the reason of the plan that moves them. */
function planned(): [string, string[]][] {
  return farm.mover.enqueued.map(({because, moves}) => [because, moves.map(({user}) => user.replace('@example.org', ''))]);
}

function told(action: string): unknown[] {
  return farm.lines.filter(line => line.action === action).map(({result, detail}) => [result, (detail.refusal as {code?: string})?.code]);
}

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02', 'be03']) await farm.addHost(host);
  for (const host of ['be01', 'be02', 'be03']) await farm.addUser(`on-${host}@example.org`, host);
  const cordon = {by: 'ada', reason: 'disk', atMs: 1};
  await farm.addHost('be06', {stage: 'draining', emptying: {isLow: false, paused: null}, cordon});
  await farm.addUser('sue@example.org', 'be06');
  await farm.rounds();
});

describe('a new leader empties a host on that a person began with, until all have a place', () => {
  test('after an outage, when nobody reports yet, it is tried again; why is written down once', async () => {
    await farm.clock.advance(120_000);
    for (let round = 0; round < 8; round++) {
      await act();
      await farm.clock.advance(10_000);
    }
    expect([farm.mover.enqueued, told('go on')]).toEqual([[], [['failed', 'DOES_NOT_FIT']]]);
    await farm.rounds();
    await act();
    expect(planned()).toEqual([['LEADER_CHANGED', ['sue']]]);
    expect(told('go on').at(-1)).toEqual(['ok', undefined]);
  });

  test('who alone had no place leaves once there is one and the others are through; whose move failed is not tried again for him', async () => {
    await farm.addUser('tom@example.org', 'be06', 9e9);
    await act();
    expect(planned()).toEqual([['LEADER_CHANGED', ['sue']]]);
    farm.mover.queue = [];
    for (let round = 0; round < 4; round++) {
      await act();
      await farm.clock.advance(31_000);
    }
    expect(planned()).toHaveLength(1);
    expect(told('take along')).toEqual([['failed', 'DOES_NOT_FIT']]);
    farm.picture.applySizes('be06', [{user: 'tom@example.org', bytes: 1e6, messages: 1}]);
    await farm.rounds();
    await act();
    expect(planned().at(-1)).toMatchObject(['IN_NO_PLAN', expect.arrayContaining(['tom'])]);
  });
});

test('whom a move brought to a host that is emptied leaves once there is a place for him', async () => {
  await act();
  farm.mover.queue = [];
  await act();
  await farm.addUser('tom@example.org', 'be06', 9e9);
  await act();
  expect([planned().length, told('take along')]).toEqual([1, [['failed', 'DOES_NOT_FIT']]]);
  farm.picture.applySizes('be06', [{user: 'tom@example.org', bytes: 1e6, messages: 1}]);
  await farm.clock.advance(31_000);
  await farm.rounds();
  await act();
  expect(planned().at(-1)).toMatchObject(['IN_NO_PLAN', expect.arrayContaining(['tom'])]);
});
