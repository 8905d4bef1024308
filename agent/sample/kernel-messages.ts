import {HOUR_MS, MINUTE_MS, type Millis} from '../../base/units.ts';

/** What a kernel complains of that a mail host feels. */
export const KERNEL_TROUBLES = ['oomKill', 'hungTask', 'diskError', 'fileSystemError', 'linkDown', 'transmitTimeout'] as const;
export type KernelTrouble = (typeof KERNEL_TROUBLES)[number];

/**
 * A trouble is over when the kernel has not complained of it for so long. ext4 repeats once a day, for as long as nobody checks the file
 * system, that it has errors; a link that is down is said once, and ends with the word that it is up.
 */
export const QUIET_AFTER_MS: Record<KernelTrouble, Millis> = {
  oomKill: 30 * MINUTE_MS,
  hungTask: 30 * MINUTE_MS,
  diskError: HOUR_MS,
  fileSystemError: 25 * HOUR_MS,
  linkDown: 24 * HOUR_MS,
  transmitTimeout: 10 * MINUTE_MS,
};

const OF_CHARS_MAX = 40;

/** One record of the kernel's log. */
export interface KernelRecord {
  sequence: number;
  /** Since boot, by the kernel's own clock. */
  atUs: number;
  /** Programs may write to the log too. */
  isKernel: boolean;
  text: string;
}

/** A complaint, or the word that it is over. */
export interface KernelMessage {
  trouble: KernelTrouble;
  /** The disk, file system, interface or program. */
  of: string;
  isOver: boolean;
}

/** `priority,sequence,microseconds,flags[,...];text`, then lines of properties. Source: Documentation/ABI/testing/dev-kmsg. */
const RECORD = /^(\d{1,10}),(\d{1,16}),(\d{1,16}),[^;\n]*;([^\n]*)/;
/** Priorities below are of the facility that only the kernel itself can use. */
const KERNEL_PRIORITIES = 8;

/** null: not such a record. */
export function parseKernelRecord(line: string): KernelRecord | null {
  const [, priority, sequence, atUs, text = ''] = RECORD.exec(line) ?? [];
  if (priority === undefined) return null;
  return {sequence: Number(sequence), atUs: Number(atUs), isKernel: Number(priority) < KERNEL_PRIORITIES, text};
}

/** Sources: mm/oom_kill.c, kernel/hung_task.c, block/blk-core.c, fs/buffer.c, drivers/nvme, drivers/md, fs/ext4/super.c, fs/jbd2, fs/xfs, net/sched/sch_generic.c. */
const COMPLAINTS: readonly [KernelTrouble, RegExp][] = [
  ['oomKill', /^(?:Out of memory|Memory cgroup out of memory)[^:]*: Kill(?:ed)? process \d+ \(([^)]*)\)/],
  ['hungTask', /^INFO: task (.+):\d+ (?:<.*> )?(?:is )?blocked /],
  ['diskError', /(?:I\/O|critical \w+|timeout|protection|recoverable transport) error, dev ([\w!-]+)[, ]/],
  ['diskError', /^Buffer I\/O error on (?:dev|device) ([\w!-]+)[, ]/],
  ['diskError', /^(?:block )?nvme (\S+): (?:I\/O (?:tag )?\d+ .*timeout|controller is down)/],
  ['diskError', /^md\/raid[^:]*:(\w+): Disk failure on /],
  ['fileSystemError', /^EXT4-fs (?:error|panic) \(device ([^)]+)\)/],
  ['fileSystemError', /^EXT4-fs \(([^)]+)\): (?:error count since last fsck|Remounting filesystem read-only)/],
  ['fileSystemError', /^(?:Aborting journal on device|JBD2: .*(?:IO|I\/O) errors? .* on) ([\w!]+)-\d+/],
  ['fileSystemError', /^XFS \(([^)]+)\): .*(?:[Cc]orrupt|I\/O [Ee]rror|[Ss]hut(?:ting)? down)/],
  ['fileSystemError', /^BTRFS(?::)? (?:error|critical)[^(]*\(device ([^)]+)\)/],
  ['transmitTimeout', /(?:^|[ ])([\w.@-]+): NETDEV WATCHDOG: .*timed out/],
  ['transmitTimeout', /^NETDEV WATCHDOG: ([\w.@-]+) \(.*timed out/],
];
const LINK = /(?:^|[ ])([\w.@-]+): (?:NIC )?[Ll]ink (?:is )?(down|up)\b/i;

/** null: nothing that matters here. */
export function kernelMessageOf(text: string): KernelMessage | null {
  for (const [trouble, pattern] of COMPLAINTS) {
    const of = pattern.exec(text)?.[1];
    if (of !== undefined) return {trouble, of: of.slice(0, OF_CHARS_MAX), isOver: false};
  }
  const [, of, state] = LINK.exec(text) ?? [];
  if (of === undefined || state === undefined) return null;
  return {trouble: 'linkDown', of: of.slice(0, OF_CHARS_MAX), isOver: state.toLowerCase() === 'up'};
}
