/** Counters that the kernel sums over all its CPUs are as dear as all others together. */
export const SUMMED_EVERY = 3;
/** Dear sources: each is read once in so many intervals, most in an interval of their own. */
const EVERY = {
  summed: {every: SUMMED_EVERY, at: 0},
  services: {every: 3, at: 0},
  // Before what is measured against them.
  limits: {every: 6, at: 1},
  outbound: {every: 6, at: 2},
  queueFileSystem: {every: 6, at: 4},
  files: {every: 30, at: 5},
  setup: {every: 30, at: 6},
  lacking: {every: 30, at: 7},
} as const;
export type Dear = keyof typeof EVERY;

/** The dear sources whose turn it is. @param round counts intervals from 0. All have had theirs once within eight. */
export function turnsOf(round: number): ReadonlySet<Dear> {
  const dear = Object.entries(EVERY) as [Dear, {every: number; at: number}][];
  return new Set(dear.filter(([, {every, at}]) => round % every === at).map(([name]) => name));
}

/** All of them, for who wants to see everything at once. */
export const ALL_TURNS: ReadonlySet<Dear> = new Set(Object.keys(EVERY) as Dear[]);
