import type {HostReport} from '../../wire/report.ts';

/** What explains: the kernel's figures, and how near the mail services are to what they may use, 1 = at a limit. null: not read. */
export type KernelFigures = HostReport['kernel'] & Record<'processShare' | 'openFileShare' | 'taskShare' | 'limitsReached', number | null>;
export type KernelName = keyof KernelFigures;

/** Figures that explain, with the value below which they explain nothing. */
export const KERNEL_TABLE: readonly {figure: KernelName; unit: string; floor: number}[] = [
  {figure: 'diskFlushMs', unit: 'ms', floor: 10},
  {figure: 'diskWriteMs', unit: 'ms', floor: 10},
  {figure: 'diskReadMs', unit: 'ms', floor: 10},
  {figure: 'diskBusyShare', unit: 'share', floor: 0.5},
  {figure: 'psiIoSome10', unit: '%', floor: 10},
  {figure: 'psiIoFull10', unit: '%', floor: 5},
  {figure: 'psiCpuSome10', unit: '%', floor: 10},
  {figure: 'psiMemorySome10', unit: '%', floor: 5},
  {figure: 'cpuBusyShare', unit: 'share', floor: 0.5},
  {figure: 'cpuIowaitShare', unit: 'share', floor: 0.1},
  {figure: 'cpuStealShare', unit: 'share', floor: 0.05},
  {figure: 'runQueueWaitMsPerSecond', unit: 'ms/s', floor: 100},
  {figure: 'directReclaimPerSecond', unit: '/s', floor: 10},
  {figure: 'retransmitsPerSecond', unit: '/s', floor: 5},
  {figure: 'listenDropsPerSecond', unit: '/s', floor: 0.1},
  {figure: 'processShare', unit: 'share', floor: 0.8},
  {figure: 'openFileShare', unit: 'share', floor: 0.8},
  {figure: 'taskShare', unit: 'share', floor: 0.8},
  {figure: 'limitsReached', unit: 'limits', floor: 1},
];

/** The figures of one report. */
export function kernelFiguresOf({kernel, system, mailFigures}: HostReport): KernelFigures {
  let processShare: number | null = null;
  let openFileShare: number | null = null;
  let taskShare: number | null = null;
  for (const own of [mailFigures?.postfix, mailFigures?.dovecot]) {
    for (const {processes, max} of own?.busiest ?? []) processShare = fuller(processShare, processes, max);
  }
  for (const {fullest} of Object.values(system?.files?.services ?? {})) openFileShare = fuller(openFileShare, fullest[0], fullest[1]);
  openFileShare = fuller(openFileShare, system?.limits?.openFiles, system?.limits?.openFilesMax);
  for (const {tasks, tasksMax} of Object.values(system?.services ?? {})) taskShare = fuller(taskShare, tasks, tasksMax);
  return {...kernel, processShare, openFileShare, taskShare, limitsReached: mailFigures?.log?.limits.length ?? null};
}

/** The greater of two shares of what may be used; null where neither is known. */
function fuller(share: number | null, used: number | undefined, max: number | null | undefined): number | null {
  return used === undefined || max == null || max === 0 ? share : Math.max(share ?? 0, used / max);
}
