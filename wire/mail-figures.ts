import Type from 'typebox';
import {ByteCount, Count, orNull, Share, SpanMs} from './schema.ts';

/**
 * Counts by size: a row of pairs (buckets further than the one before, values in it). Four buckets an octave; `base/histogram.ts` reads
 * and adds them up. Unit: microseconds.
 */
export const HistogramUs = Type.Array(Type.Integer({minimum: 0}), {maxItems: 512});

/**
 * The queue beyond its counts. Figures that need a look at each message are of those that were looked at lately (`askedShare`), and
 * projected onto all where it says so.
 */
export const QueueFigures = Type.Object({
  /** Size of all messages, projected. */
  bytes: orNull(ByteCount),
  /** The same of each queue that holds some; a queue with messages that is left out has not been asked yet. Absent from an older release. */
  queueBytes: Type.Optional(Type.Record(Type.String(), ByteCount)),
  /** Share of the messages behind the figures of this kind. */
  askedShare: orNull(Share),
  /** Messages that are still being written (or were left so by a crash), shall be returned, shall be tried at once; as seen. */
  halfWritten: orNull(Count),
  forceExpire: orNull(Count),
  unthrottle: orNull(Count),
  /** Messages in incoming for more than five minutes. */
  stuckIncoming: Count,
  /** Files that are no messages, and messages without a known age. */
  foreign: Count,
  unaged: Count,
  /** Files that Postfix could make nothing of and moved to corrupt: nobody tries them again. Null: not to be read; absent: older agents. */
  corrupt: Type.Optional(orNull(Type.Object({messages: Count, bytes: orNull(ByteCount)}))),
  /** Age by true arrival of all in incoming, active and deferred, wherever it goes. Absent from older agents. */
  ageMsP95: Type.Optional(orNull(SpanMs)),
  ageMsMax: Type.Optional(orNull(SpanMs)),
  /** Messages in active, of qmgr_message_active_limit. */
  activeShare: orNull(Share),
  /** Deferred messages by the time of their next attempt, projected: overdue, and ahead by up to so many minutes. */
  retry: orNull(Type.Object({due: Count, within1: Count, within5: Count, within15: Count, within60: Count, later: Count})),
  /** The most deferred messages that come due within five minutes, projected, and when that begins. */
  herd: orNull(Type.Object({messages: Count, inMs: SpanMs})),
  /** Sizes of the queue directories themselves: of all, and of the largest. They do not shrink on ext4. */
  directoryBytes: ByteCount,
  directoryBytesMax: ByteCount,
  /** The fullest hash directory of deferred against the mean one; null where deferred is not hashed or nearly empty. */
  bucketSkew: orNull(Type.Number({minimum: 0})),
  /** Where a sample of the messages in active and deferred goes; null before any was opened. */
  destinations: orNull(
    Type.Object({
      sampled: Count,
      /** Messages of the sample by class of destination, and of its most frequent domains. */
      classes: Type.Record(Type.String(), Count),
      domains: Type.Record(Type.String({maxLength: 253}), Count, {description: 'at most 5'}),
    }),
  ),
});
export type QueueFigures = Type.Static<typeof QueueFigures>;

/** Attempts to deliver in the interval by one transport (as master.cf calls it) to one class of destinations, or `other` for the rest. */
export const DeliveryFigures = Type.Object({
  transport: Type.String({maxLength: 40}),
  destination: Type.String({maxLength: 40}),
  sent: Count,
  deferred: Count,
  bounced: Count,
  other: Count,
  /** Of those that were not delivered, by enhanced status code (RFC 3463): the most frequent. */
  dsn: Type.Record(Type.String({maxLength: 16}), Count),
  /** The four parts of Postfix's `delays=`: before the queue manager, in it, connecting, sending. */
  delays: Type.Object({before: HistogramUs, queued: HistogramUs, connecting: HistogramUs, sending: HistogramUs}),
});
export type DeliveryFigures = Type.Static<typeof DeliveryFigures>;

/** What the mail log said in the interval; of no user by name, and not of the agents' own probes. */
export const LogFigures = Type.Object({
  deliveries: Type.Array(DeliveryFigures, {maxItems: 6}),
  /** IMAP sessions and logins that ended, by how. */
  ends: Type.Record(Type.String({maxLength: 20}), Count),
  /** What postscreen did with clients; empty where it does not run. */
  screened: Type.Record(Type.String({maxLength: 20}), Count),
  /** Limits of the mail system that are reached now; see the events limitReached and limitCleared. */
  limits: Type.Array(Type.Object({limit: Type.String({maxLength: 20}), service: Type.String({maxLength: 40}), complaints: Count}), {
    maxItems: 8,
  }),
  /** How often since the agent's start lines may be missing, since where it stopped was not found again. Absent from older agents. */
  gaps: Type.Optional(Count),
});
export type LogFigures = Type.Static<typeof LogFigures>;

/** Processes of Postfix or Dovecot against their limits. */
export const ServiceFigures = Type.Object({
  /** Of all services. */
  processes: Count,
  /** Postfix: services of which processes were begun under stress (STRESS_README); null for Dovecot. */
  stressed: orNull(Count),
  /** The service that is nearest to its limit, and others that use a tenth of it or drop connections. `max` null: no limit is known. */
  busiest: Type.Array(Type.Object({service: Type.String(), processes: Count, max: orNull(Count), dropping: Type.Boolean()}), {maxItems: 3}),
});
export type ServiceFigures = Type.Static<typeof ServiceFigures>;

/** Durations in the interval of one kind of work: `login` (password check), `lmtp` (a delivery), `imap SELECT`, `imap other`, ... */
export const LatencyFigures = Type.Object({of: Type.String({maxLength: 40}), us: HistogramUs});
export type LatencyFigures = Type.Static<typeof LatencyFigures>;

/** Probes beyond those that users' figures are made of (`slis`); null: none ended in the interval. */
export const ProbeDetail = Type.Object({
  /** A message into the probe's mailbox by LMTP, past the queue. */
  lmtpMs: orNull(SpanMs),
  /** IMAP connections that idle, and those that were lost in the interval. */
  idle: orNull(Type.Object({open: Count, dropped: Count})),
});
export type ProbeDetail = Type.Static<typeof ProbeDetail>;

/** Counted so long before the report. */
const Aged = Type.Object({ageMs: SpanMs});

/** What the mail system says of itself beyond what users feel. null: that source gave nothing, with its reason in `agent.failing`. */
export const MailFigures = Type.Object({
  queue: orNull(QueueFigures),
  log: orNull(LogFigures),
  postfix: orNull(Type.Intersect([ServiceFigures, Aged])),
  dovecot: orNull(Type.Intersect([ServiceFigures, Aged])),
  probes: orNull(ProbeDetail),
  /** Of Dovecot, without the agents' own probes; null in the first report after a start too. */
  latencies: orNull(Type.Array(LatencyFigures, {maxItems: 8})),
});
export type MailFigures = Type.Static<typeof MailFigures>;
