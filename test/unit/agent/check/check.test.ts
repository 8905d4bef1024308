import {expect, test} from 'vitest';
import {type Finding, findingsOf, isWell} from '../../../../agent/check/findings.ts';
import {renderCheck, renderReport} from '../../../../agent/check/render.ts';
import {buildReport} from '../../../../agent/report/build.ts';
import type {HostReport} from '../../../../wire/report.ts';

const LOOK = {colour: false, nowMs: 0};

/** Of an agent whose sources gave nothing but what is told. */
function report(told: Partial<HostReport>, failing: Record<string, string> = {}): HostReport {
  const bare = buildReport({
    ...{host: 'be1', role: told.role ?? 'backend', generation: 0, sequence: 2, sampledAtMs: 0, intervalMs: 1000, labels: {}},
    ...{
      kernel: null,
      system: {},
      queue: null,
      here: null,
      store: null,
      mail: null,
      mailFigures: null,
      probes: null,
      routes: null,
      holdPorts: null,
    },
    self: {version: '1', installation: 1, cpuMs: 1, rssBytes: 1, spooled: 0, dropped: 0, refused: 0},
    failing,
  });
  return {...bare, ...told};
}

function of(source: string, findings: readonly Finding[]): Finding | undefined {
  return findings.find(finding => finding.source === source);
}

test('what failed is unreadable with its reason and a way on; what is not here is absent; neither looks like health', () => {
  const findings = findingsOf(report({}, {queue: 'NATIVE_FAILED ENOENT open /spool'}));
  expect(of('queue walk', findings)).toEqual({
    source: 'queue walk',
    state: 'unreadable',
    detail: 'NATIVE_FAILED ENOENT open /spool',
    todo: 'set mail.spool to queue_directory of Postfix',
  });
  expect(findings.filter(({state}) => state === 'read')).toEqual([]);
  expect(isWell(findings)).toBe(false);
  expect(isWell(findingsOf(report({})))).toBe(true);
});

test('a zero that was read is read', () => {
  const queue = {maildrop: 0, incoming: 0, active: 0, deferred: 0, hold: 0, complete: true};
  expect(of('queue walk', findingsOf(report({queue})))).toMatchObject({state: 'read', detail: '0 messages'});
  expect(of('queue walk', findingsOf(report({queue: {...queue, complete: false}})))?.detail).toMatch(/and more/);
});

test('processes that could not be looked into are unreadable where there are services, absent where there are none', () => {
  expect(of('mail processes', findingsOf(report({system: {services: {postfix: {}}}})))?.state).toBe('unreadable');
  expect(of('mail processes', findingsOf(report({})))?.state).toBe('absent');
});

test('what the role does without is unused, even if it failed', () => {
  const control = findingsOf(report({role: 'control'}, {queue: 'x'}));
  expect(of('queue walk', control)?.state).toBe('unused');
  expect(isWell(control)).toBe(true);
  expect(of('mail store', findingsOf(report({role: 'edge'})))?.state).toBe('unused');
});

test('kernel files: what the kernel lacks is no fault, what it refuses is', () => {
  const lacking = findingsOf(report({system: {lacking: {'/proc ENOENT': 'schedstat', services: 'none'}}}));
  expect(lacking.filter(({source}) => source === 'kernel files')).toEqual([
    {source: 'kernel files', state: 'absent', detail: 'not in this kernel, or not shown to this host: schedstat of /proc', todo: ''},
  ]);
  expect(isWell(findingsOf(report({}, {kernel: 'open /proc/stat: EACCES'})))).toBe(false);
});

test("the log of the kernel: what it complains of, that it is another host's, that it is kept from us", () => {
  const source = 'log of the kernel';
  const told = (system: HostReport['system'], failing = {}) =>
    of(source, findingsOf(report(system === undefined ? {} : {system}, failing)));
  const troubles = [{trouble: 'diskError', of: 'sda', complaints: 2}];
  expect(told({kernelLog: {troubles, lost: 0}})).toMatchObject({state: 'read', detail: 'diskError of sda'});
  expect(told({kernelLog: {troubles: [], lost: 0}})?.detail).toBe('complains of nothing');
  // Nothing can be done about that.
  expect(told({lacking: {kernelLog: 'this host is a container'}})).toMatchObject({state: 'absent', todo: ''});
  expect(told(undefined, {kernelLog: 'EPERM'})).toMatchObject({state: 'unreadable', todo: expect.stringContaining('CAP_SYSLOG')});
});

test('figures that are not known now are named', () => {
  const kernel = {...report({}).kernel, cpuBusyShare: 0.5};
  const detail = of('kernel of the host', findingsOf(report({kernel})))?.detail;
  expect(detail).toMatch(/^1 figures; not now: cpuIowaitShare, /);
});

test('the table has a line a source and says how many cannot be read', () => {
  const findings: Finding[] = [
    {source: 'a', state: 'read', detail: 'fine', todo: ''},
    {source: 'b', state: 'unreadable', detail: 'EACCES', todo: 'be root'},
  ];
  expect(renderCheck(findings, LOOK)).toBe(
    'SOURCE  STATE       WHAT    TO DO\na       read        fine\nb       unreadable  EACCES  be root\n\n1 of 2 cannot be read.',
  );
  expect(renderCheck(findings.slice(0, 1), LOOK)).toMatch(/\n\nEverything that matters can be read\.$/);
});

test('a report as a table: units by name, unknown as a dash, failures by themselves', () => {
  const mailStore = {totalBytes: 2_000_000, freeBytes: 0, freeInodes: null};
  const lines = renderReport(
    report(
      {
        mailStore,
        system: {
          listeners: {tcp: {'*:25': [3, 100]}, unixWatched: 0, unixWaiting: {}},
          disk: {commitMs: 0.0625},
          kernelLog: {troubles: [], lost: 0},
        },
      },
      {queue: 'gone'},
    ),
  )
    .split('\n')
    .map(line => line.replace(/ {2,}/, ' = '));
  expect(lines).toEqual(
    expect.arrayContaining([
      'mailStore.totalBytes = 2.0 MB',
      'mailStore.freeBytes = 0 B',
      'mailStore.freeInodes = -',
      'intervalMs = 1.0 s',
      'system.listeners.tcp.*:25 = 3 of 100',
      'system.disk.commitMs = 0.0625 ms',
      'system.kernelLog.troubles = none',
      'queue = gone',
    ]),
  );
});
