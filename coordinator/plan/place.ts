import type {PlannedMove} from '../../wire/record.ts';
import {type Placing, type WhyNot, whyNoRoom} from './filter.ts';

/**
 * The target for one mailbox: where users and bytes, each as a share of what all targets hold, end lowest; ties by name.
 * @param targets hosts that take mailboxes at all (openTargets).
 * @returns the host, or the refusal that came nearest to a place.
 */
export function choose(user: string, targets: readonly string[], placing: Placing): {host: string} | {why: WhyNot | 'NO_TARGET'} {
  const bytes = placing.sizeOf(user);
  const totals = {users: 1, bytes: 1};
  for (const host of targets) {
    totals.users += placing.rooms.get(host)?.users ?? 0;
    totals.bytes += placing.rooms.get(host)?.bytes ?? 0;
  }
  let best: {host: string; score: number} | null = null;
  let why: WhyNot | 'NO_TARGET' = 'NO_TARGET';
  for (const host of targets) {
    const refusal = whyNoRoom(user, host, placing);
    if (refusal !== null) {
      if (refusal !== 'SELF' || why === 'NO_TARGET') why = refusal;
      continue;
    }
    const room = placing.rooms.get(host);
    const score = ((room?.users ?? 0) + 1) / totals.users + ((room?.bytes ?? 0) + bytes) / totals.bytes;
    if (best === null || score < best.score) best = {host, score};
  }
  return best === null ? {why} : {host: best.host};
}

/** Books a mailbox on its target. The source's space is not given back: it keeps the copy until the purge. */
export function book({user, source, target, bytes}: Pick<PlannedMove, 'user' | 'source' | 'target' | 'bytes'>, placing: Placing): void {
  const into = placing.rooms.get(target);
  const from = placing.rooms.get(source);
  if (into !== undefined) {
    into.users++;
    into.bytes += bytes;
    if (into.freeBytes !== null) into.freeBytes -= bytes;
  }
  if (from !== undefined && placing.fleet.routes.get(user)?.host === source) {
    from.users--;
    from.bytes -= bytes;
  }
}
