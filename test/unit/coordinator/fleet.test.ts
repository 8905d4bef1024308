import {expect, test} from 'vitest';
import {clockAhead, emptyFleet, fleetHost, holdPortsOf} from '../../../coordinator/fleet.ts';
import {recordOf, reportOf, START_MS} from './fleet-builder.ts';

test('as many users can be held as can wait at the edge with the least room, of those that tell and are in use', () => {
  const fleet = emptyFleet();
  expect(holdPortsOf(fleet)).toBeNull();
  for (const [host, holdPorts, stage] of [
    ['edge1', 32, 'active'],
    ['edge2', 8, 'active'],
    ['edge3', 2, 'retired'],
    ['edge4', undefined, 'active'],
  ] as const) {
    const record = recordOf(host, {}, {role: 'edge', stage});
    const report = reportOf(record, 1, START_MS, holdPorts === undefined ? {} : {holdPorts});
    fleet.hosts.set(host, {...fleetHost(record), reports: [report]});
  }
  expect(holdPortsOf(fleet)).toBe(8);
});

test('nobody is held on a host whose clock is ahead by nearly what makes a hold too old, as long as it says so', () => {
  const fleet = emptyFleet();
  const at = (ms: number | null, agoMs = 0): string | null => {
    fleet.hosts.set('be1', {...fleetHost(recordOf('be1', {})), ahead: ms === null ? null : {ms, receivedAtMs: START_MS - agoMs}});
    return clockAhead(fleet, 'be1', 40_000, START_MS);
  };
  expect([at(null), at(539_999), at(720_000, 40_001), clockAhead(fleet, 'be2', 40_000, START_MS)]).toEqual([null, null, null, null]);
  expect([at(540_000), at(720_000, 40_000)]).toEqual(['CLOCK_AHEAD be1 by 9 min', 'CLOCK_AHEAD be1 by 12 min']);
});
