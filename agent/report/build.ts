import type {Instant, Millis} from '../../base/units.ts';
import type {QueueWalk, Store} from '../../native/binding.ts';
import type {Kernel, System} from '../../wire/kernel.ts';
import type {MailFigures} from '../../wire/mail-figures.ts';
import type {HostReport, Load, Queue, Relief, Slis} from '../../wire/report.ts';
import type {Labels, Role} from '../../wire/schema.ts';
import type {ProbeFigures} from '../probe/tally.ts';
import type {QueueHere} from '../sample/queue-here.ts';
import type {MailLogFigures} from '../sample/tally.ts';
import {percentile} from './percentile.ts';
import {orRounded, rounded} from './rounded.ts';

/** Everything one interval gave; null = that source gave nothing, with its reason in `failing`. */
export interface Interval {
  host: string;
  role: Role;
  generation: number;
  sequence: number;
  sampledAtMs: Instant;
  intervalMs: Millis;
  labels: Labels;
  kernel: Kernel | null;
  system: System;
  queue: QueueWalk | null;
  here: QueueHere | null;
  store: Store | null;
  mail: (MailLogFigures & Pick<Load, 'busiest'>) | null;
  /** Without the probes: they are a source of their own. */
  mailFigures: Omit<MailFigures, 'probes'> | null;
  probes: ProbeFigures | null;
  routes: {revision: number; userCount: number; relief: Relief | null} | null;
  /** Null where nobody's logins are kept waiting. */
  holdPorts: number | null;
  self: {version: string; installation: number; cpuMs: Millis; rssBytes: number; spooled: number; dropped: number; refused: number};
  failing: Record<string, string>;
}

/** The report of one interval; pure. Nothing is filled in: what was not measured is null. */
export function buildReport(interval: Interval): HostReport {
  const {host, role, generation, sequence, sampledAtMs, intervalMs, labels, mail, store, routes} = interval;
  const seconds = intervalMs / 1000;
  return {
    v: 1,
    host,
    role,
    generation,
    sequence,
    sampledAtMs: Math.round(sampledAtMs),
    intervalMs: Math.round(intervalMs),
    labels,
    slis: slisOf(interval),
    load: {
      deliveriesPerSecond: mail === null || seconds <= 0 ? null : rounded(mail.deliveries / seconds),
      loginsPerSecond: mail === null || seconds <= 0 ? null : rounded(mail.logins / seconds),
      imapSessions: mail?.sessionsOpen ?? null,
      users: routes?.userCount ?? null,
      activeUsers: mail?.activeUsers ?? null,
      ...(mail?.busiest !== undefined && {busiest: mail.busiest}),
    },
    kernel: roundedKernel(interval.kernel ?? NO_KERNEL),
    system: interval.system,
    queue: queueOf(interval.queue, interval.here),
    mailStore:
      store === null || role !== 'backend'
        ? null
        : {totalBytes: store.totalBytes, freeBytes: store.freeBytes, freeInodes: store.freeInodes},
    mailFigures: interval.mailFigures === null ? null : {...interval.mailFigures, probes: probeDetailOf(interval.probes)},
    routeRevision: routes?.revision ?? null,
    ...(interval.holdPorts !== null && {holdPorts: interval.holdPorts}),
    ...(role === 'backend' && {relief: routes?.relief ?? null}),
    agent: {...interval.self, cpuMs: rounded(interval.self.cpuMs), failing: interval.failing},
  };
}

function slisOf({mail, here, probes}: Interval): Slis {
  return {
    deliveryMsP50: mail === null ? null : percentile(mail.deliveryMs, 0.5),
    deliveryMsP95: mail === null ? null : percentile(mail.deliveryMs, 0.95),
    queueAgeMsP95: orRounded(here?.ageMsP95),
    queueAgeMsMax: orRounded(here?.ageMsMax),
    probeDeliveryMs: orRounded(probes?.deliveryMs),
    probeLoginMs: orRounded(probes?.loginMs),
    probeFailureShare: probes?.failureShare ?? null,
    imapDropped: mail?.dropped ?? null,
    imapSessions: mail?.sessions ?? null,
  };
}

function probeDetailOf(probes: ProbeFigures | null): MailFigures['probes'] {
  if (probes === null || (probes.lmtpMs === null && probes.idle === null)) return null;
  return {lmtpMs: orRounded(probes.lmtpMs), idle: probes.idle};
}

function queueOf(walk: QueueWalk | null, here: QueueHere | null): Queue | null {
  if (walk === null) return null;
  const {maildrop, incoming, active, deferred, hold, complete} = walk;
  return {maildrop, incoming, active, deferred, hold, complete, here: here?.waiting ?? null};
}

function roundedKernel(kernel: Kernel): Kernel {
  return Object.fromEntries(Object.entries(kernel).map(([name, value]) => [name, value === null ? null : rounded(value)])) as Kernel;
}

const NO_KERNEL: Kernel = {
  cpuBusyShare: null,
  cpuIowaitShare: null,
  cpuStealShare: null,
  runQueueWaitMsPerSecond: null,
  psiCpuSome10: null,
  psiIoSome10: null,
  psiIoFull10: null,
  psiMemorySome10: null,
  memoryAvailableBytes: null,
  memoryTotalBytes: null,
  dirtyBytes: null,
  directReclaimPerSecond: null,
  oomKills: null,
  diskFlushMs: null,
  diskReadMs: null,
  diskWriteMs: null,
  diskBusyShare: null,
  retransmitsPerSecond: null,
  listenDropsPerSecond: null,
};
