import Type from 'typebox';
import {Hurt} from './record.ts';
import {Count, Generation, HostName, InstantMs, Labels, orNull, SpanMs} from './schema.ts';

/** What a line of a timeline tells of. */
export const Phase = Type.Union(
  (['evidence', 'verdict', 'cause', 'decision', 'action', 'hurt', 'experiment', 'recovery', 'over'] as const).map(name =>
    Type.Literal(name),
  ),
);
export type Phase = 'evidence' | 'verdict' | 'cause' | 'decision' | 'action' | 'hurt' | 'experiment' | 'recovery' | 'over';

export const IncidentLine = Type.Object({atMs: InstantMs, phase: Type.Unsafe<Phase>(Phase), what: Type.String()});
export type IncidentLine = Type.Static<typeof IncidentLine>;

/** Labels that cannot be told apart, told apart by changing one of them on a few hosts. */
export const Experiment = Type.Object({
  /** What explains the sick hosts, and what else does so equally well. */
  labels: Labels,
  alternatives: Type.Array(Labels),
  /** Label that is changed, and the value it had. */
  change: Type.String(),
  from: Type.String(),
  hosts: Type.Array(HostName),
  sinceMs: InstantMs,
  /** How the hosts came back, and what that says; null while they have not. Both empty: they did not agree. */
  outcome: orNull(
    Type.Object({
      atMs: InstantMs,
      blamed: Type.Array(Labels),
      cleared: Type.Array(Labels),
      hosts: Type.Array(Type.Object({host: HostName, kind: Type.String(), to: Type.String()})),
    }),
  ),
});
export type Experiment = Type.Static<typeof Experiment>;

/** One time of trouble: from the first evidence until every host of it is well or gone, and nobody is called for any more. */
export const Incident = Type.Object({
  v: Type.Literal(1),
  /** Sequence of the event that opened it. */
  id: Generation,
  /** When the first of its hosts began to look bad. */
  onsetMs: InstantMs,
  openedAtMs: InstantMs,
  /** null while it lasts. */
  closedAtMs: orNull(InstantMs),
  /** What explains it, or the code for which a person was called. */
  cause: orNull(Type.String()),
  hosts: Type.Array(HostName),
  /** Customers hurt: now, at worst, and as often as that changed. */
  usersHurt: Count,
  peak: orNull(Hurt),
  hurt: Type.Array(Type.Object({atMs: InstantMs, usersHurt: Count})),
  /** Minutes that customers were hurt, summed over customers; by cause as far as it was known. */
  hurtMinutes: Type.Number(),
  hurtMinutesByCause: Type.Record(Type.String(), Type.Number()),
  moved: Count,
  longestPauseMs: orNull(SpanMs),
  experiments: Type.Array(Experiment),
  timeline: Type.Array(IncidentLine),
  /** Lines for which there was no room, by what they told of. */
  leftOut: Type.Optional(Type.Record(Type.String(), Count)),
});
export type Incident = Type.Static<typeof Incident>;

/** What a leader goes on from: the incident that lasts, and everything that is needed to take in the next event. */
export const IncidentState = Type.Object({
  v: Type.Literal(1),
  /** Of the last event that was taken in. */
  sequence: Generation,
  open: orNull(Incident),
  /** Hosts of the open incident that are not well yet, and codes for which a person is called without naming a host. */
  ill: Type.Record(Type.String(), Type.Union([Type.Literal('sick'), Type.Literal('silent')])),
  pages: Type.Array(Type.String()),
  /** Hosts for which a person is called, and why. */
  called: Type.Optional(Type.Record(Type.String(), Type.String())),
  /** Since when it is over, unless it comes again soon. */
  calmSinceMs: orNull(InstantMs),
  /** When hosts were suspected first, with what was seen. */
  suspected: Type.Record(Type.String(), Type.Object({atMs: InstantMs, what: Type.String()})),
  hurt: orNull(Hurt),
  /** Customers hurt as the timeline told last, and until when minutes are counted. */
  toldHurt: Count,
  countedMs: orNull(InstantMs),
  /** When somebody took the lead last. */
  ledSinceMs: orNull(InstantMs),
  /** What was decided alike of several hosts at that time. */
  decided: orNull(Type.Object({atMs: InstantMs, rows: Type.Array(Type.Object({key: Type.String(), hosts: Type.Array(HostName)}))})),
});
export type IncidentState = Type.Static<typeof IncidentState>;
