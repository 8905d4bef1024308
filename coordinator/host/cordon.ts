import type {Instant} from '../../base/units.ts';
import type {Policy} from '../../wire/policy.ts';
import type {HostRecord} from '../../wire/record.ts';
import type {HostFacts} from './facts.ts';
import type {HostTurn} from './life.ts';

/** Name under which Mailherd itself cordons and asks; everything else is a person. */
export const MAILHERD = 'mailherd';

/** A person's own cordon takes the place of ours, ours that of nobody's; nor do we cordon what a person keeps. */
export function onCordoned(record: HostRecord, by: string, reason: string, nowMs: Instant): HostTurn {
  if (by === MAILHERD && record.kept !== undefined) return {record, effects: []};
  if (record.cordon !== null && (by === MAILHERD || record.cordon.by === by)) return {record, effects: []};
  return {record: {...released(record), cordon: {by, reason, atMs: nowMs}}, effects: [{kind: 'cordoned', by, reason}]};
}

/** Free for Mailherd to decide about again. */
export function released(record: HostRecord): HostRecord {
  if (record.kept === undefined) return record;
  const {kept: _, ...free} = record;
  return free;
}

/**
 * A host that is well: who kept it from us need not any more, and our cordon is lifted once it has long shared nothing that makes others
 * sick. Before that it would be cordoned again, maybe at once.
 */
export function onWell(record: HostRecord, facts: HostFacts, {judge}: Pick<Policy, 'judge'>, nowMs: Instant): HostTurn {
  const {verdict, wellSinceMs, blamelessSinceMs} = facts;
  const free = verdict === 'healthy' ? released(record) : record;
  const isLong = (sinceMs: Instant | null): boolean => sinceMs !== null && nowMs - sinceMs >= judge.recoverDwellMs;
  // One that is empty, and gets nobody while it is cordoned, shows nothing by which it could be called healthy.
  const isWell = verdict === 'healthy' || (verdict === 'unknown' && isLong(wellSinceMs));
  return isWell && isLong(blamelessSinceMs) ? liftOurs(free) : {record: free, effects: []};
}

/** A host that comes back into service takes mailboxes again, but for one that shares what makes others sick: that waits until it does not. */
export function reopened(record: HostRecord, {blamelessSinceMs}: HostFacts): HostTurn {
  return blamelessSinceMs === null ? {record, effects: []} : liftOurs(record);
}

/** A person's cordon stays. */
function liftOurs(record: HostRecord): HostTurn {
  if (record.cordon?.by !== MAILHERD) return {record, effects: []};
  return {record: {...record, cordon: null}, effects: [{kind: 'uncordoned', by: MAILHERD}]};
}
