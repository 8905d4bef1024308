import {beforeEach, expect, test} from 'vitest';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import {FakeFarm} from '../fake-farm.ts';

let farm: FakeFarm;

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  await farm.rounds();
});

async function refused(work: Promise<unknown>, code: string, detail: object = {}): Promise<void> {
  const before = farm.policy.writes;
  await expect(work).rejects.toMatchObject({code, detail});
  expect(farm.policy.writes).toEqual(before);
}

test('a change from an old revision is refused; pause is no matter of the policy file', async () => {
  const {revision} = farm.views.policy();
  const wish = {...DEFAULT_POLICY, place: {...DEFAULT_POLICY.place, imbalanceMax: 2}};
  await farm.operator.setPolicy('ada', {policy: wish, revision});
  await refused(farm.operator.setPolicy('ada', {policy: DEFAULT_POLICY, revision}), 'STORE_CONFLICT');
  const paused = {...wish, paused: {by: 'ada', atMs: 1, reason: ''}};
  await refused(farm.operator.setPolicy('ada', {policy: paused, revision: farm.views.policy().revision}), 'INPUT_INVALID', {
    path: '/policy/paused',
  });
  const margin = {...wish, move: {...wish.move, marginMs: wish.move.holdMs}};
  await refused(farm.operator.setPolicy('ada', {policy: margin, revision: farm.views.policy().revision}), 'INPUT_INVALID');
  const freeze = {
    name: 'freeze',
    effect: 'never',
    kinds: ['reinstall'],
    days: [1],
    from: '00:00',
    to: '23:59',
    utcOffsetMinutes: 60,
  } as const;
  const windows = [{...freeze, kinds: [...freeze.kinds], days: [...freeze.days], dates: {from: '2026-12-24', to: '2026-01-06'}}];
  await refused(farm.operator.setPolicy('ada', {policy: {...wish, windows}, revision: farm.views.policy().revision}), 'INPUT_INVALID', {
    path: '/policy/windows/0/dates',
  });
  const typo = {...wish, modes: {...wish.modes, evacute: 'on'}};
  await refused(farm.operator.setPolicy('ada', {policy: typo, revision: farm.views.policy().revision}), 'INPUT_INVALID', {
    path: '/policy/modes/evacute',
  });
  await farm.operator.pause('ada', 'lunch');
  expect(farm.views.farm().paused).toMatchObject({by: 'ada', reason: 'lunch'});
  await farm.operator.resume('ada');
  expect(farm.views.policy().policy).toEqual(wish);
});
