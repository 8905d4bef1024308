import {expect, test} from 'vitest';
import {fleetHost} from '../../../../coordinator/fleet.ts';
import {measure, type SliName} from '../../../../coordinator/health/sli.ts';
import {completed, DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import {countedBy, Farm, NEW, OLD, type ReportChange, recordOf, reportOf, START_MS} from '../fleet-builder.ts';

const {judge} = DEFAULT_POLICY;
const NOW_MS = START_MS + 300_000;
const usual: ReportChange = {mailFigures: countedBy({lmtp: {ms: 60, count: 20}, login: {ms: 12, count: 20}})};
const slowLogins: ReportChange = {mailFigures: countedBy({lmtp: {ms: 60, count: 20}, login: {ms: 9_000, count: 20}})};
const slowLmtp: ReportChange = {mailFigures: countedBy({lmtp: {ms: 20_000, count: 20}, login: {ms: 12, count: 20}})};

function valuesOf(changes: readonly ReportChange[]): Record<SliName, number | null> {
  const record = recordOf('be1', OLD);
  const reports = changes.map((change, index) => reportOf(record, index, NOW_MS - (changes.length - 1 - index) * 10_000, change));
  return measure({...fleetHost(record), reports, receivedAtMs: NOW_MS, generationSinceMs: START_MS}, judge, NOW_MS).values;
}

/** Ten hosts that count, two of them of a new release. */
function tenHosts(): Farm {
  const farm = new Farm();
  for (let index = 0; index < 10; index++) farm.add(recordOf(`be${index}`, index < 2 ? NEW : OLD), 12);
  return farm;
}
const weather = (change: ReportChange, on: readonly string[]): Record<string, ReportChange> =>
  Object.fromEntries(Array.from({length: 10}, (_, index) => [`be${index}`, on.includes(`be${index}`) ? change : usual]));

test('latencies of deliveries and logins are percentiles over the window', () => {
  const {lmtpMsP95, loginMsP95} = valuesOf([usual, usual, usual]);
  expect(lmtpMsP95).toBeGreaterThan(32);
  expect(lmtpMsP95).toBeLessThan(66);
  expect(loginMsP95).toBeGreaterThan(8);
  expect(loginMsP95).toBeLessThan(17);
  // A third of all is that slow.
  expect(valuesOf([usual, usual, slowLogins]).loginMsP95).toBeGreaterThan(8_000);
});

test('not counted is not measured: null, not fast', () => {
  for (const mailFigures of [null, countedBy({}), {...countedBy({}), latencies: null}, countedBy({login: {ms: 5, count: 0}})]) {
    expect(valuesOf([{mailFigures}, {mailFigures}, {mailFigures}])).toMatchObject({lmtpMsP95: null, loginMsP95: null});
  }
  expect(valuesOf([{}, {}, {}])).toMatchObject({lmtpMsP95: null, loginMsP95: null});
});

test("one slow login of few is that user's own", () => {
  const one = {mailFigures: countedBy({login: {ms: 9_000, count: 1}})};
  const few = {mailFigures: countedBy({login: {ms: 10, count: 2}})};
  expect(valuesOf([few, few, one]).loginMsP95).toBeLessThan(20);
  expect(valuesOf([few, one, one, one]).loginMsP95).toBeGreaterThan(20);
});

test('figures that no host can have are no measurement', () => {
  const mad = {...countedBy({}), latencies: [{of: 'login', us: [1e15, 1e300, 1e15, 1e300]}]};
  const {loginMsP95} = valuesOf([{mailFigures: mad}, {mailFigures: mad}, {mailFigures: mad}]);
  expect(loginMsP95 === null || Number.isFinite(loginMsP95)).toBe(true);
});

test.each([
  ['loginMsP95', slowLogins],
  ['lmtpMsP95', slowLmtp],
])('%s alone makes the hosts of a release sick, and nobody else', (sli, slow) => {
  const farm = tenHosts();
  farm.pass(400, weather(usual, []));
  const outcome = farm.pass(120, weather(slow, ['be0', 'be1']));
  expect(outcome.verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host)).toEqual(['be0', 'be1']);
  expect(outcome.verdicts[0]?.evidence[0]).toMatchObject({sli, unit: 'ms'});
  expect(outcome.cohorts[0]).toMatchObject({labels: {os: 'debian-13'}, explained: true});
  expect(outcome.hurt.byHost).toEqual({be0: 12, be1: 12});
});

test('slow on all of them: nobody is sick; a host that does not count is not judged by it', () => {
  const all = Array.from({length: 10}, (_, index) => `be${index}`);
  const farm = tenHosts();
  farm.pass(400, weather(usual, []));
  expect(farm.pass(120, weather(slowLogins, all)).verdicts.map(({kind}) => kind)).not.toContain('sick');
  const blind = tenHosts();
  blind.pass(400, weather(usual, []));
  const outcome = blind.pass(120, {...weather(slowLogins, ['be0']), be1: {}});
  expect(outcome.verdicts.slice(0, 2).map(({kind}) => kind)).toEqual(['sick', 'healthy']);
});

test('a policy of an older release has the floors of today', () => {
  const {lmtpMsP95, loginMsP95, ...floors} = judge.floors;
  const old: Policy = {...DEFAULT_POLICY, judge: {...judge, floors}};
  const farm = tenHosts();
  farm.policy = old;
  farm.pass(400, weather(usual, []));
  expect(farm.pass(120, weather(slowLogins, ['be0'])).verdicts[0]?.kind).toBe('sick');
  expect(completed(old).judge.floors).toEqual({...floors, lmtpMsP95, loginMsP95});
  expect(completed({...old, judge: {...judge, floors: {...floors, loginMsP95: 1}}}).judge.floors.loginMsP95).toBe(1);
});
