import {expect, test} from 'vitest';
import {seededRng} from '../../../base/random.ts';
import {emptyMemory, type FlowOutcome, flow} from '../../../coordinator/flow.ts';
import {fold} from '../../../coordinator/report/fold.ts';
import {DEFAULT_POLICY, type Policy} from '../../../wire/policy.ts';
import type {CohortVerdict} from '../../../wire/record.ts';
import {atSeverity, combined, NOTHING} from './effect.ts';
import type {SimHost} from './hosts.ts';
import {fleetOf} from './play.ts';
import {INTERVAL_MS, World} from './world.ts';

const HOSTS = 24;
const NEWEST = 8;
const REINSTALL_MS = 300_000;
const START_MS = 19_727 * 86_400_000 + 9 * 3_600_000;
const ONSET_MS = START_MS + 900_000;
const END_MS = ONSET_MS + 7_200_000;
const POLICY: Policy = {...DEFAULT_POLICY, modes: {...DEFAULT_POLICY.modes, evacuate: 'on', cordon: 'on', reinstall: 'on'}};

/** The story: the newest hardware alone got the newest release. Which of the two is to blame, only the experiment tells. */
function story(): World {
  const world = new World(seededRng(11), HOSTS);
  for (const [index, host] of world.hosts.entries()) {
    const isNewest = index >= HOSTS - NEWEST;
    host.labels = {os: isNewest ? 'debian-13' : 'debian-12', hardware: isNewest ? 'gen11' : `gen${9 + (index % 2)}`, rack: `r${index % 3}`};
  }
  return world;
}

interface Told {
  /** What was explained when hosts were first asked for, and at the end. */
  first: CohortVerdict | null;
  last: CohortVerdict[];
  /** The most that were out for a reinstall at once before anything came back, and all that were ever asked for. */
  atOnceFirst: number;
  asked: Set<string>;
  sickAtEnd: string[];
}

/** Plays the story; what is decided is done: emptied at once, reinstalled within five minutes, taken back once it is well. */
function told(isToBlame: (host: SimHost) => boolean): Told {
  const world = story();
  const fleet = fleetOf({name: 'story', world, startMs: START_MS, onsetMs: ONSET_MS, endMs: END_MS, faults: [], innocent: null});
  const backMs = new Map<string, number>();
  const generations = new Map<string, number>();
  const homes = new Map([...fleet.routes].map(([user, {host}]) => [user, host]));
  const result: Told = {first: null, last: [], atOnceFirst: 0, asked: new Set(), sickAtEnd: []};
  let memory = emptyMemory();
  const recordOf = (host: string): NonNullable<ReturnType<typeof fleet.hosts.get>> => {
    const known = fleet.hosts.get(host);
    if (known === undefined) throw new Error(`no host ${host}`);
    return known;
  };
  const move = (host: string, to: string): void => {
    for (const [user, home] of homes) if (home === host) fleet.routes.set(user, {host: to, generation: 1, moveId: null});
  };
  for (let atMs = START_MS; atMs < END_MS; atMs += INTERVAL_MS) {
    world.next();
    for (const host of world.hosts) {
      const own = recordOf(host.host);
      const untilMs = backMs.get(host.host);
      if (untilMs !== undefined && atMs < untilMs) continue;
      if (untilMs !== undefined) {
        backMs.delete(host.host);
        host.labels = {...host.labels, os: 'debian-12'};
        generations.set(host.host, (generations.get(host.host) ?? 1) + 1);
        const sinceMs = atMs;
        own.record = {
          ...own.record,
          stage: 'probation',
          sinceMs,
          labels: host.labels,
          cordon: null,
          reinstallAskedBy: null,
          reinstallTo: null,
        };
      }
      const isTried = own.record.stage === 'probation' && atMs - own.record.sinceMs >= POLICY.host.probationMs;
      if (isTried && memory.hosts[host.host]?.kind === 'healthy') {
        own.record = {...own.record, stage: 'active'};
        move(host.host, host.host);
      }
      const isEmptied = own.record.stage === 'drained' || own.record.stage === 'probation';
      const bad = atMs >= ONSET_MS && isToBlame(host) ? {delivery: 40, probeDelivery: 20, kernel: {diskFlushMs: 400}} : {};
      const effect = isEmptied ? combined({...NOTHING, load: 0.02}, atSeverity(bad, 1)) : atSeverity(bad, 1);
      const report = {...world.report(host, atMs, effect), generation: generations.get(host.host) ?? 1};
      fold(fleet, report, atMs);
    }
    const outcome: FlowOutcome = flow(fleet, memory, POLICY, atMs + INTERVAL_MS / 2);
    memory = outcome.memory;
    for (const {kind, host, vetoes} of outcome.decisions) {
      if (host === null || vetoes.length > 0) continue;
      const own = recordOf(host);
      if (kind === 'evacuate') {
        move(host, 'h000');
        own.record = {...own.record, stage: 'drained', cordon: {by: 'mailherd', reason: 'sick', atMs}};
      }
      if (kind === 'reinstall') {
        for (const cohort of outcome.cohorts.filter(({sick}) => sick.includes(host))) {
          if (cohort.experiment !== undefined) expect(cohort.experiment.hosts).toContain(host);
        }
        result.first ??= outcome.cohorts.find(({explained, sick}) => explained && sick.includes(host)) ?? null;
        result.asked.add(host);
        own.record = {...own.record, stage: 'reinstalling', reinstallAskedBy: 'mailherd', reinstallTo: 'debian-12'};
        backMs.set(host, atMs + REINSTALL_MS);
        if (generations.size === 0) result.atOnceFirst = Math.max(result.atOnceFirst, backMs.size);
      }
    }
    result.last = outcome.cohorts.filter(({explained}) => explained);
    result.sickAtEnd = outcome.verdicts.filter(({kind}) => kind === 'sick').map(({host}) => host);
  }
  return result;
}

const newest = Array.from({length: NEWEST}, (_, index) => `h${String(HOSTS - NEWEST + index).padStart(3, '0')}`);

test('hardware and release cannot be told apart: two hosts are reinstalled first; they come back well, so it was the release', () => {
  const {first, atOnceFirst, asked, last, sickAtEnd} = told(({labels}) => labels.os === 'debian-13');
  expect(first).toMatchObject({labels: {os: 'debian-13'}, confounded: ['hardware'], experiment: {change: 'os'}});
  expect(atOnceFirst).toBe(2);
  expect([...asked].sort()).toEqual(newest);
  expect({last, sickAtEnd}).toEqual({last: [], sickAtEnd: []});
});

test('they come back as ill as they were: it is the hardware, and no other host is reinstalled for it', () => {
  const {first, atOnceFirst, asked, last} = told(({labels}) => labels.hardware === 'gen11');
  expect(first).toMatchObject({confounded: ['hardware'], experiment: {change: 'os'}});
  expect(atOnceFirst).toBe(2);
  expect([...asked].sort()).toHaveLength(2);
  expect(last).toHaveLength(1);
  expect(last[0]).toMatchObject({labels: {hardware: 'gen11'}, confounded: []});
});
