import {expect, test} from 'vitest';
import {type FlowOutcome, flow} from '../../../../coordinator/flow.ts';
import {fold} from '../../../../coordinator/report/fold.ts';
import {circumstanceWords} from '../../../../wire/words.ts';
import {Farm, NEW, OLD, type ReportChange, recordOf, reportOf, SICK, type Weather} from '../fleet-builder.ts';

/** Backends of two racks and two edges, seven minutes old. */
function farmOf(count = 9): Farm {
  const farm = new Farm();
  for (let index = 0; index < count; index++) {
    farm.add(recordOf(`be${index}`, {...(index % 2 === 0 ? OLD : NEW), rack: index < 3 ? 'r1' : 'r2'}), 12);
  }
  for (const edge of ['edge1', 'edge2']) farm.add(recordOf(edge, OLD, {role: 'edge'}));
  farm.pass(420);
  return farm;
}
const on = (change: ReportChange | null, hosts: readonly string[]): Record<string, ReportChange | null> =>
  Object.fromEntries(hosts.map(host => [host, change]));
const all = (change: ReportChange): Record<string, ReportChange | null> =>
  on(
    change,
    Array.from({length: 9}, (_, index) => `be${index}`),
  );
const codes = ({circumstances}: FlowOutcome): string[] => circumstances.map(({code}) => code);
const paged = ({decisions}: FlowOutcome): [string | null, string][] =>
  decisions.filter(({kind}) => kind === 'page').map(({host, because}) => [host, because]);
const sick = ({verdicts}: FlowOutcome): string[] => verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host);

test('a farm on which all is well, and one with a sick host: nothing else is the matter', () => {
  const farm = farmOf();
  expect(farm.pass(60).circumstances).toEqual([]);
  const outcome = farm.pass(200, {be1: SICK});
  expect([sick(outcome), codes(outcome)]).toEqual([['be1'], []]);
});

test.each<[string, ReportChange, string]>([
  ['MAIL_STORM', {slis: {deliveryMsP95: 20_000}, load: {deliveriesPerSecond: 9}}, 'deliveriesPerSecond'],
  ['EVERYTHING_SLOW', {slis: {deliveryMsP95: 20_000}}, 'deliveryMsP95'],
  ['PROBES_FAIL', {slis: {probeFailureShare: 1}}, 'probeFailureShare'],
])('%s: nobody is sick, one call names it, and it ends', (code, change, first) => {
  const farm = farmOf();
  expect(farm.pass(20, all(change)).circumstances).toEqual([]);
  const outcome = farm.pass(160, all(change));
  expect([sick(outcome), codes(outcome), paged(outcome)]).toEqual([[], [code], [[null, code]]]);
  expect(outcome.circumstances[0]?.evidence[0]).toMatchObject({sli: first, note: expect.stringContaining('hosts')});
  expect(outcome.circumstances[0]?.hosts).toHaveLength(9);
  expect(outcome.decisions.every(({kind, vetoes}) => kind === 'page' || kind === 'watch' || vetoes.length > 0)).toBe(true);
  const sinceMs = outcome.circumstances[0]?.sinceMs;
  // A moment without it is not its end.
  expect(farm.pass(10, {}).circumstances[0]?.sinceMs).toBe(sinceMs);
  expect(farm.pass(300).circumstances).toEqual([]);
});

test('a busy day that nobody feels is no storm; a release that is bad on most hosts is a release', () => {
  expect(codes(farmOf().pass(160, all({load: {deliveriesPerSecond: 9}})))).toEqual([]);
  const farm = new Farm();
  for (let index = 0; index < 12; index++) farm.add(recordOf(`be${index}`, index < 8 ? NEW : OLD), 12);
  farm.pass(420);
  const bad = Object.fromEntries(Array.from({length: 8}, (_, index) => [`be${index}`, SICK]));
  const outcome = farm.pass(200, bad);
  expect(outcome.cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, explained: true});
  expect(codes(outcome)).toEqual([]);
});

test('one edge is bad, or silent: it is named; not when a backend behind it is bad', () => {
  const slow: ReportChange = {slis: {probeDeliveryMs: 30_000, probeFailureShare: 0.8}};
  const bad = farmOf().pass(200, {edge1: slow});
  expect([codes(bad), bad.circumstances[0]?.hosts, paged(bad)]).toEqual([['ONE_EDGE'], ['edge1'], [['edge1', 'ONE_EDGE']]]);
  const gone = farmOf().pass(200, {edge1: null});
  expect([codes(gone), paged(gone)]).toEqual([['ONE_EDGE'], [['edge1', 'ONE_EDGE']]]);
  const dropping: ReportChange = {slis: {imapDropped: 5}};
  const behind = farmOf().pass(200, {be1: SICK, edge1: dropping, edge2: dropping});
  expect([sick(behind), codes(behind)]).toEqual([['be1'], []]);
});

test('while two backends feel something and are not proved yet, what waits for them at the edges is no outage of the edges', () => {
  const closed: ReportChange = {slis: {probeFailureShare: 1, probeDeliveryMs: null}};
  const waiting: ReportChange = {slis: {queueAgeMsP95: 90_000}};
  const farm = farmOf();
  const said: string[] = [];
  for (let passed = 0; passed < 200; passed += 10)
    said.push(...codes(farm.pass(10, {be1: closed, be2: closed, edge1: waiting, edge2: waiting})));
  expect(said).toEqual([]);
});

test('all or most edges are bad: one call says so, and customers are hurt', () => {
  const slow: ReportChange = {slis: {probeFailureShare: 1, probeLoginMs: null, probeDeliveryMs: null}};
  const out = farmOf().pass(200, {edge1: slow, edge2: slow});
  expect([codes(out), paged(out)]).toEqual([['MOST_EDGES'], [[null, 'MOST_EDGES']]]);
  expect(out.circumstances[0]?.hosts).toEqual(['edge1', 'edge2']);
  expect(out.hurt).toMatchObject({users: 108, usersHurt: 108, byHost: {edge1: 54, edge2: 54}, byCause: {MOST_EDGES: 108}, domainsHurt: 9});
  const silent = farmOf().pass(200, {edge1: null, edge2: null});
  expect([codes(silent), paged(silent)]).toEqual([['MOST_EDGES'], [[null, 'MOST_EDGES']]]);
  // One backend of many is not what all edges feel.
  const many = farmOf(20);
  expect(codes(many.pass(200, {be1: SICK, edge1: slow, edge2: slow}))).toEqual(['MOST_EDGES']);
  // What all backends feel is theirs.
  expect(codes(farmOf().pass(200, {...all({slis: {deliveryMsP95: 20_000}}), edge1: slow, edge2: slow}))).toEqual(['EVERYTHING_SLOW']);
});

test('reports that wait on the hosts are called late, and who is silent altogether is another matter', () => {
  const waiting: ReportChange = {agent: {version: '0', cpuMs: 1, rssBytes: 1, spooled: 9, dropped: 0, failing: {}}};
  /** Reports wait on hosts, and those that come are so old. */
  const played = (lagMs: number, weather: (late: ReportChange) => Weather): FlowOutcome => {
    const farm = farmOf();
    const step = (): FlowOutcome => farm.pass(10, weather({...waiting, sampledAtMs: farm.nowMs + 10_000 - lagMs}));
    for (let steps = 0; steps < 5; steps++) step();
    return step();
  };
  const everywhere = (late: ReportChange): Weather => ({...all(late), edge1: late});
  const outcome = played(40_000, everywhere);
  expect([codes(outcome), paged(outcome)]).toEqual([['REPORTS_LATE'], [[null, 'REPORTS_LATE']]]);
  expect(played(40_000, late => on(late, ['be1', 'be2'])).circumstances).toEqual([]);
  // What waited is brought in meanwhile, the newest first.
  expect(played(3_000, everywhere).circumstances).toEqual([]);
  const silent = farmOf().pass(200, on(null, ['be0', 'be1', 'be4', 'be5', 'be6', 'be7']));
  expect(paged(silent)).toEqual([[null, 'MONITOR_SUSPECT']]);
});

test('all hosts of one rack are silent: one call names the rack', () => {
  // The edges stand there as well, and one of them speaks.
  expect(codes(farmOf().pass(200, on(null, ['be0', 'be1', 'be2', 'edge1'])))).not.toContain('PLACE_CUT_OFF');
  const farm = farmOf();
  for (const edge of ['edge1', 'edge2']) farm.change(edge, {labels: {...OLD, rack: 'r3'}});
  const cut = farm.pass(200, on(null, ['be0', 'be1', 'be2']));
  expect(cut.circumstances).toMatchObject([{code: 'PLACE_CUT_OFF', labels: {rack: 'r1'}, hosts: ['be0', 'be1', 'be2']}]);
  expect(paged(cut)).toEqual([[null, 'PLACE_CUT_OFF']]);
  // One more elsewhere, and it is not the rack alone.
  expect(codes(farm.pass(200, on(null, ['be0', 'be1', 'be2', 'be5'])))).toEqual([]);
});

test('a rack that is cut off while one host elsewhere has been dead for an hour is named all the same', () => {
  const farm = farmOf();
  for (const edge of ['edge1', 'edge2']) farm.change(edge, {labels: {...OLD, rack: 'r3'}});
  farm.pass(900, on(null, ['be5']));
  const cut = farm.pass(200, on(null, ['be0', 'be1', 'be2', 'be5']));
  expect(cut.circumstances).toMatchObject([{code: 'PLACE_CUT_OFF', labels: {rack: 'r1'}, hosts: ['be0', 'be1', 'be2']}]);
  // Nor does one that dies long after end it.
  farm.pass(400, on(null, ['be0', 'be1', 'be2', 'be5']));
  expect(codes(farm.pass(200, on(null, ['be0', 'be1', 'be2', 'be4', 'be5'])))).toContain('PLACE_CUT_OFF');
});

test('a person is called by the name of what is wrong alone, and not for each host before it has one', () => {
  const farm = new Farm();
  for (let index = 0; index < 12; index++) farm.add(recordOf(`be${index}`, {...OLD, rack: index < 4 ? 'r1' : 'r2'}), 12);
  farm.pass(420);
  const calls = new Set<string>();
  const listen = (seconds: number, weather: Weather): void => {
    for (let passed = 0; passed < seconds; passed += 10)
      for (const [host, because] of paged(farm.pass(10, weather))) calls.add(`${because} ${host}`);
  };
  listen(200, on(null, ['be0', 'be1', 'be2', 'be3']));
  expect([...calls]).toEqual(['PLACE_CUT_OFF null']);
  listen(400, {});
  calls.clear();
  listen(200, all({slis: {deliveryMsP95: 20_000}}));
  expect([...calls]).toEqual(['EVERYTHING_SLOW null']);
});

test('half of the farm falls silent and comes back: a person is called for that, and not for late reports once they are there again', () => {
  const farm = farmOf(12);
  const calls = new Set<string>();
  const listen = (seconds: number, weather: Weather): void => {
    for (let passed = 0; passed < seconds; passed += 10) for (const [, because] of paged(farm.pass(10, weather))) calls.add(because);
  };
  listen(200, on(null, ['be0', 'be1', 'be2', 'be3', 'be4', 'be5', 'be6', 'edge1']));
  listen(200, {});
  expect([...calls]).toEqual(['MONITOR_SUSPECT']);
});

/** Twenty hosts, seventeen of them of the newest release. */
function mostlyNew(): Farm {
  const farm = new Farm();
  for (let index = 0; index < 20; index++) farm.add(recordOf(`be${index}`, {...(index < 17 ? NEW : OLD), rack: `r${index % 4}`}), 12);
  return farm;
}
const newest = (change: ReportChange): Weather =>
  on(
    change,
    Array.from({length: 17}, (_, index) => `be${index}`),
  );

test('bad on most of the farm, the few without the release are well: nobody is proved to be sick, and the release is named', () => {
  const farm = mostlyNew();
  farm.pass(420);
  const outcome = farm.pass(200, newest(SICK));
  expect([sick(outcome), codes(outcome), paged(outcome)]).toEqual([[], ['MAJORITY_BAD'], [[null, 'MAJORITY_BAD os=debian-13']]]);
  const [told] = outcome.circumstances;
  expect(told).toMatchObject({
    labels: {os: 'debian-13'},
    evidence: [{note: expect.stringContaining('17 of 17 with it, against 3')}, {}, {}],
  });
  expect(told?.hosts).toHaveLength(17);
  expect(outcome.decisions.every(({kind}) => kind === 'page' || kind === 'watch')).toBe(true);
  // From birth on: nobody has a past.
  expect(codes(mostlyNew().pass(420, newest(SICK)))).toEqual(['MAJORITY_BAD']);
});

test('what reaches the few as well, and they are only faster, is nothing that the others have', () => {
  const farm = mostlyNew();
  const fast: Weather = on({slis: {deliveryMsP95: 100}}, ['be17', 'be18', 'be19']);
  farm.pass(420, fast);
  const slow = {...newest({slis: {deliveryMsP95: 16_000}}), ...on({slis: {deliveryMsP95: 4_000}}, ['be17', 'be18', 'be19'])};
  expect(codes(farm.pass(200, slow))).toEqual(['EVERYTHING_SLOW']);
});

/** A farm for ten minutes in which the clock of be1 is off; at the end it may fall silent. */
function offClock(offMs: number, silentSeconds = 0): FlowOutcome {
  const farm = farmOf();
  let outcome: FlowOutcome | null = null;
  for (let round = 1; round <= 60 + silentSeconds / 10; round++) {
    farm.nowMs += 10_000;
    for (const [host, {record}] of farm.fleet.hosts) {
      if (host === 'be1' && round > 60) continue;
      fold(farm.fleet, reportOf(record, 1_000 + round, farm.nowMs + (host === 'be1' ? offMs : 0)), farm.nowMs);
    }
    outcome = flow(farm.fleet, farm.memory, farm.policy, farm.nowMs);
    farm.memory = outcome.memory;
  }
  if (outcome === null) throw new Error('no round');
  return outcome;
}

test('a clock that is behind is named, and its host is judged by when its reports come', () => {
  const behind = offClock(-120_000);
  expect(behind.verdicts.find(({host}) => host === 'be1')?.kind).toBe('healthy');
  expect([codes(behind), paged(behind)]).toEqual([['CLOCK_SKEW'], [[null, 'CLOCK_SKEW']]]);
  expect(behind.circumstances[0]).toMatchObject({hosts: ['be1'], evidence: [{value: 120_000, note: 'be1: its clock is 2 m 00 s behind'}]});
  expect(offClock(-30_000).circumstances).toEqual([]);
  // One that does not report any more is silent all the same.
  expect(paged(offClock(-120_000, 120))).toEqual([['be1', 'SILENT']]);
});

test('a clock that is ahead is named: nothing of its host is known', () => {
  const ahead = offClock(120_000);
  expect([codes(ahead), paged(ahead)]).toEqual([['CLOCK_SKEW'], [[null, 'CLOCK_SKEW']]]);
  const note = (outcome: FlowOutcome): string | undefined => outcome.circumstances[0]?.evidence[0]?.note;
  expect(note(ahead)).toBe('be1: its clock is 2 m 00 s ahead: its reports are refused');
  const far = offClock(720_000);
  expect(note(far)).toBe('be1: its clock is 12 m 00 s ahead: its reports are refused, and nobody can be held there or move away');
  expect(far.circumstances.map(circumstanceWords)).toEqual([expect.stringContaining(`(${note(far)})`)]);
});
