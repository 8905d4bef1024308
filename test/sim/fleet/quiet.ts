import type {Policy} from '../../../wire/policy.ts';
import {NOTHING} from './effect.ts';
import {drawQuiet, type Scenario} from './scenario.ts';
import {MONTH_MS, type Score, score} from './score.ts';
import {type Drawn, INTERVAL_MS} from './world.ts';

/** Judging goes on for so long after the last thing that may have been felt. */
const SETTLE_MS = 600_000;
/** Fewer dropped sessions in a window are none, as in what is judged. */
const DROPPED_MIN = 3;

/** A report of a window. One that is lost is in none; one that comes late is in it or not. */
interface Sent {
  drawn: Drawn;
  isLate: boolean;
}

/** A host's newest reports; `left`: in how many more rounds one with anything above a floor is among them. */
interface Recent {
  sent: (Sent | null)[];
  left: number;
}

/**
 * Plays a farm in which nothing is wrong, cheaply. Nobody is called sick on whom nothing is above its floor over a window: the figures
 * are drawn first, and where that never comes about there is nothing to judge. All others are judged, every round from the first one to
 * the last in which it may have.
 */
export function playQuiet(seed: number, hours: number, policy: Policy): {score: Score; judgedHostMonths: number} {
  const scenario = drawQuiet(seed, hours);
  const {world, startMs} = scenario;
  const monthsUntil = (endMs: number): number => (world.hosts.length * (endMs - startMs)) / MONTH_MS;
  const feltMs = lastFelt(scenario, policy);
  const endMs = feltMs === null ? startMs : Math.min(scenario.endMs, feltMs + SETTLE_MS);
  const played = score({...drawQuiet(seed, hours), endMs}, policy);
  return {score: {...played, hostMonths: monthsUntil(scenario.endMs)}, judgedHostMonths: monthsUntil(endMs)};
}

/** When a window of some host may have been above a floor for the last time, whichever late reports are in it; null: never. */
export function lastFelt({world, startMs, endMs}: Scenario, {judge: {floors, windowMs}}: Policy): number | null {
  const size = Math.ceil(windowMs / INTERVAL_MS);
  const recent = world.hosts.map((): Recent => ({sent: [], left: 0}));
  let last: number | null = null;
  let round = 0;
  for (let atMs = startMs; atMs < endMs; atMs += INTERVAL_MS) {
    world.next();
    for (const [index, host] of world.hosts.entries()) {
      const own = recent[index] as Recent;
      const drawn = world.draw(host, atMs, NOTHING);
      const {copies, delayMs} = world.way();
      own.sent[round % size] = copies === 0 ? null : {drawn, isLate: delayMs > INTERVAL_MS / 2};
      own.left = isAny(drawn, floors) ? size : own.left - 1;
      if (own.left > 0 && mayBeFelt(own.sent, floors)) last = atMs;
    }
    round++;
  }
  return last;
}

function isOver(value: number | null, floor: number): boolean {
  return value !== null && value > floor;
}

function isAny(drawn: Drawn, floors: Policy['judge']['floors']): boolean {
  return (
    isOver(drawn.deliveryMs, floors.deliveryMsP95) ||
    isOver(drawn.queueAgeMs, floors.queueAgeMsP95) ||
    isOver(drawn.probeDeliveryMs, floors.probeDeliveryMs) ||
    isOver(drawn.probeLoginMs, floors.probeLoginMs) ||
    isOver(drawn.probeFailureShare, 0) ||
    drawn.dropped > 0
  );
}

function mayBeFelt(sent: readonly (Sent | null)[], floors: Policy['judge']['floors']): boolean {
  return (
    mayBeMedian(
      sent,
      ({deliveryMs}) => deliveryMs,
      floors.deliveryMsP95,
      ({deliveries}) => deliveries,
    ) ||
    mayBeMedian(sent, ({queueAgeMs}) => queueAgeMs, floors.queueAgeMsP95) ||
    mayBeMedian(sent, ({probeDeliveryMs}) => probeDeliveryMs, floors.probeDeliveryMs) ||
    mayBeMedian(sent, ({probeLoginMs}) => probeLoginMs, floors.probeLoginMs) ||
    mayBeFailing(sent, floors.probeFailureShare) ||
    mayBeDropping(sent, floors.imapDroppedShare)
  );
}

/** Half of what counts is above it, at best: what is late counts only where it is above. */
function mayBeMedian(
  sent: readonly (Sent | null)[],
  pick: (drawn: Drawn) => number | null,
  floor: number,
  weigh: (drawn: Drawn) => number = () => 1,
): boolean {
  let [over, under] = [0, 0];
  for (const each of sent) {
    const value = each === null ? null : pick(each.drawn);
    if (each === null || value === null) continue;
    if (value > floor) over += weigh(each.drawn);
    else if (!each.isLate) under += weigh(each.drawn);
  }
  return over > 0 && over >= under;
}

function mayBeFailing(sent: readonly (Sent | null)[], floor: number): boolean {
  let [failed, tried] = [0, 0];
  for (const each of sent) {
    const share = each?.drawn.probeFailureShare ?? null;
    if (each === null || share === null || (share <= floor && each.isLate)) continue;
    failed += share;
    tried++;
  }
  return failed > floor * tried;
}

/** Of the fewest sessions that were open at any time; a session that ended in between makes the share less. */
function mayBeDropping(sent: readonly (Sent | null)[], floor: number): boolean {
  let [dropped, open] = [0, Number.POSITIVE_INFINITY];
  for (const each of sent) {
    if (each === null) continue;
    dropped += each.drawn.dropped;
    open = Math.min(open, each.drawn.open);
  }
  return dropped >= DROPPED_MIN && dropped > floor * open;
}
