import {expect, test} from 'vitest';
import {octavePercentile} from '../../../base/histogram.ts';
import {seededRng} from '../../../base/random.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import {atSeverity, NOTHING} from './effect.ts';
import {FAULTS} from './faults.ts';
import {INNOCENTS} from './innocents.ts';
import {play} from './play.ts';
import {feltOf, isAnyProved} from './quiet.ts';
import {drawFault, drawInnocent, drawQuiet, effectOn, membersOf, type Scenario} from './scenario.ts';
import {score} from './score.ts';
import {countsLatencies, World} from './world.ts';

const fault = (seed: number, name: string): ReturnType<typeof drawFault> => {
  const kind = FAULTS.find(candidate => candidate.name === name);
  if (kind === undefined) throw new Error(`no fault named ${name}`);
  return drawFault(seed, seededRng(seed), kind);
};

test('the library is as large as promised, and no name stands twice', () => {
  expect(new Set(FAULTS.map(({name}) => name)).size).toBeGreaterThanOrEqual(25);
  expect(new Set(INNOCENTS.map(({name}) => name)).size).toBeGreaterThanOrEqual(15);
});

test('a seed replays: farm, reports and verdicts, through the door or past it', () => {
  const once = fault(7, 'LMTP slow');
  const again = fault(7, 'LMTP slow');
  expect(again.world.hosts).toEqual(once.world.hosts);
  expect(score({...again, isPastTheDoor: true}, DEFAULT_POLICY)).toEqual(score(once, DEFAULT_POLICY));
  expect(fault(8, 'LMTP slow').world.hosts).not.toEqual(once.world.hosts);
});

test('a fault is on its hosts from its onset on, and its labels name just these', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const {world, onsetMs, faults} = fault(seed, 'flush slow');
    const scenario = fault(seed, 'flush slow');
    for (const {hosts, labels} of faults) {
      if (labels !== null) expect(membersOf(world.hosts, labels)).toEqual(hosts);
      for (const host of world.hosts) {
        expect(effectOn(scenario, host, onsetMs - 1)).toBe(NOTHING);
        if (hosts.includes(host.host)) expect(effectOn(scenario, host, onsetMs).delivery).toBeGreaterThan(2);
      }
    }
  }
});

test('two labels that go bad at once share no host (seeds 1 to 10)', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const {faults} = fault(seed, 'two labels go bad at once, each in its own way');
    const hosts = faults.flatMap(({hosts: own}) => own);
    expect({seed, hosts: new Set(hosts).size}).toEqual({seed, hosts: hosts.length});
  }
});

test('half of a farm is worse from its birth on, by less than a majority must be: its label is told by a few, and makes the others sick, too', () => {
  const {harmed, found, falseHosts, causes, causesFound} = score(fault(400_483, 'everything a little worse'), DEFAULT_POLICY);
  expect(harmed.length).toBe(29);
  expect(found.length).toBeGreaterThan(0.9 * harmed.length);
  expect([falseHosts, causesFound]).toEqual([[], causes]);
});

test('two thirds of a farm are sick from its birth on, and differ: those that are not proved follow by their label', () => {
  const {harmed, found, falseHosts} = score(fault(99_108, 'processor throttled'), DEFAULT_POLICY);
  expect([harmed.length, found.length, falseHosts]).toEqual([32, 32, []]);
});

test('farms without any fault: nobody is called sick (seeds 1 to 3)', () => {
  for (const seed of [1, 2, 3]) {
    const {falseHosts, evacuatedFalsely} = score(drawInnocent(seed, seededRng(seed), 'nothing at all'), DEFAULT_POLICY);
    expect({seed, falseHosts, evacuatedFalsely}).toEqual({seed, falseHosts: [], evacuatedFalsely: []});
  }
});

test('quiet hours that are not judged are hours in which nothing is above a floor (seeds 1 to 12)', () => {
  const above = new Set(['PEERS_AS_BAD', 'NOT_PROVED', 'OVERLOADED', 'NO_PEERS', 'SLI_WORSE_THAN_PEERS']);
  let felt = 0;
  for (let seed = 1; seed <= 12; seed++) {
    // An hour each, the farms kept small.
    const draw = (): Scenario => drawQuiet(seed, 1);
    if (draw().world.hosts.length > 60) continue;
    const feltMs = feltOf(draw(), DEFAULT_POLICY)?.lastMs ?? null;
    if (feltMs !== null) felt++;
    play(draw(), DEFAULT_POLICY, ({verdicts}, atMs) => {
      // Reports come late, and a window is as long as it is.
      const isAbove = verdicts.some(({kind, because}) => kind === 'sick' || above.has(because));
      if (isAbove) expect({seed, atMs, isJudged: atMs <= (feltMs ?? 0) + 90_000}).toEqual({seed, atMs, isJudged: true});
      return true;
    });
  }
  expect(felt).toBeGreaterThan(0);
});

test('what need not be judged in full: farms on which nobody is proved to be worse in what is felt (seeds 1 and 2)', () => {
  for (const seed of [1, 2]) {
    const kind = FAULTS.find(({name}) => name === 'authentication slow') as (typeof FAULTS)[number];
    const farm = {min: 8, max: 12};
    const draw = (): Scenario => ({...drawFault(seed, seededRng(seed), {...kind, scope: 'host'}, farm), isPastTheDoor: true});
    const found = score(draw(), DEFAULT_POLICY).found.length;
    const isProvedIn = (sli: 'probeLoginMs' | 'deliveryMsP95'): boolean => isAnyProved(draw(), new Set([sli]), DEFAULT_POLICY);
    expect({seed, found, login: isProvedIn('probeLoginMs'), delivery: isProvedIn('deliveryMsP95')}).toEqual({
      seed,
      found: 1,
      login: true,
      delivery: false,
    });
  }
});

test.each([
  ['a third of the farm gets faster', 70_000],
  ['everything gets slow on a small farm, hosts differ in how much', 70_000],
  ['mail for outside waits', 70_002],
] as const)('%s: nobody is called sick, nobody moved (seed %i)', (name, seed) => {
  const policy = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, evacuate: 'on' as const}};
  const {falseHosts, evacuatedFalsely} = score(drawInnocent(seed, seededRng(seed), name), policy);
  expect({name, falseHosts, evacuatedFalsely}).toEqual({name, falseHosts: [], evacuatedFalsely: []});
});

test('a fault shows in what Dovecot counts, where it counts; a queue that grows does not (seed 5)', () => {
  const p95 = (of: string, effect: typeof NOTHING): number | null => {
    const world = new World(seededRng(5), 20);
    const reports = world.hosts.filter(countsLatencies).map(host => world.report(host, 10 * 3_600_000, effect));
    const rows = reports.flatMap(({mailFigures}) => (mailFigures?.latencies ?? []).flatMap(row => (row.of === of ? [row.us] : [])));
    return octavePercentile(rows, () => 0.95);
  };
  const effectOf = (name: string): typeof NOTHING => atSeverity(FAULTS.find(kind => kind.name === name)?.draw(seededRng(5)).full ?? {}, 1);
  const rise = (of: string, name: string): number => (p95(of, effectOf(name)) ?? 0) / (p95(of, NOTHING) ?? 0);
  expect(rise('login', "the users' password database slow, not the probe's")).toBeGreaterThan(100);
  expect(rise('lmtp', "the users' password database slow, not the probe's")).toBeCloseTo(1, 5);
  expect(rise('lmtp', 'LMTP slow')).toBeGreaterThan(5);
  expect(rise('lmtp', 'queue grows')).toBeCloseTo(1, 5);
  const world = new World(seededRng(5), 20);
  const blind = world.hosts.filter(host => !countsLatencies(host));
  expect(blind.map(host => world.report(host, 0, NOTHING).mailFigures?.latencies)).toEqual([null, null]);
});
