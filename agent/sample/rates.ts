import type {Millis} from '../../base/units.ts';
import type {Kernel} from '../../wire/kernel.ts';

/** Counters and levels of one moment by name; absent = the kernel did not say. */
export type Counters = ReadonlyMap<string, bigint>;

export interface Moment {
  values: Counters;
  /** By the monotonic clock. */
  atMs: Millis;
}

/** Time that a processor can be in, as in /proc/stat; guest time is part of user and nice. */
const CPU_TICKS = ['User', 'Nice', 'System', 'Idle', 'Iowait', 'Irq', 'Softirq', 'Steal'].map(mode => `cpu${mode}Ticks`);

/**
 * What happened between two moments, and the levels of the later one. A rate is null when either end is absent, when a
 * counter went backwards (a reset), or when the moments lie further apart than `gapMsMax` (the mean of a gap says nothing).
 * @param before null for the first sample: levels only.
 */
export function kernelOf(before: Moment | null, after: Moment, gapMsMax: Millis): Kernel {
  const spanMs = before === null ? 0 : after.atMs - before.atMs;
  const usable = before !== null && spanMs > 0 && spanMs <= gapMsMax ? before : null;
  const change = (name: string): number | null => difference(usable?.values, after.values, name);
  const level = (name: string): number | null => numberOf(after.values.get(name));
  const perSecond = (name: string): number | null => ratio(change(name), spanMs / 1000);
  const cpuTicks = sum(CPU_TICKS.map(change));
  const cpuShare = (ticks: number | null): number | null => ratio(ticks, cpuTicks);
  const idle = sum([change('cpuIdleTicks'), change('cpuIowaitTicks')]);
  const busy = cpuTicks === null || idle === null ? null : cpuTicks - idle;
  const percent = (name: string): number | null => ratio(level(name), 100);
  const waitNs = change('runQueueWaitNs');
  return {
    cpuBusyShare: cpuShare(busy),
    cpuIowaitShare: cpuShare(change('cpuIowaitTicks')),
    cpuStealShare: cpuShare(change('cpuStealTicks')),
    runQueueWaitMsPerSecond: waitNs === null ? null : ratio(waitNs / 1e6, spanMs / 1000),
    psiCpuSome10: percent('psiCpuSomeHundredths'),
    psiIoSome10: percent('psiIoSomeHundredths'),
    psiIoFull10: percent('psiIoFullHundredths'),
    psiMemorySome10: percent('psiMemorySomeHundredths'),
    memoryAvailableBytes: level('memoryAvailableBytes'),
    memoryTotalBytes: level('memoryTotalBytes'),
    dirtyBytes: level('dirtyBytes'),
    directReclaimPerSecond: perSecond('allocStalls'),
    oomKills: change('oomKills'),
    diskFlushMs: ratio(change('diskFlushMs'), change('diskFlushes')),
    diskReadMs: ratio(change('diskReadMs'), change('diskReads')),
    diskWriteMs: ratio(change('diskWriteMs'), change('diskWrites')),
    diskBusyShare: atMostOne(ratio(change('diskBusyMs'), spanMs)),
    retransmitsPerSecond: perSecond('tcpRetransmits'),
    listenDropsPerSecond: perSecond('tcpListenDrops'),
  };
}

function difference(before: Counters | undefined, after: Counters, name: string): number | null {
  const from = before?.get(name);
  const to = after.get(name);
  return from === undefined || to === undefined || to < from ? null : Number(to - from);
}

function numberOf(value: bigint | undefined): number | null {
  return value === undefined ? null : Number(value);
}

/** null when either is absent or nothing happened that could be divided by. */
function ratio(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : part / whole;
}

function sum(parts: (number | null)[]): number | null {
  let total = 0;
  for (const part of parts) {
    if (part === null) return null;
    total += part;
  }
  return total;
}

/** The kernel's busy time and our clock are not the same clock. */
function atMostOne(share: number | null): number | null {
  return share === null ? null : Math.min(share, 1);
}
