import {expect, test} from 'vitest';
import {Intake} from '../../../../coordinator/report/intake.ts';
import {FakeFarm} from '../fake-farm.ts';

const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** A farm of these hosts, the newest report of be01, and an intake with what it told. */
async function begun(...hosts: string[]) {
  const farm = new FakeFarm();
  for (const host of hosts) await farm.addHost(host);
  await farm.rounds();
  const told: unknown[][] = [];
  const intake = new Intake(farm.picture.fleet, (...news) => told.push(news));
  return {farm, report: farm.picture.fleet.hosts.get('be01')?.reports.at(-1), told, intake};
}

test('what does not fit is counted, told once a host and minute, and never thrown', async () => {
  const {farm, report, told, intake} = await begun('be01');
  const misfits = ['{', '[]', '', '\u0000', {...report, v: 2}, {...report, queue: 7}, {...report, host: 'BE 01'}];
  for (const misfit of misfits) intake.take('mailherd.report.be01', bytes(misfit), farm.clock.now());
  intake.take('mailherd.report.be01', Uint8Array.of(0xff, 0xfe), farm.clock.now());
  expect(told.length).toBe(1);
  expect(told[0]?.slice(0, 1)).toEqual(['be01']);
  expect(intake.refused().get('be01')).toBe(misfits.length + 1);
  intake.take('mailherd.report.be01', bytes({...report, v: 2}), farm.clock.now() + 60_000);
  expect(told.at(-1)).toEqual(['be01', expect.any(String), '/v', misfits.length + 2]);
});

test('a host cannot report for another; a repeat is no misfit', async () => {
  const {farm, report, told, intake} = await begun('be01', 'be02');
  intake.take('mailherd.report.be02', bytes(report), farm.clock.now());
  intake.take('mailherd.report.be01', bytes(report), farm.clock.now());
  expect(told).toEqual([['be02', 'HOST_UNKNOWN', '/', 1]]);
  expect(intake.accepted).toBe(0);
});

test('a host whose generation is behind is told of, a straggler is not', async () => {
  const {farm, report, told, intake} = await begun('be01');
  const nowMs = farm.clock.now();
  const older = {...report, generation: (report?.generation ?? 0) - 1};
  intake.take('mailherd.report.be01', bytes({...older, sampledAtMs: 1}), nowMs);
  intake.take('mailherd.report.be01', bytes({...older, sampledAtMs: nowMs + 10_000}), nowMs + 10_000);
  expect(told).toEqual([['be01', 'GENERATION_BEHIND', '/', 1]]);
});
