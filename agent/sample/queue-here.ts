import type {Millis} from '../../base/units.ts';
import type {QueueSample, QueueWalk} from '../../native/binding.ts';

/** Of a long queue the samples of so many walks are one. */
const WALKS_MAX = 6;
/** Fewer messages of a queue of which nothing is known are left out: they may have gone while they were looked at. */
const FEW = 5;
const QUEUES = ['incoming', 'active', 'deferred'] as const;

/** What waits for this host. */
export interface QueueHere {
  /** Messages, projected from the samples. */
  waiting: number;
  /** By true arrival; null when nothing waits, or no age is known. */
  ageMsP95: Millis | null;
  ageMsMax: Millis | null;
}

/** null: not known. */
type IsHere = (recipient: string) => boolean | null;

interface Known {
  ageMs: Millis | null;
  isHere: boolean;
}

/**
 * Tells from samples what this host itself is late with: what it has received and not even sorted (incoming), whatever it is for, and what
 * waits in active and deferred for recipients here. Mail for others waits for them.
 */
export class HereSample {
  readonly #walks = new Map<QueueSample['queue'], Known[][]>(QUEUES.map(queue => [queue, []]));

  /** @returns null when too much is not known. */
  add(walk: QueueWalk, isHere: IsHere): QueueHere | null {
    const weighted: {ageMs: Millis | null; weight: number}[] = [];
    for (const queue of QUEUES) {
      const known = this.#known(queue, walk, isHere);
      if (known.length === 0 && walk[queue] >= FEW) return null;
      for (const one of known) if (one.isHere) weighted.push({ageMs: one.ageMs, weight: walk[queue] / known.length});
    }
    const waiting = Math.round(weighted.reduce((sum, {weight}) => sum + weight, 0));
    return {waiting, ageMsP95: rank(weighted, 0.95), ageMsMax: rank(weighted, 1)};
  }

  /** A queue that was looked at as a whole is as it is now; of a longer one the last walks tell together. */
  #known(queue: QueueSample['queue'], walk: QueueWalk, isHere: IsHere): Known[] {
    const samples = walk.samples.filter(sample => sample.queue === queue);
    const now = samples.flatMap(sample => knownOf(sample, isHere));
    const isAll = samples.length >= walk[queue];
    const walks = isAll ? [now] : [...(this.#walks.get(queue) ?? []), now].slice(-WALKS_MAX);
    this.#walks.set(queue, walks);
    return walks.flat();
  }
}

function knownOf({queue, ageMs, isWhole, recipient}: QueueSample, isHere: IsHere): Known[] {
  // Its sender is not done yet.
  if (!isWhole) return [{ageMs, isHere: false}];
  if (queue === 'incoming') return [{ageMs, isHere: true}];
  const here = recipient === '' ? null : isHere(recipient);
  return here === null ? [] : [{ageMs, isHere: here}];
}

/** Nearest rank by weight, of those whose age is known. */
function rank(weighted: readonly {ageMs: Millis | null; weight: number}[], share: number): Millis | null {
  const aged = weighted.flatMap(({ageMs, weight}) => (ageMs === null ? [] : [{ageMs, weight}])).sort((a, b) => a.ageMs - b.ageMs);
  const wanted = share * aged.reduce((sum, {weight}) => sum + weight, 0);
  let below = 0;
  for (const {ageMs, weight} of aged) {
    below += weight;
    if (below >= wanted - 1e-9 * wanted) return ageMs;
  }
  return aged.at(-1)?.ageMs ?? null;
}
