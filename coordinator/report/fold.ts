import type {Instant, Millis} from '../../base/units.ts';
import type {HostReport} from '../../wire/report.ts';
import type {Fleet, FleetHost} from '../fleet.ts';

/** Reports sampled this long before the newest one are forgotten; where they are rare, those that so many of them cover. */
export const KEEP_MS: Millis = 5 * 60_000;
export const KEEP_INTERVALS = 6;
/** At most so many reports of one host, however short its interval. */
export const KEEP_MAX = 256;
/** A report may claim to be sampled this much after it arrived: clocks of two hosts differ. */
export const SKEW_MS_MAX: Millis = 60_000;

/**
 * A generation is of a clock: a host that is installed anew with a clock that was ahead before has an older one. What still reports when the
 * newer one has been silent for so long is the host.
 */
const REPLACED_MS: Millis = 5 * 60_000;

export type FoldRefusal =
  | 'HOST_UNKNOWN'
  | 'ROLE_DIFFERS'
  | 'FROM_THE_FUTURE'
  /** Sampled before the newer generation reported last: a straggler. */
  | 'OLD_GENERATION'
  /** Sampled after that. */
  | 'GENERATION_BEHIND'
  | 'DUPLICATE'
  | 'TOO_OLD';
export interface Folded {
  accepted: boolean;
  /** null when accepted. */
  reason: FoldRefusal | null;
}

/**
 * Takes one report into the picture. Reports may come twice and in any order: the picture ends the same. A report of a newer
 * generation drops those of the older one; so does one of an older generation that goes on when the newer one does not.
 * @param receivedAtMs the NATS server's timestamp of the report.
 * @param subjectHost host named by the subject, which the server's permissions vouch for; a report of another name is refused.
 */
export function fold(fleet: Fleet, report: HostReport, receivedAtMs: Instant, subjectHost: string = report.host): Folded {
  const host = fleet.hosts.get(subjectHost);
  if (host === undefined || report.host !== subjectHost) return refused('HOST_UNKNOWN');
  if (host.record.role !== report.role) return refused('ROLE_DIFFERS');
  if (report.sampledAtMs > receivedAtMs + SKEW_MS_MAX) {
    host.ahead = {ms: report.sampledAtMs - receivedAtMs, receivedAtMs};
    return refused('FROM_THE_FUTURE');
  }
  const {highest} = host;
  if (highest !== null && report.generation < highest.generation) {
    const lastMs = host.receivedAtMs ?? receivedAtMs;
    if (report.sampledAtMs <= lastMs) return refused('OLD_GENERATION');
    if (receivedAtMs - lastMs <= REPLACED_MS) return refused('GENERATION_BEHIND');
  }
  host.ahead = null;
  if (highest === null || report.generation !== highest.generation) {
    host.reports = [report];
    host.highest = {generation: report.generation, sequence: report.sequence};
    host.receivedAtMs = receivedAtMs;
    host.generationSinceMs = report.sampledAtMs;
    return {accepted: true, reason: null};
  }
  const reason = insert(host, report);
  if (reason !== null) return refused(reason);
  host.generationSinceMs = Math.min(host.generationSinceMs ?? report.sampledAtMs, report.sampledAtMs);
  if (report.sequence > highest.sequence) {
    host.highest = {generation: report.generation, sequence: report.sequence};
    host.receivedAtMs = receivedAtMs;
  }
  return {accepted: true, reason: null};
}

function insert(host: FleetHost, report: HostReport): FoldRefusal | null {
  const {reports} = host;
  const after = reports.findLastIndex(known => known.sequence <= report.sequence);
  if (after >= 0 && reports[after]?.sequence === report.sequence) return 'DUPLICATE';
  const isOldest = after < 0;
  if (isOldest && reports.length >= KEEP_MAX) return 'TOO_OLD';
  const newest = reports.at(-1);
  const told = reports.findLast(tellsValues);
  const isToldLast = tellsValues(report) && (told === undefined || report.sequence > told.sequence);
  if (newest !== undefined && !isToldLast && report.sequence < newest.sequence && report.sampledAtMs < keptFrom(newest)) return 'TOO_OLD';
  reports.splice(after + 1, 0, report);
  const last = reports.at(-1) ?? report;
  const fromMs = keptFrom(last);
  const lastTold = isToldLast ? report : told;
  const kept = reports.filter(known => known === last || known === lastTold || known.sampledAtMs >= fromMs);
  host.reports = kept.slice(-KEEP_MAX);
  return null;
}

/** Kernel values are told now and then only: whatever its age, the last report that told them is kept. */
export function tellsValues({tune}: HostReport): boolean {
  return tune?.values !== undefined;
}

function keptFrom({sampledAtMs, intervalMs}: HostReport): Instant {
  return sampledAtMs - Math.max(KEEP_MS, KEEP_INTERVALS * intervalMs);
}

function refused(reason: FoldRefusal): Folded {
  return {accepted: false, reason};
}
