import {Histogram} from '../../../base/histogram.ts';
import type {Rng} from '../../../base/random.ts';
import type {HostReport} from '../../../wire/report.ts';
import type {Effect} from './effect.ts';
import {dailyLoad, drawHosts, normal, type SimHost} from './hosts.ts';

export const INTERVAL_MS = 10_000;
const GIB = 2 ** 30;
/** Deviation of the logarithm of one latency, and how many are drawn for all of an interval. */
const LATENCY_SCATTER = 0.6;
const LATENCY_DRAWS = 20;
/** What an agent says where the kernel tells nothing. */
const NO_KERNEL: HostReport['kernel'] = {
  cpuBusyShare: null,
  cpuIowaitShare: null,
  cpuStealShare: null,
  runQueueWaitMsPerSecond: null,
  psiCpuSome10: null,
  psiIoSome10: null,
  psiIoFull10: null,
  psiMemorySome10: null,
  memoryAvailableBytes: null,
  memoryTotalBytes: null,
  dirtyBytes: null,
  directReclaimPerSecond: null,
  oomKills: null,
  diskFlushMs: null,
  diskReadMs: null,
  diskWriteMs: null,
  diskBusyShare: null,
  retransmitsPerSecond: null,
  listenDropsPerSecond: null,
};
const FIGURES = ['delivery', 'probeDelivery', 'login'] as const;

/** How this farm's figures behave though nothing is wrong. */
interface Climate {
  deliveryMs: number;
  probeDeliveryMs: number;
  loginMs: number;
  /** Exponent of load in the times. */
  slope: number;
  /** Of one delivery by LMTP and of one password check, in the middle; they scatter by a factor of e^0.6. */
  lmtpMs: number;
  authMs: number;
  noise: number;
  /** Share of an interval's noise that the next one keeps. */
  memory: number;
  missing: number;
  lost: number;
  late: number;
  doubled: number;
}

/** What one host shows in one interval; null where nothing was measured. */
export interface Drawn {
  deliveries: number;
  deliveryMs: number | null;
  queueAgeMs: number | null;
  probeDeliveryMs: number | null;
  probeLoginMs: number | null;
  probeFailureShare: number | null;
  open: number;
  dropped: number;
  ended: number;
  waiting: number;
}

interface Momentary {
  noise: Float64Array;
  load: number;
}

/** A healthy report of one host at one moment, and what an effect makes of it. Everything is drawn from the seed. */
export class World {
  readonly hosts: readonly SimHost[];
  readonly climate: Climate;
  readonly #rng: Rng;
  /** A stream of its own, so that other figures are drawn as ever. */
  readonly #latencies: Rng;
  readonly #state = new Map<string, Momentary>();
  /** Without what only explains, and without what Dovecot counts: neither comes near a floor where nothing is wrong. */
  readonly #isBare: boolean;
  #sequence = 0;

  constructor(rng: Rng, count: number, isBare = false) {
    this.#isBare = isBare;
    this.#rng = rng.fork('world');
    this.#latencies = rng.fork('latencies');
    this.hosts = drawHosts(rng.fork('hosts'), count);
    const r = rng.fork('climate');
    this.climate = {
      deliveryMs: 250 * Math.exp(r.between(0, 2.9)),
      probeDeliveryMs: r.between(150, 700),
      loginMs: r.between(40, 250),
      slope: r.between(0.1, 0.5),
      lmtpMs: this.#latencies.between(20, 120),
      authMs: this.#latencies.between(2, 20),
      noise: r.between(0.08, 0.2),
      memory: r.between(0.2, 0.7),
      missing: r.between(0, 0.05),
      lost: r.between(0, 0.02),
      late: r.between(0, 0.05),
      doubled: r.between(0, 0.02),
    };
    for (const {host} of this.hosts) this.#state.set(host, {noise: new Float64Array(FIGURES.length), load: 0});
  }

  /** Begins the next interval: one sequence number for all hosts. */
  next(): void {
    this.#sequence++;
  }

  /** Load of a host at a time, as a share of its own mean, without chance. */
  shareOfLoad(atMs: number): number {
    return dailyLoad(atMs);
  }

  /** What a user of the host waits for a delivery, without chance; NOTHING: a healthy host. Latencies in the middle. */
  expected(
    host: SimHost,
    atMs: number,
    effect: Effect,
  ): Record<'deliveryMs' | 'loginMs' | 'probeDeliveryMs' | 'lmtpMs' | 'authMs', number> {
    const {deliveryMs, loginMs, probeDeliveryMs, slope, lmtpMs, authMs} = this.climate;
    const busy = Math.exp(host.offset) * (dailyLoad(atMs) * effect.load) ** slope;
    return {
      deliveryMs: deliveryMs * busy * effect.delivery,
      loginMs: loginMs * busy ** 0.5 * effect.login,
      probeDeliveryMs: probeDeliveryMs * busy ** 0.5 * effect.probeDelivery,
      lmtpMs: lmtpMs * busy * effect.lmtp,
      authMs: authMs * busy ** 0.5 * effect.auth,
    };
  }

  /** What one host shows in one interval, by chance. */
  draw(host: SimHost, atMs: number, effect: Effect): Drawn {
    const r = this.#rng;
    const state = this.#state.get(host.host) as Momentary;
    const {memory, noise} = this.climate;
    const keep = Math.sqrt(1 - memory ** 2);
    state.load = memory * state.load + keep * 0.15 * normal(r);
    const deliveriesPerSecond = host.meanLoad * dailyLoad(atMs) * effect.load * Math.exp(state.load);
    const deliveries = poisson(r, deliveriesPerSecond * (INTERVAL_MS / 1000));
    for (let index = 0; index < state.noise.length; index++) {
      state.noise[index] = memory * (state.noise[index] ?? 0) + keep * noise * host.noisiness * normal(r);
    }
    const {deliveryMs, loginMs, probeDeliveryMs} = this.expected(host, atMs, effect);
    // A percentile of few deliveries is a noisy one; now and then a single huge message makes an interval.
    const sampling = deliveries === 0 ? 0 : (0.7 / Math.sqrt(deliveries)) * normal(r) + (r.unit() < 0.004 ? r.between(0.5, 1.6) : 0);
    const at = (index: number): number => Math.exp(state.noise[index] ?? 0);
    const p95 = deliveryMs * at(0) * Math.exp(sampling);
    const open = Math.round(host.users * 0.25 * Math.min(2, dailyLoad(atMs) * effect.load ** 0.3) * Math.exp(0.05 * normal(r)));
    const dropped = poisson(r, open * (effect.drop + 0.00002));
    const ended = poisson(r, open / 120) + dropped;
    const waiting = deliveries === 0 ? 0 : Math.round(deliveriesPerSecond * (1 + effect.queueAge / 20));
    const isMissing = r.unit() < this.climate.missing;
    const failure = Math.min(1, effect.probeFailure + 0.0008);
    const probes = [r.unit() < failure, r.unit() < failure].filter(Boolean).length / 2;
    const queueAgeMs = waiting === 0 ? null : 200 * effect.queueAge * at(0) * Math.exp(0.3 * normal(r));
    const isProbed = !isMissing && probes < 1;
    return {
      deliveries,
      deliveryMs: deliveries === 0 ? null : p95,
      queueAgeMs,
      probeDeliveryMs: isProbed ? probeDeliveryMs * at(1) : null,
      probeLoginMs: isProbed ? loginMs * at(2) * Math.exp(r.unit() < 0.003 ? r.between(0.5, 2) : 0) : null,
      probeFailureShare: isMissing ? null : probes,
      open,
      dropped,
      ended,
      waiting,
    };
  }

  /** One report. */
  report(host: SimHost, atMs: number, effect: Effect): HostReport {
    const drawn = this.draw(host, atMs, effect);
    const {deliveries, deliveryMs, open, dropped, ended, waiting} = drawn;
    return {
      v: 1,
      host: host.host,
      role: 'backend',
      generation: 1,
      sequence: this.#sequence,
      sampledAtMs: Math.round(atMs + host.clockSkewMs),
      intervalMs: INTERVAL_MS,
      labels: host.labels,
      slis: {
        deliveryMsP50: deliveryMs === null ? null : deliveryMs / 3,
        deliveryMsP95: deliveryMs,
        queueAgeMsP95: drawn.queueAgeMs,
        queueAgeMsMax: null,
        probeDeliveryMs: drawn.probeDeliveryMs,
        probeLoginMs: drawn.probeLoginMs,
        probeFailureShare: drawn.probeFailureShare,
        imapDropped: dropped,
        imapSessions: open + ended,
      },
      load: {
        deliveriesPerSecond: deliveries / (INTERVAL_MS / 1000),
        loginsPerSecond: ended / (INTERVAL_MS / 1000),
        imapSessions: open,
        users: host.users,
        activeUsers: Math.min(host.users, open + deliveries),
      },
      kernel: this.#isBare ? NO_KERNEL : this.#kernel(effect, dailyLoad(atMs) * effect.load),
      queue: {
        maildrop: 0,
        incoming: 0,
        active: waiting,
        deferred: Math.round(waiting / 2),
        hold: 0,
        complete: true,
        here: waiting + Math.round(waiting / 2),
      },
      mailFigures: this.#isBare ? null : this.#mailFigures(host, atMs, effect, deliveries, ended),
      mailStore: {totalBytes: 4000 * GIB, freeBytes: 2500 * GIB, freeInodes: null},
      routeRevision: null,
      agent: {version: '0', cpuMs: 1, rssBytes: 1, spooled: 0, dropped: 0, failing: {}},
    };
  }

  /** The way of a report to the coordinator: most at once and once, some late, lost or twice. */
  way(): {copies: number; delayMs: number} {
    const r = this.#rng;
    const {lost, late, doubled} = this.climate;
    if (r.unit() < lost) return {copies: 0, delayMs: 0};
    return {copies: r.unit() < doubled ? 2 : 1, delayMs: r.unit() < late ? r.between(1_000, 15_000) : r.between(0, 800)};
  }

  #mailFigures(host: SimHost, atMs: number, effect: Effect, deliveries: number, logins: number): NonNullable<HostReport['mailFigures']> {
    const {lmtpMs, authMs} = this.expected(host, atMs, effect);
    const kinds = [
      {of: 'lmtp', ms: lmtpMs, count: deliveries},
      {of: 'login', ms: authMs, count: logins},
    ];
    const busiest = [{service: 'smtp', processes: Math.round(100 * Math.min(1, 0.2 + effect.processes)), max: 100, dropping: false}];
    return {
      queue: null,
      log: null,
      postfix: {processes: 100, stressed: 0, busiest, ageMs: 0},
      dovecot: null,
      probes: null,
      latencies: countsLatencies(host) ? kinds.map(({of, ms, count}) => ({of, us: this.#latenciesOf(ms, count)})) : null,
    };
  }

  #latenciesOf(ms: number, count: number): number[] {
    const histogram = new Histogram();
    const draws = Math.min(LATENCY_DRAWS, count);
    for (let draw = 0; draw < draws; draw++) {
      const times = Math.floor((count + draw) / draws);
      histogram.add(1000 * ms * Math.exp(LATENCY_SCATTER * normal(this.#latencies)), times);
    }
    return histogram.pack();
  }

  #kernel(effect: Effect, load: number): HostReport['kernel'] {
    const r = this.#rng;
    const around = (value: number): number => value * Math.exp(0.3 * normal(r));
    const share = (value: number): number => Math.min(1, around(value));
    return {
      cpuBusyShare: share(0.15 + 0.15 * load),
      cpuIowaitShare: share(0.02),
      cpuStealShare: 0,
      runQueueWaitMsPerSecond: around(5 + 5 * load),
      psiCpuSome10: around(1 + load),
      psiIoSome10: around(1 + load),
      psiIoFull10: around(0.5),
      psiMemorySome10: 0,
      memoryAvailableBytes: 16 * GIB,
      memoryTotalBytes: 64 * GIB,
      dirtyBytes: 0,
      directReclaimPerSecond: 0,
      oomKills: 0,
      diskFlushMs: around(3),
      diskReadMs: around(4),
      diskWriteMs: around(2),
      diskBusyShare: share(0.1 + 0.1 * load),
      retransmitsPerSecond: around(0.5),
      listenDropsPerSecond: 0,
      ...effect.kernel,
    };
  }
}

/** On one host of ten Dovecot counts nothing. */
export function countsLatencies({host}: SimHost): boolean {
  return Number(host.slice(1)) % 10 !== 7;
}

/** Knuth's for small means, the normal approximation for large ones. */
function poisson(r: Rng, mean: number): number {
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal(r)));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = r.unit(); product > limit; product *= r.unit()) count++;
  return count;
}
