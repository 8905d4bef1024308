import {beforeEach, describe, expect, test} from 'vitest';
import {MailherdError} from '../../../base/errors.ts';
import type {WaitingMove} from '../../../coordinator/move/mover.ts';
import {DEFAULT_POLICY, type Policy} from '../../../wire/policy.ts';
import type {Decision} from '../../../wire/record.ts';
import {FakeFarm, retainedMove} from './fake-farm.ts';

const ON: Policy['modes'] = {cordon: 'on', evacuate: 'on', reinstall: 'on', rebalance: 'on', purge: 'on'};
let farm: FakeFarm;

async function act(modes: Policy['modes'] = ON): Promise<void> {
  await farm.setPolicy({...DEFAULT_POLICY, modes});
  const outcome = farm.picture.judge(farm.mover.records(), farm.mover.waiting(), farm.clock.now());
  await farm.actor.act(outcome.decisions);
}

function stages(): Record<string, string> {
  return Object.fromEntries([...farm.picture.hosts.values()].map(({value}) => [value.host, value.stage]));
}

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02', 'be03']) await farm.addHost(host, {labels: {os: 'debian-12'}});
  for (const host of ['be04', 'be05']) await farm.addHost(host, {labels: {os: 'debian-13'}});
  for (const [index, host] of ['be01', 'be02', 'be03', 'be04', 'be05'].entries()) {
    await farm.addUser(`a${index}@example.org`, host);
    await farm.addUser(`b${index}@example.org`, host);
  }
});

describe('a leader who finds hosts that are being emptied', () => {
  const emptying = {isLow: false, paused: null};

  test('empties them on by a plan of its own, once, whatever the modes are', async () => {
    await farm.addHost('be06', {stage: 'draining', emptying, cordon: {by: 'ada', reason: 'disk', atMs: 1}});
    await farm.addUser('a6@example.org', 'be06');
    await farm.rounds();
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued.map(({kind, because, moves}) => [kind, because, moves.map(({user, isLow}) => [user, isLow])])).toEqual([
      ['evacuate', 'LEADER_CHANGED', [['a6@example.org', undefined]]],
    ]);
    farm.mover.queue = [];
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued).toHaveLength(1);
  });

  test('who arrives there later, by a move that was under way, leaves by a plan of his own; who could not leave waits for a person', async () => {
    await farm.addHost('be06', {stage: 'draining', emptying, cordon: {by: 'ada', reason: 'disk', atMs: 1}});
    await farm.addUser('a6@example.org', 'be06');
    await farm.rounds();
    await act(DEFAULT_POLICY.modes);
    await farm.addUser('late@example.org', 'be06');
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued).toHaveLength(1);
    farm.mover.queue = [];
    await act(DEFAULT_POLICY.modes);
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued.map(({because}) => because)).toEqual(['LEADER_CHANGED', 'IN_NO_PLAN']);
    expect(farm.mover.enqueued[1]?.moves.map(({user}) => user)).toContain('late@example.org');
    farm.mover.queue = [];
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued).toHaveLength(2);
  });

  test('not one that a person keeps while the plan is made', async () => {
    await farm.addHost('be06', {stage: 'draining', emptying, cordon: {by: 'ada', reason: 'disk', atMs: 1}});
    await farm.addUser('a6@example.org', 'be06');
    await farm.rounds();
    farm.meanwhile = async () => void (await farm.operator.cancelEvacuation('ada', 'be06'));
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued).toEqual([]);
    expect(farm.plans.rows.size).toBe(0);
    expect(farm.lines.find(({action}) => action === 'go on')).toMatchObject({detail: {refusal: {code: 'PLAN_STALE'}}});
  });

  test('nor one that a person keeps while the plan is stored', async () => {
    await farm.addHost('be06', {stage: 'draining', emptying, cordon: {by: 'ada', reason: 'disk', atMs: 1}});
    await farm.addUser('a6@example.org', 'be06');
    await farm.rounds();
    const create = farm.plans.create.bind(farm.plans);
    farm.plans.create = async (...entry) => {
      farm.plans.create = create;
      await farm.operator.cancelEvacuation('ada', 'be06');
      return create(...entry);
    };
    await act(DEFAULT_POLICY.modes);
    expect([farm.plans.rows.size > 0, farm.mover.queue]).toEqual([true, []]);
  });

  test('not while they are paused; then as gently as before', async () => {
    const paused = {by: 'ada', reason: 'switch', atMs: 1};
    await farm.addHost('be06', {stage: 'draining', emptying: {isLow: true, paused}, cordon: {by: 'ada', reason: 'disk', atMs: 1}});
    await farm.addUser('a6@example.org', 'be06');
    await farm.rounds();
    await act();
    await act();
    expect(farm.mover.enqueued).toEqual([]);
    const told = farm.picture.outcome?.decisions.find(({kind, host}) => kind === 'evacuate' && host === 'be06');
    expect(told?.vetoes).toMatchObject([{code: 'EVACUATION_PAUSED', detail: {by: 'ada'}}]);
    await farm.operator.resumeEvacuation('ada', 'be06');
    await act(DEFAULT_POLICY.modes);
    expect(farm.mover.enqueued.map(({moves}) => moves.map(({isLow}) => isLow))).toEqual([[true]]);
  });
});

describe('a bad release', () => {
  beforeEach(() => farm.rounds(['be04', 'be05']));

  test('on: both hosts cordoned, one plan for both, the release of the healthy ones remembered', async () => {
    await act();
    expect(stages()).toMatchObject({be01: 'active', be04: 'draining', be05: 'draining'});
    expect(farm.mover.enqueued.map(({kind, moves}) => [kind, moves.map(({source}) => source).sort()])).toEqual([
      ['evacuate', ['be04', 'be04', 'be05', 'be05']],
    ]);
    for (const {target} of farm.mover.enqueued[0]?.moves ?? []) expect(['be01', 'be02', 'be03']).toContain(target);
    expect(farm.picture.hosts.get('be04')?.value).toMatchObject({
      cordon: {by: 'mailherd'},
      reinstallTo: 'debian-12',
      reinstallAskedBy: 'mailherd',
    });
    await act();
    expect(farm.mover.enqueued.length).toBe(1);
  });

  test.each(['approve', 'dry-run'] as const)('%s: decided and told once, not carried out', async mode => {
    await act({...ON, evacuate: mode, cordon: mode});
    await act({...ON, evacuate: mode, cordon: mode});
    expect(farm.mover.enqueued).toEqual([]);
    expect(Object.values(stages()).every(stage => stage === 'active')).toBe(true);
    const told = farm.events.filter(({type}) => type === 'decided').map(({data}) => (data as {decision: Decision}).decision);
    expect(told.filter(({kind}) => kind === 'evacuate').map(({host, mode: how}) => [host, how])).toEqual([
      ['be04', mode],
      ['be05', mode],
    ]);
    const line = farm.lines.find(({action, subject}) => action === 'evacuate' && subject === 'be04');
    expect(line).toMatchObject({by: 'mailherd', result: 'decided', detail: {evidence: [{sli: 'deliveryMsP95'}]}});
  });

  test('what a person approves is carried out, the rest of it stays a proposal', async () => {
    const modes = {...ON, evacuate: 'approve', reinstall: 'approve'} as const;
    await act(modes);
    expect(await farm.operator.approve('ada', {kind: 'evacuate', host: 'be04'})).toMatchObject({kind: 'evacuate', host: 'be04'});
    const {decisions} = farm.picture.judge(farm.mover.records(), farm.mover.waiting(), farm.clock.now());
    await farm.actor.act(farm.approvals.apply(decisions));
    expect(stages()).toMatchObject({be04: 'draining', be05: 'active'});
    expect(farm.mover.enqueued.flatMap(({moves}) => moves.map(({source}) => source))).toEqual(['be04', 'be04']);
    expect(farm.picture.hosts.get('be04')?.value).toMatchObject({reinstallTo: 'debian-12', reinstallAskedBy: null});
    await expect(farm.operator.approve('ada', {kind: 'drain', host: 'be04'})).rejects.toMatchObject({code: 'DECISION_UNKNOWN'});
  });

  test('of two a person keeps one while they are begun with: the other is emptied', async () => {
    const happen = farm.keeper.happen.bind(farm.keeper);
    farm.keeper.happen = async (host, happening) => {
      const record = await happen(host, happening);
      if (host === 'be05' && record.stage === 'draining') {
        farm.keeper.happen = happen;
        await farm.operator.cancelEvacuation('ada', 'be04');
      }
      return record;
    };
    await act();
    expect(stages()).toMatchObject({be04: 'active', be05: 'draining'});
    expect(farm.mover.enqueued.map(({moves}) => moves.map(({source}) => source))).toEqual([['be05', 'be05']]);
  });

  test('a plan that cannot be stored leaves the hosts as they were, and what waits to leave them waits on', async () => {
    const planned = {user: 'a3@example.org', source: 'be04', target: 'be01', bytes: 1, why: 'asked by ada'};
    farm.mover.queue = [{planned, planId: 'plan-0009', because: 'QUEUED'}];
    const create = farm.plans.create.bind(farm.plans);
    farm.plans.create = async () => {
      farm.plans.create = create;
      throw new MailherdError('NATS_DOWN', {});
    };
    await act();
    expect([stages(), farm.mover.queue]).toMatchObject([{be04: 'active', be05: 'active'}, [{planned, planId: 'plan-0009'}]]);
    expect(farm.lines.find(({action, result}) => action === 'evacuate' && result === 'failed')).toMatchObject({
      detail: {refusal: {code: 'NATS_DOWN'}},
    });
    await farm.clock.advance(31_000);
    await act();
    expect(stages()).toMatchObject({be04: 'draining', be05: 'draining'});
    expect(farm.mover.queue.map(({planned: {user, source}}) => [user, source]).sort()).toEqual([
      ['a3@example.org', 'be04'],
      ['a4@example.org', 'be05'],
      ['b3@example.org', 'be04'],
      ['b4@example.org', 'be05'],
    ]);
    expect(farm.mover.queue.map(({planId}) => planId)).not.toContain('plan-0009');
  });

  test('reinstall on approval only: the release is known, nobody has asked', async () => {
    await act({...ON, reinstall: 'approve'});
    expect(farm.picture.hosts.get('be04')?.value).toMatchObject({stage: 'draining', reinstallTo: 'debian-12', reinstallAskedBy: null});
  });

  test('paused: nothing', async () => {
    await farm.setPolicy({...DEFAULT_POLICY, modes: ON, paused: {by: 'ada', atMs: 1, reason: 'lunch'}});
    const {decisions} = farm.picture.judge([], [], farm.clock.now());
    await farm.actor.act(decisions);
    expect(decisions.find(({kind}) => kind === 'evacuate')?.vetoes).toMatchObject([{code: 'PAUSED'}]);
    expect([farm.mover.enqueued, farm.hosts.writes]).toEqual([[], 5]);
  });

  test('a store that is away: written down as failed, rested, and carried out later', async () => {
    farm.plans.fault = 'away';
    await act();
    expect(stages().be04).toBe('active');
    expect(farm.lines.filter(({action, result}) => action === 'evacuate' && result === 'failed')).toMatchObject([
      {detail: {refusal: {code: 'NATS_DOWN'}}},
    ]);
    farm.plans.fault = 'none';
    await act();
    expect(farm.mover.enqueued).toEqual([]);
    await farm.clock.advance(31_000);
    await act();
    expect(farm.mover.enqueued.length).toBe(1);
  });
});

describe('rebalance and purge', () => {
  beforeEach(() => farm.rounds());

  test('an empty host is filled', async () => {
    await farm.addHost('be06', {labels: {os: 'debian-12'}});
    await farm.rounds();
    await act();
    expect(farm.mover.enqueued).toMatchObject([{kind: 'rebalance'}]);
    expect(new Set(farm.mover.enqueued[0]?.moves.map(({target}) => target))).toEqual(new Set(['be06']));
  });

  test('copies kept long enough are purged, by id; young ones and those of hosts that are wiped instead are not', async () => {
    const nowMs = farm.clock.now();
    const oldMs = nowMs - DEFAULT_POLICY.move.retainMs;
    farm.mover.moves = [
      retainedMove('move-0001', 'a0@example.org', 'be02', 'be01', oldMs),
      retainedMove('move-0002', 'b0@example.org', 'be02', 'be01', oldMs + 60_000),
      retainedMove('move-0003', 'a1@example.org', 'be05', 'be02', oldMs),
      {
        ...retainedMove('move-0004', 'b1@example.org', 'be03', 'be02', oldMs),
        updatedAtMs: nowMs - 1_000,
        refusal: {code: 'HOST_SILENT', detail: {}},
      },
      retainedMove('move-0005', 'a2@example.org', 'be77', 'be03', oldMs),
    ];
    await farm.keeper.happen('be05', {type: 'evacuated', by: 'mailherd', reason: 'r', release: 'debian-12', asksReinstall: true});
    await act({...ON, purge: 'approve'});
    expect(farm.mover.purged).toEqual([]);
    await act();
    expect(farm.mover.purged).toEqual(['move-0001']);
  });

  test('a purge that fails rests', async () => {
    farm.mover.moves = [retainedMove('move-0001', 'a0@example.org', 'be02', 'be01', farm.clock.now() - DEFAULT_POLICY.move.retainMs)];
    farm.mover.failure = new MailherdError('MOVE_STATE', {});
    await act();
    await act();
    expect(farm.lines.filter(({action}) => action === 'purge')).toMatchObject([{subject: 'move-0001', result: 'failed'}]);
  });
});

describe('targets that are lost', () => {
  const targets = (): string[] => farm.mover.queue.map(({planned}) => planned.target).sort();

  beforeEach(async () => {
    await farm.rounds();
    await farm.setPolicy({...DEFAULT_POLICY, modes: {...ON, evacuate: 'approve'}});
    await farm.operator.evacuate('ada', 'be04', {});
    const [first] = farm.mover.queue;
    if (first === undefined) throw new Error('nothing was queued');
    farm.mover.queue = [{...first, planned: {...first.planned, target: 'be01'}}];
  });

  test('what waits for one is planned anew, whatever the modes say', async () => {
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    await farm.actor.act([]);
    expect(targets()).toHaveLength(2);
    expect(targets()).not.toContain('be01');
    expect(farm.mover.enqueued.at(-1)).toMatchObject({kind: 'evacuate', because: 'TARGET_LOST'});
    await farm.actor.act([]);
    expect(farm.mover.enqueued).toHaveLength(2);
  });

  test('but not who waits to go back, by the word of a person, to a host that is cordoned', async () => {
    const [waiting] = farm.mover.queue as [WaitingMove];
    const {choice: _, ...named} = waiting.planned;
    farm.mover.queue = [{...waiting, planned: named}];
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    await farm.actor.act([]);
    expect([targets(), farm.mover.enqueued.length]).toEqual([['be01'], 1]);
    farm.mover.queue = [waiting];
    await farm.actor.act([]);
    expect(targets()).not.toContain('be01');
  });

  test('what runs to one may be queued again', async () => {
    const running = farm.mover.queue.map(({planned}) => planned);
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    await farm.actor.act([]);
    expect(farm.mover.enqueued).toHaveLength(2);
    expect(running.filter(planned => farm.mover.unwanted.some(isUnwanted => isUnwanted(planned)))).toEqual([]);
  });

  test('what waits for one waits on when no plan can be made, and is planned anew later', async () => {
    const before = farm.mover.queue.map(({planId, planned}) => [planId, planned]);
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    farm.plans.fault = 'away';
    await farm.actor.act([]);
    expect(farm.mover.queue.map(({planId, planned}) => [planId, planned])).toEqual(before);
    farm.plans.fault = 'none';
    await farm.clock.advance(31_000);
    await farm.actor.act([]);
    expect(targets()).toHaveLength(2);
    expect(targets()).not.toContain('be01');
  });

  test('whoever of them has no place elsewhere waits on, the others are planned anew', async () => {
    const [{planned}] = farm.mover.queue as [WaitingMove];
    farm.picture.applySizes('be04', [{user: planned.user, bytes: 9e9, messages: 1}]);
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    await farm.actor.act([]);
    expect(farm.mover.queue.filter(({planned: {target}}) => target === 'be01').map(waiting => waiting.planned)).toEqual([planned]);
    expect(farm.mover.queue).toHaveLength(2);
    expect(farm.lines.find(({action}) => action === 'aim anew')).toMatchObject({detail: {refusal: {code: 'DOES_NOT_FIT'}}});
  });

  test('but not where a person keeps its host meanwhile', async () => {
    await farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: 'memory'});
    farm.meanwhile = async () => void (await farm.operator.cancelEvacuation('ada', 'be04'));
    await farm.actor.act([]);
    expect(farm.mover.queue).toEqual([]);
  });

  test('of a target that is emptied too and then kept: what waits for it is not dropped', async () => {
    await farm.keeper.happen('be01', {type: 'evacuated', by: 'ada', reason: 'memory', release: null, asksReinstall: false});
    await farm.operator.cancelEvacuation('ada', 'be01');
    expect(targets()).toEqual(['be01']);
  });

  test('while no other host takes any they wait on', async () => {
    for (const host of ['be01', 'be02', 'be03', 'be05']) await farm.keeper.happen(host, {type: 'cordoned', by: 'ada', reason: 'network'});
    await farm.actor.act([]);
    expect(targets()).toEqual(['be01']);
  });

  test('of a host that is emptied too: what waits for a target that is drained is not dropped, and planned anew', async () => {
    const drain: Decision = {kind: 'drain', host: 'be01', atMs: 1, because: 'KERNEL_ONLY', evidence: [], vetoes: [], mode: 'on'};
    const [waiting] = farm.mover.queue;
    await farm.actor.act([drain]);
    await farm.actor.act([]);
    const again = farm.mover.queue.filter(({planned}) => planned.user === waiting?.planned.user);
    expect(again.map(({planned}) => [planned.source, planned.target === 'be01'])).toEqual([['be04', false]]);
  });

  test('a host that is well is left alone', async () => {
    await farm.actor.act([]);
    expect(targets()).toEqual(['be01']);
  });
});

test('a drain empties the host with moves that can wait, and asks for no reinstall', async () => {
  await farm.rounds();
  await farm.setPolicy({...DEFAULT_POLICY, modes: ON});
  const drain: Decision = {kind: 'drain', host: 'be04', atMs: 1, because: 'KERNEL_ONLY', evidence: [], vetoes: [], mode: 'on'};
  await farm.actor.act([drain]);
  expect(stages().be04).toBe('draining');
  expect(farm.picture.hosts.get('be04')?.value.reinstallAskedBy).toBeNull();
  expect(farm.mover.enqueued.map(({kind, moves}) => [kind, moves.map(({source, isLow}) => [source, isLow])])).toEqual([
    [
      'evacuate',
      [
        ['be04', true],
        ['be04', true],
      ],
    ],
  ]);
});

test('whose audit line cannot be written is called for all the same, and so is whoever comes after him', async () => {
  const history = [{stage: 'failed' as const, atMs: 0, reason: 'REINSTALL_OVERDUE'}];
  for (const host of ['be06', 'be07']) await farm.addHost(host, {stage: 'failed', history});
  farm.unwritable = 'page';
  await expect(act()).rejects.toThrow('no audit line of page');
  const told = farm.events.filter(({type}) => type === 'decided').map(({host}) => host);
  expect(told).toEqual(expect.arrayContaining(['be06', 'be07']));
  farm.unwritable = '';
  await act();
  expect(farm.events.filter(({type, host}) => type === 'decided' && host === 'be06')).toHaveLength(1);
});
