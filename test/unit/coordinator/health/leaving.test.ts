import {describe, expect, test} from 'vitest';
import type {FlowOutcome} from '../../../../coordinator/flow.ts';
import type {Verdict} from '../../../../wire/record.ts';
import {Farm, fiveHosts, IDLE, moveOf, OLD, type ReportChange, recordOf, SICK} from '../fleet-builder.ts';

const verdictOf = ({verdicts}: FlowOutcome, host: string): Verdict | undefined => verdicts.find(verdict => verdict.host === host);
const decided = ({decisions}: FlowOutcome, kind: string): (string | null)[] => decisions.filter(d => d.kind === kind).map(({host}) => host);

/** be4 and be5, of the newest release, fell sick. */
function sickFarm(): Farm {
  const farm = fiveHosts();
  farm.pass(200);
  farm.pass(100, {be4: SICK, be5: SICK});
  return farm;
}

test('a host emptied because it was sick stays sick, however well it is without its users', () => {
  for (const well of [IDLE, {}]) {
    const farm = sickFarm();
    farm.change('be4', {stage: 'draining', cordon: {by: 'mailherd', reason: 'x', atMs: 0}});
    const outcome = farm.pass(900, {be4: well, be5: SICK});
    expect(verdictOf(outcome, 'be4')).toMatchObject({kind: 'sick', because: 'EMPTIED_SICK'});
    expect(verdictOf(outcome, 'be4')?.evidence).not.toEqual([]);
    expect(outcome.cohorts[0]?.sick).toEqual(['be4', 'be5']);
  }
});

test('an emptied host that is still full is emptied on, one that was taken back into service recovers', () => {
  const farm = sickFarm();
  farm.change('be4', {stage: 'draining', cordon: {by: 'mailherd', reason: 'x', atMs: 0}});
  expect(decided(farm.pass(60, {be4: IDLE, be5: SICK}), 'evacuate')).toContain('be4');
  farm.change('be4', {stage: 'active', cordon: null});
  expect(verdictOf(farm.pass(60, {be5: SICK}), 'be4')).toMatchObject({kind: 'sick', because: 'RECOVERING'});
  expect(decided(farm.pass(60, {be5: SICK}), 'evacuate')).not.toContain('be4');
  expect(verdictOf(farm.pass(400, {be5: SICK}), 'be4')?.kind).toBe('healthy');
});

test('while it is reinstalled its cohort counts it as sick, by its old labels, whatever reports there', () => {
  const farm = sickFarm();
  farm.change('be4', {stage: 'reinstalling'});
  const outcome = farm.pass(100, {be4: {labels: OLD}, be5: SICK});
  expect(verdictOf(outcome, 'be4')).toMatchObject({kind: 'unknown', because: 'NOT_IN_SERVICE', evidence: []});
  expect(outcome.cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, explained: true, sick: ['be4', 'be5']});
  expect(outcome.cohorts[0]?.evidence.filter(({explains}) => !explains).map(({note}) => note.split(':')[0])).toEqual(['be4', 'be5']);
});

test('back in service it is a new host: its new labels are not blamed for what the old ones did', () => {
  const farm = sickFarm();
  farm.change('be4', {stage: 'reinstalling'});
  farm.pass(100, {be4: null, be5: SICK});
  farm.change('be4', {stage: 'probation', labels: OLD});
  const outcome = farm.pass(10, {be4: {labels: OLD, generation: 2}, be5: SICK});
  expect(verdictOf(outcome, 'be4')?.because).toBe('WARMING');
  expect(outcome.cohorts.flatMap(({sick}) => sick)).toEqual(['be5']);
  expect(verdictOf(farm.pass(200, {be4: {labels: OLD, generation: 2}, be5: SICK}), 'be4')?.kind).toBe('healthy');
});

test('a host whose reinstall failed is still the sick one it was', () => {
  const farm = sickFarm();
  farm.change('be4', {stage: 'reinstalling'});
  farm.pass(100, {be4: null, be5: SICK});
  farm.change('be4', {stage: 'failed'});
  expect(farm.pass(60, {be4: null, be5: SICK}).cohorts[0]?.sick).toEqual(['be4', 'be5']);
});

test('a retired host accuses no label any more', () => {
  const farm = sickFarm();
  farm.change('be4', {stage: 'retired'});
  const outcome = farm.pass(60, {be4: null, be5: SICK});
  expect(outcome.cohorts[0]).toMatchObject({sick: ['be5'], members: ['be5']});
});

test('silence heals nobody: a sick host that comes back recovers as slowly as one that never went', () => {
  const farm = sickFarm();
  const silent = farm.pass(90, {be4: null, be5: SICK});
  expect(verdictOf(silent, 'be4')?.kind).toBe('silent');
  expect(silent.cohorts[0]?.sick).toEqual(['be4', 'be5']);
  expect(verdictOf(farm.pass(100, {be5: SICK}), 'be4')).toMatchObject({kind: 'sick', because: 'RECOVERING'});
  expect(verdictOf(farm.pass(350, {be5: SICK}), 'be4')?.kind).toBe('healthy');
});

test('nor does an agent that starts anew', () => {
  const farm = sickFarm();
  expect(verdictOf(farm.pass(60, {be4: {generation: 2}, be5: SICK}), 'be4')?.because).toBe('WARMING');
  expect(verdictOf(farm.pass(120, {be4: {generation: 2}, be5: SICK}), 'be4')).toMatchObject({kind: 'sick', because: 'RECOVERING'});
});

test('what a host suffers while we move from or to it makes it suspect, not sick, for some minutes', () => {
  const farm = fiveHosts();
  farm.pass(200);
  farm.fleet.moves = [moveOf('u000@be2.example', 'be2', 'be1', 'copying')];
  expect(verdictOf(farm.pass(120, {be1: SICK}), 'be1')).toMatchObject({kind: 'suspect', because: 'BUSY_WITH_MOVES'});
  expect(verdictOf(farm.pass(120, {be1: SICK}), 'be1')).toMatchObject({kind: 'suspect', because: 'MOVES_STOPPED'});
  // Far worse than moves make a host: it is not waited for their end.
  expect(verdictOf(farm.pass(200, {be1: SICK}), 'be1')?.kind).toBe('sick');
});

describe('a target that our moves burden', () => {
  const calm: ReportChange = {slis: {deliveryMsP95: 2_500}};
  const burdened = {...on(calm), be1: {slis: {deliveryMsP95: 7_500}}};
  function on(change: ReportChange): Record<string, ReportChange> {
    return Object.fromEntries(['be1', 'be2', 'be3', 'be4', 'be5'].map(host => [host, change]));
  }
  function burdenedFarm(): Farm {
    const farm = fiveHosts();
    farm.pass(1_200, on(calm));
    farm.fleet.moves = [moveOf('u000@be2.example', 'be2', 'be1', 'copying')];
    return farm;
  }

  test('is not called sick for what they do, however long they run: they are stopped', () => {
    const outcome = burdenedFarm().pass(900, burdened);
    expect(verdictOf(outcome, 'be1')).toMatchObject({kind: 'suspect', because: 'MOVES_STOPPED'});
    expect(decided(outcome, 'evacuate')).toEqual([]);
  });

  test('while it is emptied itself they go on', () => {
    const farm = burdenedFarm();
    farm.change('be1', {stage: 'draining'});
    expect(verdictOf(farm.pass(600, burdened), 'be1')).toMatchObject({kind: 'suspect', because: 'BUSY_WITH_MOVES'});
  });

  test('nor for what they leave behind', () => {
    const farm = burdenedFarm();
    farm.pass(600, burdened);
    const timeline = [{step: 'retained', atMs: farm.nowMs}];
    farm.fleet.moves = [moveOf('u000@be2.example', 'be2', 'be1', 'retained', {timeline, updatedAtMs: farm.nowMs})];
    expect(verdictOf(farm.pass(60, burdened), 'be1')?.kind).toBe('suspect');
    expect(verdictOf(farm.pass(60, on(calm)), 'be1')?.kind).toBe('suspect');
    expect(verdictOf(farm.pass(60, on(calm)), 'be1')?.kind).toBe('healthy');
  });

  test('but is sick when it stays bad without them', () => {
    const farm = burdenedFarm();
    farm.pass(600, burdened);
    farm.fleet.moves = [moveOf('u000@be2.example', 'be2', 'be1', 'backedOut', {updatedAtMs: farm.nowMs})];
    expect(verdictOf(farm.pass(80, burdened), 'be1')).toMatchObject({kind: 'suspect', because: 'MOVES_STOPPED'});
    expect(verdictOf(farm.pass(60, burdened), 'be1')).toMatchObject({kind: 'sick'});
  });
});

test('a host that was sick before we moved is sick while we move', () => {
  const farm = sickFarm();
  farm.fleet.moves = [moveOf('u000@be4.example', 'be4', 'be1', 'copying')];
  expect(verdictOf(farm.pass(60, {be4: SICK, be5: SICK}), 'be4')).toMatchObject({kind: 'sick', because: 'SLI_WORSE_THAN_PEERS'});
});

test('a host with many times the load of all others is overloaded, not sick', () => {
  const farm = fiveHosts();
  farm.pass(200);
  const outcome = farm.pass(300, {be1: {...SICK, load: {deliveriesPerSecond: 20}}});
  expect(verdictOf(outcome, 'be1')).toMatchObject({kind: 'suspect', because: 'OVERLOADED'});
  expect(decided(outcome, 'evacuate')).toEqual([]);
  expect(verdictOf(farm.pass(100, {be1: {...SICK, load: {deliveriesPerSecond: 3}}}), 'be1')?.kind).toBe('sick');
});

test('one user writes to many: hosts with many times their load are overloaded, be they more than half of the farm and all of one hardware', () => {
  for (const count of [4, 5, 6, 7]) {
    const farm = new Farm();
    for (let index = 0; index < 10; index++) {
      farm.add(recordOf(`be${index}`, {...OLD, hardware: index < count ? 'gen10' : 'gen11', rack: `r${index % 3}`}), 5);
    }
    farm.pass(400);
    const busy: ReportChange = {...SICK, load: {deliveriesPerSecond: 16}};
    const outcome = farm.pass(300, Object.fromEntries(Array.from({length: count}, (_, index) => [`be${index}`, busy])));
    const told = outcome.verdicts.filter(({kind}) => kind !== 'healthy').map(({kind, because}) => `${kind} ${because}`);
    expect(told).toEqual(Array.from({length: count}, () => 'suspect OVERLOADED'));
    expect([...decided(outcome, 'cordon'), ...decided(outcome, 'evacuate')]).toEqual([]);
    const calls = outcome.decisions.flatMap(({kind, because}) => (kind === 'page' ? [because] : []));
    expect(calls).toEqual([count < 7 ? 'MANY_OVERLOADED' : 'MAIL_STORM']);
  }
});

test('that sick hosts get no more mail is no surge of those that are well', () => {
  const farm = new Farm();
  for (let index = 0; index < 10; index++) farm.add(recordOf(`be${index}`, OLD), 5);
  farm.pass(400);
  const dead: ReportChange = {load: {deliveriesPerSecond: 0}, slis: {deliveryMsP95: null, probeFailureShare: 1}};
  const outcome = farm.pass(300, {be0: dead, be1: dead, be2: dead, be3: SICK});
  expect(verdictOf(outcome, 'be3')).toMatchObject({kind: 'sick', because: 'SLI_WORSE_THAN_PEERS'});
});

test('idle hosts are a measure of each other and of nobody else', () => {
  const failing = {...IDLE, slis: {...IDLE.slis, probeFailureShare: 1}};
  const idle = new Farm();
  for (const host of ['be1', 'be2', 'be3']) idle.add(recordOf(host, OLD), 5);
  expect(verdictOf(idle.pass(400, {be1: failing, be2: IDLE, be3: IDLE}), 'be1')?.kind).toBe('sick');
  const busy = new Farm();
  for (const host of ['be1', 'be2', 'be3']) busy.add(recordOf(host, OLD), 5);
  const probeFails = {slis: {probeFailureShare: 1}};
  expect(verdictOf(busy.pass(400, {be1: probeFails, be2: IDLE, be3: IDLE}), 'be1')).toMatchObject({kind: 'suspect', because: 'OVERLOADED'});
});
