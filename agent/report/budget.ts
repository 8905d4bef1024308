import {MINUTE_MS, type Millis} from '../../base/units.ts';

/** The least often that a source is read: once in so many of its turns. */
const EVERY_MAX = 8;
/** Of the budget: a source works more often again only when that leaves room. */
const ROOM_SHARE = 0.9;

/** A source that may rest. */
export interface Cost {
  name: string;
  /** It runs in one of so many rounds now. */
  every: number;
  /** What its calls took within the minute, by the clock: more than they cost on a busy machine, but in the same order. */
  ms: Millis;
}

/** An agent that costs more than it may lets its dearest sources rest, one step a minute, and takes them up again when there is room. */
export class CpuBudget {
  readonly #percentMax: number;
  #cpuMs: Millis = 0;
  #ms: Millis = 0;
  /** The first minute is that of the start. */
  #isSettled = false;
  #percent = 0;

  /** @param percentMax of one core. */
  constructor(percentMax: number) {
    this.#percentMax = percentMax;
  }

  /**
   * One interval more. @param costs of the minute so far.
   * @returns null within a minute; at its end the `every` of each source whose own changes.
   */
  add(cpuMs: Millis, ms: Millis, costs: () => readonly Cost[]): ReadonlyMap<string, number> | null {
    this.#cpuMs += cpuMs;
    this.#ms += ms;
    if (this.#ms < MINUTE_MS) return null;
    this.#percent = (100 * this.#cpuMs) / this.#ms;
    const changes = this.#isSettled ? changesOf(this.#percent, this.#percentMax, costs(), this.#ms) : new Map();
    this.#isSettled = true;
    this.#cpuMs = 0;
    this.#ms = 0;
    return changes;
  }

  /** What rests and why, in words; null when nothing does. */
  text(costs: readonly Pick<Cost, 'name' | 'every'>[]): string | null {
    const resting = costs.filter(({every}) => every > 1).map(({name, every}) => `${name} 1 of ${every}`);
    if (resting.length === 0) return null;
    return `${this.#percent.toPrecision(2)} % of a core, ${this.#percentMax} allowed: ${resting.join(', ')}`.slice(0, 200);
  }
}

function changesOf(percent: number, percentMax: number, costs: readonly Cost[], ms: Millis): Map<string, number> {
  if (percent > percentMax) {
    const [dearest] = costs.filter(({every, ms: cost}) => every < EVERY_MAX && cost > 0).sort((a, b) => b.ms - a.ms);
    return new Map(dearest === undefined ? [] : [[dearest.name, dearest.every * 2]]);
  }
  // Twice as often costs as much again.
  const [cheapest] = costs.filter(({every}) => every > 1).sort((a, b) => a.ms - b.ms);
  const hasRoom = cheapest !== undefined && percent + (100 * cheapest.ms) / ms <= percentMax * ROOM_SHARE;
  return new Map(hasRoom ? [[cheapest.name, cheapest.every / 2]] : []);
}
