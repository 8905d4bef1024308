import {markAll, NO_FIGURES} from '../../../coordinator/health/marks.ts';
import {measure, type SliName} from '../../../coordinator/health/sli.ts';
import {floorOf, type Policy} from '../../../wire/policy.ts';
import type {HostReport} from '../../../wire/report.ts';
import {NOTHING} from './effect.ts';
import {playReports} from './play.ts';
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

/** When a window of some host may have been above a floor for the last time, and in what it ever may; null: never. */
export interface Felt {
  lastMs: number;
  slis: ReadonlySet<SliName>;
}

/**
 * Plays a farm in which nothing is wrong, cheaply. Nobody is called sick on whom nothing is above its floor over a window: the figures
 * are drawn first, and where that never comes about there is nothing to judge. Of all others what may have been above its floor is
 * compared, every round from the first one to the last in which it may have; where that proves nobody worse whom it may hurt, nobody is
 * called sick. What is left is judged in full.
 */
export function playQuiet(seed: number, hours: number, policy: Policy): {score: Score; judgedHostMonths: number} {
  const scenario = drawQuiet(seed, hours);
  const {world, startMs} = scenario;
  const monthsUntil = (endMs: number): number => (world.hosts.length * (endMs - startMs)) / MONTH_MS;
  const felt = feltOf(scenario, policy);
  const endMs = felt === null ? startMs : Math.min(scenario.endMs, felt.lastMs + SETTLE_MS);
  const isProved = felt !== null && isAnyProved({...drawQuiet(seed, hours), endMs}, felt.slis, policy);
  const played = score({...drawQuiet(seed, hours), endMs: isProved ? endMs : startMs}, policy);
  return {score: {...played, hostMonths: monthsUntil(scenario.endMs)}, judgedHostMonths: monthsUntil(endMs)};
}

/** Whether some host is ever proved to be worse in one of these while that is above its floor: nobody else is called sick. */
export function isAnyProved(scenario: Scenario, slis: Felt['slis'], {judge}: Policy): boolean {
  let memory = NO_FIGURES;
  let isProved = false;
  const mangle = (report: HostReport): {reports: HostReport[]; delayMs: number} => ({reports: [only(report, slis)], delayMs: 0});
  playReports({...scenario, innocent: {mangle, isFromStart: true}}, (fleet, nowMs) => {
    const measured = [...fleet.hosts.values()].map(host => measure(host, judge, nowMs));
    const compared = markAll(measured, memory, judge, nowMs);
    memory = compared.memory;
    isProved = measured.some(({host, values}) => {
      const marks = compared.marks.get(host);
      return [...slis].some(sli => isOver(values[sli], floorOf(judge, sli)) && (marks?.[sli]?.proof ?? null) !== null);
    });
    return !isProved;
  });
  return isProved;
}

/** A report that tells only these: figures are compared each by itself. */
function only(report: HostReport, slis: Felt['slis']): HostReport {
  const {slis: told, queue} = report;
  const ifFelt = <T>(sli: SliName, value: T): T | null => (slis.has(sli) ? value : null);
  return {
    ...report,
    slis: {
      ...told,
      deliveryMsP95: ifFelt('deliveryMsP95', told.deliveryMsP95),
      queueAgeMsP95: ifFelt('queueAgeMsP95', told.queueAgeMsP95),
      probeDeliveryMs: ifFelt('probeDeliveryMs', told.probeDeliveryMs),
      probeLoginMs: ifFelt('probeLoginMs', told.probeLoginMs),
      probeFailureShare: ifFelt('probeFailureShare', told.probeFailureShare),
      imapDropped: ifFelt('imapDroppedShare', told.imapDropped),
    },
    queue: ifFelt('queueAgeMsP95', queue),
  };
}

/** What may be felt, whichever late reports are in a window. */
export function feltOf({world, startMs, endMs}: Scenario, {judge: {floors, windowMs}}: Policy): Felt | null {
  const size = Math.ceil(windowMs / INTERVAL_MS);
  const recent = world.hosts.map((): Recent => ({sent: [], left: 0}));
  const slis = new Set<SliName>();
  let lastMs: number | null = null;
  let round = 0;
  for (let atMs = startMs; atMs < endMs; atMs += INTERVAL_MS) {
    world.next();
    for (const [index, host] of world.hosts.entries()) {
      const own = recent[index] as Recent;
      const drawn = world.draw(host, atMs, NOTHING);
      const {copies, delayMs} = world.way();
      own.sent[round % size] = copies === 0 ? null : {drawn, isLate: delayMs > INTERVAL_MS / 2};
      own.left = isAny(drawn, floors) ? size : own.left - 1;
      if (own.left <= 0) continue;
      for (const sli of mayBeFelt(own.sent, floors)) {
        slis.add(sli);
        lastMs = atMs;
      }
    }
    round++;
  }
  return lastMs === null ? null : {lastMs, slis};
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

function mayBeFelt(sent: readonly (Sent | null)[], floors: Policy['judge']['floors']): SliName[] {
  const {deliveryMsP95, queueAgeMsP95, probeDeliveryMs, probeLoginMs, probeFailureShare, imapDroppedShare} = floors;
  const slis: SliName[] = [];
  if (
    mayBeMedian(
      sent,
      drawn => drawn.deliveryMs,
      deliveryMsP95,
      drawn => drawn.deliveries,
    )
  )
    slis.push('deliveryMsP95');
  if (mayBeMedian(sent, drawn => drawn.queueAgeMs, queueAgeMsP95)) slis.push('queueAgeMsP95');
  if (mayBeMedian(sent, drawn => drawn.probeDeliveryMs, probeDeliveryMs)) slis.push('probeDeliveryMs');
  if (mayBeMedian(sent, drawn => drawn.probeLoginMs, probeLoginMs)) slis.push('probeLoginMs');
  if (mayBeFailing(sent, probeFailureShare)) slis.push('probeFailureShare');
  if (mayBeDropping(sent, imapDroppedShare)) slis.push('imapDroppedShare');
  return slis;
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
