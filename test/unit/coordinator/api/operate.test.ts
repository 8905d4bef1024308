import {beforeEach, describe, expect, test} from 'vitest';
import {MailherdError} from '../../../../base/errors.ts';
import {CURRENT_PLAN_KEY} from '../../../../coordinator/keys.ts';
import type {MoveRecord} from '../../../../wire/record.ts';
import {FakeFarm, retainedMove} from '../fake-farm.ts';

let farm: FakeFarm;

beforeEach(async () => {
  farm = new FakeFarm();
  await farm.setPolicy();
  for (const host of ['be01', 'be02', 'be03']) await farm.addHost(host, {labels: {os: 'debian-12'}});
  for (const [user, host] of [
    ['ada', 'be01'],
    ['bob', 'be01'],
    ['eve', 'be02'],
  ] as const)
    await farm.addUser(`${user}@example.org`, host);
  await farm.rounds();
});

/** Everything that a change would change. */
function world(): unknown {
  const {hosts, routes, plans, policy, mover} = farm;
  return structuredClone([
    hosts.writes,
    routes.writes,
    plans.writes,
    policy.writes,
    mover.enqueued,
    mover.queue,
    [...farm.picture.hosts.values()],
  ]);
}

async function refused(work: Promise<unknown>, code: string, detail: object = {}): Promise<void> {
  const before = world();
  await expect(work).rejects.toMatchObject({code, detail});
  expect(world()).toEqual(before);
}

describe('a plan that takes its time', () => {
  test('is made anew when another has been carried out meanwhile, and then nothing has begun', async () => {
    let others = 0;
    const other = async (): Promise<void> => {
      farm.meanwhile = async () => undefined;
      await farm.operator.move('bob', {user: 'eve@example.org', target: 'be03'});
      others++;
    };
    farm.meanwhile = other;
    const {plan} = await farm.operator.evacuate('ada', 'be02', {});
    expect([others, plan.moves]).toEqual([1, []]);
    expect(farm.mover.enqueued.map(({moves}) => moves.map(({user}) => user))).toEqual([['eve@example.org'], []]);
  });

  /** Somebody else moves these, one by one, whenever a plan is made. */
  const moveMeanwhile = (users: string[], then: () => void = () => undefined): void => {
    const other = async (): Promise<void> => {
      farm.meanwhile = async () => undefined;
      await farm.operator.move('bob', {user: `${users.shift()}@example.org`, target: 'be03'});
      if (users.length === 0) then();
      else farm.meanwhile = other;
    };
    farm.meanwhile = other;
  };

  test('is carried out at last without whom others moved, when that happens again and again', async () => {
    for (const user of ['joe', 'kim']) await farm.addUser(`${user}@example.org`, 'be01');
    moveMeanwhile(['ada', 'eve', 'joe']);
    const {plan} = await farm.operator.evacuate('ada', 'be01', {});
    expect(plan.moves.map(({user}) => user).sort()).toEqual(['bob@example.org', 'kim@example.org']);
    expect(farm.plans.rows.get(CURRENT_PLAN_KEY)?.value).toMatchObject({current: plan.id, generation: 4});
    expect(farm.plans.rows.get(plan.id)?.value).toMatchObject({id: plan.id, generation: 4});
  });

  test('is given up where the rest breaks a rule by then, or a person named who was moved: no host has changed', async () => {
    await farm.addUser('joe@example.org', 'be01');
    const [be02, be03] = ['be02', 'be03'].map(host => farm.picture.hosts.get(host));
    if (be02 === undefined || be03 === undefined) throw new Error('they are there');
    moveMeanwhile(['eve', 'ada', 'bob'], () => {
      for (const entry of [be02, be03]) farm.picture.applyHost({...entry, value: {...entry.value, stage: 'failed'}});
    });
    await expect(farm.operator.evacuate('ada', 'be01', {})).rejects.toMatchObject({code: 'PLAN_STALE', detail: {tries: 3}});
    expect(farm.picture.hosts.get('be01')?.value.stage).toBe('active');
    for (const entry of [be02, be03]) farm.picture.applyHost(entry);
    for (const user of ['kim', 'lea', 'max']) await farm.addUser(`${user}@example.org`, 'be01');
    moveMeanwhile(['kim', 'lea', 'joe']);
    await expect(farm.operator.move('ada', {user: 'joe@example.org', target: 'be02'})).rejects.toMatchObject({code: 'PLAN_STALE'});
  });
});

describe('a new user', () => {
  const copies = (...users: string[]) => ({users: 0, queued: 0, copies: users.map(user => ({user, moveId: 'm-1', kind: 'retained'}))});

  test('comes to no host where a move has left a copy of somebody of his name: it would become his mailbox', async () => {
    const user = 'zoe@example.org';
    farm.mover.moves = [retainedMove('m-1', user, 'be01', 'be02', farm.clock.now())];
    farm.answer = () => copies(user);
    await refused(farm.operator.addUser('ada', {user, host: 'be01'}), 'COPY_RETAINED', {user, host: 'be01', moveId: 'm-1'});
    farm.answer = () => {
      throw new MailherdError('HOST_SILENT', {});
    };
    await refused(farm.operator.addUser('ada', {user, host: 'be01'}), 'COPY_RETAINED');
    // What the records say is old where the host has no such copy.
    farm.answer = () => copies('ada@example.org');
    expect(await farm.operator.addUser('ada', {user, host: 'be01'})).toMatchObject({host: 'be01'});
  });

  test('nor anywhere while some host retains such a copy: its late mail would come to him; a retired host does not count', async () => {
    const user = 'zoe@example.org';
    farm.mover.moves = [retainedMove('m-1', user, 'be01', 'be02', farm.clock.now())];
    farm.answer = host => copies(...(host === 'be01' ? [user] : []));
    await refused(farm.operator.addUser('ada', {user, host: 'be03'}), 'COPY_RETAINED', {user, host: 'be01', moveId: 'm-1'});
    await farm.addHost('be09', {stage: 'retired'});
    farm.mover.moves = [retainedMove('m-1', user, 'be09', 'be02', farm.clock.now())];
    farm.answer = () => {
      throw new MailherdError('HOST_SILENT', {});
    };
    expect(await farm.operator.addUser('ada', {user, host: 'be03'})).toMatchObject({host: 'be03'});
  });

  test('nor while a move of somebody of his name has not ended, or where one could not remove what it left', async () => {
    const user = 'zoe@example.org';
    const left = retainedMove('m-1', user, 'be01', 'be02', farm.clock.now());
    farm.mover.moves = [{...left, step: 'backingOut'}];
    await refused(farm.operator.addUser('ada', {user, host: 'be03'}), 'MOVE_IN_PROGRESS', {moveId: 'm-1'});
    farm.mover.moves = [{...left, step: 'backedOut', isLeftOnTarget: true}];
    farm.answer = () => copies(user);
    await refused(farm.operator.addUser('ada', {user, host: 'be02'}), 'COPY_RETAINED');
    expect(await farm.operator.addUser('ada', {user, host: 'be01'})).toMatchObject({host: 'be01'});
  });
});

describe('reverse', () => {
  const record = (id: string, user: string, source: string, target: string, step: MoveRecord['step']): MoveRecord =>
    ({id, user: `${user}@example.org`, source, target, step, timeline: []}) as unknown as MoveRecord;

  test('back to the host that was left, as one plan', async () => {
    farm.mover.moves = [record('m1', 'ada', 'be02', 'be01', 'retained'), record('m2', 'bob', 'be03', 'be01', 'retained')];
    const {plan} = await farm.operator.reverse('ada', ['m1', 'm2', 'm1']);
    expect(plan.moves.map(({user, source, target}) => [user, source, target])).toEqual([
      ['ada@example.org', 'be01', 'be02'],
      ['bob@example.org', 'be01', 'be03'],
    ]);
    expect(farm.mover.enqueued).toEqual([plan]);
  });

  test('not of a move that is unknown, under way, purged, or followed by another', async () => {
    farm.mover.moves = [
      record('m1', 'ada', 'be02', 'be01', 'copying'),
      record('m2', 'bob', 'be03', 'be01', 'purged'),
      record('m3', 'eve', 'be01', 'be03', 'retained'),
    ];
    await refused(farm.operator.reverse('ada', ['m9']), 'MOVE_UNKNOWN', {moveId: 'm9'});
    await refused(farm.operator.reverse('ada', ['m1']), 'MOVE_STATE', {step: 'copying'});
    await refused(farm.operator.reverse('ada', ['m2']), 'MOVE_STATE', {step: 'purged'});
    await refused(farm.operator.reverse('ada', ['m3']), 'MOVE_STATE', {target: 'be03', host: 'be02'});
  });
});

describe('evacuate', () => {
  test('stages the host, stores an immutable plan, and hands it to the mover', async () => {
    const {plan, dryRun} = await farm.operator.evacuate('ada', 'be01', {reason: 'disk'});
    expect([dryRun, plan.moves.map(({user}) => user).sort(), plan.because]).toEqual([
      false,
      ['ada@example.org', 'bob@example.org'],
      'disk',
    ]);
    expect(farm.picture.hosts.get('be01')?.value).toMatchObject({
      stage: 'draining',
      cordon: {by: 'ada', reason: 'disk'},
      reinstallAskedBy: null,
    });
    expect(farm.mover.enqueued).toEqual([plan]);
    expect(farm.plans.rows.get(plan.id)?.value).toEqual(plan);
    expect(farm.plans.rows.get(CURRENT_PLAN_KEY)?.value).toMatchObject({current: plan.id, generation: 1});
    const next = await farm.operator.move('ada', {user: 'eve@example.org', target: 'be03'});
    expect(next.plan).toMatchObject({parent: plan.id, generation: 2});
  });

  test('a dry run changes nothing and returns the plan, even while paused', async () => {
    await farm.operator.pause('ada', 'lunch');
    const before = world();
    const {plan, dryRun} = await farm.operator.evacuate('ada', 'be01', {dryRun: true});
    expect([dryRun, plan.moves.length]).toEqual([true, 2]);
    expect(world()).toEqual(before);
    await refused(farm.operator.evacuate('ada', 'be01', {}), 'PAUSED', {by: 'ada', reason: 'lunch'});
  });

  test('what does not fit is refused with what is missing; nothing moves, nothing is cordoned', async () => {
    await farm.addUser('big@example.org', 'be01', 8e9);
    await refused(farm.operator.evacuate('ada', 'be01', {}), 'DOES_NOT_FIT', {
      unplaced: 1,
      missingBytes: 8e9,
      codes: {SPACE: 1},
      tiers: [{tier: 'any', resource: 'SPACE', mailboxes: 1}],
    });
    const dry = await farm.operator.evacuate('ada', 'be01', {dryRun: true});
    expect(dry.plan.unplaced).toMatchObject([{user: 'big@example.org', code: 'SPACE'}]);
  });

  test('several hosts are emptied by one plan, or none of them', async () => {
    const {plan} = await farm.operator.evacuate('ada', 'be01', {also: ['be02', 'be01']});
    expect(plan.moves.map(({user, target}) => `${user} ${target}`).sort()).toEqual([
      'ada@example.org be03',
      'bob@example.org be03',
      'eve@example.org be03',
    ]);
    expect(farm.mover.enqueued).toEqual([plan]);
    for (const host of ['be01', 'be02']) expect(farm.picture.hosts.get(host)?.value.stage).toBe('draining');
    await farm.addHost('be04', {labels: {os: 'debian-12'}});
    await refused(farm.operator.evacuate('ada', 'be04', {also: ['be77']}), 'HOST_UNKNOWN');
  });

  test('a plan that cannot be stored, or that another overtook, leaves the hosts as they were', async () => {
    const create = farm.plans.create.bind(farm.plans);
    const before = [...farm.picture.hosts.values()].map(({value}) => value);
    const first = (work: () => Promise<void>): void => {
      farm.plans.create = async (...entry) => {
        farm.plans.create = create;
        await work();
        return create(...entry);
      };
    };
    first(() => Promise.reject(new MailherdError('NATS_DOWN', {})));
    await refused(farm.operator.evacuate('ada', 'be01', {also: ['be02']}), 'NATS_DOWN');
    first(() => farm.planner.draft({kind: 'rebalance'}, 'y').then(draft => farm.planner.carryOut(draft)));
    await expect(farm.operator.evacuate('ada', 'be01', {also: ['be02']})).rejects.toMatchObject({code: 'PLAN_STALE'});
    expect([...farm.picture.hosts.values()].map(({value}) => value)).toEqual(before);
  });

  test('of several of which one cannot be begun with the others are emptied', async () => {
    const happen = farm.keeper.happen.bind(farm.keeper);
    farm.keeper.happen = async (host, happening) => {
      if (host === 'be02') throw new MailherdError('NATS_DOWN', {});
      return happen(host, happening);
    };
    await expect(farm.operator.evacuate('ada', 'be01', {also: ['be02']})).rejects.toMatchObject({code: 'NATS_DOWN'});
    expect(['be01', 'be02'].map(host => farm.picture.hosts.get(host)?.value.stage)).toEqual(['draining', 'active']);
    expect(new Set(farm.mover.queue.map(({planned}) => planned.source))).toEqual(new Set(['be01']));
  });

  test('unknown and impossible hosts', async () => {
    await farm.addHost('edge1', {role: 'edge'});
    await farm.addHost('be09', {stage: 'reinstalling'});
    await refused(farm.operator.evacuate('ada', 'be77', {}), 'HOST_UNKNOWN');
    await refused(farm.operator.evacuate('ada', 'edge1', {}), 'HOST_STATE');
    await refused(farm.operator.evacuate('ada', 'be09', {dryRun: true}), 'HOST_STATE');
  });

  test('a plan that another one overtook moves nothing', async () => {
    for (const round of [1, 2]) {
      const draft = await farm.planner.draft({kind: 'single', user: 'ada@example.org'}, 'x');
      await farm.addUser(`u${round}@example.org`, 'be02');
      await farm.planner.carryOut(await farm.planner.draft({kind: 'single', user: `u${round}@example.org`}, 'y'));
      await expect(farm.planner.carryOut(draft)).rejects.toMatchObject({code: 'PLAN_STALE'});
      expect(farm.mover.enqueued.length).toBe(round);
    }
  });

  test('a coordinator that no longer leads stores no plan', async () => {
    const draft = await farm.planner.draft({kind: 'evacuate', hosts: ['be01']}, 'x');
    farm.end.abort();
    await refused(farm.planner.carryOut(draft), 'NOT_LEADER');
    await refused(farm.keeper.happen('be01', {type: 'cordoned', by: 'ada', reason: ''}), 'NOT_LEADER');
  });
});

describe('one evacuation', () => {
  test('is paused and resumed by itself; only while it lasts', async () => {
    await refused(farm.operator.pauseEvacuation('ada', 'be01', 'r'), 'HOST_STATE', {stage: 'active'});
    await farm.operator.evacuate('ada', 'be01', {gently: true});
    expect((await farm.operator.pauseEvacuation('eve', 'be01', 'switch')).emptying).toMatchObject({isLow: true, paused: {by: 'eve'}});
    expect(farm.hosts.rows.get('be01')?.value.emptying?.paused).toMatchObject({by: 'eve', reason: 'switch'});
    expect(farm.views.farm().paused).toBeNull();
    await farm.operator.resumeEvacuation('eve', 'be01');
    expect(farm.events.filter(({type}) => type.startsWith('evacuation')).map(({type, host, data}) => [type, host, data])).toEqual([
      ['evacuationPaused', 'be01', {by: 'eve', reason: 'switch'}],
      ['evacuationResumed', 'be01', {by: 'eve'}],
    ]);
  });

  test('is cancelled: the host is kept, nothing waits, and whoever can still stay does', async () => {
    await farm.operator.evacuate('ada', 'be01', {});
    const move = (id: string, source: string, step: MoveRecord['step']): MoveRecord => ({
      ...retainedMove(id, `${id}@example.org`, source, 'be03', farm.clock.now()),
      step,
    });
    farm.mover.moves = [move('m1', 'be01', 'copying'), move('m2', 'be02', 'copying'), move('m3', 'be01', 'retained')];
    expect(await farm.operator.cancelEvacuation('ada', 'be01')).toMatchObject({stage: 'active', cordon: null});
    expect([farm.mover.queue, farm.mover.cancelled]).toEqual([[], ['m1']]);
    await refused(farm.operator.cancelEvacuation('ada', 'be01'), 'HOST_STATE');
  });

  test('a move past its flip does not keep the others from being cancelled', async () => {
    await farm.operator.evacuate('ada', 'be01', {});
    farm.mover.moves = [{...retainedMove('m1', 'm1@example.org', 'be01', 'be03', 1), step: 'adopting'}];
    farm.mover.failure = new MailherdError('MOVE_STATE', {moveId: 'm1'});
    expect((await farm.operator.cancelEvacuation('ada', 'be01')).stage).toBe('active');
  });
});

describe('move', () => {
  test('unknown, moving, and impossible', async () => {
    await refused(farm.operator.move('ada', {user: 'nobody@example.org'}), 'USER_UNKNOWN');
    await refused(farm.operator.move('ada', {user: 'eve@example.org', target: 'be77'}), 'HOST_UNKNOWN');
    await refused(farm.operator.move('ada', {user: 'eve@example.org', target: 'be02'}), 'DOES_NOT_FIT', {codes: {SELF: 1}});
    await farm.operator.move('ada', {user: 'EVE@example.org'});
    await refused(farm.operator.move('ada', {user: 'eve@example.org'}), 'MOVE_IN_PROGRESS');
  });
});

test('what waits to come to a host that a person empties is dropped, but for what has to leave another', async () => {
  await farm.addHost('be04', {labels: {os: 'debian-12'}});
  await farm.addHost('be05', {stage: 'draining', cordon: {by: 'ada', reason: 'disk', atMs: 1}});
  await farm.rounds();
  const waiting = (user: string, source: string, target: string): void =>
    void farm.mover.queue.push({planned: {user, source, target, bytes: 1, why: 'x'}, planId: 'plan-0009', because: 'QUEUED'});
  waiting('x1@example.org', 'be02', 'be01');
  waiting('x2@example.org', 'be05', 'be01');
  waiting('x3@example.org', 'be02', 'be03');
  await farm.operator.evacuate('ada', 'be01', {dryRun: true});
  expect(farm.mover.queue).toHaveLength(3);
  await farm.operator.evacuate('ada', 'be01', {});
  const left = farm.mover.queue.filter(({planId}) => planId === 'plan-0009').map(({planned}) => planned.user);
  expect(left).toEqual(['x2@example.org', 'x3@example.org']);
});

describe('users and hosts', () => {
  test('a new user is placed, or put where asked; names are lower case', async () => {
    expect(await farm.operator.addUser('ada', {user: 'New@Example.org'})).toMatchObject({
      user: 'new@example.org',
      host: 'be03',
      generation: Math.floor(farm.clock.now() / 1_000),
    });
    await refused(farm.operator.addUser('ada', {user: 'new@example.org'}), 'USER_EXISTS');
    await refused(farm.operator.addUser('ada', {user: 'x@example.org', host: 'be77'}), 'HOST_UNKNOWN');
    await farm.operator.cordon('ada', 'be02', 'r');
    await refused(farm.operator.addUser('ada', {user: 'x@example.org', host: 'be02'}), 'HOST_STATE');
    for (const host of ['be01', 'be03']) await farm.operator.cordon('ada', host, 'r');
    await refused(farm.operator.addUser('ada', {user: 'x@example.org'}), 'DOES_NOT_FIT');
  });

  test('a host is registered once; cordon and uncordon are told', async () => {
    expect(await farm.operator.addHost('ada', {host: 'be10', role: 'backend', address: '10.0.0.10'})).toMatchObject({stage: 'arrived'});
    await refused(farm.operator.addHost('ada', {host: 'be10', role: 'backend', address: '10.0.0.10'}), 'HOST_EXISTS');
    await refused(farm.operator.addHost('ada', {host: 'be11', role: 'backend', address: '10.0.0.10'}), 'HOST_EXISTS');
    await farm.operator.cordon('ada', 'be01', 'noise');
    expect((await farm.operator.uncordon('eve', 'be01')).cordon).toBeNull();
    expect(farm.events.map(({type, data}) => [type, data])).toEqual([
      ['hostCordoned', {by: 'ada', reason: 'noise'}],
      ['hostUncordoned', {by: 'eve'}],
    ]);
    await refused(farm.operator.reinstall('ada', 'be01', {release: 'debian-12'}), 'HOST_STATE');
  });

  test('a record that someone else changed meanwhile is read again, not overwritten', async () => {
    const entry = farm.hosts.rows.get('be01');
    if (entry === undefined) throw new Error('be01 is there');
    await farm.hosts.update('be01', {...entry.value, address: '10.9.9.9'}, entry.revision);
    await farm.operator.cordon('ada', 'be01', 'r');
    expect(farm.hosts.rows.get('be01')?.value).toMatchObject({address: '10.9.9.9', cordon: {by: 'ada'}});
  });
});

describe('retiring', () => {
  test('a host is retired only when nobody lives there and it is shut down', async () => {
    await farm.addHost('be07');
    await refused(farm.operator.retire('ada', 'be01', 'x'), 'NOT_EMPTY', {users: 2});
    await refused(farm.operator.retire('ada', 'be77', 'x'), 'HOST_UNKNOWN');
    expect(await farm.operator.retire('ada', 'be07', 'replaced')).toMatchObject({stage: 'retired'});
    expect(farm.views.farm().stages).toMatchObject({retired: 1});
  });
});
