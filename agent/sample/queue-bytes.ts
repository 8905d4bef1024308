import type {QueueWalk} from '../../native/binding.ts';

/** Bytes of each queue, as far as they are known; of those that hold some. */
export function queueBytesOf({queueBytes}: Pick<QueueWalk, 'queueBytes'>): Record<string, number> {
  const known = Object.entries(queueBytes).flatMap(([queue, bytes]) => (bytes === null || bytes === 0 ? [] : [[queue, Math.round(bytes)]]));
  return Object.fromEntries(known);
}
