import {count} from '../base/counts.ts';
import {type Instant, MINUTE_MS, type Millis} from '../base/units.ts';
import type {Experiment} from '../wire/incident.ts';
import type {HostRecord, MoveRecord, PlannedMove} from '../wire/record.ts';
import type {HostReport} from '../wire/report.ts';
import {HOLD_AGE_MAX_MS} from '../wire/route.ts';

/** One host as the leader sees it. */
export interface FleetHost {
  record: HostRecord;
  /** Reports of the present agent generation, oldest first; bounded by fold(). */
  reports: HostReport[];
  /** When the newest report reached us (the NATS server's timestamp), or null while none has. */
  receivedAtMs: Instant | null;
  /** The newest report's identity. */
  highest: {generation: number; sequence: number} | null;
  /** Since when this process waits for a report; null before its first round. */
  awaitedSinceMs: Instant | null;
  /** When the first report of the present generation was sampled, by the host's clock. */
  generationSinceMs: Instant | null;
  /** Of a host whose newest report was refused because its clock is so much ahead, and when that came. */
  ahead: {ms: Millis; receivedAtMs: Instant} | null;
}

/** Where a user lives, void flips resolved. */
export interface FleetRoute {
  host: string;
  generation: number;
  /** The move that has locked the mailbox. */
  moveId: string | null;
}

/** A mailbox as its host measures it; how busy it is, is null or absent while nobody knows. */
export interface MailboxFacts {
  bytes: number;
  messages: number;
  deliveriesPerDay?: number | null | undefined;
  sessionsPerDay?: number | null | undefined;
}

/** The whole farm as one leader pictures it: the only input of judgment, decision and planning. Owned and changed by the loop. */
export interface Fleet {
  hosts: Map<string, FleetHost>;
  routes: Map<string, FleetRoute>;
  /** Sizes as last listed; a user that is missing here has an unknown size, not an empty mailbox. */
  mailboxes: Map<string, MailboxFacts>;
  moves: readonly MoveRecord[];
  /** Planned and not begun. */
  waiting: readonly PlannedMove[];
  /** Of the incident that lasts, or of the last one. */
  experiments: readonly Experiment[];
}

/** A farm of which nothing is known yet. */
export function emptyFleet(): Fleet {
  return {hosts: new Map(), routes: new Map(), mailboxes: new Map(), moves: [], waiting: [], experiments: []};
}

/** A host of which only the record is known. */
export function fleetHost(record: HostRecord): FleetHost {
  return {record, reports: [], receivedAtMs: null, awaitedSinceMs: null, highest: null, generationSinceMs: null, ahead: null};
}

/** Mailboxes whose route names each host; hosts without any are present with 0. */
export function usersByHost(fleet: Fleet): Map<string, number> {
  const counts = new Map<string, number>([...fleet.hosts.keys()].map(host => [host, 0]));
  for (const {host} of fleet.routes.values()) count(counts, host);
  return counts;
}

/** Labels of the newest report, else those the record kept. */
export function labelsOf(host: FleetHost): HostRecord['labels'] {
  return host.reports.at(-1)?.labels ?? host.record.labels;
}

/** The rack a host stands in; one that tells none stands in a rack of its own. */
export function rackOf({hosts}: Pick<Fleet, 'hosts'>, name: string): string {
  const host = hosts.get(name);
  return (host === undefined ? undefined : labelsOf(host).rack) ?? `host ${name}`;
}

/** Reports come every few seconds, and what they tell of a clock is as old. */
const CLOCK_MARGIN_MS: Millis = MINUTE_MS;

/**
 * A host whose clock is so much ahead takes every hold for one of long ago: nobody can move away from it.
 * @param silentMs beyond which what it told of its clock is too old to go by. @returns for people and to be counted; null: it may hold.
 */
export function clockAhead({hosts}: Pick<Fleet, 'hosts'>, name: string, silentMs: Millis, nowMs: Instant): string | null {
  const ahead = hosts.get(name)?.ahead ?? null;
  if (ahead === null || nowMs - ahead.receivedAtMs > silentMs || ahead.ms < HOLD_AGE_MAX_MS - CLOCK_MARGIN_MS) return null;
  return `CLOCK_AHEAD ${name} by ${Math.round(ahead.ms / MINUTE_MS)} min`;
}

/** Users whose logins can wait at once at the edge that has the least room; null where no edge that is in use tells. */
export function holdPortsOf({hosts}: Pick<Fleet, 'hosts'>): number | null {
  const told = [...hosts.values()].flatMap(({record, reports}) => (record.stage === 'retired' ? [] : (reports.at(-1)?.holdPorts ?? [])));
  return told.length === 0 ? null : Math.min(...told);
}
