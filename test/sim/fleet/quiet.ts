import type {Policy} from '../../../wire/policy.ts';
import {NOTHING} from './effect.ts';
import {drawQuiet, type Scenario} from './scenario.ts';
import {MONTH_MS, type Score, score} from './score.ts';
import {type Drawn, INTERVAL_MS} from './world.ts';

/** Reports of a judge's window of one minute, at most. */
const WINDOW = 7;
/** Judging goes on for so long after the last thing that may have been felt. */
const SETTLE_MS = 600_000;
/** Of reports above a floor, of failed probes (two a report) and of dropped sessions: fewer never make a window. */
const OVER_MIN = 2;
const FAILURES_MIN = 3;
const DROPPED_MIN = 3;

/** What a host showed above floors, until a window has passed without any. */
interface Felt {
  delivery: number;
  queueAge: number;
  probeDelivery: number;
  probeLogin: number;
  failures: number;
  dropped: number;
  /** Reports until it is forgotten. */
  left: number;
}

/**
 * Plays a farm in which nothing is wrong, cheaply. Nobody is called sick on whom nothing is above its floor over a window: the figures
 * are drawn first, and where that never comes about there is nothing to judge. All others are judged, every round from the first one to
 * the last in which it may have.
 */
export function playQuiet(seed: number, days: number, policy: Policy): {score: Score; isJudged: boolean} {
  const scenario = drawQuiet(seed, days);
  const hostMonths = (scenario.world.hosts.length * (scenario.endMs - scenario.startMs)) / MONTH_MS;
  const feltMs = lastFelt(scenario, policy);
  const endMs = feltMs === null ? scenario.startMs : Math.min(scenario.endMs, feltMs + SETTLE_MS);
  return {score: {...score({...drawQuiet(seed, days), endMs}, policy), hostMonths}, isJudged: feltMs !== null};
}

/** When a window of some host may have been above a floor for the last time, whatever of its reports was lost; null: never. */
export function lastFelt({world, startMs, endMs}: Scenario, {judge: {floors}}: Policy): number | null {
  let last: number | null = null;
  const felt = world.hosts.map((): Felt => none());
  for (let atMs = startMs; atMs < endMs; atMs += INTERVAL_MS) {
    world.next();
    for (const [index, host] of world.hosts.entries()) {
      const drawn = world.draw(host, atMs, NOTHING);
      world.way();
      const own = felt[index] ?? none();
      if (own.left > 0 && --own.left === 0) felt[index] = none();
      if (isAny(drawn, floors) && mayBeWindow(felt[index] ?? own, drawn, floors)) last = atMs;
    }
  }
  return last;
}

function none(): Felt {
  return {delivery: 0, queueAge: 0, probeDelivery: 0, probeLogin: 0, failures: 0, dropped: 0, left: 0};
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

/** Adds a report to what was felt before it. */
function mayBeWindow(felt: Felt, drawn: Drawn, floors: Policy['judge']['floors']): boolean {
  felt.left = WINDOW;
  felt.delivery += Number(isOver(drawn.deliveryMs, floors.deliveryMsP95));
  felt.queueAge += Number(isOver(drawn.queueAgeMs, floors.queueAgeMsP95));
  felt.probeDelivery += Number(isOver(drawn.probeDeliveryMs, floors.probeDeliveryMs));
  felt.probeLogin += Number(isOver(drawn.probeLoginMs, floors.probeLoginMs));
  felt.failures += 2 * (drawn.probeFailureShare ?? 0);
  felt.dropped += drawn.dropped;
  const over = Math.max(felt.delivery, felt.queueAge, felt.probeDelivery, felt.probeLogin);
  return over >= OVER_MIN || felt.failures >= FAILURES_MIN || felt.dropped >= DROPPED_MIN;
}
