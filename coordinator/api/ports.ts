import type {
  Approve,
  Evacuate,
  FarmView,
  HostView,
  HurtView,
  IncidentsView,
  MovesView,
  NewHost,
  NewMove,
  NewUser,
  PlanView,
  PolicyView,
  Rebalance,
  Reinstall,
  ReliefView,
  Relieve,
  UsersView,
  UserView,
  VerdictsView,
  WhatIf,
  WhatIfView,
} from '../../wire/api.ts';
import type {FarmEvent} from '../../wire/event.ts';
import type {Incident} from '../../wire/incident.ts';
import type {Decision, HostRecord, MoveRecord, Plan} from '../../wire/record.ts';
import type {Route} from '../../wire/route.ts';
import type {TuneView} from '../../wire/tune.ts';

/** What the API can tell; every coordinator answers, leading or not. Unknown names throw MailherdError with a 404 code. */
export interface Reads {
  farm(): FarmView;
  hosts(): HostView[];
  host(host: string): HostView;
  /** @param after name to begin behind, or null. */
  users(filter: {host: string | null; after: string | null; limit: number}): UsersView;
  user(user: string): UserView;
  verdicts(): VerdictsView;
  /** @param waitingMax so many of those that wait are listed, the others counted; null: all. */
  moves(waitingMax: number | null): MovesView;
  move(id: string): MoveRecord;
  plan(id: string): Promise<Plan>;
  policy(): PolicyView;
  hurt(): HurtView;
  incidents(): IncidentsView;
  incident(id: number): Incident;
  tune(): TuneView;
  /** Prometheus text format. */
  metrics(): string;
}

/**
 * What the API can change, by `by`, the name of the caller's token. Only the leader has it. All throw MailherdError and then have
 * changed nothing.
 */
export interface Writes {
  addHost(by: string, host: NewHost): Promise<HostRecord>;
  addUser(by: string, user: NewUser): Promise<Route>;
  evacuate(by: string, host: string, wish: Evacuate): Promise<PlanView>;
  /** What is only proposed is carried out from the next round on, as long as it is decided. */
  approve(by: string, wish: Approve): Promise<Decision>;
  /** @throws MailherdError HOST_STATE, as the next two, unless the host is being emptied. */
  pauseEvacuation(by: string, host: string, reason: string): Promise<HostRecord>;
  resumeEvacuation(by: string, host: string): Promise<HostRecord>;
  cancelEvacuation(by: string, host: string): Promise<HostRecord>;
  relieve(by: string, host: string, wish: Relieve): Promise<ReliefView>;
  move(by: string, wish: NewMove): Promise<PlanView>;
  rebalance(by: string, wish: Rebalance): Promise<PlanView>;
  /** Changes nothing. */
  whatIf(by: string, wish: WhatIf): Promise<WhatIfView>;
  cancelMove(by: string, moveId: string): Promise<void>;
  reverse(by: string, moveIds: readonly string[]): Promise<PlanView>;
  purge(by: string, moveIds: readonly string[]): Promise<void>;
  cordon(by: string, host: string, reason: string): Promise<HostRecord>;
  uncordon(by: string, host: string): Promise<HostRecord>;
  /** @throws MailherdError NOT_EMPTY, HOST_STATE. */
  retire(by: string, host: string, reason: string): Promise<HostRecord>;
  reinstall(by: string, host: string, wish: Reinstall): Promise<HostRecord>;
  /** Makes the change of an advice that the host gives. */
  tune(by: string, host: string, adviceId: string): Promise<void>;
  /** Gives a changed kernel value back. */
  untune(by: string, host: string, knob: string): Promise<void>;
  pause(by: string, reason: string): Promise<PolicyView>;
  resume(by: string): Promise<PolicyView>;
  setPolicy(by: string, wish: PolicyView): Promise<PolicyView>;
}

export interface EventFeed {
  /**
   * Events from sequence `since` + 1 on (null: only new ones), until the signal aborts. `onEvent` returns false to end it.
   * @throws MailherdError NATS_DOWN.
   */
  follow(since: number | null, onEvent: (sequence: number, event: FarmEvent) => boolean, signal: AbortSignal): Promise<void>;
}

export interface ApiPorts {
  reads: Reads;
  /** @throws MailherdError NOT_LEADER with the leader's name. */
  writes(): Writes;
  leads(): boolean;
  events: EventFeed;
}
