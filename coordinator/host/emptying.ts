import {MailherdError} from '../../base/errors.ts';
import type {Instant} from '../../base/units.ts';
import type {HostRecord} from '../../wire/record.ts';
import type {HostHappening, HostTurn} from './life.ts';

/** Somebody stopped its emptying for now. */
export function isPaused(record: HostRecord | undefined): boolean {
  return record?.stage === 'draining' && (record.emptying?.paused ?? null) !== null;
}

/** Who paused it first is remembered. @throws MailherdError HOST_STATE unless the host is being emptied. */
export function onEmptying(
  record: HostRecord,
  happening: Extract<HostHappening, {type: 'emptyingPaused' | 'emptyingResumed'}>,
  nowMs: Instant,
): HostTurn {
  const {type, by} = happening;
  const isPause = type === 'emptyingPaused';
  if (record.stage !== 'draining') throw refused(record, `${isPause ? 'pause' : 'resume'} its evacuation`);
  if (isPaused(record) === isPause) return {record, effects: []};
  const {isLow = false} = record.emptying ?? {};
  if (!isPause) return {record: {...record, emptying: {isLow, paused: null}}, effects: [{kind: type, by}]};
  const {reason} = happening;
  return {record: {...record, emptying: {isLow, paused: {by, reason, atMs: nowMs}}}, effects: [{kind: type, by, reason}]};
}

/** A person asks for what the stage does not allow. */
export function refused(record: HostRecord, wish: string): MailherdError {
  return new MailherdError('HOST_STATE', {host: record.host, stage: record.stage, role: record.role, wish});
}
