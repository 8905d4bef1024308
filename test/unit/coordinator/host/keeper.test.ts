import {expect, test} from 'vitest';
import {FakeFarm, retainedMove} from '../fake-farm.ts';
import {settle} from '../fakes.ts';

test('a host with more retained copies than a message of NATS can name is asked all the same, and known to be safe to wipe', async () => {
  const farm = new FakeFarm();
  await farm.setPolicy();
  await farm.addHost('be01', {stage: 'drained', reinstallTo: 'debian-12', reinstallAskedBy: 'ada'});
  await farm.addHost('be02');
  await farm.rounds();
  const ids = Array.from({length: 30_000}, (_, at) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`);
  farm.mover.moves = ids.map((id, at) => retainedMove(id, `u${at}@d.example`, 'be01', 'be02', farm.clock.now() - 30 * 86_400_000));
  const copy = (id: string, at: number): object => ({user: `u${at}@d.example`, moveId: id, kind: 'retained'});
  let others: object[] = [{user: 'eve@d.example', moveId: '00000000-0000-4000-8000-99999999999f', kind: 'retained'}];
  farm.answer = (_host, verb) => {
    const asked = farm.commands.at(-1)?.request as {retained: string[]};
    if (verb !== 'wipeCheck') return {};
    const known = new Set(asked.retained);
    return {users: 0, queued: 0, copies: [...ids.map(copy).filter((_, at) => !known.has(ids[at] ?? '')), ...others]};
  };
  await farm.keeper.look();
  await settle();
  expect(farm.commands.map(({verb}) => verb)).toEqual(['wipeCheck']);
  expect(JSON.stringify(farm.commands[0]?.request).length).toBeLessThan(500_000);
  expect(farm.picture.hosts.get('be01')?.value.stage).toBe('drained');
  others = [];
  await farm.clock.advance(20_000);
  await farm.keeper.look();
  await settle();
  expect(farm.picture.hosts.get('be01')?.value.stage).toBe('safeToWipe');
});

test('an audit line that cannot be written keeps nothing else from being done, and is told', async () => {
  const farm = new FakeFarm();
  await farm.setPolicy();
  await farm.addHost('be01');
  farm.unwritable = 'stage draining';
  const wish = {type: 'evacuated', by: 'ada', reason: 'disk', release: null, asksReinstall: false} as const;
  await expect(farm.keeper.happen('be01', wish)).rejects.toThrow('no audit line of stage draining');
  expect(farm.lines.map(({action}) => action)).toEqual(['cordon']);
  expect(farm.events.map(({type}) => type)).toEqual(['hostStaged', 'hostCordoned']);
});
