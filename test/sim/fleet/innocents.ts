import type {Rng} from '../../../base/random.ts';
import type {CohortVerdict} from '../../../wire/record.ts';
import type {HostReport} from '../../../wire/report.ts';
import type {Labels} from '../../../wire/schema.ts';
import {atSeverity, type Effect, NOTHING, type Shape} from './effect.ts';
import {normal, type SimHost} from './hosts.ts';

/** Something that looks like sick hosts and is none. */
export interface Innocent {
  name: string;
  /** Only on farms of so few hosts; null or absent: on any. */
  hosts?: {min: number; max: number};
  draw: (rng: Rng, hosts: readonly SimHost[]) => InnocentDraw;
}

export interface InnocentDraw {
  /** What it does to a host from its onset on. */
  effect?: (host: SimHost, sinceMs: number, atMs: number) => Effect;
  /** Changes a report on its way, or loses it; may hold it back. */
  mangle?: (report: HostReport, sinceMs: number, host: SimHost) => {reports: HostReport[]; delayMs: number};
  /** From the very beginning, not only from the onset. */
  isFromStart?: boolean;
  /** Users do suffer on these, but it is not the hosts: whatever they are called, nobody may be moved. */
  suffering?: readonly string[];
  /** What does it, though no host is to blame: a verdict that says so of these labels is right. */
  cause?: {labels: Labels; notHosts: CohortVerdict['notHosts']};
}

const MINUTE = 60_000;
const all = (full: Partial<Effect>, shape: Shape = () => 1): ((host: SimHost, sinceMs: number) => Effect) => {
  return (_host, sinceMs) => atSeverity(full, shape(sinceMs, 1));
};
const on = (names: readonly string[], full: Partial<Effect>): NonNullable<InnocentDraw['effect']> => {
  const chosen = new Set(names);
  return ({host}) => (chosen.has(host) ? atSeverity(full, 1) : NOTHING);
};
const some = (rng: Rng, hosts: readonly SimHost[], share: number): string[] => hosts.filter(() => rng.unit() < share).map(({host}) => host);
const one = (rng: Rng, hosts: readonly SimHost[]): string => rng.pick(hosts).host;
const sent = (report: HostReport, delayMs = 0): {reports: HostReport[]; delayMs: number} => ({reports: [report], delayMs});
const lost = {reports: [], delayMs: 0};
const names = (hosts: readonly SimHost[]): string[] => hosts.map(({host}) => host);
/** The same thing happens to all, but hosts differ in how much they feel it. */
const unlike = (r: Rng, hosts: readonly SimHost[]): InnocentDraw => {
  const full = {delivery: r.between(6, 40), probeDelivery: r.between(4, 20), kernel: {diskFlushMs: 300, psiIoFull10: 30}};
  const strength = new Map(hosts.map(({host}) => [host, Math.max(0.5, 1 + 0.15 * normal(r))]));
  return {effect: ({host}) => atSeverity(full, strength.get(host) ?? 1)};
};

export const INNOCENTS: readonly Innocent[] = [
  {name: 'nothing at all', draw: () => ({})},
  {
    name: 'an upstream resolver makes everything slow',
    draw: (r, hosts) => ({effect: all({delivery: r.between(10, 40), lmtp: 1, queueAge: 200}), suffering: names(hosts)}),
  },
  {name: 'everything gets slow, hosts differ in how much', draw: unlike},
  {name: 'everything gets slow on a small farm, hosts differ in how much', hosts: {min: 4, max: 8}, draw: unlike},
  {name: 'every login is slow: one directory for all', draw: (_r, hosts) => ({effect: all({login: 50}), suffering: names(hosts)})},
  {name: 'Monday morning', draw: r => ({effect: all({load: r.between(2, 3)}, since => Math.min(1, since / (20 * MINUTE)))})},
  {
    name: 'a storm of mail from outside',
    draw: (r, hosts) => ({effect: all({load: r.between(3, 6), queueAge: 300, delivery: 5}), suffering: names(hosts)}),
  },
  {
    name: 'one abusive user',
    draw: (r, hosts) => {
      const host = one(r, hosts);
      return {effect: on([host], {load: r.between(6, 12), delivery: r.between(8, 20)}), suffering: [host]};
    },
  },
  {
    name: 'one host with far too many users',
    draw: (r, hosts) => {
      const host = [...hosts].sort((a, b) => b.meanLoad - a.meanLoad)[r.below(3)]?.host ?? '';
      return {effect: on([host], {load: r.between(5, 8), delivery: r.between(6, 12), login: 4}), suffering: [host], isFromStart: true};
    },
  },
  {name: 'reports come late', draw: r => ({mangle: report => sent(report, r.between(0, 25_000))})},
  {name: 'the message bus is away for two minutes', draw: () => ({mangle: (report, since) => (since < 2 * MINUTE ? lost : sent(report))})},
  {
    name: 'half of the farm is silent',
    draw: (r, hosts) => {
      const silent = new Set(some(r, hosts, 0.5));
      return {mangle: (report, _since, {host}) => (silent.has(host) ? lost : sent(report))};
    },
  },
  {name: 'every report comes twice', draw: () => ({mangle: report => ({reports: [report, report], delayMs: 0})})},
  {
    name: 'clocks are wrong',
    draw: (r, hosts) => {
      const skews = new Map(hosts.map(({host}) => [host, Math.round(r.between(-40_000, 40_000))]));
      return {
        isFromStart: true,
        mangle: (report, _since, {host}) => sent({...report, sampledAtMs: report.sampledAtMs + (skews.get(host) ?? 0)}),
      };
    },
  },
  {
    name: 'agents of a third of the farm start anew',
    draw: (r, hosts) => {
      const anew = new Set(some(r, hosts, 0.33));
      return {mangle: (report, _since, {host}) => sent(anew.has(host) ? {...report, generation: report.generation + 1} : report)};
    },
  },
  {
    name: 'one edge cannot reach the farm: fewer mails everywhere',
    draw: () => ({effect: all({load: 0.5})}),
  },
  {
    name: 'the network of one rack loses packets',
    draw: (r, hosts) => {
      const rack = r.pick(hosts).labels.rack ?? '';
      const chosen = names(hosts.filter(({labels}) => labels.rack === rack));
      return {
        effect: on(chosen, {login: 40, delivery: 8, probeFailure: 0.3, kernel: {retransmitsPerSecond: 120}}),
        suffering: chosen,
        cause: {labels: {rack}, notHosts: 'network'},
      };
    },
  },
  {
    name: 'one rack is cut off',
    draw: (r, hosts) => {
      const rack = r.pick(hosts).labels.rack;
      return {mangle: (report, _since, host) => (host.labels.rack === rack ? lost : sent(report))};
    },
  },
  {
    name: 'backups run on one host after the other',
    draw: (_r, hosts) => ({
      effect: ({host}, since) => {
        const turn = Math.floor(since / (3 * MINUTE)) % hosts.length;
        return hosts[turn]?.host === host ? atSeverity({delivery: 1.25, kernel: {diskBusyShare: 0.6}}, 1) : NOTHING;
      },
    }),
  },
  {
    name: 'the newest hardware is twice as fast',
    draw: (_r, hosts) => {
      const newest = hosts.at(-1)?.labels.hardware;
      return {isFromStart: true, effect: host => (host.labels.hardware === newest ? atSeverity({delivery: 0.5, login: 0.5}, 1) : NOTHING)};
    },
  },
  {
    name: 'the newest hardware is several times as fast',
    draw: (r, hosts) => {
      const newest = hosts.at(-1)?.labels.hardware;
      const part = 1 / r.between(2, 6);
      return {
        isFromStart: true,
        effect: host => (host.labels.hardware === newest ? atSeverity({delivery: part, login: part}, 1) : NOTHING),
      };
    },
  },
  {
    name: 'fast new hosts join',
    draw: (r, hosts) => {
      const newest = hosts.at(-1)?.labels.hardware;
      const part = 1 / r.between(2, 4);
      const isNew = ({labels}: SimHost): boolean => labels.hardware === newest;
      return {
        isFromStart: true,
        effect: host => (isNew(host) ? atSeverity({delivery: part, login: part}, 1) : NOTHING),
        mangle: (report, since, host) => (since < 0 && isNew(host) ? lost : sent(report)),
      };
    },
  },
  {
    name: 'a third of the farm gets faster',
    draw: (r, hosts) => {
      const part = 1 / r.between(2, 4);
      return {effect: on(some(r, hosts, 0.35), {delivery: part, login: part, probeDelivery: part})};
    },
  },
  {
    name: 'new hosts join empty',
    draw: (_r, hosts) => {
      const fresh = new Set(names(hosts.slice(-3)));
      return {isFromStart: true, effect: ({host}) => (fresh.has(host) ? atSeverity({load: 0.0001}, 1) : NOTHING)};
    },
  },
  {name: 'a quiet night', draw: () => ({effect: all({load: 0.08}, since => Math.min(1, since / (15 * MINUTE)))})},
  {name: 'the far end of every probe is down', draw: (_r, hosts) => ({effect: all({probeFailure: 1}), suffering: names(hosts)})},
  {
    name: 'the kernel of one host looks terrible, its users feel nothing',
    draw: (r, hosts) => ({
      effect: on([one(r, hosts)], {kernel: {cpuIowaitShare: 0.9, psiIoFull10: 60, diskBusyShare: 1, runQueueWaitMsPerSecond: 900}}),
    }),
  },
  {
    name: 'a hiccup of twenty seconds',
    draw: (r, hosts) => {
      const host = one(r, hosts);
      return {effect: (own, since) => (own.host === host && since < 20_000 ? atSeverity({delivery: 60, login: 40}, 1) : NOTHING)};
    },
  },
  {
    name: 'single intervals are bad here and there',
    draw: (r, hosts) => {
      const draws = r.fork('spikes');
      return {effect: () => (draws.unit() < 1 / (hosts.length * 3) ? atSeverity({delivery: 50, probeFailure: 1}, 1) : NOTHING)};
    },
  },
  {
    name: 'some hosts report nonsense',
    draw: (r, hosts) => {
      const liars = new Set(some(r, hosts, 0.1));
      const nonsense = [Number.NaN, -5, 1e300, Number.POSITIVE_INFINITY];
      return {
        mangle: (report, _since, {host}) =>
          liars.has(host) && r.unit() < 0.3
            ? sent({...report, slis: {...report.slis, deliveryMsP95: r.pick(nonsense), probeLoginMs: r.pick(nonsense)}})
            : sent(report),
      };
    },
  },
  {
    name: 'some figures are not measured',
    draw: (r, hosts) => {
      const blind = new Set(some(r, hosts, 0.3));
      return {
        isFromStart: true,
        mangle: (report, _since, {host}) =>
          sent(
            blind.has(host) ? {...report, slis: {...report.slis, probeDeliveryMs: null, imapDropped: null, queueAgeMsP95: null}} : report,
          ),
      };
    },
  },
  {
    name: 'one host is told by another name',
    draw: (r, hosts) => {
      const liar = one(r, hosts);
      const others = hosts.filter(({host}) => host !== liar);
      const other = one(r, others);
      return {
        mangle: (report, _since, {host}) =>
          sent(host === liar ? {...report, host: other, slis: {...report.slis, deliveryMsP95: 90_000, probeFailureShare: 1}} : report),
      };
    },
  },
  {
    name: 'counters are reset here and there',
    draw: r => ({
      isFromStart: true,
      mangle: report => {
        if (r.unit() >= 0.02) return sent(report);
        const slis = {...report.slis, deliveryMsP50: null, deliveryMsP95: null, imapDropped: null, imapSessions: null};
        return sent({...report, slis, load: {...report.load, deliveriesPerSecond: null, loginsPerSecond: null}, mailFigures: null});
      },
    }),
  },
  {
    name: 'a few users send in bursts',
    draw: (r, hosts) => {
      // One user of thousands makes half of a host's mail at times; each host has its own.
      const bursts = new Map(
        hosts.map(({host}) => [host, {every: r.between(8, 40), share: r.between(0.03, 0.15), times: r.unit() ** -0.7}]),
      );
      return {
        isFromStart: true,
        effect: ({host}, _since, atMs) => {
          const {every = 1, share = 0, times = 1} = bursts.get(host) ?? {};
          return (atMs / MINUTE / every) % 1 < share ? atSeverity({load: Math.min(times, 6)}, 1) : NOTHING;
        },
      };
    },
  },
  {
    name: 'mail for outside waits',
    draw: (r, hosts) => {
      // A large destination takes nothing from one host, or from any: hundreds of messages for hours, and none of them is for mailboxes here.
      const chosen = new Map((r.unit() < 0.5 ? [one(r, hosts)] : names(hosts)).map(host => [host, Math.round(r.between(50, 2_000))]));
      return {
        mangle: (report, since, {host}) => {
          const {queue} = report;
          const ageMs = Math.max(since, 0) + r.between(0, 60_000);
          const count = chosen.get(host);
          if (queue === null || count === undefined || since < 0) return sent(report);
          return sent({...report, queue: {...queue, deferred: queue.deferred + count}, ...withQueueAge(report, ageMs)});
        },
      };
    },
  },
];

/** Of all that waits; what waits for the host itself is an SLI, and left as it is. */
function withQueueAge({mailFigures}: HostReport, ageMs: number): Pick<HostReport, 'mailFigures'> {
  return mailFigures == null || mailFigures.queue === null
    ? {}
    : {mailFigures: {...mailFigures, queue: {...mailFigures.queue, ageMsP95: ageMs, ageMsMax: ageMs}}};
}
