import type {Kernel} from '../../wire/kernel.ts';
import {atMostOne, type KernelSpans, ratio, type Span, sum} from './span.ts';

/** What a processor can be at, as in /proc/stat; guest time is part of user and nice. */
const BUSY_MODES = ['User', 'Nice', 'System', 'Irq', 'Softirq', 'Steal'] as const;
const CPU_MODES = [...BUSY_MODES, 'Idle', 'Iowait'] as const;

/** What went to these modes, of the time of all processors. */
export function cpuShareOf(span: Span, ...modes: (typeof CPU_MODES)[number][]): number | null {
  const ticks = (of: readonly string[]): number | null => sum(of.map(mode => span.change(`cpu${mode}Ticks`)));
  return ratio(ticks(modes), ticks(CPU_MODES));
}

/** The figures that explain a verdict. */
export function kernelOf({host: span, summed}: KernelSpans): Kernel {
  const change = (name: string): number | null => span.change(name);
  const level = (name: string): number | null => span.level(name);
  const perSummed = (name: string): number | null => summed?.perSecond(name) ?? null;
  const percent = (name: string): number | null => ratio(level(name), 100);
  const waitNs = change('runQueueWaitNs');
  return {
    cpuBusyShare: cpuShareOf(span, ...BUSY_MODES),
    cpuIowaitShare: cpuShareOf(span, 'Iowait'),
    cpuStealShare: cpuShareOf(span, 'Steal'),
    runQueueWaitMsPerSecond: waitNs === null ? null : ratio(waitNs / 1e6, span.ms / 1000),
    psiCpuSome10: percent('psiCpuSomeHundredths'),
    psiIoSome10: percent('psiIoSomeHundredths'),
    psiIoFull10: percent('psiIoFullHundredths'),
    psiMemorySome10: percent('psiMemorySomeHundredths'),
    memoryAvailableBytes: level('memoryAvailableBytes'),
    memoryTotalBytes: level('memoryTotalBytes'),
    dirtyBytes: level('dirtyBytes'),
    directReclaimPerSecond: perSummed('allocStalls'),
    oomKills: summed?.change('oomKills') ?? null,
    diskFlushMs: ratio(change('diskFlushMs'), change('diskFlushes')),
    diskReadMs: ratio(change('diskReadMs'), change('diskReads')),
    diskWriteMs: ratio(change('diskWriteMs'), change('diskWrites')),
    diskBusyShare: atMostOne(ratio(change('diskBusyMs'), span.ms)),
    retransmitsPerSecond: perSummed('tcpRetransmits'),
    listenDropsPerSecond: perSummed('tcpListenDrops'),
  };
}
