import {describe, expect, test} from 'vitest';
import {MAILHERD} from '../../../../coordinator/host/cordon.ts';
import type {HostFacts} from '../../../../coordinator/host/facts.ts';
import {type HostEffect, type HostHappening, live, newHost} from '../../../../coordinator/host/life.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {HostRecord, HostStage} from '../../../../wire/record.ts';

const NOW_MS = 2 * DEFAULT_POLICY.move.retainMs;
const GONE: HostFacts = {
  ...{report: null, verdict: null, wellSinceMs: null, blamelessSinceMs: null, users: 0, moves: 0, waiting: 0, retained: [], driver: 'none'},
};
const BACK: HostFacts = {...GONE, report: {generation: 5, labels: {}}, verdict: 'unknown'};

class Host {
  record: HostRecord;

  constructor(stage: HostStage, over: Partial<HostRecord> = {}) {
    this.record = {...newHost('be07', 'backend', '10.0.0.7', 'ada', 1_000), stage, ...over};
  }

  happens(happening: HostHappening): HostEffect[] {
    const turn = live(this.record, happening, DEFAULT_POLICY, NOW_MS);
    this.record = turn.record;
    return turn.effects;
  }

  retire(over: Partial<HostFacts> = {}): HostEffect[] {
    return this.happens({type: 'retired', by: 'ada', reason: 'replaced', facts: {...GONE, ...over}});
  }
}

describe('a host that is gone for good', () => {
  test('is retired when it is empty and silent; nothing is expected of it then; uncordon takes it back', () => {
    const host = new Host('drained', {cordon: {by: 'ada', reason: 'x', atMs: 1}, reinstallTo: 'debian-12', reinstallAskedBy: MAILHERD});
    expect(host.retire()).toMatchObject([{kind: 'staged', to: 'retired', reason: 'by ada: replaced'}]);
    expect(host.record).toMatchObject({cordon: null, reinstallTo: null, reinstallAskedBy: null});
    expect(host.happens({type: 'observed', facts: {...GONE, verdict: 'silent'}})).toEqual([]);
    expect(host.retire({users: 5})).toEqual([]);
    host.happens({type: 'uncordoned', by: 'ada'});
    host.happens({type: 'observed', facts: BACK});
    host.happens({type: 'observed', facts: BACK});
    expect(host.record.stage).toBe('probation');
  });

  test.each<[Partial<HostFacts>, string]>([
    [{users: 1}, 'NOT_EMPTY'],
    [{users: null}, 'NOT_EMPTY'],
    [{moves: 1}, 'NOT_EMPTY'],
    [{waiting: 1}, 'NOT_EMPTY'],
    [{retained: [{moveId: 'move-0001', sinceMs: NOW_MS - 1}]}, 'NOT_EMPTY'],
    [{report: {generation: 4, labels: {}}, verdict: 'healthy'}, 'HOST_STATE'],
    [{report: {generation: 4, labels: {}}, verdict: null}, 'HOST_STATE'],
  ])('not with %j', (over, code) => {
    const host = new Host('drained');
    expect(() => host.retire(over)).toThrow(code);
    expect(host.record.stage).toBe('drained');
  });

  test('copies that were kept long enough, and an old report of one that is silent, do not hinder; a reinstall does', () => {
    const host = new Host('active');
    host.retire({report: {generation: 4, labels: {}}, verdict: 'silent', retained: [{moveId: 'move-0001', sinceMs: 0}]});
    expect(host.record.stage).toBe('retired');
    expect(() => new Host('reinstalling').retire()).toThrow('HOST_STATE');
  });
});
