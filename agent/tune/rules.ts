import type {Advice} from '../../wire/tune.ts';
import type {Facts} from './facts.ts';
import {fitted, knobOf} from './knobs.ts';

/** An advice before it has a number and an age. */
export type Draft = Omit<Advice, 'id' | 'sinceMs'>;
/** Looks, oldest first; the last is of now. */
export type History = readonly Facts[];

/** Looks that a lasting shortage must fill: a minute at the usual interval. */
export const LASTING = 6;
const MIB = 1_048_576;
/** Bytes of kernel memory for a tracked connection, rounded up. */
const CONNTRACK_BYTES = 320;
const CONNTRACK_MEMORY_SHARE = 0.01;
const FILE_BYTES = 10_240;
const FULL_SHARE = 0.7;
const CONNTRACK_FULL_SHARE = 0.75;
const PORTS_FULL_SHARE = 0.6;
const PORT_LOW_MIN = 10_240;
const SQUEEZES_PER_SECOND = 10;

type Figure = {[K in keyof Facts]: Facts[K] extends number | null ? K : never}[keyof Facts];

/** The figure in each of the last looks; empty when it is missing in one of them, or there are too few. */
export function lasting(history: History, figure: Figure, count: number = LASTING): number[] {
  const values = history.slice(-count).map(facts => facts[figure]);
  return values.length < count || values.some(value => value === null) ? [] : (values as number[]);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The middle value; of an even number the lower one; NaN of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}

/** What stands in a knob now, as a number; null when it is not there or no plain number. */
export function present(facts: Facts, knob: string): number | null {
  const text = facts.values.get(knob);
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** A change that the agent can make by itself; null when the knob has no room in that direction. */
export function change(facts: Facts, name: string, wished: number, because: string, evidence: string): Draft | null {
  const knob = knobOf(name);
  const from = facts.values.get(name);
  if (knob === null || from === undefined) return null;
  const to = fitted(knob, wished, present(facts, name) ?? Number.NaN);
  return to === null ? null : {level: 'automatic', knob: name, from, to: String(to), because, evidence};
}

/** Rules for limits: more room for what is short of it. Each looks at the newest facts and at how long it has been so. */
export const LIMIT_RULES: readonly ((history: History, now: Facts) => Draft | null)[] = [
  (history, now) => {
    const backlog = present(now, 'net.core.netdev_max_backlog');
    const drops = lasting(history, 'softnetDropsPerSecond');
    // One burst may be anything.
    if (backlog === null || drops.filter(rate => rate > 0).length < LASTING / 2 || mean(drops) * 60 <= backlog / 32) return null;
    const evidence = `${mean(drops).toFixed(1)} packets a second dropped before the stack, queue of ${backlog}`;
    return change(now, 'net.core.netdev_max_backlog', backlog * 1.25, 'SOFTNET_DROPS', evidence);
  },
  (history, now) => {
    const budget = present(now, 'net.core.netdev_budget');
    const squeezes = lasting(history, 'softnetSqueezesPerSecond');
    if (budget === null || squeezes.length === 0 || Math.min(...squeezes) < SQUEEZES_PER_SECOND) return null;
    return change(
      now,
      'net.core.netdev_budget',
      budget * 1.25,
      'SOFTNET_SQUEEZED',
      `${mean(squeezes).toFixed(0)} rounds a second broken off`,
    );
  },
  (history, now) => {
    const backlog = present(now, 'net.ipv4.tcp_max_syn_backlog');
    const drops = lasting(history, 'synDropsPerSecond');
    // With cookies the kernel does not ask this limit.
    if (now.settings.get('/proc/sys/net/ipv4/tcp_syncookies') !== '0') return null;
    // TCP is read in every third look: half of them may be one burst.
    if (backlog === null || drops.filter(rate => rate > 0).length <= LASTING / 2) return null;
    return change(
      now,
      'net.ipv4.tcp_max_syn_backlog',
      backlog * 2,
      'SYN_QUEUE_FULL',
      `${mean(drops).toFixed(1)} connection requests a second dropped`,
    );
  },
  (_, now) => widerPorts(now),
  (history, now) => {
    const max = present(now, 'net.netfilter.nf_conntrack_max');
    const used = lasting(history, 'conntrackUsed');
    if (max === null || used.length === 0 || Math.min(...used) <= max * CONNTRACK_FULL_SHARE) return null;
    const evidence = `${used.at(-1)} of ${max} tracked connections for a minute`;
    const byMemory = ((now.memoryTotalBytes ?? 0) * CONNTRACK_MEMORY_SHARE) / CONNTRACK_BYTES;
    const byBuckets = 4 * (now.conntrackBuckets ?? 0);
    const wished = Math.min(2 * max, byMemory, byBuckets);
    const larger = wished <= max ? null : change(now, 'net.netfilter.nf_conntrack_max', wished, 'CONNTRACK_FULL', evidence);
    if (larger !== null || wished > max) return larger;
    const knob = 'net.netfilter.nf_conntrack_buckets';
    return {level: 'person', knob, from: String(now.conntrackBuckets), to: `${max / 2}`, because: 'CONNTRACK_FULL', evidence};
  },
  (history, now) => fuller(history, now, 'fs.inotify.max_user_instances', facts => facts.inotify?.instances ?? null, 1),
  (history, now) => fuller(history, now, 'fs.inotify.max_user_watches', facts => facts.inotify?.watches ?? null, 1),
  (history, now) => {
    const room = (now.memoryTotalBytes ?? 0) / FILE_BYTES;
    const wider = fuller(history, now, 'fs.file-max', facts => facts.filesUsed, LASTING / 2);
    return wider === null || Number(wider.to) > room ? null : wider;
  },
];

/** Twice the limit when most of it was used in the last looks that counted; what is counted every five minutes has one. */
function fuller(history: History, now: Facts, name: string, usedOf: (facts: Facts) => number | null, looks: number): Draft | null {
  const max = present(now, name);
  const used = history
    .map(usedOf)
    .filter(value => value !== null)
    .slice(-looks);
  if (max === null || used.length < looks || Math.min(...used) <= max * FULL_SHARE) return null;
  const who = name.startsWith('fs.inotify.') ? ' by one user' : '';
  return change(now, name, 2 * max, 'LIMIT_NEAR', `${used.at(-1)} of ${max} used${who}`);
}

/**
 * Postfix with an address of its own binds before it connects: all destinations share one range for a source address. Lower by at most
 * half, never onto a port that something listens on (a service that restarts would find it taken), ends of unlike parity.
 */
function widerPorts(now: Facts): Draft | null {
  const knob = 'net.ipv4.ip_local_port_range';
  const from = now.values.get(knob);
  const [low, high] = from?.split(' ').map(Number) ?? [];
  if (from === undefined || low === undefined || high === undefined || now.ports === null) return null;
  const size = high - low + 1;
  if (now.ports.used <= size * PORTS_FULL_SHARE) return null;
  const evidence = `${now.ports.used} of ${size} ports of one source address in use`;
  const listened = now.listeningPorts.filter(port => port < low).at(-1) ?? 0;
  const wished = Math.max(PORT_LOW_MIN, Math.floor(low / 2), listened + 1);
  const next = wished % 2 === high % 2 ? wished + 1 : wished;
  if (next < low) return {level: 'automatic', knob, from, to: `${next} ${high}`, because: 'PORTS_NEAR', evidence};
  const to = 'more source addresses for the smtp client, or connection reuse';
  return {level: 'person', knob: 'postfix.smtp_bind_address', from: null, to, because: 'PORTS_NEAR', evidence};
}

/** Room for dirty pages in whole powers of two, so that the same advice stays the same. */
export function powerOfTwoMib(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(bytes, MIB) / MIB)) * MIB;
}
