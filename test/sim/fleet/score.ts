import type {Policy} from '../../../wire/policy.ts';
import type {CohortVerdict} from '../../../wire/record.ts';
import {NOTHING} from './effect.ts';
import {play} from './play.ts';
import {effectOn, type Fault, membersOf, type Scenario} from './scenario.ts';
import {countsLatencies, INTERVAL_MS} from './world.ts';

/** What came of one scenario. */
export interface Score {
  name: string;
  /** Faulty hosts whose harm users felt long enough, those found sick, and how long that took. */
  harmed: string[];
  found: string[];
  secondsToHost: number[];
  /** Faulty hosts that users did not feel: found when at least suspect. */
  mild: number;
  mildFound: number;
  falseHosts: string[];
  falseSuspects: string[];
  evacuatedFalsely: string[];
  /** Cohorts that were there to be found, those found by a right name, and explained ones with a wrong one. */
  causes: number;
  causesFound: number;
  secondsToCohort: number[];
  wrongCauses: string[];
  hostMonths: number;
}

/** Harm must last so long before it has to be seen. */
const HARM_MS_MIN = 180_000;
const MILD_RATIO_MIN = 1.3;
/** Of a latency's 95th percentile to its middle, see World. */
const LATENCY_P95 = Math.exp(0.6 * 1.645);
export const MONTH_MS = 30 * 86_400_000;

interface Truth {
  /** When users begin to feel each faulty host. */
  harmFromMs: Map<string, number>;
  mildFromMs: Map<string, number>;
}

type There = Pick<Fault, 'hosts' | 'labels'> & {notHosts?: CohortVerdict['notHosts']};

/** Plays a scenario and holds what was said against what was done. */
export function score(scenario: Scenario, policy: Policy): Score {
  const {harmFromMs, mildFromMs} = truthOf(scenario, policy);
  const faulty = new Set(scenario.faults.flatMap(({hosts}) => hosts));
  const suffering = new Set(scenario.innocent?.suffering ?? []);
  const sickAtMs = new Map<string, number>();
  const suspected = new Set<string>();
  const evacuated = new Set<string>();
  const there = thereOf(scenario);
  const named = new Map<There, number>();
  const wrong = new Set<string>();
  play(scenario, policy, (outcome, atMs) => {
    for (const {host, kind, because} of outcome.verdicts) {
      if (kind === 'sick' && !sickAtMs.has(host)) sickAtMs.set(host, atMs);
      if (kind === 'suspect' && because === 'WORSE_NOT_FELT') suspected.add(host);
    }
    for (const {kind, host, vetoes} of outcome.decisions) {
      if (kind === 'evacuate' && host !== null && vetoes.length === 0) evacuated.add(host);
    }
    for (const cohort of outcome.cohorts.filter(({explained}) => explained)) {
      const cause = there.find(candidate => isNamed(candidate, cohort, scenario));
      if (cause !== undefined) named.set(cause, named.get(cause) ?? atMs);
      else if (!isJustTheHost(cohort, scenario)) wrong.add(describe(cohort));
    }
    return true;
  });
  const harmed = [...harmFromMs.keys()];
  const found = harmed.filter(host => sickAtMs.has(host));
  const causes = there.filter(({hosts, labels, notHosts}) => {
    return labels !== null && (notHosts !== undefined || hosts.filter(host => harmFromMs.has(host)).length >= 2);
  });
  const secondsSince = (atMs: number | undefined, host: string): number => Math.max(0, ((atMs ?? 0) - (harmFromMs.get(host) ?? 0)) / 1000);
  return {
    name: scenario.name,
    harmed,
    found,
    secondsToHost: found.map(host => secondsSince(sickAtMs.get(host), host)),
    mild: mildFromMs.size,
    mildFound: [...mildFromMs.keys()].filter(host => suspected.has(host) || sickAtMs.has(host)).length,
    falseHosts: [...sickAtMs.keys()].filter(host => !faulty.has(host) && !suffering.has(host)),
    falseSuspects: [...suspected].filter(host => !faulty.has(host) && !suffering.has(host)),
    evacuatedFalsely: [...evacuated].filter(host => !faulty.has(host)),
    causes: causes.length,
    causesFound: causes.filter(fault => named.has(fault)).length,
    secondsToCohort: causes.flatMap(fault => {
      const atMs = named.get(fault);
      const from = Math.min(...fault.hosts.map(host => harmFromMs.get(host) ?? Number.POSITIVE_INFINITY));
      return atMs === undefined ? [] : [Math.max(0, (atMs - from) / 1000)];
    }),
    wrongCauses: [...wrong],
    hostMonths: (scenario.world.hosts.length * (scenario.endMs - scenario.startMs)) / MONTH_MS,
  };
}

/** What is to be named: faults of hosts, and what is none of theirs. */
function thereOf({faults, innocent}: Scenario): There[] {
  const cause = innocent?.cause;
  return cause === undefined ? [...faults] : [...faults, {hosts: innocent?.suffering ?? [], ...cause}];
}

/** Named by labels that set apart the very hosts of the fault, or called one of those that cannot be told apart. */
function isNamed({labels, hosts, notHosts}: There, cohort: CohortVerdict, {world}: Scenario): boolean {
  if (labels === null || (notHosts !== undefined && cohort.notHosts !== notHosts)) return false;
  const own = new Set(hosts);
  return [cohort.labels, ...(cohort.alternatives ?? [])].some(candidate => {
    const members = membersOf(world.hosts, candidate);
    return members.length === own.size && members.every(host => own.has(host));
  });
}

function describe({labels}: CohortVerdict): string {
  return JSON.stringify(labels);
}

/** A label of one host alone names the host: which of the two it is cannot be told, and either is right. */
function isJustTheHost({members}: CohortVerdict, {faults}: Scenario): boolean {
  return members.length === 1 && faults.some(({hosts}) => hosts.length === 1 && hosts[0] === members[0]);
}

/** When the figures without chance are above what users feel, or at least clearly worse; intermittent ones count by their share of time. */
function truthOf(scenario: Scenario, {judge: {floors}}: Policy): Truth {
  const harmFromMs = new Map<string, number>();
  const mildFromMs = new Map<string, number>();
  const {world, onsetMs, endMs} = scenario;
  const faulty = new Set(scenario.faults.flatMap(({hosts}) => hosts));
  for (const host of world.hosts.filter(candidate => faulty.has(candidate.host))) {
    let [harmMs, mildMs] = [0, 0];
    let [harmFrom, mildFrom] = [0, 0];
    for (let atMs = onsetMs; atMs < endMs; atMs += INTERVAL_MS) {
      const effect = effectOn(scenario, host, atMs);
      if (effect === NOTHING) continue;
      const {deliveryMs, loginMs, probeDeliveryMs, lmtpMs, authMs} = world.expected(host, atMs, effect);
      const latencyP95 = countsLatencies(host) ? LATENCY_P95 : 0;
      const isTime = [
        [deliveryMs, floors.deliveryMsP95, effect.delivery],
        [loginMs, floors.probeLoginMs, effect.login],
        [probeDeliveryMs, floors.probeDeliveryMs, effect.probeDelivery],
        [200 * effect.queueAge, floors.queueAgeMsP95, effect.queueAge],
        [latencyP95 * lmtpMs, floors.lmtpMsP95, effect.lmtp],
        [latencyP95 * authMs, floors.loginMsP95, effect.auth],
      ].some(([value = 0, floor = 0, ratio = 1]) => value > floor && ratio >= MILD_RATIO_MIN);
      // Sessions end and begin in the minute over which their drops are counted.
      const isShare = effect.probeFailure > floors.probeFailureShare || effect.drop * 6 > floors.imapDroppedShare;
      if (isTime || isShare) {
        harmMs += INTERVAL_MS;
        if (harmFrom === 0) harmFrom = atMs;
      }
      if (Math.max(effect.delivery, effect.login, effect.probeDelivery) >= MILD_RATIO_MIN) {
        mildMs += INTERVAL_MS;
        if (mildFrom === 0) mildFrom = atMs;
      }
    }
    if (harmMs >= HARM_MS_MIN) harmFromMs.set(host.host, harmFrom);
    else if (mildMs >= 2 * HARM_MS_MIN) mildFromMs.set(host.host, mildFrom);
  }
  return {harmFromMs, mildFromMs};
}
