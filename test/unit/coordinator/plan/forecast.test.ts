import {describe, expect, test} from 'vitest';
import {DAY_MS} from '../../../../base/units.ts';
import {CapacityHistory} from '../../../../coordinator/capacity.ts';
import type {Emit} from '../../../../coordinator/events.io.ts';
import {emptyFleet, type Fleet, fleetHost} from '../../../../coordinator/fleet.ts';
import {capacityOf, forecastOf} from '../../../../coordinator/plan/forecast.ts';
import {type CapacityFigure, Forecast} from '../../../../wire/capacity.ts';
import {parse} from '../../../../wire/codec.ts';
import {EVENTS, type EventType} from '../../../../wire/event.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {HostRecord} from '../../../../wire/record.ts';
import {recordOf, reportOf, START_MS} from '../fleet-builder.ts';

const TB = 1e12;
const POLICY: Policy = {...DEFAULT_POLICY, place: {...DEFAULT_POLICY.place, reserveShare: 0.2}};

/** One figure a day; `held` in TB by day. 100 hosts of 2 TB. */
function days(count: number, held: (day: number) => number, hosts = 100): [CapacityFigure, ...CapacityFigure[]] {
  const [first, ...more] = Array.from({length: count}, (_, day) => {
    return {atMs: START_MS + day * DAY_MS, hosts, users: 1, heldBytes: held(day) * TB, usableBytes: hosts * 2 * TB};
  });
  if (first === undefined) throw new Error('no day');
  return [first, ...more];
}

describe('growth that was seen', () => {
  // 100 TB and 0.5 a day: below half as much again at 133.3 TB, 200 TB / 1.5.
  const steady = days(41, day => 80 + day * 0.5);
  const nowMs = steady.at(-1)?.atMs ?? 0;
  const forecast = forecastOf(steady, POLICY, nowMs);

  test('tells when the spare falls below, when to order and how much', () => {
    parse(Forecast, forecast, 'forecast');
    expect(forecast.spare).toBeCloseTo(1);
    expect(forecast.growthBytesPerDay).toBeCloseTo(0.5 * TB, -3);
    expect(((forecast.belowAtMs ?? 0) - nowMs) / DAY_MS).toBeCloseTo(66.67, 1);
    expect(((forecast.orderByMs ?? 0) - nowMs) / DAY_MS).toBeCloseTo(24.67, 1);
    // 15 TB a month, half as much again, on hosts of 2 TB.
    expect(forecast.hostsPerMonth).toBeCloseTo(11.25);
    // In 84 days 142 TB: 213 TB are needed, 13 more than there are.
    expect(forecast.orderHosts).toBe(7);
    expect(forecast.isDue).toBe(false);
    expect(forecastOf(steady, POLICY, nowMs + 11 * DAY_MS).isDue).toBe(true);
    expect(forecastOf(steady, {...POLICY, capacity: {leadDays: 60}}, nowMs).isDue).toBe(true);
  });

  test('a week of double copies changes it little', () => {
    const bump = forecastOf(
      days(41, day => 80 + day * 0.5 + (day >= 20 && day < 27 ? 30 : 0)),
      POLICY,
      nowMs,
    );
    expect((bump.growthBytesPerDay ?? 0) / TB).toBeGreaterThan(0.4);
    expect((bump.growthBytesPerDay ?? 0) / TB).toBeLessThan(0.65);
  });

  test('what grows faster lately counts, and so does what rests lately after it had grown', () => {
    const faster = forecastOf(
      days(81, day => 80 + (day > 60 ? (day - 60) * 1.5 : 0)),
      POLICY,
      nowMs,
    );
    expect((faster.growthBytesPerDay ?? 0) / TB).toBeGreaterThan(0.9);
    const resting = forecastOf(
      days(81, day => 80 + Math.min(day, 50) * 0.5),
      POLICY,
      nowMs,
    );
    expect((resting.growthBytesPerDay ?? 0) / TB).toBeGreaterThan(0.3);
  });

  test('too few days tell no growth; what lacks already is due though', () => {
    expect(
      forecastOf(
        days(7, day => 80 + day),
        POLICY,
        START_MS,
      ),
    ).toMatchObject({growthBytesPerDay: null, belowAtMs: null, orderHosts: null, isDue: false});
    expect(
      forecastOf(
        days(1, () => 160),
        POLICY,
        START_MS,
      ),
    ).toMatchObject({growthBytesPerDay: null, belowAtMs: START_MS, orderHosts: 20, isDue: true});
    expect(
      forecastOf(
        days(20, day => 80 - day),
        POLICY,
        START_MS,
      ),
    ).toMatchObject({belowAtMs: null, orderByMs: null, isDue: false});
  });
});

function fleetOf(count: number, change: (at: number) => Partial<HostRecord> = () => ({})): Fleet {
  const fleet = emptyFleet();
  for (let at = 0; at < count; at++) {
    const host = fleetHost(recordOf(`be${at}`, {}, change(at)));
    host.reports = [reportOf(host.record, 1, START_MS, {mailStore: {totalBytes: 1_000, freeBytes: 400, freeInodes: null}})];
    fleet.hosts.set(host.record.host, host);
  }
  return fleet;
}

describe('the figure of a day', () => {
  test('sick and cordoned hosts count, those without mailboxes for good do not, retained copies neither', () => {
    const fleet = fleetOf(20, at => (at === 0 ? {stage: 'retired'} : at === 1 ? {role: 'edge'} : at === 2 ? {stage: 'draining'} : {}));
    const retained = {step: 'retained', bytes: 100} as Fleet['moves'][number];
    fleet.moves = [retained, {...retained, step: 'purged'}];
    expect(capacityOf(fleet, POLICY, START_MS)).toEqual({atMs: START_MS, hosts: 18, users: 0, heldBytes: 10_700, usableBytes: 14_400});
  });

  test('of a farm that is hardly known there is none; the few that are not known count as the others', () => {
    const fleet = fleetOf(10);
    const silence = (host: string): void => {
      const known = fleet.hosts.get(host);
      if (known !== undefined) known.reports = [];
    };
    silence('be3');
    expect(capacityOf(fleet, POLICY, START_MS)).toMatchObject({hosts: 10, heldBytes: 6_000, usableBytes: 8_000});
    silence('be4');
    expect(capacityOf(fleet, POLICY, START_MS)).toBeNull();
    expect(capacityOf(emptyFleet(), POLICY, START_MS)).toBeNull();
  });

  test('is told once a day by the leader, and what is due with it', () => {
    const told: EventType[] = [];
    const emit: Emit = (type, _host, data) => {
      parse(EVENTS[type], data, type);
      told.push(type);
    };
    const history = new CapacityHistory();
    const fleet = fleetOf(10);
    expect(history.forecast(POLICY, START_MS)).toBeNull();
    history.note(fleet, POLICY, emit, START_MS);
    history.note(fleet, POLICY, emit, START_MS + DAY_MS - 1);
    // Held 600, could be held 800: a third is spare.
    expect(told).toEqual(['capacityMeasured', 'hardwareDue']);
    history.note(fleet, POLICY, null, START_MS + DAY_MS);
    expect(told).toHaveLength(2);
    history.note(fleet, {...POLICY, place: {...POLICY.place, headroomShare: 0.3}}, emit, START_MS + 2 * DAY_MS);
    expect(told.slice(2)).toEqual(['capacityMeasured']);
    expect(history.forecast(POLICY, START_MS + 2 * DAY_MS)).toMatchObject({days: 2, growthBytesPerDay: null});
  });
});
