import {DAY_MS, HOUR_MS, type Instant, MINUTE_MS} from '../../base/units.ts';
import type {ActionKind, Policy, Window} from '../../wire/policy.ts';
import type {Veto} from '../../wire/record.ts';

/**
 * Hours in which an action is not begun: within a window that forbids it, or outside all windows that allow it. What was begun goes on.
 * @returns no veto where no window names the kind.
 */
export function windowVetoes(kind: ActionKind, {windows = []}: Pick<Policy, 'windows'>, nowMs: Instant): Veto[] {
  const own = windows.filter(({kinds}) => kinds.includes(kind));
  const forbidding = own.find(window => window.effect === 'never' && covers(window, nowMs));
  if (forbidding !== undefined) return [{code: 'WINDOW_CLOSED', detail: {name: forbidding.name, effect: 'never'}}];
  const allowing = own.filter(({effect}) => effect === 'only');
  if (allowing.length === 0 || allowing.some(window => covers(window, nowMs))) return [];
  return [{code: 'WINDOW_CLOSED', detail: {name: allowing.map(({name}) => name).join(', '), effect: 'only'}}];
}

/** A window that ends before it begins goes on past midnight and belongs to the day on which it began. */
function covers(window: Window, nowMs: Instant): boolean {
  const localMs = nowMs + window.utcOffsetMinutes * MINUTE_MS;
  const atMs = ((localMs % DAY_MS) + DAY_MS) % DAY_MS;
  const [fromMs, toMs] = [msOf(window.from), msOf(window.to)];
  if (fromMs < toMs) return isDay(window, localMs) && atMs >= fromMs && atMs < toMs;
  return (isDay(window, localMs) && atMs >= fromMs) || (isDay(window, localMs - DAY_MS) && atMs < toMs);
}

/** A day of the week, and within its dates if it has any. */
function isDay({days, dates}: Window, localMs: Instant): boolean {
  const day = new Date(localMs);
  const date = day.toISOString().slice(0, 10);
  return days.includes(day.getUTCDay()) && (dates === undefined || (date >= dates.from && date <= dates.to));
}

/** Of `07:30`: milliseconds since midnight. */
function msOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * HOUR_MS + minutes * MINUTE_MS;
}
