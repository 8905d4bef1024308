import type {Plan} from '../../wire/record.ts';

/** A plan as the planner would store it, the first of its farm. */
export function planOf(kind: Plan['kind'], moves: Plan['moves']): Plan {
  return {v: 1, id: 'plan-000001', parent: null, generation: 1, createdAtMs: 0, kind, because: '', moves, unplaced: []};
}
