import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Verdict, Veto} from '../../wire/record.ts';
import type {Fleet} from '../fleet.ts';
import {construct} from '../plan/construct.ts';
import {modelOfFarm} from '../plan/farm.ts';
import {openTargets, type Placing, placingOf} from '../plan/filter.ts';
import {farmOf} from '../plan/fleet-farm.ts';
import {lackOf} from '../plan/lack.ts';

/** More silent backends than this at once, and it is us or the network that is ill. */
const SILENT_SHARE_MAX = 1 / 3;
const SILENT_MIN = 2;
/** More sick backends than this without an explanation, and nothing is done but to call a person. */
export const UNEXPLAINED_SHARE_MAX = 1 / 3;
export const UNEXPLAINED_MIN = 2;

/** Brakes on everything that changes the farm. `kinds` are the verdicts of backends in service. */
export function generalVetoes(policy: Policy, kinds: readonly Verdict['kind'][]): Veto[] {
  const vetoes: Veto[] = [];
  if (policy.paused !== null) vetoes.push({code: 'PAUSED', detail: {by: policy.paused.by, reason: policy.paused.reason}});
  const silent = kinds.filter(kind => kind === 'silent').length;
  if (silent >= SILENT_MIN && silent > SILENT_SHARE_MAX * kinds.length) {
    vetoes.push({code: 'MONITOR_SUSPECT', detail: {silent, backends: kinds.length}});
  }
  return vetoes;
}

/** Brakes on emptying all of `hosts`: the farm must have a place for what lives there, or the cure is worse than the illness. */
export function evacuationVetoes(
  hosts: readonly string[],
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
): Veto[] {
  const placing = placingOf(fleet, verdicts, cohorts, policy, hosts);
  const targets = openTargets(placing);
  if (targets.length === 0) return [{code: 'NO_HEALTHY_TARGET', detail: {hosts: [...hosts]}}];
  const leaving = new Set(hosts);
  let neededBytes = 0;
  let largestBytes = 0;
  const users: string[] = [];
  for (const [user, {host}] of fleet.routes) {
    if (!leaving.has(host)) continue;
    users.push(user);
    neededBytes += placing.sizeOf(user);
    largestBytes = Math.max(largestBytes, placing.sizeOf(user));
  }
  const rooms = targets.map(host => Math.max(0, placing.rooms.get(host)?.freeBytes ?? 0));
  const freeBytes = rooms.reduce((sum, bytes) => sum + bytes, 0);
  if (neededBytes <= freeBytes && largestBytes <= Math.max(...rooms)) return [];
  const missingBytes = Math.max(0, neededBytes - freeBytes);
  return [{code: 'DOES_NOT_FIT', detail: {neededBytes, freeBytes, missingBytes, largestBytes, ...remedy(users, placing)}}];
}

/** What would do instead: so many hosts of the usual size more. */
function remedy(users: readonly string[], placing: Placing): Record<string, number | null> {
  const {hosts, homeless} = farmOf(users, placing);
  const lack = lackOf(hosts, homeless, construct(modelOfFarm(hosts, homeless).model));
  if (lack === null) return {};
  const {largestRoomBytes, standardBytes, standardHosts} = lack;
  return {largestRoomBytes, standardBytes, standardHosts};
}
