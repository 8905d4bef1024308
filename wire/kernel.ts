import Type from 'typebox';
import {ByteCount, Count, orNull, PerSecond, Share, SpanMs} from './schema.ts';

/** What the kernel says: explains a verdict, never makes one. */
export const Kernel = Type.Object({
  cpuBusyShare: orNull(Share),
  cpuIowaitShare: orNull(Share),
  cpuStealShare: orNull(Share),
  runQueueWaitMsPerSecond: orNull(Count),
  /** PSI avg10, percent 0..100. */
  psiCpuSome10: orNull(Count),
  psiIoSome10: orNull(Count),
  psiIoFull10: orNull(Count),
  psiMemorySome10: orNull(Count),
  memoryAvailableBytes: orNull(ByteCount),
  memoryTotalBytes: orNull(ByteCount),
  dirtyBytes: orNull(ByteCount),
  directReclaimPerSecond: orNull(PerSecond),
  oomKills: orNull(Count),
  /** Of the disk under the mail store: device flush (fsync), read and write time a request. */
  diskFlushMs: orNull(SpanMs),
  diskReadMs: orNull(SpanMs),
  diskWriteMs: orNull(SpanMs),
  diskBusyShare: orNull(Share),
  retransmitsPerSecond: orNull(PerSecond),
  listenDropsPerSecond: orNull(PerSecond),
});
export type Kernel = Type.Static<typeof Kernel>;
