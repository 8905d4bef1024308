import {beforeEach, describe, expect, test} from 'vitest';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import type {Decision, PlannedMove} from '../../../wire/record.ts';
import {FakeFarm} from './fake-farm.ts';

let farm: FakeFarm;

function evacuate(host: string): Decision {
  return {kind: 'evacuate', host, atMs: 0, because: 'SICK_ALONE', evidence: [], vetoes: [], mode: 'on'};
}

function hostsOf(): unknown[] {
  return ['be02', 'be03'].map(host => {
    const {stage, kept, cordon} = farm.picture.hosts.get(host)?.value ?? {};
    return [stage, kept?.by, cordon?.by];
  });
}

const sources = (): string[] => farm.mover.queue.map(({planned}) => planned.source);

function failures(): unknown[] {
  return farm.lines.filter(({result}) => result === 'failed').map(({action, detail}) => [action, (detail.refusal as {code: string}).code]);
}

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02', 'be03']) await farm.addHost(host);
  for (const host of ['be01', 'be02', 'be03']) await farm.addUser(`on-${host}@example.org`, host);
  await farm.rounds();
  await farm.setPolicy({...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, cordon: 'on', evacuate: 'on'}});
  for (const host of ['be02', 'be03']) await farm.keeper.happen(host, {type: 'cordoned', by: 'mailherd', reason: 'SICK_ALONE'});
});

describe('the word of a person while Mailherd makes the plan of an evacuation', () => {
  test('a host that is kept is left as it is, with what waits to leave it; the other is emptied', async () => {
    const planned: PlannedMove = {user: 'on-be02@example.org', source: 'be02', target: 'be01', bytes: 1, why: 'asked by ada'};
    farm.mover.queue = [{planned, planId: 'plan-0009', because: 'QUEUED'}];
    farm.meanwhile = async () => void (await farm.operator.uncordon('ada', 'be02'));
    await farm.actor.act([evacuate('be02'), evacuate('be03')]);
    expect(hostsOf()).toEqual([
      ['active', 'ada', undefined],
      ['draining', undefined, 'mailherd'],
    ]);
    expect(farm.mover.queue.map(({planned: {source}, planId}) => [source, planId === 'plan-0009'])).toEqual([
      ['be03', false],
      ['be02', true],
    ]);
    expect(failures()).toEqual([['evacuate', 'PLAN_STALE']]);
  });

  test('nor is it cordoned by a decision from before', async () => {
    await farm.operator.uncordon('ada', 'be02');
    await farm.actor.act([{...evacuate('be02'), kind: 'cordon'}]);
    expect(hostsOf()[0]).toEqual(['active', 'ada', undefined]);
  });

  test('a pause leaves all hosts as they were', async () => {
    farm.meanwhile = async () => void (await farm.operator.pause('ada', 'lunch'));
    await farm.actor.act([evacuate('be02'), evacuate('be03')]);
    expect(hostsOf()).toEqual([
      ['active', undefined, 'mailherd'],
      ['active', undefined, 'mailherd'],
    ]);
    expect([sources(), failures()]).toEqual([[], [['evacuate', 'PAUSED']]]);
  });

  test('an evacuation of her own that she ends while Mailherd plans what is left of it has ended', async () => {
    const {keeper} = farm;
    await keeper.happen('be01', {type: 'uncordoned', by: 'ada'});
    await keeper.happen('be02', {type: 'uncordoned', by: 'ada'});
    await keeper.happen('be02', {type: 'evacuated', by: 'ada', reason: 'disk', release: null, asksReinstall: false});
    await farm.actor.act([]);
    farm.mover.queue = [];
    farm.meanwhile = async () => void (await farm.operator.cancelEvacuation('ada', 'be02'));
    await farm.actor.act([{...evacuate('be02'), because: 'STILL_HOLDS_MAILBOXES'}]);
    expect(hostsOf()[0]).toEqual(['active', undefined, undefined]);
    expect(sources()).toEqual([]);
  });
});

test('at her own word a host that she kept is emptied all the same', async () => {
  await farm.operator.uncordon('ada', 'be02');
  await farm.operator.evacuate('bob', 'be02', {});
  expect(hostsOf()[0]).toEqual(['draining', undefined, 'bob']);
});
