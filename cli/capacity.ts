import {instant, type Look, percent, size, tint} from '../base/format.ts';
import type {Forecast} from '../wire/capacity.ts';

/** When hardware must be ordered, how much, and on which growth that rests, in one line. */
export function capacityLine({spare, wanted, days, growthBytesPerDay, belowAtMs, figure, ...order}: Forecast, look: Look): string {
  const {orderByMs, leadDays, isDue, hostsPerMonth, orderHosts, orderUntilMs, standardBytes} = order;
  const now = `spare ${percent(spare)} of the ${size(figure.heldBytes)} held, wanted ${percent(wanted)}`;
  const perMonth = hostsPerMonth === null ? '' : `, as of ${hostsPerMonth.toFixed(1)} hosts in 30 days`;
  const growth =
    growthBytesPerDay === null
      ? `growth is told after 7 days of figures (${days.toFixed(0)} so far)`
      : `${size(Math.abs(growthBytesPerDay))} a day ${growthBytesPerDay < 0 ? 'less' : 'more'} over ${days.toFixed(0)} days${perMonth}`;
  if (belowAtMs === null || orderByMs === null) return `${now}; ${growth}`;
  const below = belowAtMs <= look.nowMs ? 'is below that' : `falls below on ${day(belowAtMs)}`;
  const when = orderByMs <= look.nowMs ? `should have been ordered by ${day(orderByMs)}` : `to be ordered by ${day(orderByMs)}`;
  const hosts = `${orderHosts ?? '?'} hosts of ${size(standardBytes)} (enough until ${day(orderUntilMs)}; they take ${leadDays} days to come)`;
  return tint(`${now}, ${below}; ${growth}; ${hosts} ${when}`, isDue ? 'bad' : 'plain', look);
}

function day(atMs: number): string {
  return instant(atMs).slice(0, 10);
}
