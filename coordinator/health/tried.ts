import type {HostSlis} from './sli.ts';
import {Sample} from './statistics.ts';

/** With less than this share of what the busier quarter has to do a host has not been tried. */
const TRIED_SHARE = 0.5;

/**
 * Backends that have enough to do that being well proves something. Told by the busier hosts: those that deliver nothing any more are sick.
 */
export function triedHosts(slis: readonly HostSlis[]): ReadonlySet<string> {
  const backends = slis.filter(({role, state}) => role === 'backend' && state === 'measured');
  const loads = backends.flatMap(({loadPerSecond}) => loadPerSecond ?? []);
  const least = TRIED_SHARE * (Sample.of(loads).quantile(0.75) ?? Number.POSITIVE_INFINITY);
  return new Set(backends.flatMap(({host, loadPerSecond}) => ((loadPerSecond ?? 0) >= least ? [host] : [])));
}
