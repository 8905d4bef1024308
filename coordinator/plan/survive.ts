import {addTo} from '../../base/groups.ts';
import type {WhatIfView} from '../../wire/api.ts';
import type {PlanCase} from './case.ts';
import {construct} from './construct.ts';
import {type FarmHost, LEAVE, LEVELS, type Movables, modelOfFarm} from './farm.ts';
import {lackOf} from './lack.ts';

/** So many groups are told: the worst ones. */
const WORST = 5;
/** Instead of a label: every host is a group of its own, as is one without the label. */
const HOST = 'host';

type Survival = NonNullable<WhatIfView['survival']>;

/**
 * Whether everybody has a place when any one group of hosts is lost. What a loss needs is what lives there, and what is left has to
 * take it: moving mailboxes about beforehand changes little, only more room does. That is why the answer is a number of hosts, not moves.
 * It takes seconds in a large farm.
 * @param by `host`, or a label whose values make the groups.
 * @param hosts the farm as it is asked about; those that take mailboxes can be lost and can help.
 */
export function survivalOf(by: string, hosts: readonly FarmHost[], {placing}: PlanCase, growth: number, headroomShare: number): Survival {
  const groupOf = (name: string): string => (by === HOST ? name : (placing.labelsOf(name)[by] ?? name));
  const open = hosts.filter(({isOpen}) => isOpen);
  const groups = new Map<string, string[]>();
  for (const {name} of open) addTo(groups, groupOf(name), name);
  const living = new Map<string, string[]>();
  for (const [user, {host}] of placing.fleet.routes) addTo(living, host, user);
  const found: Survival['worst'] = [];
  for (const [group, names] of groups) {
    const lost = new Set(names);
    const users = names.flatMap(name => living.get(name) ?? []);
    const after = hosts.map((host): FarmHost => (lost.has(host.name) ? {...host, isOpen: false, stayBytes: 0, stayLoad: 0} : host));
    const movables = movablesOf(users, hosts, placing, growth);
    const problem = modelOfFarm(after, movables, {...LEAVE, headroomShare});
    const lack = lackOf(after, movables, construct(problem.model, LEVELS), placing.rules.tierName);
    const bytes = movables.bytes.reduce((sum, one) => sum + one, 0);
    const standardHosts = lack === null ? 0 : lack.standardHosts;
    found.push({group, hosts: names.length, bytes, lackBytes: lack?.bytes ?? 0, standardHosts});
  }
  found.sort((a, b) => b.lackBytes - a.lackBytes || b.bytes - a.bytes || (a.group < b.group ? -1 : 1));
  const lost = found.filter(({lackBytes}) => lackBytes > 0).length;
  return {by, groups: groups.size, lost, worst: found.slice(0, WORST)};
}

function movablesOf(
  users: readonly string[],
  hosts: readonly FarmHost[],
  {fleet, sizeOf, loads, rules}: PlanCase['placing'],
  growth: number,
): Movables {
  const at = new Map(hosts.map(({name}, index) => [name, index]));
  return {
    home: Int32Array.from(users, user => at.get(fleet.routes.get(user)?.host ?? '') ?? 0),
    bytes: Float64Array.from(users, user => Math.ceil(sizeOf(user) * growth)),
    load: Float64Array.from(users, user => loads.of(user) * growth),
    accepts: Uint32Array.from(users, user => rules.acceptedBy(user)),
  };
}
