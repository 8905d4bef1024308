import Type from 'typebox';
import {CapacityFigure, Forecast} from './capacity.ts';
import {Circumstance, CohortVerdict, Decision, Hurt, Verdict} from './record.ts';
import {ByteCount, Count, HostName, InstantMs, Labels, MoveId, orNull, PlanId, RefusalShape, SpanMs, UserName} from './schema.ts';
import {Advice, AdviceId, ChangeOutcome, KnobName} from './tune.ts';

const Resource = Type.Union([Type.Literal('cpu'), Type.Literal('memory'), Type.Literal('io')]);
/** Some tasks waited, or all that had something to do. */
const PressureKind = Type.Union([Type.Literal('some'), Type.Literal('full')]);

/**
 * Events on `mailherd.event.<host or farm>.<type>`, for others to subscribe to; a stream keeps them 90 days.
 * Types are past tense, fields are only ever added within a version.
 */
export const EVENTS = {
  agentStarted: Type.Object({generation: Count, version: Type.String()}),
  /** Tasks waited for more than `share` of a window; told `lateMs` after the kernel had woken the agent, which it does once a window. */
  pressureRose: Type.Object({resource: Resource, kind: PressureKind, share: Count, windowMs: SpanMs, lateMs: SpanMs}),
  /** No more of it for half a minute; how long it had been. */
  pressureFell: Type.Object({resource: Resource, kind: PressureKind, lastedMs: SpanMs}),
  /**
   * The kernel complains: oomKill, hungTask, diskError, fileSystemError, linkDown, transmitTimeout, of a program, disk, file system or
   * interface. It is over when it has not for `clearAfterMs`, or says that the link is up.
   */
  kernelTroubleBegan: Type.Object({trouble: Type.String(), of: Type.String(), text: Type.String(), clearAfterMs: SpanMs}),
  kernelTroubleEnded: Type.Object({trouble: Type.String(), of: Type.String(), lastedMs: SpanMs, complaints: Count}),
  reportRefused: Type.Object({reason: Type.String(), path: Type.String(), refusedCount: Count}),
  verdictChanged: Type.Object({from: orNull(Type.String()), verdict: Verdict}),
  cohortJudged: Type.Object({cohort: CohortVerdict}),
  cohortCleared: Type.Object({cohort: CohortVerdict}),
  hurtChanged: Hurt,
  /** Something is wrong that is not the hosts; it is not any more. */
  circumstanceBegan: Type.Object({circumstance: Circumstance}),
  circumstanceEnded: Type.Object({circumstance: Circumstance}),
  decided: Type.Object({decision: Decision}),
  /** What a person was called for is not there any more. */
  pageEnded: Type.Object({because: Type.String()}),
  incidentChanged: Type.Object({
    incidentId: Count,
    /** Opened, closed, or another cause, or more hosts. */
    state: Type.Union([Type.Literal('opened'), Type.Literal('changed'), Type.Literal('closed')]),
    onsetMs: InstantMs,
    closedAtMs: orNull(InstantMs),
    cause: orNull(Type.String()),
    hosts: Type.Array(HostName),
    usersHurt: Count,
    usersHurtPeak: Count,
    /** Minutes that customers were hurt, summed over customers. */
    hurtMinutes: Count,
  }),
  /** Hosts that came back with another label have told which of several labels it is; none blamed: they did not agree. */
  experimentEnded: Type.Object({
    change: Type.String(),
    from: Type.String(),
    hosts: Type.Array(Type.Object({host: HostName, kind: Type.String(), to: Type.String()})),
    blamed: Type.Array(Labels),
    cleared: Type.Array(Labels),
  }),
  /** Once a day; from the same figures of 90 days the need for hardware is forecast. */
  capacityMeasured: CapacityFigure,
  /** Once a day from two weeks before hardware must be ordered on. */
  hardwareDue: Forecast,
  planned: Type.Object({planId: PlanId, kind: Type.String(), moves: Count, bytes: ByteCount, unplaced: Count}),
  hostStaged: Type.Object({from: orNull(Type.String()), to: Type.String(), reason: Type.String(), tookMs: orNull(SpanMs)}),
  hostCordoned: Type.Object({by: Type.String(), reason: Type.String()}),
  hostUncordoned: Type.Object({by: Type.String()}),
  /** No further mailbox leaves a host that is being emptied; they leave it again. */
  evacuationPaused: Type.Object({by: Type.String(), reason: Type.String()}),
  evacuationResumed: Type.Object({by: Type.String()}),
  /** The queue of a host is being relieved, or no longer is; `queued` messages wait there. */
  queueRelieved: Type.Object({isOn: Type.Boolean(), relay: orNull(Type.String()), queued: orNull(Count), by: Type.String()}),
  wipeAllowed: Type.Object({expiresAtMs: InstantMs}),
  moveStepped: Type.Object({
    moveId: MoveId,
    user: UserName,
    source: HostName,
    target: HostName,
    step: Type.String(),
    tookMs: SpanMs,
    pauseMs: orNull(SpanMs),
    refusal: orNull(RefusalShape),
  }),
  tuneAdvised: Type.Object({advice: Advice}),
  tuneChanged: Type.Object({
    knob: KnobName,
    from: Type.String(),
    to: Type.String(),
    adviceId: AdviceId,
    by: Type.String(),
    reason: Type.String(),
  }),
  tuneKept: Type.Object({knob: KnobName, value: Type.String(), adviceId: AdviceId, effect: Type.String()}),
  tuneEnded: Type.Object({
    knob: KnobName,
    value: Type.String(),
    adviceId: AdviceId,
    outcome: ChangeOutcome,
    because: Type.String(),
    isRetired: Type.Boolean(),
  }),
  leaderElected: Type.Object({holder: Type.String(), token: Count}),
  /** The mail system complains of a limit; `service` is what ran into it. */
  limitReached: Type.Object({limit: Type.String(), service: Type.String(), max: orNull(Count), clearAfterMs: SpanMs}),
  /** It has not complained for `clearAfterMs`. */
  limitCleared: Type.Object({limit: Type.String(), service: Type.String(), lastedMs: SpanMs, complaints: Count}),
  paused: Type.Object({by: Type.String(), reason: Type.String()}),
  resumed: Type.Object({by: Type.String()}),
  /** The NATS server did not take an event, as for its size: this stands in its place. What it told stands in the records, and in the log. */
  eventLost: Type.Object({type: Type.String(), eventId: Type.String(), bytes: Count, code: Type.String()}),
  apiCalled: Type.Object({by: Type.String(), method: Type.String(), path: Type.String(), status: Count}),
} as const;

export type EventType = keyof typeof EVENTS;
/** What an agent tells by itself; everything else is the coordinator's to say, and no host may say it in its place. */
export const AGENT_EVENTS = [
  'agentStarted',
  'pressureRose',
  'pressureFell',
  'kernelTroubleBegan',
  'kernelTroubleEnded',
  'limitReached',
  'limitCleared',
  'tuneAdvised',
  'tuneChanged',
  'tuneKept',
  'tuneEnded',
] as const satisfies readonly EventType[];
export type AgentEventType = (typeof AGENT_EVENTS)[number];
export type EventData<T extends EventType> = Type.Static<(typeof EVENTS)[T]>;

/** The envelope; `id` is unique for ever (also the JetStream message id), so that a consumer can drop repeats. */
export const FarmEvent = Type.Object(
  {
    v: Type.Literal(1),
    id: Type.String({minLength: 8, maxLength: 80}),
    type: Type.Union(Object.keys(EVENTS).map(name => Type.Literal(name))),
    /** Host it is about; null for the whole farm. */
    host: orNull(HostName),
    atMs: InstantMs,
    data: Type.Unknown(),
  },
  {$id: 'https://mailherd.example/schema/event-1.json', title: 'FarmEvent'},
);

export type FarmEvent = {
  [T in EventType]: {v: 1; id: string; type: T; host: string | null; atMs: number; data: EventData<T>};
}[EventType];

/** JSON Schema (2020-12) of an event whose `data` fits its `type`. */
export function eventSchema(): object {
  const ofType = Object.entries(EVENTS).map(([type, data]) => ({properties: {type: {const: type}, data}}));
  return {$schema: 'https://json-schema.org/draft/2020-12/schema', ...FarmEvent, oneOf: ofType};
}
