import {expect, test, vi} from 'vitest';
import {familiesOf} from '../../../../agent/metrics/families.ts';
import {openMetricsOf} from '../../../../agent/metrics/openmetrics.ts';
import {serveMetrics} from '../../../../agent/metrics/serve.io.ts';
import {Histogram} from '../../../../base/histogram.ts';
import type {HostReport} from '../../../../wire/report.ts';

const FIGURES = {gave: 3, failed: 1, missed: 2, totalMs: 30, lastMs: 12};
const REPORT = {
  v: 1,
  host: 'be01',
  role: 'backend',
  sampledAtMs: 1_000_000,
  labels: {os: 'debian "13"\\\n', 'odd-name': 'x', odd_name: 'y', '1st': 'z'},
  slis: {deliveryMsP95: 1234, queueAgeMsMax: null, probeFailureShare: 0.25},
  load: {deliveriesPerSecond: 2.5, users: 7},
  kernel: {psiIoSome10: 3.5, runQueueWaitMsPerSecond: 40, memoryAvailableBytes: 1e9, oomKills: 0},
  queue: {maildrop: 0, incoming: 1, active: 2, deferred: 100_000, hold: 0, complete: false},
  mailStore: null,
  agent: {version: '1', cpuMs: 12, rssBytes: 5e7, spooled: 0, dropped: 0, failing: {queue: 'no answer within 3000 ms'}},
} as unknown as HostReport;

const text = (report = REPORT): string => openMetricsOf(familiesOf(report, new Map([['queue', FIGURES]]), 1_002_500));
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${LABEL}(?:,${LABEL})*\\})? (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?)$`);

/** What the OpenMetrics 1.0 specification demands of such a text, line by line; the samples by name and labels. */
function strictlyRead(metrics: string): Map<string, number> {
  expect(metrics.endsWith('\n# EOF\n')).toBe(true);
  const samples = new Map<string, number>();
  const families = new Set<string>();
  let family = {name: '', type: '', unit: '', isBegun: false};
  for (const line of metrics.slice(0, -'# EOF\n'.length).trimEnd().split('\n')) {
    const about = /^# (TYPE|UNIT|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (about !== null) {
      const [, what, name = '', rest = ''] = about;
      if (what === 'TYPE') {
        expect(families.has(name), `${name} twice`).toBe(false);
        families.add(name);
        family = {name, type: rest, unit: '', isBegun: false};
      }
      expect(name).toBe(family.name);
      expect(family.isBegun, `${what} after samples of ${name}`).toBe(false);
      if (what === 'UNIT') expect(name.endsWith(`_${rest}`), `${name} has not the unit ${rest}`).toBe(true);
      continue;
    }
    const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? expect.fail(`not a sample: ${line}`);
    family.isBegun = true;
    expect(name).toBe(`${family.name}${{gauge: '', counter: '_total', info: '_info'}[family.type]}`);
    const names = [...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"/g)].map(match => match[1]);
    expect(new Set(names).size, line).toBe(names.length);
    expect(samples.has(name + labels), `${line} twice`).toBe(false);
    samples.set(name + labels, Number(value));
  }
  return samples;
}

test('what a report holds, under names with units', () => {
  const samples = strictlyRead(text());
  expect(Object.fromEntries(samples)).toMatchObject({
    mailherd_slis_delivery_p95_seconds: 1.234,
    mailherd_slis_probe_failure_ratio: 0.25,
    mailherd_load_deliveries_per_second: 2.5,
    mailherd_load_users: 7,
    mailherd_kernel_psi_io_some10_percent: 3.5,
    mailherd_kernel_run_queue_wait_seconds_per_second: 0.04,
    mailherd_kernel_memory_available_bytes: 1e9,
    mailherd_kernel_oom_kills: 0,
    mailherd_queue_deferred: 100_000,
    mailherd_queue_complete: 0,
    mailherd_agent_rss_bytes: 5e7,
    mailherd_report_age_seconds: 2.5,
    'mailherd_collector_up{collector="queue"}': 0,
    'mailherd_collector_duration_seconds{collector="queue"}': 0.012,
    'mailherd_collector_busy_seconds_total{collector="queue"}': 0.03,
    'mailherd_collector_calls_total{collector="queue",result="missed"}': 2,
  });
  // Not measured is absent, never zero.
  expect([...samples.keys()].filter(name => /queue_age|mail_store/.test(name))).toEqual([]);
});

test('accept queues, open files, and histograms', () => {
  const quick = new Histogram();
  quick.add(2_000, 98);
  quick.add(8_000_000, 2);
  const none: number[] = [];
  const row = {transport: 'lmtp', destination: 'other', sent: 3, deferred: 0, bounced: 0, other: 0, dsn: {'4.4.1': 2}};
  const samples = strictlyRead(
    text({
      ...REPORT,
      system: {
        listeners: {tcp: {25: [7, 100], 143: [0, 511]}, unixWatched: 30, unixWaiting: {'private/smtp': [2, 100]}},
        files: {services: {dovecot: {processes: 9, fullest: [90, 1024]}}, inotify: {1001: [3, 40]}, lookedShare: 1},
        outbound: {
          toSmtp: {},
          smtpPeers: {ipv4: {connections: 3, rttMsP50: 12, resentShare: 0.5}},
          portsMax: 1,
          portsTaken: {},
          complete: true,
        },
        connections: {closeWait: 4},
        kernelLog: {troubles: [{trouble: 'diskError', of: 'sda', complaints: 2}], lost: 0},
      },
      mailFigures: {
        log: {deliveries: [{...row, delays: {before: none, queued: none, connecting: none, sending: quick.pack()}}]},
        latencies: [{of: 'imap SELECT', us: quick.pack()}],
      },
    } as unknown as HostReport),
  );
  const sending = 'mailherd_mail_figures_log_deliveries_delays_sending';
  const way = '{transport="lmtp",destination="other"}';
  expect(Object.fromEntries(samples)).toMatchObject({
    'mailherd_system_listeners_tcp_depth{name="25"}': 7,
    'mailherd_system_listeners_tcp_limit{name="25"}': 100,
    'mailherd_system_listeners_tcp_depth{name="143"}': 0,
    'mailherd_system_listeners_unix_waiting_depth{name="private/smtp"}': 2,
    'mailherd_system_files_services_fullest_open{name="dovecot"}': 90,
    'mailherd_system_files_services_fullest_max{name="dovecot"}': 1024,
    'mailherd_system_files_inotify_watches{name="1001"}': 40,
    [`mailherd_mail_figures_log_deliveries_sent${way}`]: 3,
    [`${sending}_count${way}`]: 100,
    'mailherd_mail_figures_latencies_count{of="imap SELECT"}': 100,
  });
  expect(Object.fromEntries(samples)).toMatchObject({
    'mailherd_system_outbound_smtp_peers_rtt_p50_seconds{name="ipv4"}': 0.012,
    'mailherd_system_outbound_smtp_peers_resent_ratio{name="ipv4"}': 0.5,
    'mailherd_system_connections{name="closeWait"}': 4,
    'mailherd_system_kernel_log_troubles_complaints{trouble="diskError",of="sda"}': 2,
    mailherd_system_kernel_log_lost: 0,
  });
  const told = (name: string): number => samples.get(name) ?? Number.NaN;
  expect(told(`${sending}_p95_seconds${way}`)).toBeCloseTo(0.002, 3);
  expect(told(`${sending}_p99_seconds${way}`)).toBeGreaterThan(7);
  expect(told('mailherd_mail_figures_latencies_p50_seconds{of="imap SELECT"}')).toBeCloseTo(0.002, 3);
  // Nothing happened there: counted, and no time is made up.
  expect(told(`mailherd_mail_figures_log_deliveries_delays_queued_count${way}`)).toBe(0);
  expect(samples.has(`mailherd_mail_figures_log_deliveries_delays_queued_p50_seconds${way}`)).toBe(false);
});

test('labels of any name and value', () => {
  const info = text()
    .split('\n')
    .find(line => line.startsWith('mailherd_host_info'));
  expect(info).toBe('mailherd_host_info{os="debian \\"13\\"\\\\\\n",odd_name="y",label_1st="z",host="be01",role="backend"} 1');
});

test('served on the loopback, refused before there is a report, and done without when the port is taken', async () => {
  const stop = new AbortController();
  const log = {debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn()};
  let report: HostReport | null = null;
  const options = {report: () => report, collectors: () => new Map([['queue', FIGURES]]), log, signal: stop.signal};
  const port = await serveMetrics({...options, port: 0});
  const url = `http://127.0.0.1:${port}/metrics`;
  expect((await fetch(url)).status).toBe(503);
  report = REPORT;
  const answer = await fetch(url);
  expect(answer.headers.get('content-type')).toMatch(/^application\/openmetrics-text/);
  expect(strictlyRead(await answer.text()).get('mailherd_load_users')).toBe(7);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  expect((await fetch(url, {method: 'POST'})).status).toBe(404);
  expect(await serveMetrics({...options, port: port ?? 0})).toBeNull();
  expect(log.error).toHaveBeenCalledTimes(1);
  stop.abort();
});
