import {MailherdError} from '../../base/errors.ts';
import type {WhatIf, WhatIfView} from '../../wire/api.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, Verdict} from '../../wire/record.ts';
import {type Fleet, labelsOf} from '../fleet.ts';
import {evacuationOf} from './build.ts';
import {construct} from './construct.ts';
import {type FarmHost, modelOfFarm} from './farm.ts';
import {whyNoTarget} from './filter.ts';
import {farmOf} from './fleet-farm.ts';
import {lackOf, standardHost} from './lack.ts';
import {fillsOf, termsOf, whyThere} from './why.ts';

/** Moves that are explained one by one, and hosts told of each: an answer is read by a person. */
const EXPLAINED = 20;
const OTHERS = 5;
const FULLEST = 5;

/**
 * What a plan would be if the farm were another: hosts emptied or gone, hosts added, users more. Nothing is stored and nothing moves.
 * @throws MailherdError HOST_UNKNOWN; INPUT_INVALID for a label that no host has.
 */
export function whatIf(
  wish: WhatIf,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  cohorts: readonly CohortVerdict[],
  policy: Policy,
): WhatIfView {
  const leaving = [...new Set([...(wish.evacuate ?? []), ...(wish.without ?? []).flatMap(label => hostsWith(label, fleet))])];
  const {placing, users} = evacuationOf(leaving, fleet, verdicts, cohorts, policy);
  const farm = farmOf(users, placing);
  const growth = 1 + (wish.growth ?? 0);
  const hosts = [...farm.hosts.map(host => grown(host, growth)), ...added(farm.hosts, wish.add ?? 0)];
  const homeless = {
    ...farm.homeless,
    bytes: farm.homeless.bytes.map(bytes => Math.ceil(bytes * growth)),
    load: farm.homeless.load.map(load => load * growth),
  };
  const problem = modelOfFarm(hosts, homeless);
  const assignment = construct(problem.model);
  const fills = fillsOf(hosts, homeless, problem, assignment);
  const before = fillsOf(hosts, homeless, problem, problem.model.home);
  const overfull = fills.filter(({roomBytes}) => roomBytes < 0);
  const lack = lackOf(hosts, homeless, assignment);
  const closed: Record<string, number> = {};
  for (const host of fleet.hosts.keys()) {
    const why = whyNoTarget(host, placing);
    if (why !== null) closed[why] = (closed[why] ?? 0) + 1;
  }
  return {
    fits: lack === null && overfull.length === 0,
    moves: users.length - (lack?.mailboxes ?? 0),
    lack,
    overfull: overfull.map(({host, roomBytes}) => ({host, lackBytes: -roomBytes})),
    terms: termsOf(hosts, problem, assignment),
    roomBytesBefore: before.reduce((sum, {roomBytes}) => sum + Math.max(0, roomBytes), 0),
    roomBytesAfter: fills.reduce((sum, {roomBytes}) => sum + Math.max(0, roomBytes), 0),
    fullest: fills.slice(0, FULLEST),
    closed,
    why: users.slice(0, EXPLAINED).flatMap((user, process) => {
      const answer = whyThere(process, hosts, homeless, problem, assignment, OTHERS);
      const source = hosts[homeless.home[process] as number]?.name ?? '';
      return answer === null ? [] : [{user, source, bytes: homeless.bytes[process] as number, ...answer}];
    }),
  };
}

/** @param label `key=value` */
function hostsWith(label: string, fleet: Fleet): string[] {
  const at = label.indexOf('=');
  const [key, value] = [label.slice(0, at), label.slice(at + 1)];
  const found = [...fleet.hosts.values()].filter(host => (labelsOf(host) as Record<string, string>)[key] === value);
  if (at < 1 || found.length === 0) throw new MailherdError('INPUT_INVALID', {what: 'without', reason: 'no host has this label', label});
  return found.map(({record}) => record.host);
}

function grown(host: FarmHost, growth: number): FarmHost {
  const more = host.stayBytes * (growth - 1);
  return {...host, stayBytes: host.stayBytes + more, stayLoad: host.stayLoad * growth, roomBytes: host.roomBytes - more};
}

function added(hosts: readonly FarmHost[], count: number): FarmHost[] {
  const roomBytes = standardHost(hosts);
  if (count > 0 && roomBytes === null) throw new MailherdError('INPUT_INVALID', {what: 'add', reason: 'no host shows what is usual'});
  return Array.from({length: count}, (_, at) => {
    return {name: `new-${at + 1}`, roomBytes: roomBytes ?? 0, stayBytes: 0, stayLoad: 0, loadMax: null, isOpen: true, strength: 1};
  });
}
