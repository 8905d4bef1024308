import fc from 'fast-check';
import {expect, test} from 'vitest';
import {kernelOf} from '../../../../agent/sample/rates.ts';
import {type Moment, Span} from '../../../../agent/sample/span.ts';
import type {Kernel} from '../../../../wire/kernel.ts';

const GAP_MS = 30_000;

function moment(atMs: number, values: Record<string, number | bigint>): Moment {
  return {atMs, values: new Map(Object.entries(values).map(([name, value]) => [name, BigInt(value)]))};
}

/** What is summed over CPUs has a span of its own in an agent. */
function figuresIn(span: Span): Kernel {
  return kernelOf({host: span, summed: span, limits: new Map()});
}

const IDLE = {
  cpuUserTicks: 0,
  cpuNiceTicks: 0,
  cpuSystemTicks: 0,
  cpuIdleTicks: 0,
  cpuIowaitTicks: 0,
  cpuIrqTicks: 0,
  cpuSoftirqTicks: 0,
  cpuStealTicks: 0,
};

test('shares of processor time are of all processor time, iowait is not busy', () => {
  const before = moment(0, IDLE);
  const after = moment(10_000, {
    ...IDLE,
    cpuUserTicks: 100,
    cpuSystemTicks: 100,
    cpuIdleTicks: 500,
    cpuIowaitTicks: 200,
    cpuStealTicks: 100,
  });
  const kernel = figuresIn(new Span(before, after, GAP_MS));
  expect(kernel).toMatchObject({cpuBusyShare: 0.3, cpuIowaitShare: 0.2, cpuStealShare: 0.1});
});

test('one missing mode makes every share unknown: the whole would be wrong', () => {
  const {cpuStealTicks: _, ...without} = IDLE;
  const kernel = figuresIn(new Span(moment(0, without), moment(10_000, {...without, cpuUserTicks: 5}), GAP_MS));
  expect(kernel).toMatchObject({cpuBusyShare: null, cpuIowaitShare: null, cpuStealShare: null});
});

test('rates are per second of the monotonic clock, times per request', () => {
  const before = moment(1_000, {
    allocStalls: 10,
    tcpRetransmits: 5,
    runQueueWaitNs: 0,
    diskFlushes: 10,
    diskFlushMs: 100,
    diskBusyMs: 0,
    oomKills: 1,
  });
  const after = moment(6_000, {
    allocStalls: 20,
    tcpRetransmits: 5,
    runQueueWaitNs: 10_000_000,
    diskFlushes: 14,
    diskFlushMs: 200,
    diskBusyMs: 2_500,
    oomKills: 3,
  });
  expect(figuresIn(new Span(before, after, GAP_MS))).toMatchObject({
    directReclaimPerSecond: 2,
    retransmitsPerSecond: 0,
    runQueueWaitMsPerSecond: 2,
    diskFlushMs: 25,
    diskBusyShare: 0.5,
    oomKills: 2,
  });
});

test('no flush in the interval: its time is unknown, not zero', () => {
  const at = (atMs: number): Moment => moment(atMs, {diskFlushes: 10, diskFlushMs: 100});
  expect(figuresIn(new Span(at(0), at(10_000), GAP_MS)).diskFlushMs).toBeNull();
});

test('levels need no former sample; rates do', () => {
  const kernel = figuresIn(new Span(null, moment(0, {memoryTotalBytes: 1024, psiIoFullHundredths: 921, tcpRetransmits: 7}), GAP_MS));
  expect(kernel).toMatchObject({memoryTotalBytes: 1024, psiIoFull10: 9.21, retransmitsPerSecond: null, memoryAvailableBytes: null});
});

test.each([
  ['a counter that went back', 0, 10_000, 5n, 4n],
  ['a gap', 0, 30_001, 4n, 5n],
  ['no time between', 10, 10, 4n, 5n],
  ['time that ran backwards', 10, 5, 4n, 5n],
])('%s gives null', (_name, from, to, before, after) => {
  expect(
    figuresIn(new Span(moment(from, {tcpRetransmits: before}), moment(to, {tcpRetransmits: after}), GAP_MS)).retransmitsPerSecond,
  ).toBeNull();
});

test('whatever the counters: nothing negative, no share above one, nothing that is no number', () => {
  const names = [
    ...Object.keys(IDLE),
    'diskBusyMs',
    'diskFlushes',
    'diskFlushMs',
    'diskReads',
    'diskReadMs',
    'tcpListenDrops',
    'runQueueWaitNs',
    'allocStalls',
    'oomKills',
  ];
  const values = fc.dictionary(fc.constantFrom(...names), fc.bigInt({min: 0n, max: 2n ** 63n - 1n}), {maxKeys: names.length});
  fc.assert(
    fc.property(values, values, fc.integer({min: -1000, max: 40_000}), (before, after, spanMs) => {
      const kernel = figuresIn(new Span(moment(0, before), moment(spanMs, after), GAP_MS));
      for (const [name, value] of Object.entries(kernel)) {
        if (value === null) continue;
        expect(value, name).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(value), name).toBe(true);
        if (name.endsWith('Share')) expect(value, name).toBeLessThanOrEqual(1);
      }
    }),
    {seed: 7, numRuns: 500},
  );
});
