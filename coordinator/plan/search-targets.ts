import {targetsOf} from './build.ts';
import {construct} from './construct.ts';
import {modelOfFarm} from './farm.ts';
import type {Placing} from './filter.ts';
import {farmOf} from './fleet-farm.ts';
import type {Search} from './model.ts';
import {costOf} from './model-check.ts';

/** A plan this near to the least possible cost is not searched on. */
const GOOD_ENOUGH = 1.02;
const SEARCH_MS = 3_000;
/** A start that is good already is not thrown away by heat. */
const HEAT = 0.05;

/** Where each of `users` would go: the first plan, or where that is poor or leaves somebody out, the best that a search finds. */
export async function searchTargets(users: readonly string[], placing: Placing, search: Search): Promise<Map<string, string>> {
  const {hosts, homeless} = farmOf(users, placing);
  const {model, bound} = modelOfFarm(hosts, homeless);
  const first = construct(model);
  const enough = bound * GOOD_ENOUGH;
  if (users.length === 0 || costOf(model, first).total <= enough) return targetsOf(users, hosts, first);
  const {assignment} = await search(model, first, {ms: SEARCH_MS, steps: 0, threads: 1, seed: 1, enough, heat: HEAT});
  return targetsOf(users, hosts, assignment);
}
