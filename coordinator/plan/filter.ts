import type {Bytes} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {CohortVerdict, HostRecord, Verdict, VerdictKind} from '../../wire/record.ts';
import {type Fleet, labelsOf, rackOf} from '../fleet.ts';
import {mailboxBytes, movingUsers, type Room, roomsOf} from './capacity.ts';
import {type Loads, loadsOf} from './load.ts';
import {type Rules, rulesOf} from './rules.ts';

export type WhyNot =
  | 'SELF'
  | 'HOST_UNKNOWN'
  | 'ROLE'
  | 'STAGE'
  | 'CORDONED'
  | 'CLOCK_AHEAD'
  | 'SILENT'
  | 'SICK'
  | 'SUSPECT'
  | 'SICK_COHORT'
  | 'SPACE';

/** The farm as it is judged and ruled: what every plan is made from. */
export interface Outlook {
  fleet: Fleet;
  verdicts: readonly Verdict[];
  cohorts: readonly CohortVerdict[];
  policy: Policy;
}

/** Everything the choice of a target looks at, gathered once for a plan. */
export interface Placing {
  fleet: Fleet;
  rooms: Map<string, Room>;
  sizeOf: (user: string) => Bytes;
  loads: Loads;
  kinds: ReadonlyMap<string, VerdictKind>;
  /** Hosts that share the label which explains sick hosts. */
  blamed: ReadonlySet<string>;
  /** Hosts that the plan empties. */
  leaving: ReadonlySet<string>;
  /** `host user` of copies that earlier moves left. */
  retained: ReadonlySet<string>;
  /** Users whose mailbox moves or waits to. */
  moving: ReadonlySet<string>;
  rules: Rules;
  labelsOf: (host: string) => HostRecord['labels'];
  /** A host without the label is a rack of its own. */
  rackOf: (host: string) => string;
}

/** @param leaving hosts that the plan empties: they take nothing, even if they are well. */
export function placingOf({fleet, verdicts, cohorts, policy}: Outlook, leaving: readonly string[] = []): Placing {
  const labels = (host: string): HostRecord['labels'] => {
    const known = fleet.hosts.get(host);
    return known === undefined ? {} : labelsOf(known);
  };
  const [sizeOf, loads] = [mailboxBytes(fleet), loadsOf(fleet)];
  return {
    fleet,
    rooms: roomsOf(fleet, policy, sizeOf, loads),
    sizeOf,
    loads,
    kinds: new Map(verdicts.map(({host, kind}) => [host, kind])),
    blamed: new Set(cohorts.filter(({explained}) => explained).flatMap(({members}) => members)),
    leaving: new Set(leaving),
    retained: new Set(fleet.moves.filter(({step}) => step === 'retained').map(({source, user}) => `${source} ${user}`)),
    moving: movingUsers(fleet),
    rules: rulesOf(policy),
    labelsOf: labels,
    rackOf: host => rackOf(fleet, host),
  };
}

/** Stages of a host that was emptied and still stands. */
const EMPTIED: ReadonlySet<HostRecord['stage']> = new Set(['draining', 'drained']);

/**
 * Why a host takes no mailbox at all, or null when it may; SPACE here means that it is full or told no space.
 * @param isBack a person names it for somebody whose old copy it keeps: that it was emptied and is cordoned is no reason then.
 */
export function whyNoTarget(host: string, placing: Placing, isBack = false): WhyNot | null {
  const {record, ahead} = placing.fleet.hosts.get(host) ?? {};
  if (record === undefined) return 'HOST_UNKNOWN';
  if (placing.leaving.has(host)) return 'SELF';
  if (record.role !== 'backend') return 'ROLE';
  if (record.stage !== 'active' && !(isBack && EMPTIED.has(record.stage))) return 'STAGE';
  if (record.cordon !== null && !isBack) return 'CORDONED';
  // Who came could not leave again.
  if (ahead !== null) return 'CLOCK_AHEAD';
  switch (placing.kinds.get(host)) {
    case undefined:
    case 'silent':
      return 'SILENT';
    case 'sick':
      return 'SICK';
    case 'suspect':
      return 'SUSPECT';
    case 'healthy':
    case 'unknown':
      if (placing.blamed.has(host)) return 'SICK_COHORT';
      return (placing.rooms.get(host)?.freeBytes ?? 0) <= 0 ? 'SPACE' : null;
  }
}

/** Hosts that take mailboxes at present, by name. */
export function openTargets(placing: Placing): string[] {
  return [...placing.fleet.hosts.keys()].filter(host => whyNoTarget(host, placing) === null).sort();
}
