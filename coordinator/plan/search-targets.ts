import {type PlanCase, settle, targetsOf} from './case.ts';
import type {Search} from './model.ts';
import {costOf} from './model-check.ts';

/** A plan this near to the least possible cost is not searched on. */
const GOOD_ENOUGH = 1.02;
const SEARCH_MS = 3_000;
/** A start that is good already is not thrown away by heat. */
const HEAT = 0.05;

/** Where each user would go: the first plan, or where that is poor or leaves somebody out, the best that a search finds. */
export async function searchTargets(on: PlanCase, search: Search): Promise<Map<string, string>> {
  const {model, bound} = on.problem;
  const first = settle(on);
  const enough = bound * GOOD_ENOUGH;
  if (on.users.length === 0 || costOf(model, first).total <= enough) return targetsOf(on, first);
  const {assignment} = await search(model, first, {ms: SEARCH_MS, steps: 0, threads: 1, seed: 1, enough, heat: HEAT});
  return targetsOf(on, assignment);
}
