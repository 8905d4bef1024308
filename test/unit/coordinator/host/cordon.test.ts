import {describe, expect, test} from 'vitest';
import {MAILHERD} from '../../../../coordinator/host/cordon.ts';
import type {HostFacts} from '../../../../coordinator/host/facts.ts';
import {type HostEffect, live, newHost} from '../../../../coordinator/host/life.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {HostRecord} from '../../../../wire/record.ts';
import {FakeFarm} from '../fake-farm.ts';

const NOW_MS = 10_000_000;
const LONG_MS = DEFAULT_POLICY.judge.recoverDwellMs;
const OURS = {by: MAILHERD, reason: 'SHARES_SICK_COHORT', atMs: 1};
const UNCORDONED: HostEffect = {kind: 'uncordoned', by: MAILHERD};

/** What comes of a look at a host under a cordon. */
function seen(stage: HostRecord['stage'], over: Partial<HostFacts>, cordon: HostRecord['cordon'] = OURS): HostEffect[] {
  const record = {...newHost('be07', 'backend', '10.0.0.7', 'ada', 1), stage, cordon};
  const facts: HostFacts = {
    ...{report: {generation: 1, labels: {}}, verdict: 'healthy', wellSinceMs: 0, blamelessSinceMs: 0},
    ...{users: 3, moves: 0, waiting: 0, retained: [], driver: 'none'},
    ...over,
  };
  return live(record, {type: 'observed', facts}, DEFAULT_POLICY, NOW_MS).effects;
}

describe('the cordon of a host in service that is well', () => {
  test('is lifted, if it is ours, once the host has long shared nothing that makes others sick', () => {
    expect(seen('active', {blamelessSinceMs: NOW_MS - LONG_MS})).toEqual([UNCORDONED]);
    expect(seen('active', {blamelessSinceMs: NOW_MS - LONG_MS + 1})).toEqual([]);
    expect(seen('active', {blamelessSinceMs: null})).toEqual([]);
    expect(seen('active', {verdict: 'unknown', wellSinceMs: NOW_MS - LONG_MS})).toEqual([UNCORDONED]);
    expect(seen('active', {verdict: 'unknown', wellSinceMs: NOW_MS - LONG_MS + 1})).toEqual([]);
    expect(seen('active', {verdict: 'silent'})).toEqual([]);
    expect(seen('active', {}, {by: 'ada', reason: 'disk', atMs: 1})).toEqual([]);
  });

  test.each(['suspect', 'probation'] as const)('that was %s until now: is lifted at once, but for one that shares such a thing', stage => {
    expect(seen(stage, {blamelessSinceMs: NOW_MS})).toContainEqual(UNCORDONED);
    expect(seen(stage, {blamelessSinceMs: null})).toMatchObject([{kind: 'staged', to: 'active'}]);
  });
});

test('hosts of a bad release that are mended one after the other are all open in the end, and none is cordoned twice', async () => {
  const farm = new FakeFarm();
  await farm.setPolicy({...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, cordon: 'on'}});
  const newest = ['be05', 'be06', 'be07'];
  for (const host of ['be01', 'be02', 'be03', 'be04']) await farm.addHost(host, {labels: {os: 'debian-12'}});
  for (const host of newest) await farm.addHost(host, {labels: {os: 'debian-13'}});
  for (const host of farm.picture.hosts.keys()) await farm.addUser(`ada@${host}.example`, host);
  const pass = async (slow: readonly string[], times: number): Promise<void> => {
    for (let round = 0; round < times; round++) {
      await farm.rounds(slow);
      await farm.keeper.look();
      await farm.actor.act(farm.picture.outcome?.decisions ?? []);
    }
  };
  const cordoned = (): string[] => newest.filter(host => farm.picture.hosts.get(host)?.value.cordon?.by === MAILHERD);
  await pass(newest, 2);
  expect(cordoned()).toEqual(newest);
  await pass(['be06', 'be07'], 3);
  expect([cordoned(), farm.picture.hosts.get('be05')?.value.stage]).toEqual([newest, 'active']);
  await pass(['be07'], 3);
  await pass([], 12);
  expect(cordoned()).toEqual([]);
  const told = farm.events.flatMap(({type, host}) => (type === 'hostCordoned' || type === 'hostUncordoned' ? [`${host} ${type}`] : []));
  expect(told.sort()).toEqual(newest.flatMap(host => [`${host} hostCordoned`, `${host} hostUncordoned`]));
});
