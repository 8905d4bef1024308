import {expect, test} from 'vitest';
import type {FlowOutcome} from '../../../coordinator/flow.ts';
import {Farm, fiveHosts, IDLE, moveOf, NEW, OLD, type ReportChange, recordOf, SICK, type Weather} from './fleet-builder.ts';

const kinds = ({verdicts}: FlowOutcome): Record<string, string> => Object.fromEntries(verdicts.map(({host, kind}) => [host, kind]));
const decided = ({decisions}: FlowOutcome, kind: string): (string | null)[] => decisions.filter(d => d.kind === kind).map(({host}) => host);

test('a healthy farm: nobody is hurt, nothing is decided', () => {
  const outcome = fiveHosts().pass(300);
  expect(kinds(outcome)).toEqual({be1: 'healthy', be2: 'healthy', be3: 'healthy', be4: 'healthy', be5: 'healthy'});
  expect(outcome.decisions).toEqual([]);
  expect(outcome.hurt).toMatchObject({users: 60, usersHurt: 0, share: 0});
});

test('the newest release is bad on two of five hosts: named by its label, cordoned, evacuated', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const outcome = farm.pass(120, {be4: SICK, be5: SICK});
  expect(kinds(outcome)).toMatchObject({be1: 'healthy', be4: 'sick', be5: 'sick'});
  expect(outcome.cohorts).toHaveLength(1);
  expect(outcome.cohorts[0]).toMatchObject({
    labels: {os: 'debian-13'},
    confounded: ['kernel', 'dovecot'],
    sick: ['be4', 'be5'],
    controls: ['be1', 'be2', 'be3'],
    controlsSick: 0,
    chance: 0.1,
    explained: true,
  });
  expect(decided(outcome, 'cordon')).toEqual(['be4', 'be5']);
  expect(decided(outcome, 'evacuate')).toEqual(['be4', 'be5']);
  expect(outcome.decisions.flatMap(({vetoes}) => vetoes)).toEqual([]);
  expect(outcome.hurt).toMatchObject({users: 60, usersHurt: 24, share: 0.4, byHost: {be4: 12, be5: 12}, domains: 5, domainsHurt: 2});
  const evidence = outcome.verdicts.find(({host}) => host === 'be4')?.evidence ?? [];
  expect(evidence.map(({sli}) => sli)).toEqual(['queueAgeMsP95', 'deliveryMsP95', 'diskFlushMs']);
});

test('a farm that was full when Mailherd met it: hosts on probation that work are controls, those that have yet to be filled are not', () => {
  const met = (weather: Weather): FlowOutcome => {
    const farm = fiveHosts();
    for (const host of ['be1', 'be2', 'be3', 'be4', 'be5']) farm.change(host, {stage: 'probation'});
    farm.pass(200, weather);
    return farm.pass(120, {...weather, be4: SICK, be5: SICK});
  };
  expect(met({}).cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, controls: ['be1', 'be2', 'be3'], explained: true});
  const empty: ReportChange = {load: {deliveriesPerSecond: 0.1}};
  expect(met({be1: empty, be2: empty, be3: empty}).cohorts).toEqual([]);
});

test('a host that came back and has nobody yet clears no label: what it shares with the sick may show under load only', () => {
  const judged = (users: number, load: number): FlowOutcome => {
    const farm = new Farm();
    for (const host of ['be1', 'be2', 'be3', 'be4', 'be5', 'be6']) farm.add(recordOf(host, {os: 'old', hardware: 'gen10'}), 12);
    for (const host of ['be7', 'be8', 'be9']) farm.add(recordOf(host, {os: 'new', hardware: 'gen11'}), 12);
    for (const host of ['back1', 'back2']) farm.add(recordOf(host, {os: 'old', hardware: 'gen11'}), users);
    const back: ReportChange = {load: {deliveriesPerSecond: load}};
    const others = {back1: back, back2: back};
    farm.pass(200, others);
    return farm.pass(120, {...others, be7: SICK, be8: SICK, be9: SICK});
  };
  expect(judged(0, 0.05).cohorts).toMatchObject([{labels: {os: 'new'}, confounded: ['hardware'], explained: true}]);
  expect(judged(12, 2).cohorts).toMatchObject([{labels: {os: 'new'}, confounded: [], explained: true}]);
});

test('three of five are bad: they do not become their own baseline', () => {
  const farm = fiveHosts(['be3', 'be4', 'be5']);
  farm.pass(200);
  const outcome = farm.pass(120, {be3: SICK, be4: SICK, be5: SICK});
  expect(outcome.cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, explained: true, chance: 0.1});
  expect(decided(outcome, 'evacuate')).toEqual(['be3', 'be4', 'be5']);
  expect(outcome.decisions.every(({vetoes}) => vetoes.length === 0)).toBe(true);
});

test('a host is suspect before it is sick, and no short trouble makes it sick', () => {
  const farm = fiveHosts();
  farm.pass(200);
  expect(kinds(farm.pass(20, {be1: SICK})).be1).toBe('healthy');
  farm.pass(100);
  const outcome = farm.pass(30, {be1: SICK});
  expect(kinds(outcome).be1).toBe('suspect');
  expect(decided(outcome, 'watch')).toEqual(['be1']);
  expect(kinds(farm.pass(60, {be1: SICK})).be1).toBe('sick');
});

test('what was proved long before anybody felt it makes nobody sick at once: it must be felt for as long as anything', () => {
  const farm = fiveHosts();
  const others = ['be2', 'be3', 'be4', 'be5'];
  const day = (own: number, their: number): Weather =>
    Object.fromEntries([['be1', {slis: {deliveryMsP95: own}}], ...others.map(host => [host, {slis: {deliveryMsP95: their}}])]);
  const proved = farm.pass(900, day(4_000, 540)).verdicts.find(({host}) => host === 'be1');
  expect(proved).toMatchObject({kind: 'suspect', because: 'WORSE_NOT_FELT'});
  const justFelt = farm.pass(300, day(6_500, 870)).verdicts.find(({host}) => host === 'be1');
  expect(justFelt).toMatchObject({kind: 'suspect', because: 'JUST_FELT'});
  farm.pass(900, day(4_000, 540));
  const told: string[] = [];
  for (let at = 0; at < 12; at++) {
    const {kind, because} = farm.pass(10, day(7_800, 1_050)).verdicts.find(({host}) => host === 'be1') ?? proved ?? {};
    if (because === 'SLI_WORSE_THAN_PEERS') told.push(`${kind}`);
  }
  expect(told.slice(0, 5)).toEqual(['suspect', 'suspect', 'suspect', 'sick', 'sick']);
});

test('trouble that all have, and one of them more, before anybody has a past: nobody is sick, unless one is far worse', () => {
  const names = ['be1', 'be2', 'be3', 'be4', 'be5'];
  const trouble = (first: number, others: number): Weather =>
    Object.fromEntries(names.map(host => [host, {slis: {deliveryMsP95: host === 'be1' ? first : others}}]));
  const after = (first: number, others: number): FlowOutcome => {
    const farm = fiveHosts();
    farm.pass(100);
    return farm.pass(200, trouble(first, others));
  };
  const shared = after(30_000, 9_000);
  expect(kinds(shared)).toEqual({be1: 'suspect', be2: 'suspect', be3: 'suspect', be4: 'suspect', be5: 'suspect'});
  expect(shared.circumstances.map(({code}) => code)).toEqual(['EVERYTHING_SLOW']);
  expect(kinds(after(30_000, 3_000)).be1).toBe('sick');
  expect(kinds(after(300_000, 9_000)).be1).toBe('sick');
});

test('the clock of the coordinator is set back by an hour: nothing waits for that hour to pass, and who is sick stays sick', () => {
  const farm = fiveHosts();
  farm.pass(400);
  farm.pass(60, {be1: SICK, be4: SICK, be5: SICK});
  // One more has just fallen sick, one begins to recover.
  expect(kinds(farm.pass(60, {be2: SICK, be4: SICK, be5: SICK}))).toMatchObject({be1: 'sick', be2: 'sick'});
  const backMs = 3_600_000;
  farm.nowMs -= backMs;
  for (const host of farm.fleet.hosts.values()) {
    host.reports = host.reports.map(report => ({...report, sampledAtMs: report.sampledAtMs - backMs}));
    host.receivedAtMs = farm.nowMs;
    host.generationSinceMs = farm.nowMs - 400_000;
  }
  const after = farm.pass(200, {be2: SICK, be4: SICK, be5: SICK});
  expect(kinds(after)).toMatchObject({be2: 'sick', be4: 'sick', be5: 'sick'});
  expect(after.decisions.flatMap(({vetoes}) => vetoes.map(({code}) => code))).not.toContain('CAUSE_OPEN');
  expect(kinds(farm.pass(200, {be4: SICK, be5: SICK})).be1).toBe('healthy');
});

test('what one host feels is not said of its peers before it is proved', () => {
  const farm = fiveHosts();
  farm.pass(130);
  const told = new Set<string>();
  for (let round = 0; round < 20; round++) {
    const {because} = farm.pass(10, {be1: SICK}).verdicts.find(({host}) => host === 'be1') ?? {because: ''};
    told.add(because);
  }
  expect([...told]).toEqual(['WITHIN_BOUNDS', 'NOT_PROVED', 'SLI_WORSE_THAN_PEERS']);
});

test('one sick host alone is evacuated; one already on its way out is not decided again', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const outcome = farm.pass(100, {be1: SICK});
  expect(decided(outcome, 'evacuate')).toEqual(['be1']);
  expect(outcome.decisions.find(({kind}) => kind === 'evacuate')).toMatchObject({because: 'SICK_ALONE', mode: 'approve', vetoes: []});
  farm.change('be1', {stage: 'draining', cordon: {by: 'mailherd', reason: 'x', atMs: farm.nowMs}});
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be2', 'copying')];
  const busy = farm.pass(10, {be1: SICK});
  expect(decided(busy, 'evacuate')).toEqual([]);
  expect(decided(busy, 'cordon')).toEqual([]);
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be2', 'backedOut', {updatedAtMs: farm.nowMs})];
  expect(decided(farm.pass(10, {be1: SICK}), 'evacuate')).toEqual([]);
  expect(decided(farm.pass(60, {be1: SICK}), 'evacuate')).toEqual(['be1']);
});

test('all hosts are bad: a person is called and nothing is moved', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const outcome = farm.pass(120, {be1: SICK, be2: SICK, be3: SICK, be4: SICK, be5: SICK});
  expect(decided(outcome, 'page')).toEqual([null]);
  expect(decided(outcome, 'evacuate')).toEqual([]);
  expect(decided(outcome, 'cordon')).toEqual([]);
});

test('half the hosts are bad and share no label that others lack: page, and a veto on the rest', () => {
  const farm = fiveHosts(['be1', 'be4']);
  farm.pass(200);
  const outcome = farm.pass(120, {be1: SICK, be2: SICK});
  expect(outcome.cohorts.every(({explained}) => !explained)).toBe(true);
  expect(decided(outcome, 'page')).toEqual([null]);
  for (const decision of outcome.decisions.filter(({kind}) => kind === 'evacuate' || kind === 'cordon')) {
    expect(decision.vetoes.map(({code}) => code)).toContain('TOO_MANY_UNEXPLAINED');
  }
});

test('idle, warming and silent hosts are never healthy', () => {
  const farm = fiveHosts();
  expect(farm.pass(60).verdicts[0]).toMatchObject({kind: 'unknown', because: 'WARMING'});
  farm.pass(140);
  const outcome = farm.pass(100, {be1: IDLE, be2: null});
  expect(outcome.verdicts[0]).toMatchObject({kind: 'unknown', because: 'IDLE'});
  expect(outcome.verdicts[1]).toMatchObject({kind: 'silent', because: 'REPORTS_STALE'});
  expect(decided(outcome, 'page')).toEqual(['be2']);
});

test('an idle host whose probes fail is sick all the same', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const failing = {...IDLE, slis: {...IDLE.slis, probeFailureShare: 1}};
  expect(kinds(farm.pass(120, {be1: failing})).be1).toBe('sick');
});

test('most hosts fall silent at once: the monitor is suspected, nothing is moved', () => {
  const farm = fiveHosts();
  farm.pass(200);
  farm.pass(100, {be1: SICK});
  const outcome = farm.pass(60, {be1: SICK, be2: null, be3: null});
  expect(decided(outcome, 'page')).toEqual([null]);
  expect(outcome.decisions.find(({kind}) => kind === 'evacuate')?.vetoes.map(({code}) => code)).toEqual(['MONITOR_SUSPECT']);
});

test('the way back is slower than the way out', () => {
  const farm = fiveHosts();
  farm.pass(200);
  farm.pass(100, {be1: SICK});
  const recovering = farm.pass(200);
  expect(recovering.verdicts[0]).toMatchObject({kind: 'sick', because: 'RECOVERING'});
  expect(decided(recovering, 'evacuate')).toEqual([]);
  expect(kinds(farm.pass(200)).be1).toBe('healthy');
});

test('without a peer a host is suspect at most', () => {
  const farm = new Farm().add(recordOf('be1', OLD), 5);
  farm.pass(200);
  const outcome = farm.pass(300, {be1: SICK});
  expect(outcome.verdicts[0]).toMatchObject({kind: 'suspect', because: 'NO_PEERS'});
  expect(decided(outcome, 'evacuate')).toEqual([]);
});

test('paused, nowhere to go, no space: each is a veto', () => {
  const codes = (outcome: FlowOutcome): string[] => {
    const evacuate = outcome.decisions.find(({kind}) => kind === 'evacuate');
    return evacuate?.vetoes.map(({code}) => code) ?? ['none decided'];
  };
  const paused = fiveHosts();
  paused.policy = {...paused.policy, paused: {by: 'ada', atMs: 0, reason: 'maintenance'}};
  paused.pass(200);
  expect(codes(paused.pass(100, {be1: SICK}))).toEqual(['PAUSED']);
  const closed = fiveHosts();
  for (const host of ['be2', 'be3', 'be4', 'be5']) closed.change(host, {cordon: {by: 'ada', reason: 'x', atMs: 0}});
  closed.pass(200);
  expect(codes(closed.pass(100, {be1: SICK}))).toEqual(['NO_HEALTHY_TARGET']);
  const full = fiveHosts();
  full.fleet.mailboxes.set('u000@be1.example', {bytes: 1e15, messages: 1});
  full.pass(200);
  expect(codes(full.pass(100, {be1: SICK}))).toEqual(['DOES_NOT_FIT']);
});

test('a host that joins empty is a reason to rebalance, once all is quiet', () => {
  const farm = fiveHosts();
  farm.add(recordOf('be6', OLD, {stage: 'probation'}));
  expect(decided(farm.pass(200, {be6: IDLE}), 'rebalance')).toEqual([]);
  farm.change('be6', {stage: 'active'});
  expect(decided(farm.pass(10, {be6: IDLE}), 'rebalance')).toEqual([null]);
  farm.fleet.moves = [moveOf('u000@be1.example', 'be1', 'be6', 'copying')];
  expect(decided(farm.pass(10, {be6: IDLE}), 'rebalance')).toEqual([]);
});

test('a host emptied before the release was blamed is reinstalled once it is', () => {
  const farm = fiveHosts();
  farm.pass(200);
  farm.pass(100, {be4: SICK});
  farm.change('be4', {stage: 'draining', cordon: {by: 'mailherd', reason: 'x', atMs: 0}});
  const outcome = farm.pass(100, {be4: SICK, be5: SICK});
  expect(decided(outcome, 'reinstall')).toEqual(['be4']);
});

test('what is off is not decided', () => {
  const farm = fiveHosts();
  farm.policy = {...farm.policy, modes: {...farm.policy.modes, evacuate: 'off', cordon: 'off'}};
  farm.pass(200);
  const outcome = farm.pass(100, {be4: SICK, be5: SICK});
  expect(outcome.cohorts[0]?.labels).toEqual({os: NEW.os});
  expect(outcome.decisions).toEqual([]);
});

test('kernel figures alone make a suspect after minutes, never a sick host; it is watched, and after an hour drained', () => {
  const farm = fiveHosts();
  farm.pass(400);
  const odd = {kernel: {diskBusyShare: 1, psiIoFull10: 60}};
  expect(kinds(farm.pass(120, {be1: odd})).be1).toBe('healthy');
  const outcome = farm.pass(7_200, {be1: odd});
  const verdict = outcome.verdicts.find(({host}) => host === 'be1');
  expect(verdict).toMatchObject({kind: 'suspect', because: 'KERNEL_ONLY'});
  expect(verdict?.evidence.map(({sli}) => sli)).toEqual(['psiIoFull10', 'diskBusyShare']);
  expect(outcome.decisions.map(({kind, host}) => [kind, host])).toEqual([
    ['watch', 'be1'],
    ['drain', 'be1'],
  ]);
  expect(outcome.hurt.usersHurt).toBe(0);
  expect(kinds(farm.pass(120, {be1: {}})).be1).toBe('healthy');
});

test('a suspect that has nothing to do any more does not stay suspect for ever', () => {
  const farm = fiveHosts();
  farm.pass(400);
  expect(kinds(farm.pass(30, {be1: SICK})).be1).toBe('suspect');
  expect(kinds(farm.pass(300, {be1: {...IDLE, slis: {...IDLE.slis, queueAgeMsP95: null}}})).be1).toBe('unknown');
});
