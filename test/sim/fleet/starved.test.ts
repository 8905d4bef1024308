import {expect, test} from 'vitest';
import {seededRng} from '../../../base/random.ts';
import {DEFAULT_POLICY} from '../../../wire/policy.ts';
import type {Scenario} from './scenario.ts';
import {type Score, score} from './score.ts';
import {World} from './world.ts';

const MINUTE = 60_000;
/** Reports of starved hosts cover so many usual intervals, and are so late. */
const INTERVALS = 3;
const LATE_MS = 3_000;
const START_MS = 19_727 * 86_400_000 + 9 * 3_600_000;
/** A miniature farm: two hosts of five have the newest release, and nothing else divides them so. */
const LABELS = [
  ['bookworm', 'r1', 'gen9'],
  ['bookworm', 'r2', 'gen9'],
  ['bookworm', 'r2', 'gen11'],
  ['trixie', 'r1', 'gen11'],
  ['trixie', 'r2', 'gen11'],
] as const;

/** Processors of the newest release are throttled, and with them the agents, which report every half minute only. */
function throttled(seed: number, isStarved: boolean): Scenario {
  const world = new World(seededRng(seed), LABELS.length);
  for (const [index, [os, rack, hardware]] of LABELS.entries()) Object.assign(world.hosts[index] ?? {}, {labels: {os, rack, hardware}});
  const hosts = world.hosts.filter(({labels}) => labels.os === 'trixie').map(({host}) => host);
  const full = {login: 40, delivery: 10, probeDelivery: 20, kernel: {psiCpuSome10: 60}};
  const onsetMs = START_MS + 15 * MINUTE;
  return {
    name: 'processors throttled, agents too',
    world,
    startMs: START_MS,
    onsetMs,
    endMs: onsetMs + 5 * MINUTE,
    faults: [{kind: 'throttled', hosts, labels: {os: 'trixie'}, full, shape: () => 1}],
    innocent: {
      mangle: (report, sinceMs, {host}) => {
        if (!isStarved || !hosts.includes(host)) return {reports: [report], delayMs: 0};
        const isWhole = Math.floor(sinceMs / report.intervalMs) % INTERVALS === INTERVALS - 1;
        return {reports: isWhole ? [{...report, intervalMs: INTERVALS * report.intervalMs}] : [], delayMs: LATE_MS};
      },
    },
  };
}

test('hosts too starved to report in time are called sick after two long reports, and their release is named (seeds 1 to 4)', () => {
  const slowest = (scores: Score[], pick: (own: Score) => number[]): number => Math.max(...scores.flatMap(pick));
  for (const [isStarved, hostMs, cohortMs] of [
    [false, 60_000, 90_000],
    [true, 90_000, 120_000],
  ] as const) {
    const scores = [1, 2, 3, 4].map(seed => score(throttled(seed, isStarved), DEFAULT_POLICY));
    for (const own of scores) expect(own).toMatchObject({found: ['h003', 'h004'], falseHosts: [], causesFound: 1, wrongCauses: []});
    expect(1000 * slowest(scores, ({secondsToHost}) => secondsToHost)).toBeLessThanOrEqual(hostMs);
    expect(1000 * slowest(scores, ({secondsToCohort}) => secondsToCohort)).toBeLessThanOrEqual(cohortMs);
  }
});
