import {readFileSync} from 'node:fs';
import {emptyFleet, type Fleet, fleetHost} from '../../../../coordinator/fleet.ts';
import {emptyMemory, type FlowOutcome, flow} from '../../../../coordinator/flow.ts';
import {fold} from '../../../../coordinator/report/fold.ts';
import {DEFAULT_POLICY, type Policy} from '../../../../wire/policy.ts';
import type {Labels} from '../../../../wire/schema.ts';
import {countedBy, recordOf, reportOf, START_MS} from '../fleet-builder.ts';

type Figure = number | null;
/** Of one report: host, when it came and was sampled, its interval, in ms; SLIs, load, messages that wait, what Dovecot counted of lmtp and login. */
type Row = [string, number, number, number, Figure[], Figure[], Figure, [number[], number[]] | null];

const ROUND_MS = 1_000;
/** As hosts of the miniature farm are judged. */
const POLICY: Policy = {...DEFAULT_POLICY, judge: {...DEFAULT_POLICY.judge, warmUpMs: 15_000, recoverDwellMs: 30_000}};

/**
 * Plays figures that real hosts reported once more, a round a second.
 * @param name of a file beside this one: a line with the hosts' labels and users, then a line a report.
 * @param see told of each round's outcome and its time since the first report.
 */
export function replay(name: string, see: (outcome: FlowOutcome, atMs: number) => void): void {
  const lines = readFileSync(new URL(`${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const [{hosts, users}, ...rows] = lines.map(line => JSON.parse(line)) as [
    {hosts: Record<string, Labels>; users: Record<string, number>},
    ...Row[],
  ];
  const fleet = fleetOf(hosts, users);
  let memory = emptyMemory();
  let at = 0;
  const beginMs = rows[0]?.[1] ?? 0;
  for (let nowMs = beginMs; nowMs <= (rows.at(-1)?.[1] ?? 0); nowMs += ROUND_MS) {
    for (let row = rows[at]; row !== undefined && row[1] <= nowMs; row = rows[++at]) foldRow(fleet, row, at);
    const outcome = flow(fleet, memory, POLICY, START_MS + nowMs);
    memory = outcome.memory;
    see(outcome, nowMs - beginMs);
  }
}

function fleetOf(hosts: Record<string, Labels>, users: Record<string, number>): Fleet {
  const fleet = emptyFleet();
  for (const [host, labels] of Object.entries(hosts)) {
    fleet.hosts.set(host, fleetHost(recordOf(host, labels)));
    for (let user = 0; user < (users[host] ?? 0); user++) fleet.routes.set(`u${user}@${host}`, {host, generation: 1, moveId: null});
  }
  return fleet;
}

function foldRow(fleet: Fleet, [host, cameMs, sampledMs, intervalMs, slis, load, waiting, counted]: Row, sequence: number): void {
  const record = fleet.hosts.get(host)?.record;
  if (record === undefined) throw new Error(`no host ${host}`);
  const [deliveryMsP50, deliveryMsP95, queueAgeMsP95, probeDeliveryMs, probeLoginMs, probeFailureShare, imapDropped, imapSessions] = slis;
  const [deliveriesPerSecond, loginsPerSecond, openSessions, activeUsers] = load;
  const [lmtp = [], login = []] = counted ?? [];
  const latencies = [
    {of: 'lmtp', us: lmtp},
    {of: 'login', us: login},
  ];
  const report = reportOf(record, sequence, START_MS + sampledMs, {
    intervalMs,
    slis: {deliveryMsP50, deliveryMsP95, queueAgeMsP95, probeDeliveryMs, probeLoginMs, probeFailureShare, imapDropped, imapSessions},
    load: {deliveriesPerSecond, loginsPerSecond, imapSessions: openSessions, activeUsers},
    queue: waiting === null ? null : {maildrop: 0, incoming: 0, active: 0, deferred: waiting, hold: 0, complete: true},
    mailFigures: counted === null ? null : {...countedBy({}), latencies},
  } as never);
  fold(fleet, report, START_MS + cameMs);
}
