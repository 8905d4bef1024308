import Type from 'typebox';
import {Count, HostName, InstantMs, orNull, Share, SpanMs} from './schema.ts';

/** What may be done without a person: nothing; nothing but tell; what somebody approves; everything. */
export const Mode = Type.Union([Type.Literal('off'), Type.Literal('dry-run'), Type.Literal('approve'), Type.Literal('on')]);
export type Mode = Type.Static<typeof Mode>;

const domain = Type.String({minLength: 1, maxLength: 255, description: 'as example.org'});
const who = Type.String({minLength: 2, maxLength: 320, description: 'a user, or @ and a domain'});

/** How kernel values are changed through the farm: one host first, then others like it. */
export const TunePolicy = Type.Object({
  /** The first host keeps its change so long before others of its role and release follow. */
  canaryMs: SpanMs,
  /** Changes that are being judged at the same time, in the whole farm. */
  concurrentMax: Count,
  /** A change that had to be undone on one host is tried on none so long. */
  restMs: SpanMs,
});
export type TunePolicy = Type.Static<typeof TunePolicy>;

/** Sessions that moves end, and that come back as logins at once. */
export const KickPolicy = Type.Object({
  /** In the whole farm, and so at its edges. */
  perSecondMax: Type.Number({exclusiveMinimum: 0, maximum: 1e6}),
  /** Whose users are moved to one host. */
  perTargetPerSecondMax: Type.Number({exclusiveMinimum: 0, maximum: 1e6}),
});
export type KickPolicy = Type.Static<typeof KickPolicy>;

/** How the queue of a sick host is relieved. */
export const ReliefPolicy = Type.Object({
  /** Hosts of the farm that take mail for the outside from others; the first that is well. None: such mail goes as ever. */
  relays: Type.Array(HostName, {maxItems: 1000}),
  /** A relief ends by itself after this unless it is still needed. */
  spanMs: Type.Number({minimum: 10_000}),
});
export type ReliefPolicy = Type.Static<typeof ReliefPolicy>;

/** What may be changed at the same time, whatever the reasons are. */
export const BudgetPolicy = Type.Object({
  /** Share of the capacity of all backends that may be out of service: cordoned, emptied or reinstalled. One host always may. */
  outShareMax: Share,
  /** Share of the backends that may be out of service, be given up, relieved or tuned, now and during the last `windowMs`. One always may. */
  changedShareMax: Share,
  windowMs: SpanMs,
});
export type BudgetPolicy = Type.Static<typeof BudgetPolicy>;

/** For the forecast of hardware; what should be spare is `place.headroomShare`. */
export const CapacityPolicy = Type.Object({
  /** From an order until the host holds mailboxes. */
  leadDays: Type.Number({minimum: 0, maximum: 1000}),
});
export type CapacityPolicy = Type.Static<typeof CapacityPolicy>;

/** Actions that change the farm by themselves and may be bound to hours. */
export const ACTION_KINDS = ['cordon', 'drain', 'evacuate', 'queue-relief', 'reinstall', 'rebalance'] as const;
export type ActionKind = (typeof ACTION_KINDS)[number];

const TimeOfDay = Type.String({pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$', description: 'e.g. 07:30'});
const Day = Type.String({pattern: '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$', description: 'e.g. 2026-12-24'});
/** Hours of the week, or of some dates: `only` = these actions are begun within such windows alone (maintenance), `never` = not in them (business hours). */
export const Window = Type.Object({
  name: Type.String({minLength: 1, maxLength: 60}),
  effect: Type.Union([Type.Literal('only'), Type.Literal('never')]),
  kinds: Type.Array(Type.Unsafe<ActionKind>(Type.Union(ACTION_KINDS.map(kind => Type.Literal(kind)))), {minItems: 1}),
  /** 0 = Sunday. */
  days: Type.Array(Type.Integer({minimum: 0, maximum: 6}), {minItems: 1}),
  from: TimeOfDay,
  to: TimeOfDay,
  /** First and last day, where it is local; absent: every week. A window past midnight belongs to the day on which it begins. */
  dates: Type.Optional(Type.Object({from: Day, to: Day})),
  utcOffsetMinutes: Type.Integer({minimum: -840, maximum: 840}),
});
export type Window = Type.Static<typeof Window>;

/** What operators may change while Mailherd runs; stored in KV, served and changed by the API. */
export const Policy = Type.Object({
  v: Type.Literal(1),
  paused: orNull(Type.Object({by: Type.String(), atMs: InstantMs, reason: Type.String()})),
  /** off: not even considered; dry-run: decided and shown; approve: waits for a person; on: carried out. */
  modes: Type.Object({
    cordon: Mode,
    evacuate: Mode,
    reinstall: Mode,
    rebalance: Mode,
    purge: Mode,
    /** Absent in a policy of an older release: as in DEFAULT_POLICY. */
    tune: Type.Optional(Mode),
    drain: Type.Optional(Mode),
    'queue-relief': Type.Optional(Mode),
    watch: Type.Optional(Mode),
    page: Type.Optional(Mode),
  }),
  /** Absent in a policy of an older release: any time. */
  windows: Type.Optional(Type.Array(Window, {maxItems: 50})),
  judge: Type.Object({
    /** SLIs are judged over this much of the past, at most over what is kept of it: five minutes, or six reports. */
    windowMs: SpanMs,
    /** A host younger than this is `unknown`. */
    warmUpMs: SpanMs,
    /** A host whose newest report is older is `silent`. */
    silentMs: SpanMs,
    /** Evidence must last this long before a host is called sick, and be absent this long before it is called healthy again. */
    sickDwellMs: SpanMs,
    recoverDwellMs: SpanMs,
    /** The least ratio to peers at equal load that counts as worse; that it is no chance has to be proved besides. */
    ratioMax: Type.Number({minimum: 1}),
    /** Below these a user feels nothing, whatever peers do. */
    floors: Type.Object({
      deliveryMsP95: SpanMs,
      queueAgeMsP95: SpanMs,
      probeDeliveryMs: SpanMs,
      probeLoginMs: SpanMs,
      probeFailureShare: Share,
      imapDroppedShare: Share,
      /** Absent in a policy of an older release: as in DEFAULT_POLICY. */
      lmtpMsP95: Type.Optional(SpanMs),
      loginMsP95: Type.Optional(SpanMs),
    }),
    /** Fisher p below which a label explains the sick hosts. */
    chanceMax: Share,
  }),
  place: Type.Object({
    /** Share of a host's mail store that stays free after planning. */
    reserveShare: Share,
    /**
     * Most load of a host of strength 1, in deliveries a day (a login counts as half of one): no plan fills a host beyond. null, or absent
     * in a policy of an older release: no limit. Without effect while no load of a mailbox is known.
     */
    loadMax: Type.Optional(orNull(Type.Number({exclusiveMinimum: 0, maximum: 1e12}))),
    /** Rebalance when the busiest host has this many times the mean load, for its strength; mailboxes are counted while no load is known. */
    imbalanceMax: Type.Number({minimum: 1}),
    /** What hosts should hold beyond the need, 0.5 = half as much again; a plan that goes below it is dearer, and says so. */
    headroomShare: Type.Number({minimum: 0, maximum: 10}),
    /** Relative strength of hosts by label, e.g. `hardware=gen2: 2`: twice the share of a host of 1, which is that of all others. */
    strengths: Type.Record(Type.String({maxLength: 160}), Type.Number({exclusiveMinimum: 0, maximum: 1000})),
    /**
     * Users and domains that only go to hosts with all these labels; the first that names a user counts, of a domain
     * kept together only what names the domain. */
    tiers: Type.Array(Type.Object({who, labels: Type.Array(Type.String({maxLength: 160}), {minItems: 1, maxItems: 8})}), {maxItems: 31}),
    /** Moved by a person only, one at a time. */
    pinned: Type.Array(who, {maxItems: 100_000}),
    /** Domains whose mailboxes leave a host for one other and no more. */
    together: Type.Array(domain, {maxItems: 100_000}),
    /** Domains that keep mailboxes in at least so many racks, where they have them: one rack does not take all of them. */
    apart: Type.Array(Type.Object({domain, racks: Type.Integer({minimum: 2, maximum: 1000})}), {maxItems: 10_000}),
  }),
  move: Type.Object({
    /** In the whole farm, and so at each edge: a user may come through any of them, and is held at all of them. */
    concurrentMax: Count,
    perSourceMax: Count,
    perTargetMax: Count,
    /** Of all seeds together that leave one host; dsync's passes, which bring what changed, know no limit. Without it there is none. */
    bytesPerSecondMax: Type.Optional(Type.Number({minimum: 1_000})),
    /** Absent in a policy of an older release: as in DEFAULT_POLICY. */
    kicks: Type.Optional(KickPolicy),
    /** Hold only after a pass as short as this; after `passesMax` passes try anyway if the last was below `holdMs` / 4. */
    catchUpMsMax: SpanMs,
    passesMax: Count,
    holdMs: SpanMs,
    /** A flip counts only if stored this much before the hold ends on any host. */
    marginMs: SpanMs,
    attemptsMax: Count,
    /** The source copy is kept at least this long after the flip. */
    retainMs: SpanMs,
    /**
     * No copy is removed sooner after its flip than this, not even when its user comes back: longer than a delivery can take that a
     * backend had accepted just before the hold.
     */
    quietMs: Type.Number({minimum: 5_000}),
  }),
  host: Type.Object({
    probationMs: SpanMs,
    wipeTokenMs: SpanMs,
    reinstallTimeoutMs: SpanMs,
    /** Reinstalls at the same time. */
    reinstallMax: Count,
  }),
  /** Missing from a policy that an older release stored. */
  tune: Type.Optional(TunePolicy),
  relief: Type.Optional(ReliefPolicy),
  budget: Type.Optional(BudgetPolicy),
  capacity: Type.Optional(CapacityPolicy),
});
export type Policy = Type.Static<typeof Policy>;

/** Careful: everything that changes the farm by itself starts as a proposal. */
export const DEFAULT_POLICY: Policy = {
  v: 1,
  paused: null,
  modes: {
    cordon: 'on',
    evacuate: 'approve',
    reinstall: 'approve',
    rebalance: 'approve',
    purge: 'approve',
    tune: 'approve',
    drain: 'approve',
    'queue-relief': 'approve',
    watch: 'on',
    page: 'on',
  },
  windows: [],
  judge: {
    windowMs: 60_000,
    warmUpMs: 120_000,
    silentMs: 45_000,
    sickDwellMs: 30_000,
    recoverDwellMs: 300_000,
    ratioMax: 1.3,
    floors: {
      deliveryMsP95: 5_000,
      queueAgeMsP95: 30_000,
      probeDeliveryMs: 5_000,
      probeLoginMs: 2_000,
      probeFailureShare: 0.25,
      imapDroppedShare: 0.05,
      lmtpMsP95: 5_000,
      loginMsP95: 2_000,
    },
    chanceMax: 0.2,
  },
  place: {
    reserveShare: 0.15,
    loadMax: null,
    imbalanceMax: 1.25,
    headroomShare: 0.5,
    strengths: {},
    tiers: [],
    pinned: [],
    together: [],
    apart: [],
  },
  move: {
    concurrentMax: 8,
    perSourceMax: 4,
    perTargetMax: 2,
    kicks: {perSecondMax: 50, perTargetPerSecondMax: 10},
    catchUpMsMax: 2_000,
    passesMax: 10,
    holdMs: 30_000,
    marginMs: 5_000,
    attemptsMax: 3,
    retainMs: 7 * 86_400_000,
    quietMs: 60_000,
  },
  host: {probationMs: 600_000, wipeTokenMs: 600_000, reinstallTimeoutMs: 3_600_000, reinstallMax: 2},
  tune: {canaryMs: 3_600_000, concurrentMax: 2, restMs: 86_400_000},
  relief: {relays: [], spanMs: 900_000},
  budget: {outShareMax: 0.67, changedShareMax: 0.75, windowMs: 3_600_000},
  capacity: {leadDays: 42},
};

/** With what a policy of an older release leaves open, so that a person sees it and can change it. */
export function completed(policy: Policy): Policy {
  const {windows, tune, relief, budget, capacity} = DEFAULT_POLICY;
  const later = {
    ...(windows && {windows}),
    ...(tune && {tune}),
    ...(relief && {relief}),
    ...(budget && {budget}),
    ...(capacity && {capacity}),
  };
  const judge = {...policy.judge, floors: {...DEFAULT_POLICY.judge.floors, ...policy.judge.floors}};
  const move = {...policy.move, kicks: kicksOf(policy.move)};
  return {...later, ...policy, modes: {...DEFAULT_POLICY.modes, ...policy.modes}, judge, move};
}

type LaterMode = 'tune' | 'drain' | 'queue-relief' | 'watch' | 'page';
/** What a policy of an older release leaves open. */
export function modeOf({modes}: Policy, kind: keyof Policy['modes']): Mode {
  return modes[kind] ?? (DEFAULT_POLICY.modes[kind as LaterMode] as Mode);
}

export function floorOf({floors}: Policy['judge'], sli: keyof Policy['judge']['floors']): number {
  return floors[sli] ?? (DEFAULT_POLICY.judge.floors[sli] as number);
}

export function kicksOf({kicks}: Policy['move']): KickPolicy {
  return kicks ?? (DEFAULT_POLICY.move.kicks as KickPolicy);
}

export function reliefPolicyOf({relief}: Policy): ReliefPolicy {
  return relief ?? (DEFAULT_POLICY.relief as ReliefPolicy);
}

export function leadDaysOf({capacity}: Policy): number {
  return (capacity ?? (DEFAULT_POLICY.capacity as CapacityPolicy)).leadDays;
}

export function budgetOf({budget}: Policy): BudgetPolicy {
  return budget ?? (DEFAULT_POLICY.budget as BudgetPolicy);
}
