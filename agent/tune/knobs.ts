/**
 * The kernel values that the agent may change by itself. The writer (`native/tune/knob.cc`) holds the same list and enforces it; a test
 * compares the two. docs/TUNE.md gives evidence, effect and source of each.
 */
export interface Knob {
  /** Ends in a slash when a disk's name follows. */
  name: string;
  path: string;
  /** In percent; the kernel zeroes one of the two when the other is written. */
  twinPath: string | null;
  min: number;
  max: number;
  /** Values are multiples of it: another would be rounded by the kernel and no longer be told from somebody else's. */
  step: number;
  raiseOnly: boolean;
  /** What a change must make smaller to be kept, beside harming nobody; null: a limit, whose good is room. */
  aim: 'softnetDropsPerSecond' | 'softnetSqueezesPerSecond' | 'synDropsPerSecond' | 'diskFlushMs' | 'dirtyShare' | 'diskReadMs' | null;
}

const MIB = 1_048_576;
const SYS = '/proc/sys';

function limit(name: string, min: number, max: number, aim: Knob['aim'] = null): Knob {
  return {name, path: `${SYS}/${name.replaceAll('.', '/')}`, twinPath: null, min, max, step: 1, raiseOnly: true, aim};
}

function pair(name: string, min: number, max: number, aim: Knob['aim']): Knob {
  const path = `${SYS}/${name.replaceAll('.', '/')}`;
  return {name, path: `${path}_bytes`, twinPath: `${path}_ratio`, min, max, step: MIB, raiseOnly: false, aim};
}

function ofDisk(file: string, min: number, max: number, step: number, aim: Knob['aim']): Knob {
  return {name: `block.${file}/`, path: `/sys/block/*/queue/${file}`, twinPath: null, min, max, step, raiseOnly: false, aim};
}

export const KNOBS: readonly Knob[] = [
  limit('net.core.netdev_max_backlog', 1_000, 30_000, 'softnetDropsPerSecond'),
  limit('net.core.netdev_budget', 300, 600, 'softnetSqueezesPerSecond'),
  limit('net.ipv4.tcp_max_syn_backlog', 1_024, 8_192, 'synDropsPerSecond'),
  limit('net.ipv4.ip_local_port_range', 10_240, 65_535),
  limit('net.netfilter.nf_conntrack_max', 65_536, 4_194_304),
  limit('fs.inotify.max_user_instances', 128, 65_535),
  limit('fs.inotify.max_user_watches', 8_192, 4_194_304),
  limit('fs.file-max', 65_536, 100_000_000),
  pair('vm.dirty_background', 64 * MIB, 4_096 * MIB, 'diskFlushMs'),
  pair('vm.dirty', 256 * MIB, 16_384 * MIB, 'dirtyShare'),
  ofDisk('read_ahead_kb', 16, 1_024, 16, 'diskReadMs'),
  ofDisk('wbt_lat_usec', 2_000, 75_000, 1, 'diskReadMs'),
];

/** The knob of that full name, as in `block.read_ahead_kb/vda`. */
export function knobOf(name: string): Knob | null {
  return KNOBS.find(knob => (knob.name.endsWith('/') ? name.startsWith(knob.name) : name === knob.name)) ?? null;
}

/**
 * A wished number as one that the knob may take; null when nothing in its range is left.
 * @param current present value, for those that only rise.
 */
export function fitted(knob: Knob, wished: number, current: number): number | null {
  const stepped = Math.floor(Math.min(Math.max(wished, knob.min), knob.max) / knob.step) * knob.step;
  return stepped < knob.min || stepped === current || (knob.raiseOnly && stepped < current) ? null : stepped;
}
