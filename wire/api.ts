import Type from 'typebox';
import {CohortVerdict, HostRecord, Hurt, MoveRecord, Plan, Verdict} from './record.ts';
import {HostReport} from './report.ts';
import {ByteCount, Count, Generation, HostName, InstantMs, orNull, RefusalShape, Role, UserName} from './schema.ts';

/** Requests and responses of the HTTP API; the CLI and the page use nothing else. */

export const HostView = Type.Object({
  record: HostRecord,
  verdict: orNull(Verdict),
  users: Count,
  bytes: ByteCount,
  movesIn: Count,
  movesOut: Count,
  reportAgeMs: orNull(Count),
  report: orNull(HostReport),
});
export type HostView = Type.Static<typeof HostView>;

export const UserView = Type.Object({
  user: UserName,
  host: HostName,
  generation: Generation,
  moveId: orNull(Type.String()),
  held: Type.Boolean(),
  bytes: orNull(ByteCount),
  messages: orNull(Count),
});
export type UserView = Type.Static<typeof UserView>;

export const VerdictsView = Type.Object({
  verdicts: Type.Array(Verdict),
  cohorts: Type.Array(CohortVerdict),
  hurt: orNull(Hurt),
  hurtPeak: orNull(Hurt),
});
export type VerdictsView = Type.Static<typeof VerdictsView>;

export const MovesView = Type.Object({
  moves: Type.Array(MoveRecord),
  /** Planned and not yet begun, with the reason for waiting. */
  waiting: Type.Array(Type.Object({user: UserName, source: HostName, target: HostName, bytes: ByteCount, because: Type.String()})),
  done: Count,
  total: Count,
  etaMs: orNull(Count),
});
export type MovesView = Type.Static<typeof MovesView>;

export const FarmView = Type.Object({
  leader: Type.String(),
  token: Count,
  nowMs: InstantMs,
  paused: Type.Boolean(),
  hosts: Count,
  users: Count,
  hurt: orNull(Hurt),
});
export type FarmView = Type.Static<typeof FarmView>;

export const NewHost = Type.Object(
  {host: HostName, role: Role, address: Type.String({minLength: 2, maxLength: 60})},
  {additionalProperties: false},
);
export const NewUser = Type.Object({user: UserName, host: Type.Optional(HostName)}, {additionalProperties: false});
export const NewMove = Type.Object({user: UserName, target: Type.Optional(HostName)}, {additionalProperties: false});
export const Evacuate = Type.Object(
  {dryRun: Type.Optional(Type.Boolean()), reason: Type.Optional(Type.String({maxLength: 500}))},
  {additionalProperties: false},
);
export const Reasoned = Type.Object({reason: Type.Optional(Type.String({maxLength: 500}))}, {additionalProperties: false});
/** Purge by explicit id; an empty list is an error. */
export const Purge = Type.Object({moves: Type.Array(Type.String(), {minItems: 1})}, {additionalProperties: false});
export const PlanView = Type.Object({plan: Plan, dryRun: Type.Boolean()});
export type PlanView = Type.Static<typeof PlanView>;
export const ErrorView = Type.Object({error: RefusalShape, next: Type.String(), message: Type.String()});
export type ErrorView = Type.Static<typeof ErrorView>;
