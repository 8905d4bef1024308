import type {Kernel} from '../../wire/kernel.ts';
import {atMostOne, type KernelSpans, ratio, sum} from './span.ts';

/** Time that a processor can be in, as in /proc/stat; guest time is part of user and nice. */
const CPU_TICKS = ['User', 'Nice', 'System', 'Idle', 'Iowait', 'Irq', 'Softirq', 'Steal'].map(mode => `cpu${mode}Ticks`);

/** The figures that explain a verdict. */
export function kernelOf({host: span, summed}: KernelSpans): Kernel {
  const change = (name: string): number | null => span.change(name);
  const level = (name: string): number | null => span.level(name);
  const perSummed = (name: string): number | null => summed?.perSecond(name) ?? null;
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
