import {Histogram} from '../../../base/histogram.ts';
import {emptyFleet, type Fleet, fleetHost} from '../../../coordinator/fleet.ts';
import {emptyMemory, type FlowMemory, type FlowOutcome, flow} from '../../../coordinator/flow.ts';
import {newHost} from '../../../coordinator/host/life.ts';
import {fold} from '../../../coordinator/report/fold.ts';
import {DEFAULT_POLICY, type Policy} from '../../../wire/policy.ts';
import type {HostRecord, MoveRecord} from '../../../wire/record.ts';
import type {HostReport} from '../../../wire/report.ts';
import type {Labels} from '../../../wire/schema.ts';

export const START_MS = 1_800_000_000_000;
export const GIB = 2 ** 30;
export const OLD: Labels = {os: 'debian-12', kernel: '6.1', dovecot: '2.3', rack: 'r1'};
export const NEW: Labels = {os: 'debian-13', kernel: '6.12', dovecot: '2.4', rack: 'r1'};

export function recordOf(host: string, labels: Labels, change: Partial<HostRecord> = {}): HostRecord {
  return {...newHost(host, 'backend', '10.0.0.1', 'test', START_MS), stage: 'active', labels, ...change};
}

/** A busy host on which everything is well, but for what `change` says. */
export function reportOf(record: HostRecord, sequence: number, sampledAtMs: number, change: ReportChange = {}): HostReport {
  const {slis, load, kernel, ...rest} = change;
  return {
    v: 1,
    host: record.host,
    role: record.role,
    generation: 1,
    sequence,
    sampledAtMs,
    intervalMs: 10_000,
    labels: record.labels,
    slis: {
      deliveryMsP50: 200,
      deliveryMsP95: 400,
      queueAgeMsP95: 300,
      queueAgeMsMax: 500,
      probeDeliveryMs: 250,
      probeLoginMs: 80,
      probeFailureShare: 0,
      imapDropped: 0,
      imapSessions: 20,
      ...slis,
    },
    load: {deliveriesPerSecond: 2, loginsPerSecond: 1, imapSessions: 20, users: null, activeUsers: null, ...load},
    kernel: {...KERNEL_WELL, ...kernel},
    queue: null,
    mailStore: {totalBytes: 100 * GIB, freeBytes: 80 * GIB, freeInodes: null},
    routeRevision: null,
    agent: {version: '0', cpuMs: 1, rssBytes: 1, spooled: 0, dropped: 0, failing: {}},
    ...rest,
  };
}

export type ReportChange = Partial<Omit<HostReport, 'slis' | 'load' | 'kernel'>> & {
  slis?: Partial<HostReport['slis']>;
  load?: Partial<HostReport['load']>;
  kernel?: Partial<HostReport['kernel']>;
};

const KERNEL_WELL: HostReport['kernel'] = {
  cpuBusyShare: 0.2,
  cpuIowaitShare: 0,
  cpuStealShare: 0,
  runQueueWaitMsPerSecond: 1,
  psiCpuSome10: 1,
  psiIoSome10: 1,
  psiIoFull10: 0,
  psiMemorySome10: 0,
  memoryAvailableBytes: GIB,
  memoryTotalBytes: 2 * GIB,
  dirtyBytes: 0,
  directReclaimPerSecond: 0,
  oomKills: 0,
  diskFlushMs: 2,
  diskReadMs: 1,
  diskWriteMs: 1,
  diskBusyShare: 0.1,
  retransmitsPerSecond: 0,
  listenDropsPerSecond: 0,
};

/** What Dovecot counts: so many deliveries and logins in an interval, all of so many milliseconds. */
export function countedBy(latencies: Record<string, {ms: number; count: number}>): NonNullable<HostReport['mailFigures']> {
  const rows = Object.entries(latencies).map(([of, {ms, count}]) => {
    const histogram = new Histogram();
    histogram.add(ms * 1000, count);
    return {of, us: histogram.pack()};
  });
  return {queue: null, log: null, postfix: null, dovecot: null, probes: null, latencies: rows};
}

export const SICK: ReportChange = {slis: {deliveryMsP95: 90_000, queueAgeMsP95: 120_000}, kernel: {diskFlushMs: 400}};
export const IDLE: ReportChange = {
  slis: {deliveryMsP50: null, deliveryMsP95: null, imapSessions: 0},
  load: {deliveriesPerSecond: 0, loginsPerSecond: 0, imapSessions: 0},
};

/** What each host reports from now on: a change of the healthy report, or null for silence. */
export type Weather = Record<string, ReportChange | null>;

/** A farm in steps of ten seconds: reports come in, then one round of the flow. */
export class Farm {
  readonly fleet: Fleet = emptyFleet();
  memory: FlowMemory = emptyMemory();
  nowMs = START_MS;
  policy: Policy = DEFAULT_POLICY;
  #sequence = 0;

  add(record: HostRecord, users = 0, bytes = GIB): this {
    this.fleet.hosts.set(record.host, fleetHost(record));
    for (let index = 0; index < users; index++) {
      const user = `u${String(index).padStart(3, '0')}@${record.host}.example`;
      this.fleet.routes.set(user, {host: record.host, generation: 1, moveId: null});
      this.fleet.mailboxes.set(user, {bytes, messages: 10});
    }
    return this;
  }

  change(host: string, change: Partial<HostRecord>): void {
    const known = this.fleet.hosts.get(host);
    if (known !== undefined) known.record = {...known.record, ...change};
  }

  /** Lets `seconds` pass. @returns the last round's outcome. */
  pass(seconds: number, weather: Weather = {}): FlowOutcome {
    let outcome: FlowOutcome | null = null;
    for (let passed = 0; passed < seconds; passed += 10) {
      this.nowMs += 10_000;
      this.#sequence++;
      for (const [host, {record}] of this.fleet.hosts) {
        const change = weather[host];
        if (change === null) continue;
        fold(this.fleet, reportOf(record, this.#sequence, this.nowMs, change), this.nowMs);
      }
      outcome = flow(this.fleet, this.memory, this.policy, this.nowMs);
      this.memory = outcome.memory;
    }
    if (outcome === null) throw new Error('no round');
    return outcome;
  }
}

/** Five backends, twelve users each: be4 and be5 run the newest release. */
export function fiveHosts(newest: readonly string[] = ['be4', 'be5']): Farm {
  const farm = new Farm();
  for (const host of ['be1', 'be2', 'be3', 'be4', 'be5']) farm.add(recordOf(host, newest.includes(host) ? NEW : OLD), 12);
  return farm;
}

export function moveOf(
  user: string,
  source: string,
  target: string,
  step: MoveRecord['step'],
  change: Partial<MoveRecord> = {},
): MoveRecord {
  return {
    v: 1,
    id: `move-${source}-${target}`,
    user,
    source,
    target,
    planId: null,
    because: 'test',
    bytes: GIB,
    token: 1,
    createdAtMs: START_MS,
    updatedAtMs: START_MS,
    step,
    attempts: 0,
    passesMs: [],
    routeRevision: null,
    hold: null,
    verified: null,
    pauseMs: null,
    refusal: null,
    timeline: [],
    ...change,
  };
}
