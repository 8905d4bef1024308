import {DAY_MS, type Instant} from '../base/units.ts';
import type {CapacityFigure, Forecast} from '../wire/capacity.ts';
import type {Policy} from '../wire/policy.ts';
import type {Emit} from './events.io.ts';
import type {Fleet} from './fleet.ts';
import {capacityOf, forecastOf} from './plan/forecast.ts';

/** Events are kept for 90 days. */
const FIGURES_MAX = 100;

/** What the farm held day by day. Every coordinator notes it, so that whoever leads next knows it; the leader tells. */
export class CapacityHistory {
  readonly #figures: CapacityFigure[] = [];

  /** What was told before this process; in order of time. */
  restore(figure: CapacityFigure): void {
    this.#figures.push(figure);
    if (this.#figures.length > FIGURES_MAX) this.#figures.shift();
  }

  /**
   * Once a day, when enough hosts have told their space. A clock that was set back does not stop it.
   * @param emit null for a coordinator that does not lead.
   */
  note(fleet: Fleet, policy: Policy, emit: Emit | null, nowMs: Instant): void {
    const last = this.#figures.at(-1);
    if (last !== undefined && Math.abs(nowMs - last.atMs) < DAY_MS) return;
    const figure = capacityOf(fleet, policy, nowMs);
    if (figure === null) return;
    this.restore(figure);
    emit?.('capacityMeasured', null, figure);
    const forecast = this.forecast(policy, nowMs);
    if (forecast?.isDue === true) emit?.('hardwareDue', null, forecast);
  }

  /** null before the first figure. */
  forecast(policy: Policy, nowMs: Instant): Forecast | null {
    const [first, ...more] = [...this.#figures].sort((a, b) => a.atMs - b.atMs);
    return first === undefined ? null : forecastOf([first, ...more], policy, nowMs);
  }
}
