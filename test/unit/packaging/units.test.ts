import {execFileSync, spawnSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, test} from 'vitest';

const UNITS = join(import.meta.dirname, '../../../packaging/units');
/** Exposure times ten as `systemd-analyze security` reckons it today: a ratchet, to be lowered only. */
const EXPOSURE_MAX: Record<string, number> = {
  'mailherd-agent.service': 43,
  'mailherd-coordinator.service': 32,
  // Root with what doveadm needs: docs/ARCHITECTURE.md.
  'mailherd-mover.service': 43,
  'mailherd-tune.service': 21,
};
const has = spawnSync('systemd-analyze', ['--version']).status === 0;

test.runIf(has)('systemd finds nothing wrong with the units', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-units-'));
  try {
    const names = readdirSync(UNITS);
    // Programs of the package are not installed here.
    for (const name of names) {
      const text = readFileSync(join(UNITS, name), 'utf8').replace(
        /^(Exec\w+=[-+]*)\/usr\/(?:lib\/mailherd|bin\/mailherd)\S*/gm,
        '$1/bin/true',
      );
      writeFileSync(join(folder, name), text);
    }
    const {stderr} = spawnSync('systemd-analyze', ['verify', ...names.map(name => join(folder, name))], {encoding: 'utf8'});
    expect(stderr.split('\n').filter(line => line.includes('mailherd'))).toEqual([]);
  } finally {
    rmSync(folder, {recursive: true});
  }
});

test.runIf(has).each(Object.entries(EXPOSURE_MAX))('%s exposes no more than it must', (name, threshold) => {
  expect(() =>
    execFileSync('systemd-analyze', ['security', '--offline=yes', `--threshold=${threshold}`, join(UNITS, name)], {stdio: 'pipe'}),
  ).not.toThrow();
});

test('an agent whose sampling is stuck is started again, and never takes the memory of the mail', () => {
  const unit = readFileSync(join(UNITS, 'mailherd-agent.service'), 'utf8');
  for (const line of ['Type=notify', 'WatchdogSec=90', 'Restart=always', 'MemoryMax=256M', 'NoNewPrivileges=yes'])
    expect(unit.split('\n')).toContain(line);
});

test("the kernel's log can be read by the agent, and only read", () => {
  const lines = readFileSync(join(UNITS, 'mailherd-agent.service'), 'utf8').split('\n');
  for (const line of ['DevicePolicy=closed', 'DeviceAllow=/dev/kmsg r', 'CapabilityBoundingSet=CAP_SYSLOG']) expect(lines).toContain(line);
  // Either would hide it.
  expect(lines.filter(line => /^(?:ProtectKernelLogs|PrivateDevices)=/.test(line))).toEqual([]);
});

test('a mover that does not start is started again at a walking pace, and its socket never fails for good', () => {
  const lines = (name: string): string[] => readFileSync(join(UNITS, name), 'utf8').split('\n');
  expect(lines('mailherd-mover.socket')).toContain('TriggerLimitIntervalSec=0');
  const service = lines('mailherd-mover.service');
  expect(service).toContain('StartLimitIntervalSec=0');
  const [, script = ''] = /^ExecStopPost=\/bin\/sh -c '(.*)'$/m.exec(service.join('\n')) ?? [];
  const slept = (result: string): string =>
    execFileSync('/bin/sh', ['-c', `sleep() { echo "$1"; }; ${script.replaceAll('$$', '$')}`], {
      env: {SERVICE_RESULT: result},
      encoding: 'utf8',
    }).trim();
  expect(['success', 'exit-code', 'signal', 'core-dump'].map(slept)).toEqual(['', '5', '0.2', '0.2']);
});
