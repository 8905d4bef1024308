import type {Instant} from '../../base/units.ts';
import type {MoveRecord} from '../../wire/record.ts';
import type {WaitingMove} from './mover.ts';

/** The record of a move that begins now. */
export function firstRecord({planned, planId}: WaitingMove, id: string, token: number, now: Instant): MoveRecord {
  return {
    v: 1,
    id,
    user: planned.user,
    source: planned.source,
    target: planned.target,
    planId,
    because: planned.why,
    bytes: planned.bytes,
    token,
    createdAtMs: now,
    updatedAtMs: now,
    step: 'reserving',
    attempts: 0,
    passesMs: [],
    routeRevision: null,
    hold: null,
    verified: null,
    pauseMs: null,
    refusal: null,
    timeline: [{step: 'reserving', atMs: now}],
  };
}
