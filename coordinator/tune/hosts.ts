import {DEFAULT_POLICY, type Policy, type TunePolicy} from '../../wire/policy.ts';
import type {HostTuning, TuneReport, TuneView} from '../../wire/tune.ts';
import {type FleetHost, labelsOf} from '../fleet.ts';
import {verdictOf} from '../health/judge.ts';
import type {Picture} from '../picture.ts';
import {tellsValues} from '../report/fold.ts';
import {rollout, type TunedHost} from './rollout.ts';

/** A policy that was stored by an older release says nothing of it. */
export function tunePolicyOf(policy: Policy): TunePolicy {
  return policy.tune ?? (DEFAULT_POLICY.tune as TunePolicy);
}

/** What a host's newest report tells of tuning, with the values that an earlier one has told. */
function tuneOf({reports}: FleetHost): TuneReport | undefined {
  const tune = reports.at(-1)?.tune;
  if (tune === undefined || tune.values !== undefined) return tune;
  const {values, inert} = reports.findLast(tellsValues)?.tune ?? {};
  return {...tune, ...(values && {values}), ...(inert && {inert})};
}

/** Hosts whose newest report tells of tuning. */
export function tunedHosts(picture: Picture): TunedHost[] {
  return [...picture.fleet.hosts.values()].flatMap(host => {
    const tune = tuneOf(host);
    if (tune === undefined) return [];
    const {record} = host;
    const {kind, sinceMs} = verdictOf(record.host, picture.outcome?.verdicts) ?? {};
    const verdict = kind === undefined || sinceMs === undefined ? null : {kind, sinceMs};
    return [{host: record.host, role: record.role, os: labelsOf(host).os ?? '', isActive: record.stage === 'active', verdict, tune}];
  });
}

/** Advice and changes of all hosts, and what the policy waits for. */
export function tuneView(picture: Picture, nowMs: number): TuneView {
  const policy = picture.policy.value;
  const tuned = tunedHosts(picture);
  const hosts = [...picture.hosts.keys()]
    .sort()
    .map((host): HostTuning => ({host, tune: tuned.find(each => each.host === host)?.tune ?? null}));
  return {mode: policy.modes.tune ?? 'approve', hosts, waiting: rollout(tuned, tunePolicyOf(policy), nowMs).waiting};
}
