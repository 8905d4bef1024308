import type {Instant} from '../../base/units.ts';
import type {HostRecord} from '../../wire/record.ts';
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

/** Mailherd's own cordon is taken away; a person's stays. */
export function liftOurs(record: HostRecord): HostTurn {
  if (record.cordon?.by !== MAILHERD) return {record, effects: []};
  return {record: {...record, cordon: null}, effects: [{kind: 'uncordoned', by: MAILHERD}]};
}
