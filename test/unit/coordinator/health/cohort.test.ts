import {expect, test} from 'vitest';
import {findCohorts, NO_COHORTS, type Subject} from '../../../../coordinator/health/cohort.ts';
import {fisherChance} from '../../../../coordinator/health/fisher.ts';
import {DEFAULT_POLICY} from '../../../../wire/policy.ts';
import type {VerdictKind} from '../../../../wire/record.ts';
import type {Labels} from '../../../../wire/schema.ts';

const {judge} = DEFAULT_POLICY;
const subject = (host: string, kind: VerdictKind, labels: Labels): Subject => {
  const evidence = kind === 'sick' ? [{sli: 'deliveryMsP95', unit: 'ms', value: 60_000, baseline: 500, ratio: 120, note: ''}] : [];
  return {host, labels, kind, evidence};
};
const many = (count: number, from: number, kind: VerdictKind, labels: Labels): Subject[] =>
  Array.from({length: count}, (_, index) => subject(`h${from + index}`, kind, {serial: `${from + index}`, ...labels}));

// By hand from the hypergeometric tail, e.g. 3 of 4 against 1 of 4: (C(4,3) C(4,1) + C(4,4) C(4,0)) / C(8,4) = 17/70.
test.each([
  [2, 0, 0, 3, 0.1],
  [1, 0, 0, 4, 0.2],
  [3, 1, 1, 3, 0.242857142857],
  [0, 4, 0, 4, 1],
  [4, 0, 4, 0, 1],
  [60, 0, 0, 100, 0],
])('Fisher: %i sick and %i well members, %i sick and %i well others', (a, b, c, d, chance) => {
  expect(fisherChance(a, b, c, d)).toBeCloseTo(chance, 10);
});

test('60 of 160 hosts sick, all of the newest release: explained, however many', () => {
  const {cohorts} = findCohorts([...many(60, 0, 'sick', {os: 'new'}), ...many(100, 60, 'healthy', {os: 'old'})], NO_COHORTS, judge, 5);
  expect(cohorts).toHaveLength(1);
  expect(cohorts[0]).toMatchObject({labels: {os: 'new'}, explained: true, effect: 120, sinceMs: 5, confounded: []});
  expect(cohorts[0]?.sick).toHaveLength(60);
  // It is stored with every decision about each of them.
  expect(cohorts[0]?.evidence).toHaveLength(10);
  expect(cohorts[0]?.controls).toHaveLength(100);
});

test('hosts that feel no more than their peers do are controls: the combination is named, not the label that sick and others share', () => {
  const others = (from: number, labels: Labels): Subject[] =>
    many(9, from, 'suspect', labels).map((host): Subject => ({...host, lean: 'good'}));
  const farm = [
    ...many(7, 0, 'sick', {firmware: 'f1', disk: 'd0'}),
    ...others(7, {firmware: 'f1', disk: 'd1'}),
    ...others(16, {firmware: 'f0', disk: 'd0'}),
    ...many(9, 25, 'healthy', {firmware: 'f0', disk: 'd1'}),
  ];
  const [cohort] = findCohorts(farm, NO_COHORTS, judge, 0).cohorts;
  expect(cohort).toMatchObject({labels: {disk: 'd0', firmware: 'f1'}, explained: true});
  expect(cohort?.controls).toHaveLength(27);
});

test('who may be on the way to be sick, or leans to it, stands against a label that he does not have', () => {
  const explained = (others: Subject[]): boolean | undefined =>
    findCohorts([...many(4, 0, 'sick', {kernel: 'k1'}), ...others, ...many(14, 50, 'healthy', {kernel: 'k3'})], NO_COHORTS, judge, 0)
      .cohorts[0]?.explained;
  const leaning = (lean: Subject['lean']): Subject[] => many(6, 10, 'suspect', {kernel: 'k2'}).map(host => ({...host, lean}));
  expect(explained(leaning('unsure'))).toBe(false);
  expect(explained(leaning('bad'))).toBe(false);
  expect(explained(leaning('good'))).toBe(true);
  expect(explained(leaning('unsure').slice(0, 3))).toBe(true);
  // What cannot be judged says nothing.
  expect(explained(many(6, 10, 'silent', {kernel: 'k2'}))).toBe(true);
});

test('what is told of the controls is what was judged by: each host counts once, who may be on the way to be sick not at all', () => {
  const leaning = (from: number, lean: Subject['lean']): Subject[] =>
    many(3, from, 'suspect', {kernel: 'k2'}).map(host => ({...host, lean}));
  const farm = [...many(4, 0, 'sick', {kernel: 'k1'}), ...leaning(10, 'bad'), ...leaning(20, 'unsure'), ...leaning(30, 'good')];
  const unsure = many(2, 40, 'healthy', {kernel: 'k3'}).map((host): Subject => ({...host, lean: 'unsure'}));
  const [cohort] = findCohorts([...farm, ...unsure, ...many(14, 50, 'healthy', {kernel: 'k3'})], NO_COHORTS, judge, 0).cohorts;
  expect(cohort?.labels).toEqual({kernel: 'k1'});
  expect(cohort?.controls).toEqual([30, 31, 32, ...Array.from({length: 14}, (_, index) => 50 + index)].map(index => `h${index}`));
  expect(cohort?.controlsSick).toBe(3);
  expect(cohort?.chance).toBeCloseTo(fisherChance(4, 0, 3, 17), 12);
});

test('of three hosts one that is well is one too many', () => {
  const explained = (well: number): boolean | undefined =>
    findCohorts(
      [...many(2, 0, 'sick', {image: 'a'}), ...many(well, 5, 'healthy', {image: 'a'}), ...many(40, 10, 'healthy', {image: 'b'})],
      NO_COHORTS,
      judge,
      0,
    ).cohorts[0]?.explained;
  expect(explained(0)).toBe(true);
  expect(explained(1)).toBe(false);
});

test('a rack is named when the rack is what they share, though their release is the same as of all', () => {
  const {cohorts} = findCohorts(
    [...many(3, 0, 'sick', {os: 'x', rack: 'r7'}), ...many(9, 3, 'healthy', {os: 'x', rack: 'r1'})],
    NO_COHORTS,
    judge,
    0,
  );
  expect(cohorts.map(({labels}) => labels)).toEqual([{rack: 'r7'}]);
});

test('two causes at once are told apart', () => {
  const farm = [...many(4, 0, 'sick', {os: 'new', rack: 'r1'}), ...many(3, 4, 'sick', {os: 'old', rack: 'r2'})];
  const {cohorts} = findCohorts([...farm, ...many(30, 7, 'healthy', {os: 'old', rack: 'r3'})], NO_COHORTS, judge, 0);
  expect(cohorts.map(({labels, explained}) => ({labels, explained}))).toEqual([
    {labels: {os: 'new'}, explained: true},
    {labels: {rack: 'r2'}, explained: true},
  ]);
});

test('sick controls, too few controls, no controls: not explained', () => {
  const explainedOf = (subjects: Subject[]): boolean[] =>
    findCohorts(subjects, NO_COHORTS, judge, 0).cohorts.map(({explained}) => explained);
  expect(
    explainedOf([...many(4, 0, 'sick', {os: 'a'}), ...many(2, 4, 'sick', {os: 'b'}), ...many(3, 6, 'healthy', {os: 'b'})]),
  ).not.toContain(true);
  expect(explainedOf([...many(1, 0, 'sick', {os: 'a'}), ...many(2, 1, 'healthy', {os: 'b'})])).toEqual([false]);
  expect(explainedOf(many(5, 0, 'sick', {os: 'a'})).includes(true)).toBe(false);
  // A label of most hosts: two of its ten are sick, none of four others; that is chance (45/91).
  expect(
    explainedOf([...many(2, 0, 'sick', {os: 'a'}), ...many(8, 2, 'healthy', {os: 'a'}), ...many(4, 10, 'healthy', {os: 'b'})]),
  ).not.toContain(true);
  const credulous = findCohorts(
    [subject('h1', 'sick', {os: 'a'}), subject('h2', 'sick', {os: 'a'})],
    NO_COHORTS,
    {...judge, chanceMax: 1},
    0,
  );
  expect(credulous.cohorts.some(({explained}) => explained)).toBe(false);
});

test('hosts that cannot be judged prove nothing, but belong to the cohort', () => {
  const {cohorts} = findCohorts(
    [
      ...many(2, 0, 'sick', {os: 'a'}),
      ...many(1, 2, 'unknown', {os: 'a'}),
      ...many(4, 3, 'healthy', {os: 'b'}),
      ...many(9, 7, 'silent', {os: 'b'}),
    ],
    {...NO_COHORTS, seen: {'os=a': {sinceMs: 3, explained: false}}},
    judge,
    9,
  );
  expect(cohorts[0]).toMatchObject({members: ['h0', 'h1', 'h2'], controls: ['h3', 'h4', 'h5', 'h6'], sinceMs: 3});
  expect(cohorts[0]?.chance).toBeCloseTo(1 / 15, 10);
});

test('a single host is explained by a label of its own only where the others share theirs', () => {
  const explainedBy = (subjects: Subject[]): Labels[] =>
    findCohorts(subjects, NO_COHORTS, judge, 0)
      .cohorts.filter(({explained}) => explained)
      .map(({labels}) => labels);
  const odd = [...many(1, 0, 'sick', {os: 'new'}), ...many(9, 1, 'healthy', {os: 'old'})];
  expect(explainedBy(odd)).toEqual([{os: 'new'}]);
  // Every host has a serial of its own: that explains nobody, though no other host is sick.
  expect(explainedBy(odd.map(({labels, ...rest}) => ({...rest, labels: {serial: labels.serial ?? ''}})))).toEqual([]);
  // A second host has the label and is well.
  expect(explainedBy([...odd, ...many(1, 10, 'healthy', {os: 'new'})])).toEqual([]);
});

test('once explained, it stays so while its hosts are repaired one by one', () => {
  const before = findCohorts([...many(4, 0, 'sick', {os: 'new'}), ...many(6, 4, 'healthy', {os: 'old'})], NO_COHORTS, judge, 7);
  expect(before.memory.seen['os=new']).toEqual({sinceMs: 7, explained: true, names: [{os: 'new'}]});
  // Two of four are left, and by themselves would prove nothing against two sick others.
  const fewer = [...many(2, 0, 'sick', {os: 'new'}), ...many(1, 4, 'sick', {os: 'old'}), ...many(2, 6, 'healthy', {os: 'old'})];
  const later = findCohorts([...fewer, ...many(2, 10, 'unknown', {os: 'old'})], before.memory, judge, 9);
  expect(later.cohorts[0]).toMatchObject({labels: {os: 'new'}, explained: true, sinceMs: 7});
  expect(
    findCohorts([...fewer, ...many(2, 10, 'unknown', {os: 'old'})], NO_COHORTS, judge, 9).cohorts.some(({explained}) => explained),
  ).toBe(false);
  // Others fall sick as well, or most are well with it: the label is not the story any more.
  const spread = findCohorts([...fewer, ...many(4, 20, 'sick', {os: 'old'})], before.memory, judge, 9);
  expect(spread.cohorts.some(({explained}) => explained)).toBe(false);
  const healed = findCohorts(
    [...many(1, 0, 'sick', {os: 'new'}), ...many(3, 4, 'healthy', {os: 'new'}), ...many(3, 8, 'healthy', {os: 'old'})],
    before.memory,
    judge,
    9,
  );
  expect(healed.cohorts.some(({explained}) => explained)).toBe(false);
});

test('a pair of labels that explained it stays the cause while those with one of them are not known to be well, with what it cannot be told from', () => {
  const farm = (lean: Subject['lean']): Subject[] => [
    ...many(6, 0, 'sick', {firmware: 'f1', disk: 'd1', raid: 'r1', os: 'old'}),
    ...many(2, 6, 'healthy', {firmware: 'f1', disk: 'd2', raid: 'r2', os: 'new'}).map((host): Subject => ({...host, lean})),
    ...many(14, 8, 'healthy', {firmware: 'f2', disk: 'd1', raid: 'r1', os: 'old'}),
    ...many(14, 22, 'healthy', {firmware: 'f2', disk: 'd2', raid: 'r2', os: 'new'}),
  ];
  const first = findCohorts(farm(undefined), NO_COHORTS, judge, 0);
  const pair = {labels: {firmware: 'f1', os: 'old'}, explained: true};
  expect(first.cohorts).toMatchObject([pair]);
  const alone = findCohorts(farm('unsure'), NO_COHORTS, judge, 0);
  expect(alone.cohorts).toMatchObject([{labels: {firmware: 'f1'}, explained: true}]);
  const second = findCohorts(farm('unsure'), first.memory, judge, 10_000);
  expect(second.cohorts).toMatchObject([{...pair, alternatives: first.cohorts[0]?.alternatives ?? []}]);
  expect(second.cohorts[0]?.alternatives).toHaveLength(2);
  // That they fall sick as well makes the simpler one the cause.
  const spread = farm('bad').map((host): Subject => (host.lean === 'bad' ? subject(host.host, 'sick', host.labels) : host));
  const joined = findCohorts(spread, second.memory, judge, 400_000);
  expect(findCohorts(spread, joined.memory, judge, 500_000).cohorts).toMatchObject([{labels: {firmware: 'f1'}, explained: true}]);
});

test('the hosts that are to tell a cause are those that are changed first: whoever is furthest on the way to be reinstalled', () => {
  const farm = (wayOuts: number[]): Subject[] => [
    ...many(4, 0, 'sick', {os: 'new', hardware: 'm2'}).map((host, index): Subject => ({...host, wayOut: wayOuts[index] ?? 0})),
    ...many(8, 4, 'healthy', {os: 'old', hardware: 'm1'}),
  ];
  const told = (wayOuts: number[]): string[] | undefined => findCohorts(farm(wayOuts), NO_COHORTS, judge, 0).cohorts[0]?.experiment?.hosts;
  expect(told([])).toEqual(['h0', 'h1']);
  expect(told([0, 1, 0, 2])).toEqual(['h3', 'h1']);
});

test('labels are the same division only by hosts that were judged', () => {
  const hosts = [...many(3, 0, 'sick', {os: 'new', batch: 'b2'}), ...many(6, 3, 'healthy', {os: 'old', batch: 'b1'})];
  const confounded = (more: Subject[]): string[] | undefined =>
    findCohorts([...hosts, ...more], NO_COHORTS, judge, 0).cohorts[0]?.confounded;
  expect(confounded(many(1, 9, 'unknown', {os: 'old', batch: 'b2'}))).toEqual(['batch']);
  expect(confounded(many(1, 9, 'healthy', {os: 'old', batch: 'b2'}))).toEqual([]);
});

test('while hosts fall sick one after the other a cause is waited for, unless all that have the label are sick and nobody else may become it', () => {
  const {sickDwellMs} = judge;
  /** One more host falls sick in each of six dwell times; how long after the last one the release is blamed. */
  const afterLast = (late: number): number => {
    let memory = NO_COHORTS;
    for (let nowMs = 0; nowMs < 20 * sickDwellMs; nowMs += sickDwellMs / 3) {
      const sick = Math.min(6, Math.floor(nowMs / sickDwellMs));
      const farm = [
        ...many(sick, 0, 'sick', {os: 'new'}),
        ...many(6 - sick + late, sick, 'healthy', {os: 'new'}).map((host): Subject => ({...host, lean: 'unsure'})),
        ...many(12, 10, 'healthy', {os: 'old'}),
      ];
      const found = findCohorts(farm, memory, judge, nowMs);
      memory = found.memory;
      if (sick === 6 && found.cohorts[0]?.explained === true) return nowMs - 6 * sickDwellMs;
    }
    return Number.POSITIVE_INFINITY;
  };
  expect(afterLast(0)).toBe(sickDwellMs);
  expect(afterLast(1)).toBeGreaterThan(2 * sickDwellMs);
});

test('two hosts of eighty with a pair of labels of their own: few other pairs could have looked so, and it is named', () => {
  const farm = Array.from({length: 80}, (_, index): Subject => {
    const labels = {
      os: `o${index % 2}`,
      disk: `d${index % 5}`,
      rack: `r${Math.floor(index / 8)}`,
      bios: index < 8 ? `b${index % 4}` : 'b9',
    };
    return subject(`h${index}`, labels.bios === 'b2' ? 'sick' : 'healthy', {
      ...labels,
      bios: index < 8 ? `b${index % 4}` : `b${index % 3}x`,
    });
  });
  const [cohort] = findCohorts(farm, NO_COHORTS, judge, 0).cohorts;
  expect(cohort).toMatchObject({explained: true, chance: expect.closeTo(1 / 3160, 9)});
});

test('who is well again as it was is no control while others are still sick; changed, it is', () => {
  const farm = (well: Labels): Subject[] => [
    ...many(2, 0, 'sick', {disk: 'd1', image: 'a'}),
    ...many(4, 2, 'healthy', {disk: 'd1', image: 'b', ...well}),
    ...many(14, 6, 'healthy', {disk: 'd2', image: 'b'}),
  ];
  const sick = farm({}).map((host): Subject => (host.labels.disk === 'd1' ? {...host, kind: 'sick'} : host));
  const {memory} = findCohorts(sick, NO_COHORTS, judge, 0);
  const named = (subjects: Subject[], nowMs: number): Labels | undefined => findCohorts(subjects, memory, judge, nowMs).cohorts[0]?.labels;
  expect(named(farm({}), 10_000)).toEqual({disk: 'd1'});
  expect(named(farm({disk: 'd3'}), 10_000)).not.toEqual({disk: 'd1', image: 'b'});
  expect(named(farm({}), 3 * judge.recoverDwellMs)).toEqual({image: 'a'});
});

test('a host that does not measure what the sick feel is no control', () => {
  const farm = (lacks: string[]): Subject[] => [
    ...many(8, 0, 'sick', {bios: 'b1', rack: 'r1'}),
    ...many(1, 8, 'healthy', {bios: 'b1', rack: 'r2'}).map(host => ({...host, lacks})),
    ...many(20, 9, 'healthy', {bios: 'b2', rack: 'r3'}),
  ];
  const [cohort] = findCohorts(farm(['deliveryMsP95']), NO_COHORTS, judge, 0).cohorts;
  expect(cohort).toMatchObject({labels: {rack: 'r1'}, alternatives: [{bios: 'b1'}]});
  expect(cohort?.controls).toHaveLength(20);
  expect(findCohorts(farm(['loginMsP95']), NO_COHORTS, judge, 0).cohorts[0]?.alternatives).toEqual([]);
});

test('a name that would be another if all were sick that may be on their way to it is not told yet', () => {
  const farm = (lean: Subject['lean']): Subject[] => [
    ...many(4, 0, 'sick', {disk: 'd1', kernel: 'k1'}),
    ...many(3, 4, 'healthy', {disk: 'd1', kernel: 'k2'}),
    ...many(3, 7, 'healthy', {disk: 'd1', kernel: 'k2'}).map(host => ({...host, lean})),
    ...many(4, 50, 'healthy', {disk: 'd2', kernel: 'k1'}),
    ...many(30, 12, 'healthy', {disk: 'd2', kernel: 'k2'}),
  ];
  const pair = {disk: 'd1', kernel: 'k1'};
  const explained = (subjects: Subject[]): Labels[] =>
    findCohorts(subjects, NO_COHORTS, judge, 0).cohorts.flatMap(cohort => (cohort.explained ? [cohort.labels] : []));
  expect(explained(farm(undefined))).toEqual([pair]);
  expect(explained(farm('unsure'))).toEqual([]);
  expect(explained(farm('bad'))).toEqual([{disk: 'd1'}]);
});

test('what is hardly likelier is told as one of those that cannot be told apart', () => {
  // Eleven of the batch, ten of them sick; a pair of labels has these ten and no other: as likely, for one label more.
  const farm = [
    ...many(10, 0, 'sick', {batch: 'b5', bios: 'b1', rack: 'r4'}),
    ...many(1, 10, 'healthy', {batch: 'b5', bios: 'b2', rack: 'r4'}),
    ...many(20, 11, 'healthy', {batch: 'b4', bios: 'b1', rack: 'r3'}),
    ...many(30, 31, 'healthy', {batch: 'b3', bios: 'b2', rack: 'r4'}),
    ...many(38, 61, 'healthy', {batch: 'b2', bios: 'b2', rack: 'r2'}),
  ];
  const [cohort] = findCohorts(farm, NO_COHORTS, judge, 0).cohorts;
  expect(cohort).toMatchObject({labels: {batch: 'b5'}, explained: true});
  expect(cohort?.alternatives).toContainEqual({bios: 'b1', rack: 'r4'});
});
