import {type Instant, type Millis, SECOND_MS} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {HostStage} from '../../wire/record.ts';
import type {HostReport} from '../../wire/report.ts';
import {type FleetHost, labelsOf} from '../fleet.ts';
import {SKEW_MS_MAX} from '../report/fold.ts';
import {KERNEL_TABLE, type KernelFigures, type KernelName, kernelFiguresOf} from './kernel.ts';
import {plausible, slowMs} from './latency.ts';
import {type Stages, stagesOf} from './stages.ts';
import {Sample} from './statistics.ts';

export type SliName = keyof Policy['judge']['floors'];

type Pick = (report: HostReport) => number | null;

interface SliRow {
  sli: SliName;
  unit: 'ms' | 'share';
  /** How much it tells: users' own mail and sessions 1, what only the probe's own user feels less. The weightiest evidence stands first. */
  weight: number;
  /** Share of the floor below which differences are noise. */
  scaleShare: number;
  /** The figure of one report, or null when it was not measured. */
  at: Pick;
  /** The figure over all reports of the window, or null when it was not measured. */
  over: (reports: readonly HostReport[]) => number | null;
  /** Of a share: how many trials it is made of at least, where they are few. */
  trials?: (reports: readonly HostReport[]) => number;
}

/** Fewer dropped sessions than this in a window are chance, whatever their share. */
const DROPPED_MIN = 3;
/** So few waiting messages may all be for one dead address elsewhere: their age says nothing of this host. */
const WAITING_MIN = 5;
/** So many sessions are added to those of an interval. */
const SESSIONS_MIN = 20;
const REPORTS_MIN = 3;
/** From so many reports on that wait on a host's disk it has not been heard for a while. */
export const SPOOLED_MIN = 3;

const deliveryMs: Pick = ({slis}) => plausible(slis.deliveryMsP95);
const queueMs: Pick = report => plausible(queueAgeOf(report));
const probeDeliveryMs: Pick = ({slis}) => plausible(slis.probeDeliveryMs);
const probeLoginMs: Pick = ({slis}) => plausible(slis.probeLoginMs);
const failureShare: Pick = ({slis}) => slis.probeFailureShare;

/** What a user feels, worse = greater. The floor of each stands in the policy under the same name. */
export const SLI_TABLE: readonly SliRow[] = [
  {sli: 'deliveryMsP95', unit: 'ms', weight: 1, scaleShare: 0.005, at: deliveryMs, over: medianOf(deliveryMs, deliveriesOf)},
  {sli: 'queueAgeMsP95', unit: 'ms', weight: 1, scaleShare: 0.02, at: queueMs, over: medianOf(queueMs)},
  {sli: 'probeDeliveryMs', unit: 'ms', weight: 0.5, scaleShare: 0.005, at: probeDeliveryMs, over: medianOf(probeDeliveryMs)},
  {sli: 'probeLoginMs', unit: 'ms', weight: 0.5, scaleShare: 0.005, at: probeLoginMs, over: medianOf(probeLoginMs)},
  {
    sli: 'probeFailureShare',
    unit: 'share',
    weight: 0.5,
    scaleShare: 0.4,
    at: failureShare,
    over: meanOf(failureShare),
    trials: reports => measuredOf(reports, failureShare).length,
  },
  {sli: 'imapDroppedShare', unit: 'share', weight: 1, scaleShare: 0.1, at: droppedAt, over: droppedShare},
  {sli: 'lmtpMsP95', unit: 'ms', weight: 1, scaleShare: 0.02, at: report => latencyOver('lmtp')([report]), over: latencyOver('lmtp')},
  {sli: 'loginMsP95', unit: 'ms', weight: 1, scaleShare: 0.02, at: report => latencyOver('login')([report]), over: latencyOver('login')},
];

/** A slow probe is what a user would feel; one that fails may fail by itself. */
export const OF_PROBES: ReadonlySet<SliName> = new Set(['probeFailureShare']);

/** `measured` has values to judge; the others are never healthy. */
export type MeasureState = 'measured' | 'IDLE' | 'WARMING' | 'SILENT' | 'NO_REPORT' | 'NOT_IN_SERVICE';

export interface HostSlis {
  host: string;
  role: FleetHost['record']['role'];
  /** Its hardware, null when not known. */
  hardware: string | null;
  state: MeasureState;
  values: Record<SliName, number | null>;
  /** How many trials a share of the window is made of, where they are few. */
  trials: Partial<Record<SliName, number>>;
  /** The newest report's figures, and what tells it from the one before. */
  latest: Record<SliName, number | null>;
  reportKey: string;
  /** What the newest report covers; null where there is none. */
  intervalMs: Millis | null;
  /** The newest report's kernel figures, and their medians over the window: looked at only where something is to be explained. */
  latestKernel: KernelFigures | null;
  kernel: () => Partial<Record<KernelName, number>>;
  /** Where deliveries to mailboxes spend their time, in the newest report and over the window. */
  latestStages: () => Stages;
  stages: () => Stages;
  /**
   * Deliveries a second, the measure of equal load; null when not known. Logins are not in it: users who are thrown out log in again,
   * so that a sick host would look busy.
   */
  loadPerSecond: number | null;
  /** The most users that were active in one interval of the window. */
  activeUsers: number | null;
  /** Moves of ours run from or to the host, or did just before: what it suffers may be our doing. */
  isMoving: boolean;
  /** The host is being emptied or is empty: without its users it cannot prove that it is well. */
  isLeaving: boolean;
}

const LEAVING: ReadonlySet<HostStage> = new Set(['draining', 'drained', 'safeToWipe', 'failed']);
const OUT_OF_SERVICE: ReadonlySet<HostStage> = new Set(['ordered', 'reinstalling', 'retired']);
/** A host that has yet to speak is not silent. */
const BEFORE_SERVICE: ReadonlySet<HostStage> = new Set(['arrived', 'provisioning']);

/**
 * The SLIs of one host over the window that ends with its newest report.
 * @param isMoving moves of ours run from or to the host.
 */
export function measure(host: FleetHost, judge: Policy['judge'], nowMs: Instant, isMoving = false): HostSlis {
  const newest = host.reports.at(-1);
  const reports = newest === undefined ? [] : lastOf(host.reports, newest.sampledAtMs - judge.windowMs);
  const [values, latest] = [{} as HostSlis['values'], {} as HostSlis['latest']];
  const trialsOf: HostSlis['trials'] = {};
  for (const {sli, at, over, trials} of SLI_TABLE) {
    values[sli] = over(reports);
    latest[sli] = newest === undefined ? null : at(newest);
    if (trials !== undefined) trialsOf[sli] = trials(reports);
  }
  const loadPerSecond = meanOf(({load}) => load.deliveriesPerSecond)(reports);
  const counts = measuredOf(reports, ({load}) => load.activeUsers);
  return {
    host: host.record.host,
    role: host.record.role,
    hardware: labelsOf(host).hardware ?? null,
    state: stateOf(host, isIdle(reports), judge, nowMs),
    values,
    trials: trialsOf,
    latest,
    reportKey: newest === undefined ? '' : `${newest.generation}-${newest.sequence}`,
    intervalMs: newest?.intervalMs ?? null,
    latestKernel: newest === undefined ? null : kernelFiguresOf(newest),
    kernel: () => kernelOver(reports),
    latestStages: () => stagesOf(newest === undefined ? [] : [newest]),
    stages: () => stagesOf(reports),
    loadPerSecond,
    activeUsers: counts.length === 0 ? null : Math.max(...counts),
    isMoving,
    isLeaving: LEAVING.has(host.record.stage),
  };
}

function kernelOver(reports: readonly HostReport[]): Partial<Record<KernelName, number>> {
  const kernel: Partial<Record<KernelName, number>> = {};
  const shown = reports.map(kernelFiguresOf);
  for (const {figure} of KERNEL_TABLE) {
    const value = median(shown.flatMap(own => own[figure] ?? []));
    if (value !== null) kernel[figure] = value;
  }
  return kernel;
}

/** Reports sampled after an instant; they lie at the end, nearly in order. */
function lastOf(reports: readonly HostReport[], afterMs: Instant): HostReport[] {
  let from = reports.length;
  while (from > 0 && (reports[from - 1]?.sampledAtMs ?? 0) > afterMs) from--;
  return reports.slice(from);
}

/** Nothing delivered, nobody logged in, nobody there; what was not measured is not known to be idle. */
function isIdle(reports: readonly HostReport[]): boolean {
  const figures = [({load}) => load.deliveriesPerSecond, ({load}) => load.loginsPerSecond, ({load}) => load.imapSessions] as Pick[];
  const means = figures.map(pick => meanOf(pick)(reports));
  return means[0] !== null && means.every(mean => mean === null || mean === 0);
}

function stateOf(
  {record, reports, receivedAtMs, generationSinceMs, awaitedSinceMs}: FleetHost,
  isIdle: boolean,
  judge: Policy['judge'],
  nowMs: Instant,
): MeasureState {
  if (OUT_OF_SERVICE.has(record.stage)) return 'NOT_IN_SERVICE';
  const newest = reports.at(-1);
  const unheard = BEFORE_SERVICE.has(record.stage) ? 'NO_REPORT' : 'SILENT';
  if (newest === undefined || receivedAtMs === null || generationSinceMs === null) {
    // It spoke once, and its reports are gone by now: longer ago than they are kept.
    const isOverdue = record.agentGeneration !== null && awaitedSinceMs !== null && nowMs - awaitedSinceMs > judge.silentMs;
    return isOverdue ? unheard : 'NO_REPORT';
  }
  if (isStale(receivedAtMs, newest, judge.silentMs, nowMs)) return unheard;
  if (reports.length < REPORTS_MIN || newest.sampledAtMs - generationSinceMs < judge.warmUpMs) return 'WARMING';
  return isIdle ? 'IDLE' : 'measured';
}

/** It came too long ago, or it was old when it came: a spool that is being emptied. Where nothing is kept waiting the clock is behind. */
function isStale(receivedAtMs: Instant, {sampledAtMs, agent}: HostReport, silentMs: Millis, nowMs: Instant): boolean {
  return nowMs - receivedAtMs > silentMs || (agent.spooled >= SPOOLED_MIN && nowMs - sampledAtMs > silentMs + SKEW_MS_MAX);
}

function measuredOf(reports: readonly HostReport[], pick: Pick): number[] {
  const values: number[] = [];
  for (const report of reports) {
    const value = pick(report);
    if (value !== null) values.push(value);
  }
  return values;
}

/** Median of the intervals' figures. @param weigh how much an interval counts; by its length without it. */
function medianOf(pick: Pick, weigh: Pick = ({intervalMs}) => intervalMs): SliRow['over'] {
  return reports => {
    const [values, weights]: [number[], number[]] = [[], []];
    for (const report of reports) {
      const value = pick(report);
      if (value === null) continue;
      values.push(value);
      // Without its weight a figure counts as the least there is.
      weights.push(Math.max(1, weigh(report) ?? 1));
    }
    return weightedMedian(values, weights);
  };
}

/** Deliveries of the interval: a 95th percentile of two mails is no match for one of two hundred. */
function deliveriesOf({load, intervalMs}: HostReport): number | null {
  return load.deliveriesPerSecond === null ? null : (load.deliveriesPerSecond * intervalMs) / SECOND_MS;
}

/** The agent gives no age where nothing waits; a queue that was walked to its end and is (almost) empty makes nobody wait. */
function queueAgeOf({slis, queue}: HostReport): number | null {
  if (queue === null || !queue.complete) return slis.queueAgeMsP95;
  return (queue.here ?? waitingIn(queue)) < WAITING_MIN ? 0 : slis.queueAgeMsP95;
}

/** What Dovecot counted of one kind of work. */
function latencyOver(kind: 'lmtp' | 'login'): SliRow['over'] {
  return reports => {
    const rows: (readonly number[])[] = [];
    for (const {mailFigures} of reports) {
      for (const {of, us} of mailFigures?.latencies ?? []) if (of === kind) rows.push(us);
    }
    return slowMs(rows);
  };
}

/** Messages that wait for Postfix to deliver them; those that a person put on hold do not. */
export function waitingIn({incoming, active, deferred}: NonNullable<HostReport['queue']>): number {
  return incoming + active + deferred;
}

function meanOf(pick: Pick): SliRow['over'] {
  return reports => {
    const values = measuredOf(reports, pick);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
}

/**
 * Of all sessions of the window, the share that was dropped. An interval counts the sessions that were open in it, so those that stay
 * open stand in many: each is counted once, where it ended, or at the end of the window.
 */
function droppedShare(reports: readonly HostReport[]): number | null {
  let dropped = 0;
  let sessions = 0;
  let open: number | null = null;
  let isMeasured = false;
  for (const {slis, load} of reports) {
    if (slis.imapDropped === null || slis.imapSessions === null) continue;
    isMeasured = true;
    dropped += slis.imapDropped;
    // Where the open ones were not counted, only the dropped are known to have ended.
    open = load.imapSessions ?? Math.max(0, slis.imapSessions - slis.imapDropped);
    sessions += Math.max(0, slis.imapSessions - open);
  }
  sessions += open ?? 0;
  if (!isMeasured || sessions === 0) return null;
  return dropped < DROPPED_MIN ? 0 : Math.min(1, dropped / sessions);
}

/** Of one interval: a few sessions are taken for many, so that one drop of three is no catastrophe. */
function droppedAt({slis}: HostReport): number | null {
  return slis.imapDropped === null || slis.imapSessions === null ? null : slis.imapDropped / (slis.imapSessions + SESSIONS_MIN);
}

/** Middle value, the mean of the two middle ones when their number is even; null of nothing. */
export function median(values: readonly number[]): number | null {
  const sample = Sample.of(values);
  const half = Math.floor(values.length / 2);
  const high = sample.at(half);
  if (high === undefined) return null;
  return values.length % 2 === 1 ? high : ((sample.at(half - 1) ?? high) + high) / 2;
}

/**
 * The value with half of all weight on either side, the mean of two when the half falls between them; null of nothing. Puts both in the order
 * of the values, by insertion: most often they are the handful of a window.
 */
function weightedMedian(values: number[], weights: number[]): number | null {
  for (let index = 0; index < values.length; index++) {
    const [value, weight] = [values[index] ?? 0, weights[index] ?? 0];
    let at = index;
    for (; at > 0 && (values[at - 1] ?? 0) > value; at--) {
      values[at] = values[at - 1] ?? 0;
      weights[at] = weights[at - 1] ?? 0;
    }
    values[at] = value;
    weights[at] = weight;
  }
  let sum = 0;
  for (const weight of weights) sum += weight;
  const half = sum / 2;
  let below = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    below += weights[index] ?? 0;
    if (below < half) continue;
    return below === half ? (value + (values[index + 1] ?? value)) / 2 : value;
  }
  return null;
}
