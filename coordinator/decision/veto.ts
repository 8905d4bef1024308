import type {Policy} from '../../wire/policy.ts';
import type {Verdict, Veto} from '../../wire/record.ts';
import {caseOf, type PlanCase, settle} from '../plan/case.ts';
import {type Outlook, openTargets} from '../plan/filter.ts';
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
export function evacuationVetoes(hosts: readonly string[], outlook: Outlook): Veto[] {
  const on = caseOf({kind: 'evacuate', hosts}, outlook);
  if (openTargets(on.placing).length === 0) return [{code: 'NO_HEALTHY_TARGET', detail: {hosts: [...hosts]}}];
  const {movables, placing} = on;
  const lack = lackOf(on.hosts, movables, settle(on), placing.rules.tierName);
  // A few that a search may find a place for are no reason to leave all others on sick hosts.
  const neededBytes = movables.bytes.reduce((sum, bytes) => sum + bytes, 0);
  const largestBytes = movables.bytes.reduce((most, bytes) => Math.max(most, bytes), 0);
  if (
    lack === null ||
    (neededBytes <= lack.roomBytes && largestBytes <= roomiest(on) && lack.tiers.every(({resource}) => resource !== 'TARGET'))
  )
    return [];
  const {roomBytes: freeBytes, largestRoomBytes, standardBytes, standardHosts, tiers} = lack;
  const missingBytes = Math.max(0, neededBytes - freeBytes);
  const detail = {neededBytes, freeBytes, missingBytes, largestBytes, largestRoomBytes, standardBytes, standardHosts, tiers};
  return [{code: 'DOES_NOT_FIT', detail}];
}

function roomiest({hosts}: PlanCase): number {
  return hosts.reduce((most, {isOpen, roomBytes}) => (isOpen ? Math.max(most, roomBytes) : most), 0);
}
