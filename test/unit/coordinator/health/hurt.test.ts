import {expect, test} from 'vitest';
import {fiveHosts, SICK} from '../fleet-builder.ts';

test('customers are hurt by what explains their host, else by the reason of its verdict', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const {hurt} = farm.pass(200, {be4: SICK, be5: SICK});
  expect(hurt.byCause).toEqual({'os=debian-13': 24});
  const all = fiveHosts();
  all.pass(200);
  const everybody = all.pass(100, {be1: SICK, be2: SICK, be3: SICK, be4: SICK, be5: SICK});
  expect(everybody.hurt.byCause).toEqual({PEERS_AS_BAD: 60});
});
