import {beforeEach, describe, expect, test} from 'vitest';
import {FakeFarm, retainedMove} from '../fake-farm.ts';

let farm: FakeFarm;

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02']) await farm.addHost(host);
  await farm.rounds();
  await farm.addHost('be07');
});

describe('two people at once: a host that one retires', () => {
  test('gets no new user of the other, while hosts are asked for copies of his name', async () => {
    const user = 'zoe@example.org';
    farm.mover.moves = [retainedMove('m-1', user, 'be01', 'be02', farm.clock.now())];
    farm.answer = async () => {
      await farm.operator.retire('bob', 'be07', 'replaced');
      return {users: 0, queued: 0, copies: []};
    };
    await expect(farm.operator.addUser('ada', {user, host: 'be07'})).rejects.toMatchObject({
      code: 'HOST_STATE',
      detail: {host: 'be07', stage: 'retired'},
    });
    expect(farm.routes.rows.size).toBe(0);
  });

  test('stays while one came whom nobody knew of when it was asked for', async () => {
    const cordoned = farm.keeper.happen('be07', {type: 'cordoned', by: 'eve', reason: 'memory'});
    const update = farm.hosts.update.bind(farm.hosts);
    farm.hosts.update = async (...entry) => {
      farm.hosts.update = update;
      await farm.addUser('zoe@example.org', 'be07');
      return update(...entry);
    };
    await expect(farm.operator.retire('bob', 'be07', 'replaced')).rejects.toMatchObject({code: 'NOT_EMPTY', detail: {users: 1}});
    await cordoned;
    expect(farm.picture.hosts.get('be07')?.value.stage).toBe('active');
  });
});
