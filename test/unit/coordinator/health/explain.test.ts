import fc from 'fast-check';
import {expect, test} from 'vitest';
import {findCohorts, NO_COHORTS, type Subject} from '../../../../coordinator/health/cohort.ts';
import {search} from '../../../../coordinator/health/explain.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {CohortVerdict, VerdictKind} from '../../../../wire/record.ts';
import type {Labels} from '../../../../wire/schema.ts';

const {judge} = DEFAULT_POLICY;
const SLOW = {sli: 'deliveryMsP95', unit: 'ms', value: 60_000, baseline: 500, ratio: 120, note: ''};
const RESENDS = {sli: 'retransmitsPerSecond', unit: '/s', value: 90, baseline: 1, ratio: 90, note: ''};

/** 48 hosts: 2 releases x 3 models x 2 disks x 4 of each, in racks of eight across them. */
function farm(isBad: (labels: Labels, index: number) => boolean, kind: VerdictKind = 'sick'): Subject[] {
  return Array.from({length: 48}, (_, index) => {
    const labels = {
      os: index % 2 === 0 ? 'old' : 'new',
      hardware: `m${Math.floor(index / 2) % 3}`,
      disk: `d${Math.floor(index / 6) % 2}`,
      rack: `r${index % 6}${Math.floor(index / 24)}`,
      serial: `${index}`,
    };
    const isSick = isBad(labels, index);
    return {host: `h${index}`, labels, kind: isSick ? kind : 'healthy', evidence: isSick ? [SLOW] : []};
  });
}
const found = (subjects: Subject[]): CohortVerdict[] => findCohorts(subjects, NO_COHORTS, judge, 0).cohorts;
const explained = (subjects: Subject[]): Labels[] =>
  found(subjects)
    .filter(cohort => cohort.explained)
    .map(({labels}) => labels);

test('only the combination explains: both labels are named, and hosts with one of them are controls', () => {
  const cohorts = found(farm(({os, hardware}) => os === 'new' && hardware === 'm1'));
  expect(cohorts).toHaveLength(1);
  expect(cohorts[0]).toMatchObject({labels: {hardware: 'm1', os: 'new'}, explained: true, controlsSick: 0});
  expect(cohorts[0]?.controls).toHaveLength(40);
});

test('three labels together; one label is preferred to two that say no more', () => {
  expect(explained(farm(({os, hardware, disk}) => os === 'new' && hardware === 'm1' && disk === 'd0'))).toEqual([
    {disk: 'd0', hardware: 'm1', os: 'new'},
  ]);
  expect(explained(farm(({hardware}) => hardware === 'm1'))).toEqual([{hardware: 'm1'}]);
});

test('sick hosts without anything in common are explained by nothing, whatever labels there are (20 draws)', () => {
  const chosen = fc.uniqueArray(fc.integer({min: 0, max: 47}), {minLength: 3, maxLength: 3});
  let wrong = 0;
  fc.assert(
    fc.property(chosen, hosts => {
      if (explained(farm((_labels, index) => hosts.includes(index))).length > 0) wrong++;
    }),
    {numRuns: 100, seed: 5},
  );
  expect(wrong).toBeLessThanOrEqual(2);
});

test('names tell nothing: ten thousand serial numbers explain no host', () => {
  const many = Array.from({length: 2_000}, (_, index) => ({labels: {serial: `${index}`}, bad: index < 3 ? 1 : 0, good: index < 3 ? 0 : 1}));
  expect(search(many)).toEqual([]);
});

/** The newest hardware got the newest release, all of it and nothing else. */
function story(repaired: readonly number[] = [], isWell = true): Subject[] {
  return Array.from({length: 30}, (_, index) => {
    const isNew = index >= 20;
    const isRepaired = repaired.includes(index);
    const labels = {os: isNew && !isRepaired ? 'new' : 'old', hardware: isNew ? 'gen11' : 'gen9', dirty: `${index % 2}`};
    const isSick = isNew && !(isRepaired && isWell);
    return {host: `h${index}`, labels, kind: isSick ? 'sick' : 'healthy', evidence: isSick ? [SLOW] : []};
  });
}

test('confounded: says which cannot be told apart, and which experiment would tell', () => {
  const [cohort] = found(story());
  expect(cohort).toMatchObject({
    labels: {os: 'new'},
    explained: true,
    confounded: ['hardware'],
    alternatives: [{hardware: 'gen11'}],
    experiment: {change: 'os', hosts: ['h20', 'h21']},
  });
});

test('the experiment tells: reinstalled hosts that are well acquit the hardware, those still sick accuse it', () => {
  expect(found(story([20, 21]))[0]).toMatchObject({labels: {os: 'new'}, confounded: [], alternatives: []});
  expect(found(story([20, 21]))[0]).not.toHaveProperty('experiment');
  expect(found(story([20, 21], false))[0]).toMatchObject({labels: {hardware: 'gen11'}, explained: true, confounded: []});
});

test('no experiment where all that cannot be told apart goes with one reinstall', () => {
  const both = story().map(({labels, ...rest}) => ({...rest, labels: {os: labels.os ?? '', dovecot: labels.os === 'new' ? '2.4' : '2.3'}}));
  expect(found(both)[0]).toMatchObject({labels: {os: 'new'}, confounded: ['dovecot']});
  expect(found(both)[0]).not.toHaveProperty('experiment');
});

test('a rack whose hosts all send again what was lost: the network there; on a release it is not', () => {
  const resending = (subjects: Subject[]): Subject[] =>
    subjects.map(subject => (subject.kind === 'sick' ? {...subject, evidence: [SLOW, RESENDS]} : subject));
  expect(found(resending(farm(({rack}) => rack === 'r30')))[0]).toMatchObject({labels: {rack: 'r30'}, notHosts: 'network'});
  expect(found(resending(farm(({os}) => os === 'new')))[0]).not.toHaveProperty('notHosts');
  expect(found(farm(({rack}) => rack === 'r30'))[0]).not.toHaveProperty('notHosts');
});

test('while hosts still fall sick nothing is explained yet, the longer they did the longer', () => {
  const partly = farm(({os, hardware}, index) => os === 'new' && hardware === 'm1' && index < 30);
  // One of the others may be on its way.
  const all = farm(({os, hardware}) => os === 'new' && hardware === 'm1').map(
    (subject, index, {length}): Subject => (index === length - 1 ? {...subject, lean: 'unsure'} : subject),
  );
  const fromMs = 1_000_000_000;
  const before = findCohorts(partly, {...NO_COHORTS, sick: []}, judge, fromMs);
  expect(before.cohorts.every(cohort => !cohort.explained)).toBe(true);
  const explainedAt = (joinsMs: number, laterMs: number): boolean | undefined => {
    const joined = findCohorts(all, before.memory, judge, joinsMs);
    expect(joined.memory.joinedMs).toBe(joinsMs);
    expect(joined.cohorts[0]?.explained).toBe(false);
    return findCohorts(all, joined.memory, judge, joinsMs + laterMs).cohorts[0]?.explained;
  };
  expect(explainedAt(fromMs + 10_000, judge.sickDwellMs)).toBe(false);
  expect(explainedAt(fromMs + 10_000, judge.sickDwellMs + 5_000)).toBe(true);
  // Who took two minutes to follow may be followed by others a minute later.
  expect(explainedAt(fromMs + 120_000, judge.sickDwellMs + 50_000)).toBe(false);
  expect(explainedAt(fromMs + 120_000, judge.sickDwellMs + 60_000)).toBe(true);
  // Hours later it is another story.
  expect(explainedAt(fromMs + 7_200_000, judge.sickDwellMs)).toBe(true);
});

test('hosts on their way to be sick count against no label as healthy', () => {
  const leaning = farm(({os}) => os === 'new').map((subject, index): Subject => {
    return index % 4 === 3 ? {...subject, kind: 'healthy', lean: 'unsure'} : subject;
  });
  expect(explained(leaning)).toEqual([{os: 'new'}]);
  const bad = farm(({os}) => os === 'new').map((subject, index): Subject => {
    return index % 4 === 3 ? {...subject, kind: 'suspect', lean: 'bad'} : subject;
  });
  const [cohort] = found(bad);
  expect(cohort).toMatchObject({labels: {os: 'new'}, explained: true});
  // Those not sick yet are members, not sick.
  expect([cohort?.sick.length, cohort?.members.length]).toEqual([12, 24]);
});

test('two causes do not stand as sick controls of each other', () => {
  const cohorts = found(farm(({os, hardware, disk}) => (os === 'new' && hardware === 'm1') || (os === 'old' && disk === 'd0')));
  expect(cohorts.filter(cohort => cohort.explained).map(({labels}) => labels)).toEqual([
    {disk: 'd0', os: 'old'},
    {hardware: 'm1', os: 'new'},
  ]);
  expect(cohorts.map(({controlsSick}) => controlsSick)).toEqual([0, 0]);
});

test('the effect has an interval: the middle ratios of many, all of a few', () => {
  const subjects = farm(({os}) => os === 'new').map((subject, index): Subject => {
    return subject.kind === 'sick' ? {...subject, evidence: [{...SLOW, ratio: index}]} : subject;
  });
  const [cohort] = found(subjects);
  expect([cohort?.effectLow, cohort?.effect, cohort?.effectHigh]).toEqual([15, 24, 33]);
});

test('any farm whatever: no exception, and no host named by two cohorts', () => {
  const subject = fc.record({
    host: fc.uuid(),
    labels: fc.dictionary(fc.constantFrom('os', 'rack', 'disk', 'x'), fc.constantFrom('a', 'b', 'c', ''), {maxKeys: 4}),
    kind: fc.constantFrom('healthy', 'suspect', 'sick', 'silent', 'unknown'),
    evidence: fc.constant([]),
  });
  fc.assert(
    fc.property(fc.array(subject, {maxLength: 12}), subjects => {
      const named = found(subjects as Subject[]).flatMap(({sick}) => sick);
      expect(new Set(named).size).toBe(named.length);
    }),
    {numRuns: 300, seed: 6},
  );
});
