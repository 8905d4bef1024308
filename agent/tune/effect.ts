import {DEFAULT_POLICY} from '../../wire/policy.ts';
import type {HostReport} from '../../wire/report.ts';
import type {Facts} from './facts.ts';
import {knobOf} from './knobs.ts';
import {chanceOfLarger} from './rank-sum.ts';
import {mean, median} from './rules.ts';

/** What is compared before and after a change: what users feel, what the change aims at, and the load. One a report. */
export interface Sight {
  felt: Readonly<Record<string, number | null>>;
  aim: number | null;
  deliveriesPerSecond: number | null;
  runQueueWaitMsPerSecond: number | null;
}

/** Below these a user feels nothing; the farm's own defaults. */
const {floors} = DEFAULT_POLICY.judge;
const FLOORS: Readonly<Record<string, number>> = floors;
/** A median that is worse by this factor, and by no chance, is harm. */
const WORSE_RATIO = 1.3;
/** Asked at every report of a comparison, hence so small. */
const CHANCE_MAX = 0.001;
/** A change that aims at a figure must make it smaller by at least a fifth. */
const BETTER_RATIO = 0.8;
const LOAD_RATIO_MAX = 1.5;
const SIGHTS_MIN = 12;
/** A budget of the network's own thread is paid by everybody who waits for a processor. */
const WAIT_RATIO_MAX = 1.2;

export function sightOf(report: Pick<HostReport, 'slis' | 'load' | 'kernel'>, facts: Facts | null, knob: string | null): Sight {
  const {slis, load, kernel} = report;
  const {imapDropped, imapSessions} = slis;
  const aim = knob === null ? null : (knobOf(knob)?.aim ?? null);
  return {
    felt: {
      deliveryMsP95: slis.deliveryMsP95,
      queueAgeMsP95: slis.queueAgeMsP95,
      probeDeliveryMs: slis.probeDeliveryMs,
      probeLoginMs: slis.probeLoginMs,
      probeFailureShare: slis.probeFailureShare,
      imapDroppedShare:
        imapDropped === null || imapSessions === null || imapSessions === 0 ? null : Math.min(imapDropped / imapSessions, 1),
    },
    aim: aim === null || facts === null ? null : facts[aim],
    deliveriesPerSecond: load.deliveriesPerSecond,
    runQueueWaitMsPerSecond: kernel.runQueueWaitMsPerSecond,
  };
}

export interface Effect {
  verdict: 'wait' | 'keep' | 'undo';
  /** For people: what was compared. */
  text: string;
}

/**
 * Was the change worth it? Harm ends it at once; whether it helped is asked when the time is over.
 * @param before sights of the time before, `after` of the time since the guard ended; oldest first.
 * @param isOver no more will be waited for.
 */
export function effectOf(name: string, before: readonly Sight[], after: readonly Sight[], isOver: boolean): Effect {
  const harm = harmOf(before, after);
  const load = loadRatio(before, after);
  const isBusier = load !== null && load > LOAD_RATIO_MAX;
  if (harm !== null && !(isBusier && !isOver))
    return {verdict: 'undo', text: `${harm}${isBusier ? `, at ${load.toFixed(1)} times the load` : ''}`};
  if (!isOver) return {verdict: 'wait', text: `${after.length} reports compared with ${before.length}`};
  if (knobOf(name)?.aim == null) return {verdict: 'keep', text: `no harm in ${after.length} reports`};
  if (name === 'net.core.netdev_budget') {
    const waits = ratioOf(
      numbers(before, sight => sight.runQueueWaitMsPerSecond),
      numbers(after, sight => sight.runQueueWaitMsPerSecond),
    );
    if (waits !== null && waits > WAIT_RATIO_MAX)
      return {verdict: 'undo', text: `waiting for a processor ${waits.toFixed(2)} times as long`};
  }
  const aimed = ratioOf(
    numbers(before, sight => sight.aim),
    numbers(after, sight => sight.aim),
  );
  const what = knobOf(name)?.aim;
  if (aimed === null) return {verdict: 'undo', text: `${what} was not measured`};
  return {verdict: aimed <= BETTER_RATIO ? 'keep' : 'undo', text: `${what} is ${aimed.toFixed(2)} times what it was`};
}

/** The first figure that users feel to be worse, in words. */
function harmOf(before: readonly Sight[], after: readonly Sight[]): string | null {
  for (const [name, floor] of Object.entries(FLOORS)) {
    const was = numbers(before, sight => sight.felt[name] ?? null);
    const is = numbers(after, sight => sight.felt[name] ?? null);
    if (was.length < SIGHTS_MIN || is.length < SIGHTS_MIN) continue;
    const [from, to] = [median(was), median(is)];
    if (to > floor && to > from * WORSE_RATIO && chanceOfLarger(was, is) < CHANCE_MAX)
      return `${name} rose from ${round(from)} to ${round(to)}`;
  }
  return null;
}

function loadRatio(before: readonly Sight[], after: readonly Sight[]): number | null {
  return ratioOf(
    numbers(before, sight => sight.deliveriesPerSecond),
    numbers(after, sight => sight.deliveriesPerSecond),
  );
}

function numbers(sights: readonly Sight[], of: (sight: Sight) => number | null): number[] {
  return sights.map(of).filter(value => value !== null);
}

/** Means against each other; null when one is of nothing, or there was nothing before. */
function ratioOf(before: readonly number[], after: readonly number[]): number | null {
  return before.length === 0 || after.length === 0 || mean(before) === 0 ? null : mean(after) / mean(before);
}

function round(value: number): string {
  return value.toPrecision(3);
}
