import type {Instant, Millis} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {HostStage} from '../../wire/record.ts';
import type {HostReport} from '../../wire/report.ts';
import type {FleetHost} from '../fleet.ts';
import {SKEW_MS_MAX} from '../report/fold.ts';

export type SliName = keyof Policy['judge']['floors'];

interface SliRow {
  sli: SliName;
  unit: 'ms' | 'share';
  /** The figure over all reports of the window, or null when it was not measured. */
  over: (reports: readonly HostReport[]) => number | null;
}

/** Fewer dropped sessions than this in a window are chance, whatever their share. */
const DROPPED_MIN = 3;
const REPORTS_MIN = 3;

/** What a user feels, worse = greater. The floor of each stands in the policy under the same name. */
export const SLI_TABLE: readonly SliRow[] = [
  {sli: 'deliveryMsP95', unit: 'ms', over: medianOf(({slis}) => slis.deliveryMsP95)},
  {sli: 'queueAgeMsP95', unit: 'ms', over: medianOf(({slis}) => slis.queueAgeMsP95)},
  {sli: 'probeDeliveryMs', unit: 'ms', over: medianOf(({slis}) => slis.probeDeliveryMs)},
  {sli: 'probeLoginMs', unit: 'ms', over: medianOf(({slis}) => slis.probeLoginMs)},
  {sli: 'probeFailureShare', unit: 'share', over: meanOf(({slis}) => slis.probeFailureShare)},
  {sli: 'imapDroppedShare', unit: 'share', over: droppedShare},
];

type KernelName = keyof HostReport['kernel'];
/** Figures that explain, with the value below which they explain nothing. */
export const KERNEL_TABLE: readonly {figure: KernelName; unit: string; floor: number}[] = [
  {figure: 'diskFlushMs', unit: 'ms', floor: 10},
  {figure: 'diskWriteMs', unit: 'ms', floor: 10},
  {figure: 'diskReadMs', unit: 'ms', floor: 10},
  {figure: 'diskBusyShare', unit: 'share', floor: 0.5},
  {figure: 'psiIoSome10', unit: '%', floor: 10},
  {figure: 'psiCpuSome10', unit: '%', floor: 10},
  {figure: 'psiMemorySome10', unit: '%', floor: 5},
  {figure: 'cpuBusyShare', unit: 'share', floor: 0.5},
  {figure: 'cpuIowaitShare', unit: 'share', floor: 0.1},
  {figure: 'cpuStealShare', unit: 'share', floor: 0.05},
  {figure: 'runQueueWaitMsPerSecond', unit: 'ms/s', floor: 100},
  {figure: 'retransmitsPerSecond', unit: '/s', floor: 5},
  {figure: 'listenDropsPerSecond', unit: '/s', floor: 0.1},
];

/** `measured` has values to judge; the others are never healthy. */
export type MeasureState = 'measured' | 'IDLE' | 'WARMING' | 'SILENT' | 'NO_REPORT' | 'NOT_IN_SERVICE';

export interface HostSlis {
  host: string;
  role: FleetHost['record']['role'];
  state: MeasureState;
  values: Record<SliName, number | null>;
  kernel: Partial<Record<KernelName, number>>;
  /** Deliveries and IMAP logins a second, the measure of equal load; null when neither is known. */
  loadPerSecond: number | null;
  activeUsers: number | null;
}

const OUT_OF_SERVICE: ReadonlySet<HostStage> = new Set(['ordered', 'reinstalling', 'retired']);
/** A host that has yet to speak is not silent. */
const BEFORE_SERVICE: ReadonlySet<HostStage> = new Set(['arrived', 'provisioning']);

/** The SLIs of one host over the window that ends with its newest report. */
export function measure(host: FleetHost, judge: Policy['judge'], nowMs: Instant): HostSlis {
  const newest = host.reports.at(-1);
  const reports = newest === undefined ? [] : host.reports.filter(({sampledAtMs}) => sampledAtMs > newest.sampledAtMs - judge.windowMs);
  const values = Object.fromEntries(SLI_TABLE.map(({sli, over}) => [sli, over(reports)])) as Record<SliName, number | null>;
  const kernel: HostSlis['kernel'] = {};
  for (const {figure} of KERNEL_TABLE) {
    const value = medianOf(report => report.kernel[figure])(reports);
    if (value !== null) kernel[figure] = value;
  }
  const deliveries = meanOf(({load}) => load.deliveriesPerSecond)(reports);
  const logins = meanOf(({load}) => load.loginsPerSecond)(reports);
  const sessions = meanOf(({load}) => load.imapSessions)(reports);
  const loadPerSecond = deliveries === null && logins === null ? null : (deliveries ?? 0) + (logins ?? 0);
  const activeUsers = reports.findLast(({load}) => load.activeUsers !== null)?.load.activeUsers ?? null;
  const isIdle = loadPerSecond !== null && loadPerSecond === 0 && (sessions ?? 0) === 0;
  const state = stateOf(host, isIdle, judge, nowMs);
  return {host: host.record.host, role: host.record.role, state, values, kernel, loadPerSecond, activeUsers};
}

function stateOf(
  {record, reports, receivedAtMs, generationSinceMs}: FleetHost,
  isIdle: boolean,
  judge: Policy['judge'],
  nowMs: Instant,
): MeasureState {
  if (OUT_OF_SERVICE.has(record.stage)) return 'NOT_IN_SERVICE';
  const newest = reports.at(-1);
  if (newest === undefined || receivedAtMs === null || generationSinceMs === null) return 'NO_REPORT';
  if (isStale(receivedAtMs, newest.sampledAtMs, judge.silentMs, nowMs)) return BEFORE_SERVICE.has(record.stage) ? 'NO_REPORT' : 'SILENT';
  if (reports.length < REPORTS_MIN || newest.sampledAtMs - generationSinceMs < judge.warmUpMs) return 'WARMING';
  return isIdle ? 'IDLE' : 'measured';
}

/** By our clock it came too long ago, or it was old when it came (a spool that is being emptied). */
function isStale(receivedAtMs: Instant, sampledAtMs: Instant, silentMs: Millis, nowMs: Instant): boolean {
  return nowMs - receivedAtMs > silentMs || nowMs - sampledAtMs > silentMs + SKEW_MS_MAX;
}

type Pick = (report: HostReport) => number | null;

function measuredOf(reports: readonly HostReport[], pick: Pick): number[] {
  return reports.map(pick).filter(value => value !== null);
}

function medianOf(pick: Pick): SliRow['over'] {
  return reports => median(measuredOf(reports, pick));
}

function meanOf(pick: Pick): SliRow['over'] {
  return reports => {
    const values = measuredOf(reports, pick);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  };
}

/** All drops of the window over all sessions: a mean of shares would give a quiet interval the weight of a busy one. */
function droppedShare(reports: readonly HostReport[]): number | null {
  const measured = reports.filter(({slis}) => slis.imapDropped !== null && slis.imapSessions !== null);
  const dropped = measured.reduce((sum, {slis}) => sum + (slis.imapDropped ?? 0), 0);
  const sessions = measured.reduce((sum, {slis}) => sum + (slis.imapSessions ?? 0), 0);
  if (sessions === 0) return null;
  return dropped < DROPPED_MIN ? 0 : Math.min(1, dropped / sessions);
}

/** Middle value, the mean of the two middle ones when their number is even; null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}
