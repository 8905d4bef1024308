import {modeOf, reliefPolicyOf} from '../../wire/policy.ts';
import type {Decision, Evidence, Veto} from '../../wire/record.ts';
import type {HostReport} from '../../wire/report.ts';
import {SUBSIDED} from '../../wire/words.ts';
import type {FleetHost} from '../fleet.ts';
import {verdictOf} from '../health/judge.ts';
import {waitingIn} from '../health/sli.ts';
import {decision, LEAVING, notOfHosts, type Situation} from './situation.ts';

/** Fewer waiting messages on a host in service are no queue. */
const WAITING_MIN = 5;
/** From this share of its limit on `active` is full: what is meant for dead destinations keeps out all others (qmgr(8)). */
const ACTIVE_FULL = 0.8;
/** Postfix's port of a relay. */
const SMTP_PORT = 25;

/**
 * Queues that will not empty by themselves: of a sick host, and of one that nobody lives on any more. What waits for mailboxes on a host
 * that works stays where it is, and a host that is sick without a queue needs no relief.
 */
export function reliefs(on: Situation): Decision[] {
  const mode = modeOf(on.policy, 'queue-relief');
  if (mode === 'off') return [];
  return [...on.fleet.hosts.values()].flatMap(host => {
    const found = host.record.role === 'backend' ? stuckQueue(host, on) : null;
    if (found === null) return [];
    const {because, evidence} = found;
    const isAlone = because !== 'QUEUE_LEFT' && !on.explained.has(host.record.host);
    const vetoes = [...on.general, ...(isAlone ? on.tooMany : []), ...notOfHosts(host.record.host, on), ...relayLacking(host, on)];
    return [decision('queue-relief', on, {host: host.record.host, because, evidence, vetoes, mode})];
  });
}

/**
 * Where mail that leaves the farm goes meanwhile: the first relay of the policy that is well.
 * @returns a next hop as Postfix writes it; null where none is well, or the policy names none.
 */
export function relayFor(host: string, {fleet, verdicts, policy}: Pick<Situation, 'fleet' | 'verdicts' | 'policy'>): string | null {
  const relay = reliefPolicyOf(policy).relays.find(name => {
    const record = fleet.hosts.get(name)?.record;
    if (record === undefined || name === host || record.stage !== 'active' || record.cordon !== null) return false;
    const kind = verdictOf(name, verdicts)?.kind;
    return kind === 'healthy' || kind === 'unknown';
  });
  return relay === undefined ? null : `[${fleet.hosts.get(relay)?.record.address}]:${SMTP_PORT}`;
}

function relayLacking({record}: FleetHost, on: Situation): Veto[] {
  const {relays} = reliefPolicyOf(on.policy);
  return relays.length === 0 || relayFor(record.host, on) !== null ? [] : [{code: 'NO_HEALTHY_RELAY', detail: {relays}}];
}

function stuckQueue({record, reports}: FleetHost, on: Situation): {because: string; evidence: Evidence[]} | null {
  const report = reports.at(-1);
  const verdict = verdictOf(record.host, on.verdicts);
  if (report?.queue == null || verdict === undefined || verdict.kind === 'silent') return null;
  // Of all that waits, wherever it goes; older agents have no other.
  const queueAgeMsP95 = report.mailFigures?.queue?.ageMsP95 ?? report.slis.queueAgeMsP95;
  const queueAgeMsMax = report.mailFigures?.queue?.ageMsMax ?? report.slis.queueAgeMsMax;
  const {floors} = on.policy.judge;
  const waiting = waitingIn(report.queue);
  const isSick = verdict.kind === 'sick' && !SUBSIDED.has(verdict.because);
  if (LEAVING.has(record.stage) && (on.users.get(record.host) ?? 0) === 0) {
    const isLeft = waiting > 0 && (queueAgeMsMax ?? 0) >= floors.queueAgeMsP95;
    return isLeft ? {because: 'QUEUE_LEFT', evidence: seen(report, 'queueAgeMsMax', queueAgeMsMax, floors.queueAgeMsP95, waiting)} : null;
  }
  if ((!isSick && record.stage !== 'draining') || waiting < WAITING_MIN) return null;
  const activeShare = report.mailFigures?.queue?.activeShare ?? null;
  if (activeShare !== null && activeShare >= ACTIVE_FULL) {
    return {because: 'QUEUE_FULL', evidence: seen(report, 'activeShare', activeShare, ACTIVE_FULL, waiting)};
  }
  if (queueAgeMsP95 === null || queueAgeMsP95 < floors.queueAgeMsP95) return null;
  return {because: 'QUEUE_STUCK', evidence: seen(report, 'queueAgeMsP95', queueAgeMsP95, floors.queueAgeMsP95, waiting)};
}

function seen(report: HostReport, sli: string, value: number | null, floor: number, waiting: number): Evidence[] {
  const unit = sli === 'activeShare' ? 'share' : 'ms';
  const figure = value ?? 0;
  const {deferred, active, incoming} = report.queue ?? {deferred: 0, active: 0, incoming: 0};
  const note = `${deferred} deferred, ${active} active, ${incoming} incoming`;
  return [
    {sli, unit, value: figure, baseline: floor, ratio: figure / floor, note: 'against what the policy bears'},
    {sli: 'queued', unit: 'messages', value: waiting, baseline: null, ratio: null, note},
  ];
}
