import type {Facts} from './facts.ts';
import {change, type Draft, type History, LASTING, lasting, mean, median, powerOfTwoMib, present} from './rules.ts';

const MIB = 1_048_576;
/** Looks over which bursts are counted: five minutes at the usual interval. */
const BURSTS_OVER = 30;
const BURSTS_MIN = 3;
/** A flush is part of a burst when it takes this many times the usual, and long enough to be felt. */
const BURST_TIMES = 3;
const BURST_FLUSH_MS = 20;
const PRESSED_FULL = 5;
const PRESSED_SOME = 20;
const BACKGROUND_FULL = 0.3;
/** So much of what the disk writes in a second may wait. Source: Oracle's rule for NoSQL hosts. */
const WRITE_SECONDS = 0.25;
const BACKGROUND_MIN = 64 * MIB;
const LIMIT_MIN = 256 * MIB;
const THROTTLED_SHARE = 0.8;
const SMALL_READ_BYTES = 16_384;
const READS_PER_SECOND = 50;
const REFAULTS_PER_SECOND = 100;
const READ_AHEAD_SMALL_KB = 32;
const WRITEBACK_BUSY_BYTES = 4 * MIB;
const STARVED_TIMES = 3;
const STARVED_MS = 10;
const STARVED_LOOKS = 5;

/** Rules for how the disk is written and read. */
export const DISK_RULES: readonly ((history: History, now: Facts, disk: string | null) => Draft | null)[] = [
  (history, now) => smallerBackground(history, now),
  (history, now) => largerLimit(history, now),
  (history, now, disk) => smallerReadAhead(history, now, disk),
  (history, now, disk) => fairerWriteback(history, now, disk),
];

/** Flushes that take long while a heap of dirty pages is written: a smaller heap makes smaller bursts. */
function smallerBackground(history: History, now: Facts): Draft | null {
  const looks = history.slice(-BURSTS_OVER);
  const effective = now.dirtyBackgroundBytes;
  const flushes = looks.flatMap(({diskFlushMs}) => (diskFlushMs === null ? [] : [diskFlushMs]));
  const written = looks.flatMap(({diskWrittenBytesPerSecond: rate}) => (rate === null ? [] : [rate]));
  if (looks.length < BURSTS_OVER || effective === null || flushes.length < BURSTS_OVER / 2 || written.length === 0) return null;
  const usual = median(flushes);
  const bursts = looks.filter((look, at) => {
    const before = looks[at - 1];
    if (before === undefined || before.dirtyBytes === null || look.dirtyBytes === null || look.diskFlushMs === null) return false;
    const isDraining = before.dirtyBytes > BACKGROUND_FULL * effective && look.dirtyBytes < before.dirtyBytes;
    return isDraining && look.diskFlushMs > Math.max(BURST_TIMES * usual, BURST_FLUSH_MS) && (look.psiIoFull10 ?? 0) > PRESSED_FULL;
  }).length;
  if (bursts < BURSTS_MIN) return null;
  const wished = powerOfTwoMib(Math.max(BACKGROUND_MIN, Math.max(...written) * WRITE_SECONDS));
  if (wished > effective / 2) return null;
  const evidence = `${bursts} times in ${looks.length} looks flushes took over ${BURST_TIMES} times the usual ${usual.toFixed(1)} ms while up to ${toMib(effective)} MiB were written back`;
  return change(now, 'vm.dirty_background', wished, 'FLUSH_BURSTS', evidence);
}

/** Writers are stopped though the background writer has hardly begun: the two limits stand too close. */
function largerLimit(history: History, now: Facts): Draft | null {
  const shares = lasting(history, 'dirtyShare');
  const pressed = lasting(history, 'psiIoSome10');
  const {dirtyBackgroundBytes: background, dirtyLimitBytes: limit} = now;
  if (background === null || limit === null || shares.length === 0 || pressed.length === 0) return null;
  const throttled = shares.filter(share => share >= THROTTLED_SHARE).length;
  if (throttled < LASTING / 2 || mean(pressed) < PRESSED_SOME) return null;
  const wished = powerOfTwoMib(Math.max(LIMIT_MIN, 4 * background));
  // Far enough apart already: the disk is too slow, and the kernel is right to stop writers.
  if (wished <= limit) return null;
  const evidence = `dirty pages at ${(mean(shares) * 100).toFixed(0)} % of the ${toMib(limit)} MiB at which writers are stopped`;
  return change(now, 'vm.dirty', wished, 'WRITERS_STOPPED', evidence);
}

/** Mail is read in small pieces from all over the disk: what is read ahead pushes out what is needed. */
function smallerReadAhead(history: History, now: Facts, disk: string | null): Draft | null {
  const knob = `block.read_ahead_kb/${disk}`;
  const current = present(now, knob);
  const sizes = lasting(history, 'diskReadBytes');
  const reads = lasting(history, 'diskReadsPerSecond');
  const refaults = lasting(history, 'refaultsPerSecond');
  if (disk === null || current === null || sizes.length === 0 || reads.length === 0 || refaults.length === 0) return null;
  if (Math.max(...sizes) >= SMALL_READ_BYTES || mean(reads) < READS_PER_SECOND || mean(refaults) < REFAULTS_PER_SECOND) return null;
  if (current < 4 * READ_AHEAD_SMALL_KB) return null;
  const evidence = `${mean(reads).toFixed(0)} reads a second of ${(mean(sizes) / 1024).toFixed(0)} KiB, ${mean(refaults).toFixed(0)} pages a second read again`;
  return change(now, knob, READ_AHEAD_SMALL_KB, 'SMALL_READS', evidence);
}

/** Reads wait while the background writer writes. */
function fairerWriteback(history: History, now: Facts, disk: string | null): Draft | null {
  const knob = `block.wbt_lat_usec/${disk}`;
  const current = present(now, knob);
  if (disk === null || current === null) return null;
  const looks = history.slice(-BURSTS_OVER).filter(({diskReadMs, writebackBytes}) => diskReadMs !== null && writebackBytes !== null);
  const readMs = (isBusy: boolean): number[] =>
    looks.filter(({writebackBytes}) => (writebackBytes ?? 0) > WRITEBACK_BUSY_BYTES === isBusy).map(({diskReadMs}) => diskReadMs ?? 0);
  const busy = readMs(true);
  const quiet = readMs(false);
  if (busy.length < STARVED_LOOKS || quiet.length < STARVED_LOOKS) return null;
  if (median(busy) < Math.max(STARVED_MS, STARVED_TIMES * median(quiet))) return null;
  const wished = current === 0 ? 75_000 : Math.floor(current / 2);
  const evidence = `reads take ${median(busy).toFixed(1)} ms while pages are written back, ${median(quiet).toFixed(1)} ms else`;
  return change(now, knob, wished, 'READS_STARVED', evidence);
}

function toMib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}
