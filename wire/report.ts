import Type from 'typebox';
import {Kernel, System} from './kernel.ts';
import {MailFigures} from './mail-figures.ts';
import {ByteCount, Count, Generation, HostName, InstantMs, Labels, orNull, PerSecond, Role, Share, SpanMs, UserName} from './schema.ts';
import {TuneReport} from './tune.ts';

/**
 * What a user of this host would feel in the interval. null = not measured (no traffic, probe not run), never "fine".
 * These decide; the kernel's figures explain.
 */
export const Slis = Type.Object({
  /** Postfix `delay=` of mail delivered to a mailbox in the interval: arrival to delivered. */
  deliveryMsP50: orNull(SpanMs),
  deliveryMsP95: orNull(SpanMs),
  /**
   * Age by true arrival of what this host itself is late with: all of incoming, and of active and deferred what is for mailboxes here (on an
   * edge: of the farm), by samples. Null also where nothing waits. Agents of older releases tell the age of everything.
   */
  queueAgeMsP95: orNull(SpanMs),
  queueAgeMsMax: orNull(SpanMs),
  /** The probe message: handed to the host's Postfix until it stands at the agent's own sink. */
  probeDeliveryMs: orNull(SpanMs),
  /** The probe user's IMAP login until its first FETCH is answered; on an edge through its proxy, the best of up to three backends. */
  probeLoginMs: orNull(SpanMs),
  /** Share of probes in the interval that failed or ran into their deadline. */
  probeFailureShare: orNull(Share),
  /** IMAP sessions that ended without LOGOUT or an orderly shutdown, and sessions there were. */
  imapDropped: orNull(Count),
  imapSessions: orNull(Count),
});
export type Slis = Type.Static<typeof Slis>;

/** How much the host had to do in the interval; hosts are compared at equal load only. */
export const Load = Type.Object({
  deliveriesPerSecond: orNull(PerSecond),
  loginsPerSecond: orNull(PerSecond),
  imapSessions: orNull(Count),
  /** Users whose route names this host. */
  users: orNull(Count),
  /** Distinct users with a delivery or a session in the interval. */
  activeUsers: orNull(Count),
  /** Who makes half or more of the host's deliveries and logins of the last minutes; absent: nobody does, or an older agent. */
  busiest: Type.Optional(Type.Object({user: UserName, share: Share})),
});
export type Load = Type.Static<typeof Load>;

export const Queue = Type.Object({
  maildrop: Count,
  incoming: Count,
  active: Count,
  deferred: Count,
  hold: Count,
  /** False when the walk ran out of its budget: counts are then lower bounds. */
  complete: Type.Boolean(),
  /** Of incoming, active and deferred, what waits for this host, as `queueAgeMsP95` has it; projected. Null: not known; absent: older agents. */
  here: Type.Optional(orNull(Count)),
});
export type Queue = Type.Static<typeof Queue>;

export const MailStore = Type.Object({
  totalBytes: ByteCount,
  freeBytes: ByteCount,
  /** null where the file system has no fixed number of inodes (btrfs). */
  freeInodes: orNull(Count),
});
export type MailStore = Type.Static<typeof MailStore>;

/** What the agent costs and how it fares. */
export const AgentSelf = Type.Object({
  version: Type.String({maxLength: 40}),
  /** Generation of its first start on this system: another one after a reinstall. Absent from agents that do not know it. */
  installation: Type.Optional(Generation),
  /** Of its whole service in the interval, children too; outside one of its own threads. */
  cpuMs: SpanMs,
  rssBytes: ByteCount,
  /** Reports waiting on disk, and lost for ever because the spool was full. */
  spooled: Count,
  dropped: Count,
  /** Waiting on disk since the server refused them; tried again now and then. Absent from agents that do not know it. */
  refused: Type.Optional(Count),
  /** Collectors that failed or ran into their deadline in the interval, with the reason. */
  failing: Type.Record(Type.String(), Type.String({maxLength: 200})),
});

/** The queue of this host is being relieved: by which relay (null: only of mail for users elsewhere), since and until when. */
export const Relief = Type.Object({relay: orNull(Type.String()), sinceMs: InstantMs, untilMs: InstantMs, by: Type.String()});
export type Relief = Type.Static<typeof Relief>;

/** One message of one agent about one interval; 3 KB, and less than 4 while everything is stirred. */
export const HostReport = Type.Object(
  {
    v: Type.Literal(1),
    host: HostName,
    role: Role,
    /** Grows by one each time the agent starts; with `sequence` it identifies a report for ever. */
    generation: Generation,
    sequence: Generation,
    sampledAtMs: InstantMs,
    intervalMs: SpanMs,
    labels: Labels,
    slis: Slis,
    load: Load,
    kernel: Kernel,
    /** Left out by an agent that does not look at it. */
    system: Type.Optional(System),
    queue: orNull(Queue),
    mailStore: orNull(MailStore),
    /** Absent from agents that do not know it yet. */
    mailFigures: Type.Optional(orNull(MailFigures)),
    /** Highest KV revision of the route bucket this host has applied: an edge that lags is visible. */
    routeRevision: orNull(Generation),
    agent: AgentSelf,
    /** Edge: so many held users' logins can wait here at once. Absent from agents that do not tell it. */
    holdPorts: Type.Optional(Count),
    /** Absent from agents that cannot. */
    relief: Type.Optional(orNull(Relief)),
    /** Kernel values; missing from agents of an older release. */
    tune: Type.Optional(TuneReport),
  },
  {$id: 'https://mailherd.example/schema/report-1.json', title: 'HostReport'},
);
export type HostReport = Type.Static<typeof HostReport>;

/** JetStream message id: the same report published twice counts once. */
export function reportId(report: Pick<HostReport, 'host' | 'generation' | 'sequence'>): string {
  return `${report.host}-${report.generation}-${report.sequence}`;
}
