import type {Instant, Millis} from '../../base/units.ts';
import type {Experiment} from '../../wire/incident.ts';
import type {Verdict} from '../../wire/record.ts';
import type {Labels} from '../../wire/schema.ts';
import {type Fleet, labelsOf} from '../fleet.ts';
import {verdictOf} from '../health/judge.ts';

type Outcome = NonNullable<Experiment['outcome']>;

/**
 * What an experiment has told: hosts that came back with the label changed are well, and what they no longer carry is to blame; or sick
 * again, and it is what they still carry.
 * @param isTried whether a host has enough to do that being well proves something: one that is still empty would be well with any cause.
 * @param wellMs a host proves that it is well for so long.
 * @returns null while a host that was changed proves nothing yet, or none was.
 */
export function outcomeOf(
  {labels, alternatives, change, from, hosts}: Experiment,
  fleet: Fleet,
  verdicts: readonly Verdict[],
  isTried: (host: string) => boolean,
  wellMs: Millis,
  nowMs: Instant,
): Outcome | null {
  const changed = hosts.flatMap(name => {
    const host = fleet.hosts.get(name);
    const now = host === undefined ? {} : labelsOf(host);
    const to = now[change];
    const kind = provedKind(verdictOf(name, verdicts), isTried, wellMs, nowMs);
    return to === undefined || to === from ? [] : [{host: name, now, to, kind}];
  });
  if (changed.length === 0 || changed.some(({kind}) => kind === null)) return null;
  const suspects = [labels, ...alternatives];
  const carried = (set: Labels): number =>
    changed.filter(({now}) => Object.entries(set).every(([key, value]) => now[key] === value)).length;
  const kept = suspects.filter(set => carried(set) === changed.length);
  const gone = suspects.filter(set => carried(set) === 0);
  const isWell = changed.every(({kind}) => kind === 'healthy');
  const isSick = changed.every(({kind}) => kind === 'sick');
  const [blamed, cleared] = isWell ? [gone, kept] : isSick ? [kept, gone] : [[], []];
  return {atMs: nowMs, blamed, cleared, hosts: changed.map(({host, kind, to}) => ({host, kind: kind ?? 'unknown', to}))};
}

/** Sick by what is seen of it now: one that is only not known to be well yet, since it was sick before it was changed, proves nothing. */
function provedKind(
  verdict: Verdict | undefined,
  isTried: (host: string) => boolean,
  wellMs: Millis,
  nowMs: Instant,
): 'healthy' | 'sick' | null {
  if (verdict === undefined) return null;
  const {host, kind, because, sinceMs} = verdict;
  if (kind === 'sick') return because === 'SLI_WORSE_THAN_PEERS' ? 'sick' : null;
  return kind === 'healthy' && nowMs - sinceMs >= wellMs && isTried(host) ? 'healthy' : null;
}
