import {expect, test} from 'vitest';
import {Farm, fiveHosts, NEW, OLD, type ReportChange, recordOf, SICK} from '../fleet-builder.ts';

test('customers are hurt by what explains their host, else by the reason of its verdict', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const {hurt} = farm.pass(200, {be4: SICK, be5: SICK});
  expect(hurt.byCause).toEqual({'os=debian-13': 24});
  const all = fiveHosts();
  all.pass(200);
  const everybody = all.pass(100, {be1: SICK, be2: SICK, be3: SICK, be4: SICK, be5: SICK});
  expect(everybody.hurt.byCause).toEqual({EVERYTHING_SLOW: 60});
});

test('where most of the farm is bad customers are hurt by what is named for it', () => {
  const newest = Array.from({length: 17}, (_, index) => `be${index}`);
  const farm = new Farm();
  for (let index = 0; index < 20; index++) farm.add(recordOf(`be${index}`, index < 17 ? NEW : OLD), 2);
  farm.pass(200);
  const bad = Object.fromEntries(newest.map(host => [host, SICK]));
  expect(farm.pass(30, bad).hurt.byCause).toEqual({PEERS_AS_BAD: 34});
  expect(farm.pass(60, bad).hurt.byCause).toEqual({'MAJORITY_BAD os=debian-13': 34});
});

test('a silent host hurts all of its users that usually get mail or log in, until so many are silent that it may be us', () => {
  const farm = fiveHosts();
  for (let index = 0; index < 5; index++) seldom(farm, `u00${index}@be1.example`);
  farm.pass(200);
  const {hurt} = farm.pass(100, {be1: null});
  expect(hurt).toMatchObject({usersHurt: 7, byHost: {be1: 7}, byCause: {REPORTS_STALE: 7}});
  expect(farm.pass(100, {be1: null, be2: null, be3: null}).hurt.usersHurt).toBe(0);
});

test.each<[string, NonNullable<ReportChange['slis']>]>([
  ['no probe at all', {probeFailureShare: 1, probeLoginMs: null, probeDeliveryMs: null}],
  ['no login', {probeFailureShare: 0.5, probeLoginMs: null}],
])('where %s comes through nobody is served, whoever happened to be active', (_, slis) => {
  const farm = fiveHosts();
  farm.pass(200);
  expect(farm.pass(100, {be1: {slis, load: {activeUsers: 3}}}).hurt.byHost).toEqual({be1: 12});
});

test('where some are served those that are active are hurt', () => {
  const farm = fiveHosts();
  farm.pass(200);
  expect(farm.pass(100, {be1: {...SICK, load: {activeUsers: 3}}}).hurt.byHost).toEqual({be1: 3});
});

function seldom({fleet}: Farm, user: string): void {
  fleet.mailboxes.set(user, {bytes: 1, messages: 1, deliveriesPerDay: 0.1, sessionsPerDay: 0.01});
}
