/** Adds to the count of a name. */
export function count<K>(counts: Map<K, number>, name: K, more = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + more);
}

/** How often each name occurs, in the order in which they come first. */
export function countsOf<K>(names: Iterable<K>): Map<K, number> {
  const counts = new Map<K, number>();
  for (const name of names) count(counts, name);
  return counts;
}

/** Those with the greatest figure first, equal ones by name. */
export function mostFirst<T>(rows: Iterable<[string, T]>, figureOf: (row: T) => number): [string, T][] {
  return [...rows].sort(([a, x], [b, y]) => figureOf(y) - figureOf(x) || (a < b ? -1 : 1));
}
