import type {Rng} from '../../../base/random.ts';
import {type Effect, gradual, intermittent, periodic, type Shape, sudden, underLoad} from './effect.ts';

/** A way in which a host goes wrong. */
export interface FaultKind {
  name: string;
  /** Where it is; absent: drawn. */
  scope?: Scope;
  draw: (rng: Rng) => {full: Partial<Effect>; shape: Shape};
}

/** Alone, on some hosts, on all with a label, with a pair of labels, from the beginning; or in several places at once, each in its own way. */
export type Scope = 'host' | 'hosts' | 'cohort' | 'pair' | 'born' | 'two causes' | 'two cohorts';

const kind = (name: string, shape: (rng: Rng) => Shape, full: (rng: Rng) => Partial<Effect>): FaultKind => ({
  name,
  draw: rng => ({full: full(rng), shape: shape(rng)}),
});
const now = (): Shape => sudden();

/** Names say what is broken; the figures are what users and the kernel see of it. */
export const FAULTS: readonly FaultKind[] = [
  kind('flush slow', now, r => ({
    delivery: r.between(5, 40),
    probeDelivery: r.between(3, 20),
    kernel: {diskFlushMs: 300, psiIoFull10: 30},
  })),
  kind(
    'flush slow, growing',
    r => gradual(r.between(5, 15)),
    r => ({delivery: r.between(10, 60), probeDelivery: 8, kernel: {diskFlushMs: 500}}),
  ),
  kind('disk reads slow', now, r => ({
    login: r.between(15, 60),
    auth: 1,
    delivery: r.between(2, 6),
    kernel: {diskReadMs: 80, cpuIowaitShare: 0.4},
  })),
  kind(
    'disk stalls now and then',
    r => intermittent(r, 0.6, 2),
    r => ({delivery: r.between(20, 80), probeFailure: 0.5, kernel: {diskWriteMs: 900}}),
  ),
  kind('disk busy with a rebuild', now, r => ({delivery: r.between(4, 15), login: r.between(2, 6), kernel: {diskBusyShare: 0.9}})),
  kind(
    'journal commits in bursts',
    () => periodic(2, 4),
    r => ({delivery: r.between(20, 60), probeDelivery: 10, kernel: {diskFlushMs: 600}}),
  ),
  kind(
    'file system fragments',
    r => gradual(r.between(15, 30)),
    r => ({delivery: r.between(15, 40), kernel: {diskWriteMs: 120}}),
  ),
  kind('processor throttled', now, r => ({
    login: r.between(25, 60),
    delivery: r.between(3, 10),
    kernel: {psiCpuSome10: 60, cpuBusyShare: 0.7},
  })),
  kind('processor stolen', now, r => ({login: r.between(25, 80), delivery: r.between(3, 12), kernel: {cpuStealShare: 0.4}})),
  kind(
    'scheduler regressed',
    () => underLoad(0.3),
    r => ({delivery: r.between(15, 50), login: 10, kernel: {runQueueWaitMsPerSecond: 900}}),
  ),
  kind(
    'heats up and slows',
    () => periodic(5, 8),
    r => ({login: r.between(30, 60), delivery: r.between(6, 20), kernel: {psiCpuSome10: 50}}),
  ),
  kind(
    'memory leaks',
    r => gradual(r.between(10, 25)),
    r => ({delivery: r.between(20, 60), login: 20, kernel: {directReclaimPerSecond: 400, psiMemorySome10: 40}}),
  ),
  kind('swaps', now, r => ({
    delivery: r.between(20, 90),
    login: 40,
    probeFailure: 0.3,
    kernel: {psiMemorySome10: 60, directReclaimPerSecond: 900},
  })),
  kind('network loses packets', now, r => ({
    login: r.between(25, 60),
    delivery: r.between(4, 12),
    drop: 0.02,
    kernel: {retransmitsPerSecond: 90},
  })),
  kind(
    'listener overflows',
    () => underLoad(0.3),
    r => ({probeFailure: r.between(0.5, 0.9), login: 8, kernel: {listenDropsPerSecond: 15}}),
  ),
  kind('file descriptors run out', now, r => ({drop: r.between(0.02, 0.08), probeFailure: 0.4})),
  kind('IMAP processes crash', now, r => ({drop: r.between(0.015, 0.1)})),
  kind(
    'IMAP sessions drop under load',
    () => underLoad(0.3),
    r => ({drop: r.between(0.03, 0.1), login: 4}),
  ),
  kind('LMTP slow', now, r => ({delivery: r.between(6, 30)})),
  kind('authentication slow', now, r => ({login: r.between(30, 90)})),
  kind(
    'authentication fails now and then',
    r => intermittent(r, 0.7, 3),
    r => ({probeFailure: r.between(0.5, 0.9)}),
  ),
  kind(
    'too few delivery processes',
    () => underLoad(0.3),
    r => ({queueAge: r.between(200, 900), delivery: r.between(8, 30), lmtp: 1, processes: 0.8}),
  ),
  kind(
    'queue grows',
    r => gradual(r.between(5, 20)),
    r => ({queueAge: r.between(300, 3000), delivery: r.between(10, 60), lmtp: 1}),
  ),
  kind('resolver slow', now, r => ({delivery: r.between(8, 25), queueAge: r.between(150, 400), probeDelivery: 5, lmtp: 1})),
  kind("the users' password database slow, not the probe's", now, r => ({auth: r.between(150, 600)})),
  kind('everything a little worse', now, r => ({delivery: r.between(1.8, 3), login: r.between(1.8, 3), probeDelivery: 2})),
  kind('delivery a third worse', now, r => ({delivery: r.between(1.35, 1.7)})),
  kind('login half as slow again', now, r => ({login: r.between(1.4, 1.8)})),
  kind(
    'the whole host hangs by turns',
    r => intermittent(r, 0.5, 1.5),
    () => ({delivery: 60, login: 40, probeFailure: 0.8, drop: 0.05}),
  ),
  {
    name: 'two labels go bad at once, each in its own way',
    scope: 'two cohorts',
    draw: r => ({
      full: r.pick([
        {delivery: 30, probeDelivery: 10, kernel: {diskFlushMs: 300}},
        {login: 60, kernel: {psiCpuSome10: 60}},
        {drop: 0.06, probeFailure: 0.4},
      ]),
      shape: r.pick([sudden(), gradual(5)]),
    }),
  },
];
