import type {Bytes} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {Verdict, Veto} from '../../wire/record.ts';
import {isMonitorSuspect} from '../health/circumstance.ts';
import {caseOf, type PlanCase, settle} from '../plan/case.ts';
import {type Outlook, openTargets} from '../plan/filter.ts';
import {lackOf} from '../plan/lack.ts';

/** More sick backends than this without an explanation, and nothing is done but to call a person. */
export const UNEXPLAINED_SHARE_MAX = 1 / 3;
export const UNEXPLAINED_MIN = 2;

/** Brakes on everything that changes the farm. `kinds` are the verdicts of backends in service. */
export function generalVetoes(policy: Policy, kinds: readonly Verdict['kind'][]): Veto[] {
  const vetoes: Veto[] = [];
  if (policy.paused !== null) vetoes.push({code: 'PAUSED', detail: {by: policy.paused.by, reason: policy.paused.reason}});
  const silent = kinds.filter(kind => kind === 'silent').length;
  if (isMonitorSuspect(silent, kinds.length)) vetoes.push({code: 'MONITOR_SUSPECT', detail: {silent, backends: kinds.length}});
  return vetoes;
}

/** Brakes on emptying all of `hosts`: the farm must have a place for what lives there, or the cure is worse than the illness. */
export function evacuationVetoes(hosts: readonly string[], outlook: Outlook): Veto[] {
  return lackVetoes(caseOf({kind: 'evacuate', hosts}, outlook));
}

/**
 * The same where some may be emptied though there is no place for all of them.
 * @param hosts the most urgent first.
 * @returns what stops those for whom there is no room any more; it says what is missing for all of them.
 */
export function roomVetoes(hosts: readonly string[], outlook: Outlook): ReadonlyMap<string, Veto[]> {
  const on = caseOf({kind: 'evacuate', hosts}, outlook);
  const vetoes = lackVetoes(on);
  if (vetoes.length === 0) return new Map();
  const needs = needsOf(on);
  const largest = roomiest(on);
  let left = on.hosts.reduce((sum, {isOpen, roomBytes}) => sum + (isOpen ? roomBytes : 0), 0);
  return new Map(
    hosts.flatMap((host): [string, Veto[]][] => {
      const {bytes, largestBytes, hasTier} = needs.get(host) ?? {bytes: 0, largestBytes: 0, hasTier: true};
      if (openTargets(on.placing).length === 0 || bytes > left || largestBytes > largest || !hasTier) return [[host, vetoes]];
      left -= bytes;
      return [];
    }),
  );
}

interface Need {
  bytes: Bytes;
  largestBytes: Bytes;
  /** Hosts that offer what its mailboxes must have take some. */
  hasTier: boolean;
}

function needsOf({hosts, movables: {home, bytes, accepts}}: PlanCase): Map<string, Need> {
  const needs = new Map<string, Need>();
  const offered = hosts.reduce((bits, {isOpen, offers}) => (isOpen ? bits | (offers ?? 1) : bits), 0);
  for (const [unit, host] of home.entries()) {
    const name = hosts[host]?.name ?? '';
    const need = needs.get(name) ?? {bytes: 0, largestBytes: 0, hasTier: true};
    const size = bytes[unit] as number;
    need.bytes += size;
    need.largestBytes = Math.max(need.largestBytes, size);
    need.hasTier &&= ((accepts?.[unit] ?? 1) & offered) !== 0;
    needs.set(name, need);
  }
  return needs;
}

function lackVetoes(on: PlanCase): Veto[] {
  const {movables, placing} = on;
  if (openTargets(placing).length === 0) return [{code: 'NO_HEALTHY_TARGET', detail: {hosts: [...placing.leaving]}}];
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
