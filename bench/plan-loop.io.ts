import {seededRng} from '../base/random.ts';
import {emptyFleet, fleetHost} from '../coordinator/fleet.ts';
import {deskHere, type PlanDesk} from '../coordinator/plan/desk.ts';
import {deskAway} from '../coordinator/plan/desk-away.io.ts';
import type {Outlook} from '../coordinator/plan/filter.ts';
import {searchPlan} from '../native/binding.ts';
import {GIB, OLD, recordOf, reportOf, START_MS} from '../test/unit/coordinator/fleet-builder.ts';
import {DEFAULT_POLICY} from '../wire/policy.ts';
import {type Benchmark, rounded, wholeNumber} from './benchmark.ts';

const REPORTS = 30;
const IDS = {planId: 'plan', generation: 1, parent: null, nowMs: START_MS};

export const benchmark: Benchmark = {
  summary: 'planning for many hosts at once: how long the event loop of the leader stands still, with and without a thread of its own',
  options: {
    hosts: {type: 'string', default: '160', help: 'hosts of the farm'},
    leaving: {type: 'string', default: '60', help: 'hosts that are emptied'},
    users: {type: 'string', default: '20000', help: 'mailboxes'},
  },
  async run(options) {
    const hosts = wholeNumber(options.hosts, 'hosts', 2, 10_000);
    const leaving = wholeNumber(options.leaving, 'leaving', 1, hosts - 1);
    const users = wholeNumber(options.users, 'users', 1, 10_000_000);
    const outlook = outlookOf(hosts, leaving, users);
    const here = await measure(deskHere(searchPlan), outlook, leaving);
    const away = await measure(deskAway(new AbortController().signal), outlook, leaving);
    return {hosts, leaving, users, here, away, ratio: rounded(here.longestStandstillMs / away.longestStandstillMs)};
  },
};

async function measure(
  desk: PlanDesk,
  outlook: Outlook,
  leaving: number,
): Promise<Record<'longestStandstillMs' | 'tookMs' | 'moves', number>> {
  const hosts = Array.from({length: leaving}, (_, at) => `be${at}`);
  let [longestStandstillMs, lastMs] = [0, performance.now()];
  const look = (): void => {
    const nowMs = performance.now();
    longestStandstillMs = Math.max(longestStandstillMs, nowMs - lastMs);
    lastMs = nowMs;
  };
  const timer = setInterval(look, 1);
  const startMs = performance.now();
  const {moves} = await desk.plan({kind: 'evacuate', hosts}, outlook, IDS, 'bench');
  const tookMs = Math.round(performance.now() - startMs);
  look();
  clearInterval(timer);
  return {longestStandstillMs: rounded(longestStandstillMs), tookMs, moves: moves.length};
}

function outlookOf(hosts: number, leaving: number, users: number): Outlook {
  const rng = seededRng(1);
  const fleet = emptyFleet();
  const verdicts: Outlook['verdicts'] = Array.from({length: hosts}, (_, at) => {
    return {host: `be${at}`, kind: at < leaving ? 'sick' : 'healthy', sinceMs: 0, because: '', evidence: []};
  });
  const bytesEach = 0.2 * GIB;
  const totalBytes = Math.max(100 * GIB, (8 * users * bytesEach) / (hosts - leaving));
  for (const {host} of verdicts) {
    const record = recordOf(host, OLD);
    const change = {mailStore: {totalBytes, freeBytes: 0.7 * totalBytes, freeInodes: null}};
    const reports = Array.from({length: REPORTS}, (_, at) => reportOf(record, at, START_MS + at * 10_000, change));
    fleet.hosts.set(host, {...fleetHost(record), reports});
  }
  for (let at = 0; at < users; at++) {
    const user = `user${at}@domain${at % 500}.example`;
    fleet.routes.set(user, {host: `be${rng.below(hosts)}`, generation: 1, moveId: null});
    const [bytes, deliveriesPerDay, sessionsPerDay] = [Math.floor(2 * bytesEach * rng.unit()), rng.below(100), rng.below(40)];
    fleet.mailboxes.set(user, {bytes, messages: 100, deliveriesPerDay, sessionsPerDay});
  }
  return {fleet, verdicts, cohorts: [], policy: DEFAULT_POLICY};
}
