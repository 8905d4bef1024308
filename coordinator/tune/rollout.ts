import type {Instant} from '../../base/units.ts';
import type {TunePolicy} from '../../wire/policy.ts';
import type {VerdictKind} from '../../wire/record.ts';
import type {Role} from '../../wire/schema.ts';
import type {Advice, Change, TuneReport} from '../../wire/tune.ts';
import {MAILHERD} from '../host/cordon.ts';

/** One host as far as tuning goes. */
export interface TunedHost {
  host: string;
  role: Role;
  /** Label `os`: what a value does depends on the kernel. */
  os: string;
  /** In service, and not to be emptied. */
  isActive: boolean;
  verdict: {kind: VerdictKind; sinceMs: Instant} | null;
  tune: TuneReport;
}

/** What the farm's policy would do now. */
export interface Rollout {
  apply: {host: string; adviceId: string; because: 'CANARY' | 'FOLLOWS'; evidence: string}[];
  revert: {host: string; knob: string; because: string}[];
  /** Why nothing is done about a knob on hosts of one kind. */
  waiting: {knob: string; kind: string; code: WaitCode; host: string | null}[];
}
export type WaitCode = 'UNDONE_ELSEWHERE' | 'TUNED_HOST_UNWELL' | 'CANARY_RUNS' | 'CANARY_YOUNG' | 'FULL' | 'NOBODY_FIT';

interface Group {
  knob: string;
  kind: string;
  hosts: TunedHost[];
}

/**
 * One host first, and the others of its role and release when it has done well for a while; nothing where the same change had to be
 * undone, or a tuned host is unwell since. Everything is read from reports, so that a new leader goes on where the last one was.
 */
export function rollout(hosts: readonly TunedHost[], policy: TunePolicy, nowMs: Instant): Rollout {
  const result: Rollout = {apply: [], revert: [], waiting: []};
  let running = hosts.filter(({tune}) => tune.changes.some(({stage}) => stage !== 'kept')).length;
  for (const group of groups(hosts)) {
    const {knob, kind} = group;
    const wait = (code: WaitCode, host: string | null): void => void result.waiting.push({knob, kind, code, host});
    const unwell = group.hosts.filter(host => changeOf(host, knob) !== undefined && isUnwellSince(host, knob));
    for (const host of unwell) {
      const change = changeOf(host, knob);
      // What a person has set, a person takes back.
      if (change?.by === MAILHERD)
        result.revert.push({host: host.host, knob: change.knob, because: `${host.verdict?.kind} since the change`});
    }
    const undone = group.hosts.find(({tune}) =>
      tune.ended.some(each => isOf(each.knob, knob) && each.outcome === 'undone' && nowMs - each.atMs < policy.restMs),
    );
    if (undone !== undefined) wait('UNDONE_ELSEWHERE', undone.host);
    else if (unwell.length > 0) wait('TUNED_HOST_UNWELL', unwell[0]?.host ?? null);
    else {
      const next = nextOf(group, policy, nowMs);
      if (next === null) continue;
      if (typeof next === 'string') wait(next, null);
      else if (running >= policy.concurrentMax) wait('FULL', null);
      else {
        running++;
        result.apply.push(next);
      }
    }
  }
  return result;
}

/** What to do next, why to wait, or null when nobody has such an advice. */
function nextOf({knob, hosts}: Group, policy: TunePolicy, nowMs: Instant): Rollout['apply'][number] | WaitCode | null {
  const adviceFor = ({tune}: TunedHost): Advice | undefined =>
    tune.advice.find(each => each.level === 'automatic' && isOf(each.knob, knob));
  if (!hosts.some(adviceFor)) return null;
  const changed = hosts.flatMap(host => changeOf(host, knob) ?? []);
  const proved = changed.filter(({stage, atMs}) => stage === 'kept' && nowMs - atMs >= policy.canaryMs);
  if (changed.length > 0 && proved.length === 0) return changed.some(({stage}) => stage !== 'kept') ? 'CANARY_RUNS' : 'CANARY_YOUNG';
  for (const each of hosts) {
    const {host, isActive, verdict, tune} = each;
    const advice = adviceFor(each);
    const isBusy = tune.changes.some(({stage}) => stage !== 'kept');
    if (advice === undefined || !isActive || isBusy || tune.mode !== 'on' || tune.writer !== null || verdict?.kind !== 'healthy') continue;
    if (tune.retired.includes(advice.knob)) continue;
    return {host, adviceId: advice.id, because: proved.length === 0 ? 'CANARY' : 'FOLLOWS', evidence: advice.evidence};
  }
  return 'NOBODY_FIT';
}

/** Knobs for which somebody has advice or a change, on hosts of one role and release. */
function groups(hosts: readonly TunedHost[]): Group[] {
  const found = new Map<string, Group>();
  const sorted = [...hosts].sort((a, b) => (a.host < b.host ? -1 : 1));
  for (const {role, os, tune} of sorted) {
    const kind = `${role} ${os}`;
    const wanted = tune.advice.filter(({level}) => level === 'automatic').map(({knob}) => knob);
    for (const name of [...wanted, ...tune.changes.map(({knob}) => knob)]) {
      const knob = generic(name);
      found.set(`${knob} ${kind}`, {knob, kind, hosts: sorted.filter(each => each.role === role && each.os === os)});
    }
  }
  return [...found.values()].sort((a, b) => (`${a.knob} ${a.kind}` < `${b.knob} ${b.kind}` ? -1 : 1));
}

/** Without the disk's name: the same knob on hosts whose disks are called otherwise. */
function generic(knob: string): string {
  return knob.replace(/\/.*$/, '');
}

function isOf(name: string, knob: string): boolean {
  return generic(name) === knob;
}

function changeOf({tune}: TunedHost, knob: string): Change | undefined {
  return tune.changes.find(change => isOf(change.knob, knob));
}

function isUnwellSince(host: TunedHost, knob: string): boolean {
  const {verdict} = host;
  const atMs = changeOf(host, knob)?.atMs ?? Number.POSITIVE_INFINITY;
  return verdict !== null && (verdict.kind === 'sick' || verdict.kind === 'suspect') && verdict.sinceMs >= atMs;
}
