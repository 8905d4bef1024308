import Type from 'typebox';
import {
  ByteCount,
  Count,
  Generation,
  HostName,
  InstantMs,
  Labels,
  MoveId,
  orNull,
  PlanId,
  RefusalShape,
  Role,
  Share,
  SpanMs,
  Token,
  UserName,
} from './schema.ts';

/** What the coordinator stores in KV buckets. Readers of an older release must be able to refuse it: `v` comes first. */

/** ordered -> arrived -> provisioning -> probation -> active -> suspect -> draining -> drained -> safeToWipe -> reinstalling -> probation ... -> retired */
export const HostStage = Type.Union(
  (
    [
      'ordered',
      'arrived',
      'provisioning',
      'probation',
      'active',
      'suspect',
      'draining',
      'drained',
      'safeToWipe',
      'reinstalling',
      'failed',
      'retired',
    ] as const
  ).map(name => Type.Literal(name)),
);
export type HostStage =
  | 'ordered'
  | 'arrived'
  | 'provisioning'
  | 'probation'
  | 'active'
  | 'suspect'
  | 'draining'
  | 'drained'
  | 'safeToWipe'
  | 'reinstalling'
  | 'failed'
  | 'retired';

export const HostRecord = Type.Object({
  v: Type.Literal(1),
  host: HostName,
  role: Role,
  /** IP address at which edges and other backends reach the host's mail services. */
  address: Type.String({minLength: 1, maxLength: 60}),
  stage: Type.Unsafe<HostStage>(HostStage),
  sinceMs: InstantMs,
  /** A cordoned host gets no new mailbox; who did it and why. A person's cordon is lifted by a person only. */
  cordon: orNull(Type.Object({by: Type.String(), reason: Type.String(), atMs: InstantMs})),
  /** A person took it back from Mailherd's hands: it is left alone until it is well, or a person decides otherwise. */
  kept: Type.Optional(Type.Object({by: Type.String(), atMs: InstantMs})),
  /** While it is being emptied: behind everything else that moves or not, and who stopped it for now. Absent from an older release. */
  emptying: Type.Optional(
    Type.Object({
      isLow: Type.Boolean(),
      paused: orNull(Type.Object({by: Type.String(), reason: Type.String(), atMs: InstantMs})),
    }),
  ),
  /** Who began to empty it, until it is in service again or reinstalled; the cordon may be another's. Absent from an older release. */
  emptiedBy: Type.Optional(Type.String()),
  /** As of the last report; survives a silent host and a restarted coordinator. */
  labels: Labels,
  /** Permission to wipe: bound to this host, expiring, checked again on the host itself. */
  wipe: orNull(Type.Object({token: Type.String(), expiresAtMs: InstantMs})),
  /** Release that the next reinstall installs, as the driver knows it (value of the label `os`). */
  reinstallTo: orNull(Type.String()),
  /** Who wants the reinstall: `mailherd` or a person's token name; null while nobody does. */
  reinstallAskedBy: orNull(Type.String()),
  /** Generation of the agent's newest report: a reinstalled host is known by another one. */
  agentGeneration: orNull(Generation),
  /** Which installation that is, as its agent tells it. Absent from an older release, and of agents that do not know it. */
  installation: Type.Optional(Generation),
  /** The last 40 stages with the reason for each change. */
  history: Type.Array(Type.Object({stage: Type.Unsafe<HostStage>(HostStage), atMs: InstantMs, reason: Type.String()})),
});
export type HostRecord = Type.Static<typeof HostRecord>;

/** One measured reason: what was seen, what peers at equal load show, and how much worse that is. */
export const Evidence = Type.Object({
  sli: Type.String(),
  unit: Type.String(),
  value: Type.Number(),
  baseline: orNull(Type.Number()),
  /** value / baseline, or null where there is no baseline. */
  ratio: orNull(Type.Number()),
  note: Type.String(),
  /** Nobody feels it: it goes along with what is felt, and no verdict is made of it. */
  explains: Type.Optional(Type.Literal(true)),
});
export type Evidence = Type.Static<typeof Evidence>;

export const VerdictKind = Type.Union([
  Type.Literal('healthy'),
  Type.Literal('suspect'),
  Type.Literal('sick'),
  Type.Literal('silent'),
  Type.Literal('unknown'),
]);
export type VerdictKind = Type.Static<typeof VerdictKind>;

export const Verdict = Type.Object({
  host: HostName,
  kind: VerdictKind,
  sinceMs: InstantMs,
  /** A coded reason, e.g. SLI_WORSE_THAN_PEERS, REPORTS_STALE, IDLE, WARMING. */
  because: Type.String(),
  evidence: Type.Array(Evidence),
});
export type Verdict = Type.Static<typeof Verdict>;

/** Which label the sick hosts share, held against hosts without it. */
export const CohortVerdict = Type.Object({
  /** e.g. {os: 'debian-13'}; several keys when they cannot be told apart or only the combination explains. */
  labels: Labels,
  /** Label keys that divide the farm the same way, or nearly: which of them is the cause cannot be told from these hosts. */
  confounded: Type.Array(Type.String()),
  /** Other labels, and combinations, that divide the judged hosts the same way or nearly, and are about as likely to be the cause. */
  alternatives: Type.Optional(Type.Array(Labels)),
  /** What would tell them apart: change this label on these hosts first, and see whether they get well. */
  experiment: Type.Optional(Type.Object({change: Type.String(), hosts: Type.Array(HostName)})),
  /** Set when what they share is not of the hosts: moving their users would not help. */
  notHosts: Type.Optional(Type.Literal('network')),
  sick: Type.Array(HostName),
  members: Type.Array(HostName),
  /** Hosts without the label that are well, and how many without it are not, but for those that another cause explains. */
  controls: Type.Array(HostName),
  controlsSick: Count,
  /** Median over the sick hosts' worst SLI ratio against the controls. */
  effect: orNull(Type.Number()),
  /** Interval that holds that median in 95 of 100 cases. */
  effectLow: Type.Optional(Type.Number()),
  effectHigh: Type.Optional(Type.Number()),
  /** One-sided Fisher exact p of so many sick among the members by chance. */
  chance: Share,
  explained: Type.Boolean(),
  sinceMs: InstantMs,
  evidence: Type.Array(Evidence),
});
export type CohortVerdict = Type.Static<typeof CohortVerdict>;

const CIRCUMSTANCE_CODES = [
  ...(['MAIL_STORM', 'EVERYTHING_SLOW', 'PROBES_FAIL', 'ONE_EDGE', 'MOST_EDGES', 'REPORTS_LATE', 'PLACE_CUT_OFF'] as const),
  ...(['PLACE_NETWORK', 'CLOCK_SKEW', 'OVERLOADED', 'MAJORITY_BAD'] as const),
] as const;
export const CircumstanceCode = Type.Union(CIRCUMSTANCE_CODES.map(name => Type.Literal(name)));
export type CircumstanceCode = (typeof CIRCUMSTANCE_CODES)[number];

/** What is wrong and is not the hosts, named as what it is. */
export const Circumstance = Type.Object({
  code: Type.Unsafe<CircumstanceCode>(CircumstanceCode),
  sinceMs: InstantMs,
  /** Where it is seen. */
  hosts: Type.Array(HostName),
  /** The place that it is about, as `rack`. */
  labels: Type.Optional(Labels),
  evidence: Type.Array(Evidence),
});
export type Circumstance = Type.Static<typeof Circumstance>;

export const Hurt = Type.Object({
  atMs: InstantMs,
  users: Count,
  usersHurt: Count,
  /** usersHurt / users */
  share: Share,
  byHost: Type.Record(Type.String(), Count),
  /** Of so many domains at least one mailbox lives on such a host, of all domains; counted only while anybody is hurt. */
  domainsHurt: Type.Optional(Count),
  domains: Type.Optional(Count),
  /** The same by what explains it: labels as `os=debian-13`, else the reason of the host's verdict. */
  byCause: Type.Optional(Type.Record(Type.String(), Count)),
});
export type Hurt = Type.Static<typeof Hurt>;

export const DecisionKind = Type.Union(
  (['watch', 'cordon', 'drain', 'evacuate', 'queue-relief', 'reinstall', 'rebalance', 'page'] as const).map(name => Type.Literal(name)),
);
export type DecisionKind = 'watch' | 'cordon' | 'drain' | 'evacuate' | 'queue-relief' | 'reinstall' | 'rebalance' | 'page';

export const Veto = Type.Object({code: Type.String(), detail: Type.Record(Type.String(), Type.Unknown())});
export type Veto = Type.Static<typeof Veto>;

export const Decision = Type.Object({
  kind: Type.Unsafe<DecisionKind>(DecisionKind),
  /** null for the whole farm. */
  host: orNull(HostName),
  atMs: InstantMs,
  because: Type.String(),
  evidence: Type.Array(Evidence),
  /** Brakes that stop it; empty = may be carried out as the mode of its kind allows. */
  vetoes: Type.Array(Veto),
  mode: Type.Union([Type.Literal('off'), Type.Literal('dry-run'), Type.Literal('approve'), Type.Literal('on')]),
});
export type Decision = Type.Static<typeof Decision>;

/** Why a mailbox goes where it goes. */
export const Choice = Type.Object({
  /** ROOM_NOWHERE_ELSE: no other host may have it. LOWEST_LEVEL: none ends emptier. NEARLY_LOWEST: another would end a little emptier. */
  code: Type.Union([Type.Literal('ROOM_NOWHERE_ELSE'), Type.Literal('LOWEST_LEVEL'), Type.Literal('NEARLY_LOWEST')]),
  /** How full the target ends, 1 = as full as in a perfectly even farm. */
  level: Type.Number(),
  /** The host that came next, and how full it would end. */
  next: orNull(Type.Object({host: HostName, code: Type.Union([Type.Literal('FULLER'), Type.Literal('EMPTIER')]), level: Type.Number()})),
});
export type Choice = Type.Static<typeof Choice>;

export const PlannedMove = Type.Object({
  user: UserName,
  source: HostName,
  target: HostName,
  bytes: ByteCount,
  why: Type.String(),
  /** It can wait: begun only while nothing else waits, and at most one at a time from and to a host. */
  isLow: Type.Optional(Type.Boolean()),
  /** Absent where a person named the target. */
  choice: Type.Optional(Choice),
});
export type PlannedMove = Type.Static<typeof PlannedMove>;

/** How full a host ends. */
export const Fill = Type.Object({
  host: Type.String(),
  bytes: Type.Number(),
  /** In deliveries a day, `coordinator/plan/load.ts`. */
  load: Type.Number(),
  /** Most that the policy allows the host; absent or null for no limit. */
  loadMax: Type.Optional(orNull(Type.Number())),
  /** Against a perfectly even farm = 1; of space and load the one that stands higher. */
  level: Type.Number(),
  resource: Type.Union([Type.Literal('space'), Type.Literal('load')]),
  roomBytes: Type.Number(),
});
export type Fill = Type.Static<typeof Fill>;

/** Of a plan, in bytes: what moves, what lies over the even level or beyond the headroom, what stays where nobody should stay. */
const Terms = Type.Object({moved: Type.Number(), uneven: Type.Number(), crowded: Type.Number(), stays: Type.Number()});
export type Terms = Type.Static<typeof Terms>;

/** What a farm lacks to take all that should move. */
export const Lack = Type.Object({
  /** Mailboxes without a place, their bytes and their load. */
  mailboxes: Count,
  bytes: Type.Number(),
  load: Type.Optional(Type.Number()),
  /** Free on hosts that may take mailboxes, before the plan and after it. */
  roomBytes: Type.Number(),
  leftBytes: Type.Number(),
  /** The largest mailbox without a place, and the largest room that is left: space may be there in pieces only. */
  largestBytes: Type.Number(),
  largestRoomBytes: Type.Number(),
  /** Room of a new host of the usual size, and how many of these would do; null while no open host shows what is usual. */
  standardBytes: orNull(Type.Number()),
  standardHosts: orNull(Count),
  /** The same for each tier of hardware that lacks something; the tier of those without a rule is `any`. */
  tiers: Type.Array(
    Type.Object({
      tier: Type.String(),
      /** TARGET: no host of this tier takes anything. LOAD: there is space, and no load to spare. APART: their domain would end in too few racks. */
      resource: Type.Union([Type.Literal('TARGET'), Type.Literal('SPACE'), Type.Literal('LOAD'), Type.Literal('APART')]),
      mailboxes: Count,
      bytes: Type.Number(),
      roomBytes: Type.Number(),
      standardHosts: orNull(Count),
    }),
  ),
});
export type Lack = Type.Static<typeof Lack>;

/** What a plan costs and does, as it was when it was made. */
export const Account = Type.Object({
  /** Cost by term before and after. */
  before: Terms,
  after: Terms,
  /** Room of hosts that may take mailboxes as a share of what they hold; null while they hold nothing. */
  headroom: Type.Object({wanted: Type.Number(), before: orNull(Type.Number()), after: orNull(Type.Number())}),
  /** The fullest host after it. */
  binding: orNull(Fill),
  lack: orNull(Lack),
  /** Mailboxes of the farm whose load is not known: each counts as an average one. */
  loadUnknown: Type.Optional(Count),
});
export type Account = Type.Static<typeof Account>;

/** Immutable; only one child of the current plan can become current (compare-and-set on the generation). */
export const Plan = Type.Object({
  v: Type.Literal(1),
  id: PlanId,
  parent: orNull(PlanId),
  generation: Generation,
  createdAtMs: InstantMs,
  kind: Type.Union([Type.Literal('evacuate'), Type.Literal('rebalance'), Type.Literal('fill'), Type.Literal('single')]),
  because: Type.String(),
  moves: Type.Array(PlannedMove),
  /** Mailboxes that have no place, and why: the farm lacks this much. */
  unplaced: Type.Array(Type.Object({user: UserName, source: HostName, bytes: ByteCount, code: Type.String()})),
  /** Absent where a person named the target. */
  account: Type.Optional(Account),
});
export type Plan = Type.Static<typeof Plan>;

/** The entry `current` of the plan bucket; its compare-and-set makes one plan the child of the one before. */
export const CurrentPlan = Type.Object({v: Type.Literal(1), current: PlanId, generation: Generation});
export type CurrentPlan = Type.Static<typeof CurrentPlan>;

/** Steps of a move in order; from `adopting` on there is only forward. */
export const MOVE_STEPS = [
  'reserving',
  'seeding',
  'copying',
  'holding',
  'finalizing',
  'verifying',
  'flipping',
  'adopting',
  'retaining',
  'retained',
  'purging',
  'purged',
  'backingOut',
  'backedOut',
] as const;
export type MoveStep = (typeof MOVE_STEPS)[number];

const SETTLED_STEPS = ['retained', 'purged', 'backedOut'] as const satisfies readonly MoveStep[];
export type SettledStep = (typeof SETTLED_STEPS)[number];

/** A move that has come to its end: neither host works for it any more, though a source copy may still be retained. */
export function isSettled({step}: {step: MoveStep}): boolean {
  return (SETTLED_STEPS as readonly MoveStep[]).includes(step);
}

export const MoveRecord = Type.Object({
  v: Type.Literal(1),
  id: MoveId,
  user: UserName,
  source: HostName,
  target: HostName,
  planId: orNull(PlanId),
  because: Type.String(),
  /** Size when planned; the budget and ETA use it. */
  bytes: ByteCount,
  /** Lease under which it was last written: a record of an older lease may be written over, one of a newer never. */
  token: Token,
  createdAtMs: InstantMs,
  updatedAtMs: InstantMs,
  step: Type.Unsafe<MoveStep>(Type.Union(MOVE_STEPS.map(name => Type.Literal(name)))),
  /** Attempts of the present step that failed in a way worth another try. */
  attempts: Count,
  /** Time of the seed, where there was one, and of each pass. */
  passesMs: Type.Array(SpanMs),
  /** The copy began as a seed. An older release does not tell. */
  isSeeded: Type.Optional(Type.Boolean()),
  /** KV revision of the route entry this move last wrote. */
  routeRevision: orNull(Generation),
  /** Set while held: server's timestamp of the hold entry, and the latest at which a flip counts. */
  hold: orNull(Type.Object({heldAtMs: InstantMs, deadlineMs: InstantMs, spanMs: SpanMs})),
  /** What was proved equal on both ends before the flip. */
  verified: orNull(
    Type.Object({
      digest: Type.String(),
      messages: Count,
      folders: Count,
      /** Folder GUID -> UIDNEXT: mail from there on came late. An older release notes none. */
      uidNexts: Type.Optional(Type.Record(Type.String(), Count)),
    }),
  ),
  /** From the hold entry to the adopted route: how long the user could be without service. */
  pauseMs: orNull(SpanMs),
  /** The target did not remove its part of a copy when the move was backed out: it is asked again. */
  isLeftOnTarget: Type.Optional(Type.Boolean()),
  /** The source has not retained its copy after the flip, silent or not able to: it is asked again. Nothing of it is looked at or removed before. */
  isRetainDue: Type.Optional(Type.Boolean()),
  /** Why it backed out, or waits. */
  refusal: orNull(RefusalShape),
  timeline: Type.Array(Type.Object({step: Type.String(), atMs: InstantMs})),
});
export type MoveRecord = Type.Static<typeof MoveRecord>;
