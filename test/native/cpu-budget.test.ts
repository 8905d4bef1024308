import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {parseAgentConfig} from '../../agent/config.ts';
import {Reporter} from '../../agent/report/reporter.io.ts';
import {systemClock} from '../../base/clock.io.ts';
import {MINUTE_MS} from '../../base/units.ts';
import type {HostReport} from '../../wire/report.ts';

const QUEUES = ['maildrop', 'incoming', 'active', 'deferred', 'hold'];
/** More than there are steps: every source that may rest, down to its rarest. */
const MINUTES_MAX = 60;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-budget-'));
  for (const queue of QUEUES) mkdirSync(join(folder, queue));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, {recursive: true});
});

const message = (at: number): void => writeFileSync(join(folder, 'deferred', `4F2A1C012${at}`), '', {mode: 0o700});

/** Reports of this machine, a minute each by their clock, at a CPU use that the test says. */
function minutes(): (cpuPercent: number) => Promise<HostReport> {
  const config = parseAgentConfig(
    `{host: be1, role: backend, nats: {servers: ['127.0.0.1:1']}, stateDir: ${folder}, mail: {spool: ${folder}, store: ${folder}, dovecotRun: ${folder}}}`,
    'agent.yaml',
  );
  const real = systemClock.monotonic;
  let aheadMs = 0;
  let cpuUs = 0;
  vi.spyOn(systemClock, 'monotonic').mockImplementation(() => real() + aheadMs);
  vi.spyOn(process, 'cpuUsage').mockImplementation(() => ({user: cpuUs, system: 0}));
  const none = {mailLog: null, kernelLog: null, farm: () => [], probes: null, routes: () => null, labels: () => ({})};
  const reporter = new Reporter(
    config,
    '1',
    {generation: 1, installation: 1},
    {
      ...none,
      isHere: () => null,
      spool: () => ({spooled: 0, dropped: 0, refused: 0, failing: null}),
    },
  );
  return cpuPercent => {
    aheadMs += MINUTE_MS;
    cpuUs = (cpuPercent / 100) * MINUTE_MS * 1000;
    return reporter.next();
  };
}

test('an agent over its CPU budget lets sources rest, tells the queue as it was last, and takes all up again', async () => {
  message(1);
  const minute = minutes();
  expect((await minute(90)).agent.failing.cpuBudget).toBeUndefined();
  // The minute of the start does not count; from then on one source more in each.
  let report = await minute(90);
  expect(report.agent.failing.cpuBudget).toMatch(/^90 % of a core, 0\.5 allowed: \w+ 1 of 2$/);
  for (let at = 0; at < MINUTES_MAX && report.agent.failing.cpuBudget?.includes('queue 1 of 8') === false; at++) report = await minute(90);
  expect(report.agent.failing.cpuBudget).toContain('queue 1 of 8');
  expect(report.queue).toMatchObject({deferred: 1});

  message(2);
  const told: (number | undefined)[] = [];
  for (let at = 0; at < 8; at++) told.push((await minute(90)).queue?.deferred);
  // Walked once in eight rounds.
  expect(told).toEqual([...told].sort());
  expect(new Set(told)).toEqual(new Set([1, 2]));

  for (let at = 0; at < MINUTES_MAX && report.agent.failing.cpuBudget !== undefined; at++) report = await minute(0);
  expect(report.agent.failing.cpuBudget).toBeUndefined();
  message(3);
  expect((await minute(0)).queue).toMatchObject({deferred: 3, complete: true});
}, 120_000);
