import {MailherdError} from '../../base/errors.ts';
import type {WhatIf, WhatIfView} from '../../wire/api.ts';
import {labelsOf} from '../fleet.ts';
import {caseOf, type PlanCase} from './case.ts';
import {construct} from './construct.ts';
import {type FarmHost, LEAVE, LEVELS, type Movables, modelOfFarm} from './farm.ts';
import {type Outlook, whyNoTarget} from './filter.ts';
import {standardHost} from './lack.ts';
import {survivalOf} from './survive.ts';
import {Explained} from './why.ts';

/** Moves that are explained one by one, and hosts told of each: an answer is read by a person. */
const EXPLAINED = 20;
const OTHERS = 5;
const FULLEST = 5;

/**
 * What a plan would be if the farm were another: hosts emptied or gone, hosts added, users more. Nothing is stored and nothing moves.
 * @throws MailherdError HOST_UNKNOWN; INPUT_INVALID for a label that no host has.
 */
export function whatIf(wish: WhatIf, outlook: Outlook): WhatIfView {
  const {fleet, policy} = outlook;
  const leaving = [...new Set([...(wish.evacuate ?? []), ...(wish.without ?? []).flatMap(label => hostsWith(label, outlook))])];
  const on = caseOf({kind: 'evacuate', hosts: leaving}, outlook);
  const growth = 1 + (wish.growth ?? 0);
  const {hosts, movables} = otherFarm(on, growth, wish.add ?? 0);
  const problem = modelOfFarm(hosts, movables, {...LEAVE, headroomShare: policy.place.headroomShare, domains: on.domains});
  const assignment = construct(problem.model, LEVELS, {...(on.isForbidden !== undefined && {isForbidden: on.isForbidden})});
  const explained = new Explained(hosts, movables, problem, assignment);
  const account = explained.account(policy.place.headroomShare, on.placing);
  const overfull = on.hosts.flatMap(({name, isOpen, stayBytes}) => {
    const room = (on.placing.rooms.get(name)?.freeBytes ?? 0) - stayBytes * (growth - 1);
    return isOpen && room < 0 ? [{host: name, lackBytes: -room}] : [];
  });
  const overloaded = hosts.flatMap(({name: host, isOpen, stayLoad, loadMax}) => {
    return isOpen && loadMax !== null && stayLoad > loadMax ? [{host, lackLoad: stayLoad - loadMax}] : [];
  });
  const closed: Record<string, number> = {};
  for (const host of fleet.hosts.keys()) {
    const why = whyNoTarget(host, on.placing);
    if (why !== null) closed[why] = (closed[why] ?? 0) + 1;
  }
  const roomBytes = hosts.reduce((sum, host) => sum + (host.isOpen ? host.roomBytes : 0), 0);
  const fills = explained.fills();
  return {
    fits: account.lack === null && overfull.length + overloaded.length + on.kept.length === 0,
    moves: on.users.filter((_, index) => assignment[on.unitOf[index] as number] !== movables.home[on.unitOf[index] as number]).length,
    pinned: on.kept.length,
    ...{account, overfull, overloaded, closed, roomBytesBefore: roomBytes},
    roomBytesAfter: fills.reduce((sum, fill) => sum + Math.max(0, fill.roomBytes), 0),
    fullest: fills.slice(0, FULLEST),
    why: reasonsOf(on, movables, hosts, explained),
    survival: wish.survive === undefined ? null : survivalOf(wish.survive, hosts, on, growth, policy.place.headroomShare),
  };
}

function reasonsOf(
  {users, unitOf}: PlanCase,
  {home, bytes, load}: Movables,
  hosts: readonly FarmHost[],
  explained: Explained,
): WhatIfView['why'] {
  return users.slice(0, EXPLAINED).flatMap((user, index) => {
    const unit = unitOf[index] as number;
    const [choice, target] = [explained.choice(unit), explained.targetOf(unit)];
    const source = hosts[home[unit] as number]?.name ?? '';
    if (choice === null) return [];
    const {code, level} = choice;
    const need = {bytes: bytes[unit] as number, load: load[unit] as number};
    return [{user, source, ...need, target, code, level, others: explained.others(unit).slice(0, OTHERS)}];
  });
}

/** The farm with everybody grown and hosts added. */
function otherFarm(on: PlanCase, growth: number, add: number): {hosts: FarmHost[]; movables: Movables} {
  const hosts = [...on.hosts.map(host => grown(host, growth)), ...added(on, add)];
  const {bytes, load} = on.movables;
  return {hosts, movables: {...on.movables, bytes: bytes.map(one => Math.ceil(one * growth)), load: load.map(one => one * growth)}};
}

/** @param label `key=value` */
function hostsWith(label: string, {fleet}: Outlook): string[] {
  const at = label.indexOf('=');
  const [key, value] = [label.slice(0, at), label.slice(at + 1)];
  const found = [...fleet.hosts].flatMap(([name, host]) => (labelsOf(host)[key] === value ? [name] : []));
  if (at < 1 || found.length === 0) throw new MailherdError('INPUT_INVALID', {what: 'without', reason: 'no host has this label', label});
  return found;
}

/** What grows fills its host; what would not fit is told as overfull. */
function grown(host: FarmHost, growth: number): FarmHost {
  const more = host.stayBytes * (growth - 1);
  return {
    ...host,
    stayBytes: host.stayBytes + more,
    stayLoad: host.stayLoad * growth,
    roomBytes: Math.max(0, host.roomBytes - more),
  };
}

function added({hosts, placing: {rules, loads}}: PlanCase, count: number): FarmHost[] {
  const roomBytes = standardHost(hosts);
  if (count > 0 && roomBytes === null) throw new MailherdError('INPUT_INVALID', {what: 'add', reason: 'no host shows what is usual'});
  const offers = hosts.reduce((bits, host) => bits | (host.isOpen ? (host.offers ?? 1) : 0), 0);
  return Array.from({length: count}, (_, at) => {
    const name = `new-${at + 1}`;
    const loadMax = loads.isKnown ? rules.loadMaxOf({}) : null;
    return {name, roomBytes: roomBytes ?? 0, stayBytes: 0, stayLoad: 0, loadMax, isOpen: true, strength: 1, offers, rack: name};
  });
}
