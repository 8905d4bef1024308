import {assert} from './assert.ts';

/** Chance as an argument; one seed replays a run. */
export interface Rng {
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** Uniform integer in [0, below). */
  below(below: number): number;
  /** One element. @throws AssertionFailed on an empty list. */
  pick<T>(items: readonly T[]): T;
  /** An independent stream, so that a new consumer does not shift the draws of the others. */
  fork(label: string): Rng;
}

/** 32-bit FNV-1a of a text. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash >>> 0;
}

/**
 * Small fast counter generator (sfc32, Chris Doty-Humphrey, PractRand): passes BigCrush, not for secrets.
 * @param seed any 32-bit integer; equal seeds give equal streams.
 */
export function seededRng(seed: number): Rng {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88;
  let c = 0xb7e15162 ^ (seed >>> 1);
  let counter = 1;
  const next = (): number => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let round = 0; round < 15; round++) next();
  const unit = (): number => next() / 0x1_0000_0000;
  return {
    unit,
    between: (low, high) => low + unit() * (high - low),
    below: below => Math.floor(unit() * below),
    pick: items => {
      const item = items[Math.floor(unit() * items.length)];
      assert(item !== undefined, 'pick needs at least one item');
      return item;
    },
    fork: label => seededRng(hash32(`${seed}/${label}`)),
  };
}
