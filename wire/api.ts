import Type from 'typebox';
import {Forecast} from './capacity.ts';
import {Experiment, Incident} from './incident.ts';
import {ACTION_KINDS, type ActionKind, Policy} from './policy.ts';
import {Account, Circumstance, CohortVerdict, Decision, Fill, HostRecord, Hurt, MoveRecord, Plan, Verdict} from './record.ts';
import {HostReport} from './report.ts';
import {
  ByteCount,
  Count,
  Generation,
  HostName,
  InstantMs,
  MoveId,
  orNull,
  RefusalShape,
  Role,
  Share,
  UserName,
  WrittenUserName,
} from './schema.ts';

/** `true` on what the leader answers, `false` from others, absent from an older release. */
export const LEADS_HEADER = 'mailherd-leads';

/** Requests and responses of the HTTP API; the CLI and the page use nothing else. */

export const HostView = Type.Object({
  record: HostRecord,
  verdict: orNull(Verdict),
  users: Count,
  /** null while no size of its mailboxes is known. */
  bytes: orNull(ByteCount),
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
  /** Stored by LMTP, and IMAP logins; null until a host has watched the mailbox for a day, absent from an older release. */
  deliveriesPerDay: Type.Optional(orNull(Count)),
  sessionsPerDay: Type.Optional(orNull(Count)),
});
export type UserView = Type.Static<typeof UserView>;

/** One page of users in order of name; `next` is the `after` of the following page. */
export const UsersView = Type.Object({users: Type.Array(UserView), next: orNull(UserName)});
export type UsersView = Type.Static<typeof UsersView>;

export const VerdictsView = Type.Object({
  verdicts: Type.Array(Verdict),
  cohorts: Type.Array(CohortVerdict),
  hurt: orNull(Hurt),
  hurtPeak: orNull(Hurt),
  /** What the last round decided, with what stops it. */
  decisions: Type.Optional(Type.Array(Decision)),
  /** What is wrong and is not the hosts. */
  circumstances: Type.Optional(Type.Array(Circumstance)),
  /** Of the incident that lasts, or of the last one. */
  experiments: Type.Optional(Type.Array(Experiment)),
});
export type VerdictsView = Type.Static<typeof VerdictsView>;

/** A host that is being emptied, and how far that is. */
export const EvacuationView = Type.Object({
  host: HostName,
  sinceMs: InstantMs,
  /** After everything else that moves. */
  isLow: Type.Boolean(),
  /** Who stopped it for now; null while it goes on. */
  paused: orNull(Type.Object({by: Type.String(), reason: Type.String(), atMs: InstantMs})),
  /** Mailboxes that have left since, and that are there still, on their way or not. */
  done: Count,
  left: Count,
  leftBytes: ByteCount,
  running: Count,
  waiting: Count,
  /** At the speed since it began; null before the first is through, and while it is paused. */
  etaMs: orNull(Count),
});
export type EvacuationView = Type.Static<typeof EvacuationView>;

export const MovesView = Type.Object({
  moves: Type.Array(MoveRecord),
  /** Planned and not yet begun, with the reason for waiting. */
  waiting: Type.Array(
    Type.Object({
      user: UserName,
      source: HostName,
      target: HostName,
      bytes: ByteCount,
      because: Type.String(),
      /** Until it is through, at the speed of those before it; null before the first is, absent from an older release. */
      etaMs: Type.Optional(orNull(Count)),
    }),
  ),
  /** How far each move is that runs. Absent from an older release. */
  running: Type.Optional(
    Type.Array(
      Type.Object({
        id: MoveId,
        /** When its present step began. */
        sinceMs: InstantMs,
        /** Of its time, by its step and what moves of these plans took for their bytes; null while it backs out. */
        share: orNull(Share),
        /** Until it is through; null before the first of these plans is, and while it backs out. */
        etaMs: orNull(Count),
      }),
    ),
  ),
  /** Of those that wait and are not listed, as was asked, how many for which reason. */
  unlisted: Type.Optional(Type.Record(Type.String(), Count)),
  done: Count,
  total: Count,
  etaMs: orNull(Count),
  /** Absent from an older release. */
  evacuations: Type.Optional(Type.Array(EvacuationView)),
});
export type MovesView = Type.Static<typeof MovesView>;

/** How many customers were hurt, oldest first. */
export const HurtView = Type.Object({history: Type.Array(Hurt)});
export type HurtView = Type.Static<typeof HurtView>;

/** Times of trouble in order, without what only the report of one tells. */
export const IncidentsView = Type.Object({incidents: Type.Array(Type.Omit(Incident, ['timeline', 'hurt', 'experiments']))});
export type IncidentsView = Type.Static<typeof IncidentsView>;

/** The policy with its revision; a change names the revision it was made from. */
export const PolicyView = Type.Object({policy: Policy, revision: Generation}, {additionalProperties: false});
export type PolicyView = Type.Static<typeof PolicyView>;

export const FarmView = Type.Object({
  /** Name of the leading coordinator, and of the one that answers; null while nobody leads. */
  leader: orNull(Type.String()),
  answeredBy: Type.String(),
  token: orNull(Count),
  nowMs: InstantMs,
  paused: Policy.properties.paused,
  hosts: Count,
  users: Count,
  hurt: orNull(Hurt),
  /** The one that lasts; null in quiet times, absent from an older release. */
  incident: Type.Optional(orNull(Type.Object({id: Count, onsetMs: InstantMs, cause: orNull(Type.String()), hosts: Type.Array(HostName)}))),
  /** Hosts by verdict and by stage. All from here on is absent from an older release. */
  verdicts: Type.Optional(Type.Record(Type.String(), Count)),
  stages: Type.Optional(Type.Record(Type.String(), Count)),
  /** What people did by hand: no new mailbox for these. */
  cordoned: Type.Optional(Type.Array(Type.Object({host: HostName, by: Type.String(), reason: Type.String(), atMs: InstantMs}))),
  /** Of the newest report of all hosts; null before the first. When it is old, nothing comes from NATS. */
  newestReportAgeMs: Type.Optional(orNull(Count)),
  /** The clock of this coordinator is so much behind that of the NATS server; null where it is not known to be. */
  clockBehindMs: Type.Optional(orNull(Count)),
  /** Reporting agents by their version. */
  agents: Type.Optional(Type.Record(Type.String(), Count)),
  /** Of the plans that are not through; `waiting` is null where only the leader knows it. */
  moves: Type.Optional(Type.Object({running: Count, waiting: orNull(Count), done: Count, total: Count, etaMs: orNull(Count)})),
  /** Hosts that are being emptied, and those whose evacuation somebody stopped for now. */
  emptied: Type.Optional(Type.Object({hosts: Count, paused: Type.Array(HostName)})),
  /** Since when rounds of judging and acting fail, and why; null while they do not. */
  failing: Type.Optional(orNull(Type.Object({sinceMs: InstantMs, reason: Type.String()}))),
  /** null before the first figure. */
  forecast: Type.Optional(orNull(Forecast)),
});
export type FarmView = Type.Static<typeof FarmView>;

export const NewHost = Type.Object(
  {host: HostName, role: Role, address: Type.String({minLength: 2, maxLength: 60})},
  {additionalProperties: false},
);
export type NewHost = Type.Static<typeof NewHost>;
export const NewUser = Type.Object({user: WrittenUserName, host: Type.Optional(HostName)}, {additionalProperties: false});
export type NewUser = Type.Static<typeof NewUser>;
export const NewMove = Type.Object({user: WrittenUserName, target: Type.Optional(HostName)}, {additionalProperties: false});
export type NewMove = Type.Static<typeof NewMove>;
export const Evacuate = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean()),
    also: Type.Optional(Type.Array(HostName, {maxItems: 10_000, description: 'hosts that are emptied by the same plan'})),
    gently: Type.Optional(Type.Boolean({description: 'for maintenance: after everything else that moves, one mailbox at a time'})),
    reason: Type.Optional(Type.String({maxLength: 500})),
  },
  {additionalProperties: false},
);
export type Evacuate = Type.Static<typeof Evacuate>;
/** What was decided and waits for a person; without a host what concerns the whole farm. */
export const Approve = Type.Object(
  {
    kind: Type.Unsafe<ActionKind>(Type.Union(ACTION_KINDS.map(kind => Type.Literal(kind)))),
    host: Type.Optional(HostName),
    reason: Type.Optional(Type.String({maxLength: 500})),
  },
  {additionalProperties: false},
);
export type Approve = Type.Static<typeof Approve>;
export const Relieve = Type.Object(
  {end: Type.Optional(Type.Boolean({description: 'no relief any more, at once'})), reason: Type.Optional(Type.String({maxLength: 500}))},
  {additionalProperties: false},
);
export type Relieve = Type.Static<typeof Relieve>;
/** What waits in the queue; of it, what can leave for users elsewhere, and what goes out of the farm. */
export const ReliefView = Type.Object({host: HostName, queued: Count, elsewhere: Count, outgoing: Count});
export type ReliefView = Type.Static<typeof ReliefView>;
export const Reinstall = Type.Object(
  {
    release: Type.String({minLength: 1, maxLength: 120, description: 'value of the label os to install'}),
    reason: Type.Optional(Type.String({maxLength: 500})),
  },
  {additionalProperties: false},
);
export type Reinstall = Type.Static<typeof Reinstall>;
export const Rebalance = Type.Object(
  {
    dryRun: Type.Optional(Type.Boolean()),
    hosts: Type.Optional(Type.Array(HostName, {maxItems: 10_000, description: 'fill these: new, or back after a reinstall'})),
  },
  {additionalProperties: false},
);
export type Rebalance = Type.Static<typeof Rebalance>;
export const Reasoned = Type.Object({reason: Type.Optional(Type.String({maxLength: 500}))}, {additionalProperties: false});
export type Reasoned = Type.Static<typeof Reasoned>;
/** Moves by explicit id; an empty list is an error. */
export const MoveIds = Type.Object({moves: Type.Array(Type.String(), {minItems: 1})}, {additionalProperties: false});
export type MoveIds = Type.Static<typeof MoveIds>;
export const PlanView = Type.Object({
  plan: Plan,
  dryRun: Type.Boolean(),
  /** Until it is through, behind what moves and waits, at the speed of moves so far; null before any is, absent from an older release. */
  etaMs: Type.Optional(orNull(Count)),
});
export type PlanView = Type.Static<typeof PlanView>;
/** A farm that is not: hosts emptied, hosts gone, hosts added, everybody grown. */
export const WhatIf = Type.Object(
  {
    evacuate: Type.Optional(Type.Array(HostName, {maxItems: 10_000, description: 'hosts that are emptied or gone'})),
    without: Type.Optional(
      Type.Array(Type.String({maxLength: 300}), {maxItems: 100, description: 'labels as rack=7: all their hosts are gone'}),
    ),
    add: Type.Optional(Type.Integer({minimum: 0, maximum: 10_000, description: 'new hosts of the usual size'})),
    survive: Type.Optional(
      Type.String({minLength: 1, maxLength: 40, description: 'host, or a label as rack: is there a place when any one of them is lost?'}),
    ),
    growth: Type.Optional(Type.Number({minimum: -0.9, maximum: 100, description: 'share by which all mailboxes grow, 0.2 for 20 % more'})),
  },
  {additionalProperties: false},
);
export type WhatIf = Type.Static<typeof WhatIf>;
export const WhatIfView = Type.Object({
  /** Of the farm as it is; null before the first figure, absent from an older release. */
  forecast: Type.Optional(orNull(Forecast)),
  fits: Type.Boolean(),
  moves: Count,
  /** Mailboxes that have to leave, and that only a person moves. */
  pinned: Count,
  /** Cost by term, headroom, the host that binds, and what lacks for those without a place. */
  account: Account,
  /** Hosts that hold more than their reserve allows, before anything comes. */
  overfull: Type.Array(Type.Object({host: Type.String(), lackBytes: Type.Number()})),
  /** Hosts with more load than the policy allows, before anything comes. */
  overloaded: Type.Array(Type.Object({host: Type.String(), lackLoad: Type.Number()})),
  roomBytesBefore: Type.Number(),
  roomBytesAfter: Type.Number(),
  /** The fullest first: the first is what binds. */
  fullest: Type.Array(Fill),
  /** Hosts that take nothing, counted by the reason. */
  closed: Type.Record(Type.String(), Count),
  /** Why the largest mailboxes go where they go, and not elsewhere. */
  why: Type.Array(
    Type.Object({
      user: UserName,
      source: Type.String(),
      bytes: Type.Number(),
      /** In deliveries a day. */
      load: Type.Number(),
      target: Type.String(),
      code: Type.Union([Type.Literal('ROOM_NOWHERE_ELSE'), Type.Literal('LOWEST_LEVEL'), Type.Literal('NEARLY_LOWEST')]),
      level: Type.Number(),
      others: Type.Array(
        Type.Object({
          host: Type.String(),
          /** Why not: it lacks room, or load to spare, is of another tier, would end fuller; or emptier, and other costs decided. */
          code: Type.Unsafe<'NO_ROOM' | 'NO_LOAD' | 'TIER' | 'FULLER' | 'EMPTIER'>(
            Type.Union(['NO_ROOM', 'NO_LOAD', 'TIER', 'FULLER', 'EMPTIER'].map(code => Type.Literal(code))),
          ),
          level: Type.Number(),
          lackBytes: Type.Number(),
          lackLoad: Type.Number(),
        }),
      ),
    }),
  ),
  /** Whether the farm outlives the loss of any one host, or of all hosts with the same value of a label; null unless asked. */
  survival: orNull(
    Type.Object({
      by: Type.String(),
      groups: Count,
      lost: Count,
      /** Those whose loss leaves most without a place, the worst first. */
      worst: Type.Array(
        Type.Object({
          group: Type.String(),
          hosts: Count,
          bytes: Type.Number(),
          lackBytes: Type.Number(),
          /** How many of the usual size would make its loss bearable; null while that is not known. */
          standardHosts: orNull(Count),
        }),
      ),
    }),
  ),
});
export type WhatIfView = Type.Static<typeof WhatIfView>;
export const ErrorView = Type.Object({error: RefusalShape, next: Type.String(), message: Type.String()});
export type ErrorView = Type.Static<typeof ErrorView>;
