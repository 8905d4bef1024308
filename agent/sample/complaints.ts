import type {Instant, Millis} from '../../base/units.ts';

/** More than any host has at once. */
const OPEN_MAX = 64;

/** Since when somebody complains, when last, and how often. */
export interface Standing {
  sinceMs: Instant;
  lastMs: Instant;
  complaints: number;
}

interface Rules<T> {
  /** What tells one trouble from another. */
  keyOf: (one: Omit<T, keyof Standing>) => string;
  /** It is over when nobody has complained for so long. */
  clearAfterMs: (one: T) => Millis;
}

/** What is complained of now: opened by the first complaint, cleared by a time without. */
export class Complaints<T extends Standing> {
  readonly #rules: Rules<T>;
  readonly #open: Map<string, T>;

  /** @param open as `open` gave it before a restart. */
  constructor(rules: Rules<T>, open: readonly T[]) {
    this.#rules = rules;
    this.#open = new Map(open.map(one => [rules.keyOf(one), {...one}]));
  }

  get open(): T[] {
    return [...this.#open.values()];
  }

  /** Counts one. @returns what is open because of it, and whether it was before; null where too much is open already. */
  saw(complaint: Omit<T, keyof Standing>, atMs: Instant): {one: T; isNew: boolean} | null {
    const key = this.#rules.keyOf(complaint);
    const known = this.#open.get(key);
    if (known !== undefined) {
      known.lastMs = Math.max(known.lastMs, atMs);
      known.complaints++;
      return {one: known, isNew: false};
    }
    if (this.#open.size >= OPEN_MAX) return null;
    const opened = {...complaint, sinceMs: atMs, lastMs: atMs, complaints: 1} as T;
    this.#open.set(key, opened);
    return {one: opened, isNew: true};
  }

  /** Takes out, and returns, those that nobody complained of for long enough. */
  clear(nowMs: Instant): T[] {
    return this.end(one => nowMs - one.lastMs >= this.#rules.clearAfterMs(one));
  }

  /** Takes out, and returns, those that are over for another reason. */
  end(isOver: (one: T) => boolean): T[] {
    const over = this.open.filter(isOver);
    for (const one of over) this.#open.delete(this.#rules.keyOf(one));
    return over;
  }
}
