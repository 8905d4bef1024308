import {few, instant, labels, percent, size, span} from '../base/format.ts';
import type {Instant} from '../base/units.ts';
import type {Experiment} from './incident.ts';
import type {Circumstance, CircumstanceCode, Decision, Verdict, Veto} from './record.ts';

const HOSTS_TOLD_MAX = 5;

/** A brake with its figures, for people, e.g. `DOES_NOT_FIT: needs 12 GB, free 8 GB, missing 4 GB`. */
export function vetoWords({code, detail}: Veto): string {
  const words = wordsOf({code, detail}) ?? Object.entries(detail).map(([name, value]) => `${name} ${plain(name, value)}`);
  return words.length === 0 ? code : `${code}: ${words.join(', ')}`;
}

function wordsOf({code, detail}: Veto): string[] | null {
  const figure = (name: string): number | null => (typeof detail[name] === 'number' ? detail[name] : null);
  const bytes = (name: string): string => size(figure(name) ?? 0);
  const share = (name: string): string => percent(figure(name) ?? 0);
  switch (code) {
    case 'DOES_NOT_FIT': {
      const hosts = figure('standardHosts');
      return [
        `needs ${bytes('neededBytes')}`,
        `free ${bytes('freeBytes')}`,
        `missing ${bytes('missingBytes')}`,
        `largest mailbox ${bytes('largestBytes')} into a largest room of ${bytes('largestRoomBytes')}`,
        ...(hosts === null ? [] : [`${hosts} more hosts of the usual size would do`]),
      ];
    }
    case 'CAPACITY_OUT':
      return [`${share('outShare')} of the capacity is out of service`, `would be ${share('wouldBe')}`, `at most ${share('outShareMax')}`];
    case 'BUDGET_SPENT':
      return [
        `${figure('changed')} of ${figure('backends')} hosts are being changed or were within ${span(figure('windowMs') ?? 0)}`,
        `would be ${share('wouldBe')}`,
        `at most ${share('changedShareMax')}`,
      ];
    case 'CURE_WORSE':
      return [`${(figure('ratioMax') ?? 0).toFixed(1)} times as bad as the others`, `moving pays from ${figure('needed')} times on`];
    case 'CAUSE_OPEN':
      return [`others may follow, what they share is waited for until ${instant(figure('untilMs') ?? 0).slice(11)}`];
    case 'MONITOR_SUSPECT':
      return [`${figure('silent')} of ${figure('backends')} backends are silent, so it may be NATS, the network or the coordinator`];
    case 'TOO_MANY_UNEXPLAINED': {
      const hosts = namesIn(detail.hosts);
      return [`${hosts.length} of ${figure('backends')} backends are ill and nothing explains it (${few(hosts, HOSTS_TOLD_MAX)})`];
    }
    case 'NOT_THE_HOSTS':
      return [`the ${String(detail.cause)} of ${labels((detail.labels ?? {}) as Record<string, string>)}`];
    default:
      return null;
  }
}

function plain(name: string, value: unknown): string {
  if (typeof value === 'number' && /(^at|^until|At|Until)Ms$/.test(name)) return instant(value);
  return typeof value === 'string'
    ? value
    : Array.isArray(value) && value.every(each => typeof each === 'string')
      ? few(namesIn(value), HOSTS_TOLD_MAX)
      : JSON.stringify(value);
}

function namesIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Reasons of a sick host on which nothing is above its floor at present: it is not emptied now, and not called healthy yet. */
export const SUBSIDED: ReadonlySet<string> = new Set(['RECOVERING', 'EMPTIED_SICK']);

/** Reasons of verdicts, for whoever is tired. */
const REASONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    SLI_WORSE_THAN_PEERS: 'users feel it, and others with as much to do are better',
    PEERS_AS_BAD: 'users feel it, and others with as much to do are as bad',
    NOT_PROVED: 'users feel it; that it is worse than others is not proved',
    NO_PEERS: 'users feel it, and there is no other to hold it against',
    OVERLOADED: 'users feel it, and it has far more to do than others or than ever',
    SLOW_SENDERS: 'few senders bring their mail slowly',
    WORSE_NOT_FELT: 'worse than others, and not so that users feel it',
    KERNEL_ONLY: 'its kernel is odd, and users feel nothing',
    RECOVERING: 'users feel nothing any more, but not for long enough',
    EMPTIED_SICK: 'emptied because it was sick: without users it cannot show that it is well',
    BUSY_WITH_MOVES: 'users feel it, and moves from or to it may be why',
    MOVES_STOPPED: 'users feel it though moves were slowed: no further one begins',
    REPORTS_STALE: 'no report comes any more',
    NO_REPORT: 'no report has come yet',
    NOT_IN_SERVICE: 'out of service',
    WARMING: 'it reports, but not for long enough to be judged',
    IDLE: 'nothing to do, so nothing to judge by',
    NO_SLI: 'nothing that users feel is measured',
    WITHIN_BOUNDS: 'users feel nothing',
  }),
);

/** e.g. `sick (SLI_WORSE_THAN_PEERS) for 3 m 05 s: users feel it, and others with as much to do are better` */
export function verdictWords({kind, because, sinceMs}: Verdict, nowMs: Instant): string {
  const reason = REASONS.get(because);
  return `${kind} (${because}) for ${span(nowMs - sinceMs)}${reason === undefined ? '' : `: ${reason}`}`;
}

/** e.g. `evacuate be4 (SICK_ALONE), mode approve, stopped by PAUSED: by ada`. @param hosts for which it was decided alike. */
export function decisionWords(
  {kind, host, because, mode, vetoes, evidence}: Decision,
  hosts: readonly string[] = host === null ? [] : [host],
): string {
  const held = vetoes.length > 0 ? `, stopped by ${vetoes.map(vetoWords).join('; ')}` : mode === 'on' ? '' : `, mode ${mode}`;
  return `${kind} ${hosts.length === 0 ? 'the farm' : hosts.join(', ')} (${because})${held}${because.startsWith(BY_HAND) ? `: ${evidence[0]?.note}` : ''}`;
}

/** Reason to call a person for a cause that no release takes away; its labels follow. */
export const BY_HAND = 'BY_HAND';

/** e.g. `change kernel on be4, be5 first, by hand` */
export function experimentWish({change, hosts}: Pick<Experiment, 'change' | 'hosts'>): string {
  return `change ${change} on ${hosts.join(', ')} first${change === INSTALLED ? '' : ', by hand'}`;
}

/** What a reinstall changes by itself. */
const INSTALLED = 'os';

/** e.g. `be4 sick with os=debian-12: hardware=gen11 is blamed, os=debian-13 cleared`. */
export function experimentWords({change, outcome}: Experiment): string {
  if (outcome === null) return 'its hosts are not back yet';
  const {hosts, blamed, cleared} = outcome;
  const seen = hosts.map(({host, kind, to}) => `${host} ${kind} with ${change}=${to}`).join(', ');
  if (blamed.length === 0) return `${seen}: they do not agree, nothing is told apart`;
  const off = cleared.length === 0 ? '' : `, ${cleared.map(labels).join(' and ')} cleared`;
  return `${seen}: ${blamed.map(labels).join(' or ')} is blamed${off}`;
}

const CIRCUMSTANCES: Readonly<Record<string, string>> = {
  MAIL_STORM: 'far more mail than usual comes to all of them',
  EVERYTHING_SLOW: 'slow almost everywhere at once: what all of them need, and no host',
  MAJORITY_BAD: 'bad on most that have this, and those without it are well: suspect it first',
  PROBES_FAIL: 'probes fail almost everywhere, and users feel nothing: what the probes need',
  ONE_EDGE: 'this edge is bad, others and the hosts behind it are well',
  MOST_EDGES: 'all or most edges are bad, and the hosts behind them are well: nobody gets in, or hardly',
  REPORTS_LATE: 'reports come late: NATS or the network to it, and what is judged is old',
  PLACE_CUT_OFF: 'all hosts of this place are silent, and no other: its network or power',
  PLACE_NETWORK: 'the network of this place loses packets',
  CLOCK_SKEW: 'the clocks of these hosts are wrong: see to their time service',
  OVERLOADED: 'well, with too much to do: it wants fewer mailboxes',
} satisfies Record<CircumstanceCode, string>;

/** What stands before it: it is the hosts after all where most are bad that have something in common. */
export function circumstanceTitle({code}: Pick<Circumstance, 'code'>): string {
  return code === 'MAJORITY_BAD' ? 'Most hosts' : 'Not the hosts';
}

/** e.g. `PLACE_CUT_OFF rack=r7: all hosts of this place are silent, ... (be1, be2)` */
export function circumstanceWords({code, labels: place, hosts, evidence}: Circumstance): string {
  const where = place === undefined ? '' : ` ${labels(place)}`;
  // Which way, and by how much, is what there is to know of a clock.
  const told =
    code === 'CLOCK_SKEW'
      ? few([...evidence.map(({note}) => note), ...hosts.slice(evidence.length)], HOSTS_TOLD_MAX)
      : few(hosts, HOSTS_TOLD_MAX);
  return `${code}${where}: ${CIRCUMSTANCES[code] ?? 'a newer coordinator knows what'} (${told})`;
}
