import {expect, test} from 'vitest';
import {seededRng} from '../../../../base/random.ts';
import {emptyFleet, type Fleet, fleetHost} from '../../../../coordinator/fleet.ts';
import {fold, KEEP_INTERVALS, KEEP_MAX, KEEP_MS, SKEW_MS_MAX} from '../../../../coordinator/report/fold.ts';
import type {HostReport} from '../../../../wire/report.ts';
import {OLD, recordOf, reportOf, START_MS} from '../fleet-builder.ts';

const record = recordOf('be1', OLD);
const report = (sequence: number, change: Partial<HostReport> = {}): HostReport => ({
  ...reportOf(record, sequence, START_MS + sequence * 10_000),
  ...change,
});
function fleetOf(): Fleet {
  const fleet = emptyFleet();
  fleet.hosts.set('be1', fleetHost(record));
  return fleet;
}
const LATER_MS = START_MS + 3_600_000;

test('the same report twice counts once', () => {
  const fleet = fleetOf();
  expect(fold(fleet, report(1), LATER_MS)).toEqual({accepted: true, reason: null});
  expect(fold(fleet, report(1), LATER_MS + 1)).toEqual({accepted: false, reason: 'DUPLICATE'});
  expect(fleet.hosts.get('be1')).toMatchObject({receivedAtMs: LATER_MS, highest: {generation: 1, sequence: 1}});
});

test('any order gives the same picture', () => {
  const pictureOf = (order: number[]): unknown => {
    const fleet = fleetOf();
    for (const sequence of order) {
      fold(fleet, report(sequence, {generation: sequence > 6 ? 2 : 1}), LATER_MS + sequence);
      fold(fleet, report(sequence, {generation: sequence > 6 ? 2 : 1}), LATER_MS + sequence);
    }
    return fleet.hosts.get('be1');
  };
  const sorted = Array.from({length: 20}, (_, index) => index + 1);
  const rng = seededRng(7);
  for (let round = 0; round < 20; round++) {
    const mixed = sorted.map(sequence => ({sequence, at: rng.unit()})).sort((a, b) => a.at - b.at);
    expect(pictureOf(mixed.map(({sequence}) => sequence))).toEqual(pictureOf(sorted));
  }
});

test('unknown host, other role, another name than its subject, the far future: refused, nothing changes', () => {
  const fleet = fleetOf();
  const nowMs = START_MS + 10_000;
  expect(fold(fleet, report(1, {host: 'be9'}), nowMs).reason).toBe('HOST_UNKNOWN');
  expect(fold(fleet, report(1), nowMs, 'be2').reason).toBe('HOST_UNKNOWN');
  expect(fold(fleet, report(1, {role: 'edge'}), nowMs).reason).toBe('ROLE_DIFFERS');
  expect(fold(fleet, report(1, {sampledAtMs: nowMs + SKEW_MS_MAX + 1}), nowMs).reason).toBe('FROM_THE_FUTURE');
  const ahead = {ms: SKEW_MS_MAX + 1, receivedAtMs: nowMs};
  expect(fleet.hosts.get('be1')).toEqual({...fleetHost(record), ahead});
  fold(fleet, report(1), nowMs);
  expect(fleet.hosts.get('be1')?.ahead).toBeNull();
});

test('a new generation replaces the old one, which is refused from then on', () => {
  const fleet = fleetOf();
  fold(fleet, report(5), LATER_MS);
  fold(fleet, report(1, {generation: 2}), LATER_MS);
  expect(fleet.hosts.get('be1')?.reports).toHaveLength(1);
  expect(fold(fleet, report(6), LATER_MS).reason).toBe('OLD_GENERATION');
});

test('an older generation that goes on while the newer one is silent is told apart from stragglers, and is the host in the end', () => {
  const fleet = fleetOf();
  const newer = report(1, {generation: 9});
  fold(fleet, newer, newer.sampledAtMs);
  const later = (sequence: number): string | null => {
    const one = report(sequence, {generation: 2});
    return fold(fleet, one, one.sampledAtMs).reason;
  };
  expect(fold(fleet, report(0, {generation: 2}), newer.sampledAtMs + 400_000).reason).toBe('OLD_GENERATION');
  expect([later(2), later(31)]).toEqual(['GENERATION_BEHIND', 'GENERATION_BEHIND']);
  expect([later(32), later(33)]).toEqual([null, null]);
  expect(fleet.hosts.get('be1')?.highest).toEqual({generation: 2, sequence: 33});
});

test('the last report that told kernel values is kept, however old and whenever it comes', () => {
  const values = (sequence: number): HostReport =>
    report(
      sequence,
      [5, 20].includes(sequence)
        ? {tune: {mode: 'advise', writer: null, retired: [], advice: [], changes: [], ended: [], values: {knob: `${sequence}`}, inert: {}}}
        : {},
    );
  const order = Array.from({length: 200}, (_, index) => index + 1);
  const kept = [order, [...order.filter(sequence => sequence !== 20), 20], order.toReversed()].map(sequences => {
    const fleet = fleetOf();
    for (const sequence of sequences) fold(fleet, values(sequence), LATER_MS);
    return fleet.hosts.get('be1')?.reports.map(({sequence}) => sequence);
  });
  expect(kept[0]?.slice(0, 2)).toEqual([20, 200 - KEEP_MS / 10_000]);
  expect([kept[1], kept[2]]).toEqual([kept[0], kept[0]]);
});

test('what is kept is bounded in time and number', () => {
  const fleet = fleetOf();
  for (let sequence = 1; sequence <= 500; sequence++) fold(fleet, report(sequence), START_MS + sequence * 10_000);
  expect(fleet.hosts.get('be1')?.reports).toHaveLength(KEEP_MS / 10_000 + 1);
  expect(fold(fleet, report(1), LATER_MS * 2).reason).toBe('TOO_OLD');
  const rare = fleetOf();
  for (let sequence = 1; sequence <= 60; sequence++) {
    fold(rare, report(sequence, {sampledAtMs: START_MS + sequence * 120_000, intervalMs: 120_000}), START_MS + sequence * 120_000);
  }
  expect(rare.hosts.get('be1')?.reports).toHaveLength(KEEP_INTERVALS + 1);
  const fast = fleetOf();
  for (let sequence = 1; sequence <= 500; sequence++) fold(fast, report(sequence, {sampledAtMs: START_MS + sequence}), LATER_MS);
  expect(fast.hosts.get('be1')?.reports).toHaveLength(KEEP_MAX);
  expect(fold(fast, report(1, {sampledAtMs: START_MS + 1}), LATER_MS).reason).toBe('TOO_OLD');
});
