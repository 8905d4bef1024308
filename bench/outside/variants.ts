import type {Rng} from '../../base/random.ts';
import type {Incident} from './elements.ts';

/** Share of the rows that are taken away. */
const LACKING_SHARE = 0.15;
/** Up to so many are counted one by one; beyond, half of them with normal scatter. */
const ONE_BY_ONE_MAX = 30;

/** The same incident without some of its rows, before and now: who judges by single rows loses them. */
export function lacking(incident: Incident, rng: Rng): Incident {
  const isKept = new Map<string, boolean>();
  const rows = incident.rows.filter(({labels}) => {
    const key = JSON.stringify(labels);
    const kept = isKept.get(key) ?? rng.unit() > LACKING_SHARE;
    isKept.set(key, kept);
    return kept;
  });
  return {...incident, rows};
}

/** The same incident as a random half of its events shows it: more chance, the same cause. */
export function thinned(incident: Incident, rng: Rng): Incident {
  const rows = incident.rows.map(row => {
    const bad = half(row.bad, rng);
    return {...row, bad, all: bad + half(Math.max(0, row.all - row.bad), rng)};
  });
  return {...incident, rows};
}

function half(count: number, rng: Rng): number {
  if (count <= ONE_BY_ONE_MAX)
    return Array.from({length: count}, () => (rng.unit() < 0.5 ? 1 : 0) as number).reduce((sum, one) => sum + one, 0);
  // Twelve uniform draws make a normal one.
  const normal = Array.from({length: 12}, () => rng.unit()).reduce((sum, unit) => sum + unit, -6);
  return Math.max(0, Math.min(count, Math.round((count + Math.sqrt(count) * normal) / 2)));
}
