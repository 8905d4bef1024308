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
  const services = [mailFigures?.postfix, mailFigures?.dovecot].flatMap(own => own?.busiest ?? []);
  const files = Object.values(system?.files?.services ?? {}).map(({fullest}) => fullest);
  const groups = Object.values(system?.services ?? {});
  return {
    ...kernel,
    processShare: fullest(services.map(({processes, max}) => [processes, max])),
    openFileShare: fullest([...files, [system?.limits?.openFiles, system?.limits?.openFilesMax]]),
    taskShare: fullest(groups.map(({tasks, tasksMax}) => [tasks, tasksMax])),
    limitsReached: mailFigures?.log?.limits.length ?? null,
  };
}

/** The greatest share of what may be used; null where neither is known. */
function fullest(pairs: readonly (readonly [number | undefined, number | null | undefined])[]): number | null {
  const shares = pairs.flatMap(([used, max]) => (used === undefined || max == null || max === 0 ? [] : [used / max]));
  return shares.length === 0 ? null : Math.max(...shares);
}
