import {expect, test} from 'vitest';
import {emptyFleet, fleetHost, holdPortsOf} from '../../../coordinator/fleet.ts';
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
