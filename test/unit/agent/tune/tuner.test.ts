import {beforeEach, describe, expect, test} from 'vitest';
import type {Facts} from '../../../../agent/tune/facts.ts';
import type {GuardLook} from '../../../../agent/tune/guard.ts';
import {NO_MEMORY, type TuneMemory} from '../../../../agent/tune/memory.ts';
import {Tuner, type TunerOptions} from '../../../../agent/tune/tuner.ts';
import type {Held, Undone, Writer} from '../../../../agent/tune/writer.io.ts';
import {MailherdError} from '../../../../base/errors.ts';
import {fits} from '../../../../wire/codec.ts';
import {EVENTS, type EventType} from '../../../../wire/event.ts';
import type {HostReport} from '../../../../wire/report.ts';
import {TuneReport} from '../../../../wire/tune.ts';
import {FakeClock, silentLog} from '../../coordinator/fakes.ts';
import {QUIET} from './facts-builder.ts';

const KNOB = 'net.core.netdev_max_backlog';
const ADVICE = `${KNOB}=1250`;

/** The writer's part and the kernel's: one value a knob. */
class FakeWriter implements Writer {
  readonly values = new Map(QUIET.values);
  readonly held = new Map<string, Held>();
  readonly renewed: string[] = [];
  isAway = false;

  async list(): Promise<Held[]> {
    return [...this.held.values()];
  }
  async set(knob: string, expected: string, value: string, seconds: number, reason: string): Promise<void> {
    this.#answer(knob);
    if (this.values.get(knob) !== expected) throw new MailherdError('TUNE_REFUSED', {knob, code: 'VALUE_CHANGED', reason: ''});
    this.held.set(knob, {knob, old: this.held.get(knob)?.old ?? expected, value, secondsLeft: seconds, reason});
    this.values.set(knob, value);
  }
  async renew(knob: string): Promise<void> {
    this.#answer(knob);
    this.renewed.push(knob);
  }
  async undo(knob: string): Promise<Undone> {
    this.#answer(knob);
    const held = this.held.get(knob);
    if (held === undefined) return {kind: 'forgotten'};
    this.held.delete(knob);
    const current = this.values.get(knob) ?? '';
    if (current !== held.value) return {kind: 'released', value: current};
    this.values.set(knob, held.old);
    return {kind: 'restored', value: held.old};
  }
  #answer(knob: string): void {
    if (this.isAway) throw new MailherdError('TUNE_REFUSED', {knob, code: 'NO_WRITER', reason: 'connect ENOENT'});
  }
}

let clock: FakeClock;
let writer: FakeWriter;
let memory: TuneMemory;
let events: {type: EventType; data: unknown}[];
let over: Partial<Facts>;
let pressure: number;
let delayMs: number;
let end: AbortController;
let tuner: Tuner;

function open(mode: TunerOptions['mode'] = 'on'): Tuner {
  end = new AbortController();
  return new Tuner(
    {mode, guardMs: 120_000, effectMs: 300_000},
    {
      writer,
      clock,
      look: async () => ({...QUIET, values: new Map(writer.values), atMs: clock.monotonic(), softnetDropsPerSecond: 2, ...over}),
      guardLook: async (): Promise<GuardLook> => ({atMs: clock.monotonic(), ioFull: pressure, memoryFull: 0, allocStalls: 0}),
      disk: () => 'sda',
      memory: {
        load: () => structuredClone(memory),
        save: async next => {
          memory = structuredClone(next);
        },
      },
      emit: (type, data) => {
        expect(fits(EVENTS[type], data), type).toBe(true);
        events.push({type, data});
      },
      log: silentLog,
      signal: end.signal,
    },
  );
}

function report(): HostReport {
  const slis = {
    deliveryMsP50: delayMs / 2,
    deliveryMsP95: delayMs,
    queueAgeMsP95: null,
    queueAgeMsMax: null,
    probeDeliveryMs: 90,
    probeLoginMs: 40,
    probeFailureShare: 0,
    imapDropped: 0,
    imapSessions: 50,
  };
  const load = {deliveriesPerSecond: 5, loginsPerSecond: 1, imapSessions: 50, users: 10, activeUsers: 5};
  return {slis, load, kernel: {runQueueWaitMsPerSecond: 20}, queue: null} as unknown as HostReport;
}

/** Reports every 10 s for so long. */
async function live(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10_000) {
    await clock.advance(10_000);
    await tuner.observe(report(), null);
  }
}

const changes = (): string[] => tuner.report().changes.map(({knob, value, stage}) => `${knob}=${value} ${stage}`);
const told = (type: EventType): unknown[] => events.filter(event => event.type === type).map(({data}) => data);
const refused = (code: string): object => expect.objectContaining({code: 'TUNE_REFUSED', detail: expect.objectContaining({code})});

beforeEach(() => {
  clock = new FakeClock();
  writer = new FakeWriter();
  memory = NO_MEMORY;
  events = [];
  over = {};
  pressure = 1;
  delayMs = 300;
  tuner = open();
});

test('nothing is written without a word from outside', async () => {
  await live(600_000);
  expect(tuner.report()).toMatchObject({mode: 'on', advice: [{id: ADVICE, level: 'automatic'}], changes: []});
  expect([writer.held.size, told('tuneAdvised').length, tuner.labels()]).toEqual([0, 1, {}]);
  expect(fits(TuneReport, tuner.report())).toBe(true);
});

test('a change that helps is kept, renewed and given back on a word', async () => {
  await live(100_000);
  await tuner.apply(ADVICE, 'policy', true);
  expect([writer.values.get(KNOB), changes(), tuner.labels()]).toEqual(['1250', [`${ADVICE} guarded`], {tuned: ADVICE}]);
  await tuner.apply(ADVICE, 'policy', true);
  expect(told('tuneChanged')).toMatchObject([
    {knob: KNOB, from: '1000', to: '1250', by: 'policy', reason: expect.stringContaining('SOFTNET_DROPS')},
  ]);
  over = {softnetDropsPerSecond: 0};
  await live(130_000);
  expect(changes()).toEqual([`${ADVICE} measured`]);
  await live(310_000);
  expect(changes()).toEqual([`${ADVICE} kept`]);
  expect(told('tuneKept')).toMatchObject([{knob: KNOB, effect: 'softnetDropsPerSecond is 0.00 times what it was'}]);
  await live(3_600_000);
  expect(writer.renewed.length).toBeGreaterThanOrEqual(3);
  expect(fits(TuneReport, tuner.report())).toBe(true);
  await tuner.revert(KNOB, 'ada');
  expect([writer.values.get(KNOB), changes()]).toEqual(['1000', []]);
  expect(told('tuneEnded')).toMatchObject([{outcome: 'reverted', because: 'asked by ada', isRetired: false}]);
  await expect(tuner.revert(KNOB, 'ada')).rejects.toThrow(refused('NOT_HELD'));
});

test('a change that does not help is undone; twice, and the knob rests until a person says so', async () => {
  await live(100_000);
  for (const isRetired of [false, true]) {
    await tuner.apply(ADVICE, 'policy', true);
    await live(440_000);
    expect(told('tuneEnded').at(-1)).toMatchObject({
      outcome: 'undone',
      because: 'softnetDropsPerSecond is 1.00 times what it was',
      isRetired,
    });
    expect(writer.values.get(KNOB)).toBe('1000');
    await live(60_000);
  }
  expect(tuner.report().retired).toEqual([KNOB]);
  await expect(tuner.apply(ADVICE, 'policy', true)).rejects.toThrow(refused('RETIRED'));
  await tuner.apply(ADVICE, 'ada', false);
  expect([writer.values.get(KNOB), tuner.report().retired]).toEqual(['1250', []]);
});

test('users feel it: undone before the time is over', async () => {
  await live(400_000);
  await tuner.apply(ADVICE, 'policy', true);
  over = {softnetDropsPerSecond: 0};
  delayMs = 30_000;
  await live(110_000);
  expect(changes()).toEqual([`${ADVICE} guarded`]);
  await live(160_000);
  expect(told('tuneEnded')).toMatchObject([{outcome: 'undone', because: 'deliveryMsP95 rose from 300 to 3.00e+4'}]);
});

test('pressure right after a change undoes it within seconds', async () => {
  await live(100_000);
  await tuner.apply(ADVICE, 'policy', true);
  pressure = 60;
  await clock.advance(17_000);
  await tuner.guarding;
  expect(writer.values.get(KNOB)).toBe('1000');
  expect(told('tuneEnded')).toMatchObject([{outcome: 'undone', because: 'I/O pressure too high for 15 s'}]);
});

describe('somebody else', () => {
  test('writes the value: it stays, and the knob is left alone', async () => {
    await live(100_000);
    await tuner.apply(ADVICE, 'policy', true);
    writer.values.set(KNOB, '5000');
    await live(10_000);
    expect([writer.values.get(KNOB), changes(), tuner.report().retired]).toEqual(['5000', [], [KNOB]]);
    expect(told('tuneEnded')).toMatchObject([{outcome: 'released', because: 'somebody else wrote 5000', isRetired: true}]);
  });

  test('has restarted the writer, which put it back: lost, and may be asked for again', async () => {
    await live(100_000);
    await tuner.apply(ADVICE, 'policy', true);
    await writer.undo(KNOB);
    await live(10_000);
    expect(told('tuneEnded')).toMatchObject([{outcome: 'lost', isRetired: false}]);
  });
});

test('one change at a time, and only what stands and can be done', async () => {
  over = {softnetSqueezesPerSecond: 50, mounts: [{place: '/var/vmail', type: 'ext4', options: ['rw']}]};
  await live(100_000);
  await tuner.apply(ADVICE, 'policy', true);
  await expect(tuner.apply('net.core.netdev_budget=375', 'policy', true)).rejects.toThrow(refused('BUSY'));
  await expect(tuner.apply(`${KNOB}=9999`, 'ada', false)).rejects.toThrow(expect.objectContaining({code: 'ADVICE_UNKNOWN'}));
  await expect(tuner.apply('mount.-var-vmail=noatime', 'ada', false)).rejects.toThrow(refused('NOT_AUTOMATIC'));
});

test('advise: a person may, the policy may not; off: nobody, and what is changed goes back', async () => {
  tuner = open('advise');
  await live(100_000);
  await expect(tuner.apply(ADVICE, 'policy', true)).rejects.toThrow(refused('MODE'));
  await tuner.apply(ADVICE, 'ada', false);
  end.abort();
  tuner = open('off');
  await live(10_000);
  expect([writer.values.get(KNOB), writer.held.size]).toEqual(['1000', 0]);
  expect(tuner.report()).toMatchObject({mode: 'off', advice: [], changes: [], ended: [{outcome: 'reverted', because: 'tuning is off'}]});
  await expect(tuner.apply(ADVICE, 'ada', false)).rejects.toThrow(refused('MODE'));
});

test('a report tells the values when they are new, when they have changed, and now and then', async () => {
  const values: [number, string | undefined][] = [];
  for (let at = 0; at < 70; at++) {
    await clock.advance(10_000);
    if (at === 64) writer.values.set(KNOB, '7');
    const {tune} = tuner.take(report(), null);
    // Both, or neither.
    expect(tune?.inert === undefined).toBe(tune?.values === undefined);
    if (tune?.values !== undefined) values.push([at, tune.values[KNOB]]);
  }
  // The first report is made before the first look, and what has changed is seen by the look after it.
  expect(values).toEqual([
    [1, '1000'],
    [31, '1000'],
    [61, '1000'],
    [65, '7'],
  ]);
});

test('without a writer: refused, said so, nothing pretended', async () => {
  writer.isAway = true;
  await live(100_000);
  await expect(tuner.apply(ADVICE, 'ada', false)).rejects.toThrow(refused('NO_WRITER'));
  expect(tuner.report()).toMatchObject({writer: 'connect ENOENT', changes: []});
  expect(memory.changes).toEqual([]);
});

test('an undo that the writer does not answer is tried until it does', async () => {
  await live(100_000);
  await tuner.apply(ADVICE, 'policy', true);
  writer.isAway = true;
  await expect(tuner.revert(KNOB, 'ada')).rejects.toThrow(refused('NO_WRITER'));
  await live(20_000);
  expect(writer.values.get(KNOB)).toBe('1250');
  writer.isAway = false;
  await live(10_000);
  expect([writer.values.get(KNOB), changes()]).toEqual(['1000', []]);
  expect(told('tuneEnded')).toMatchObject([{outcome: 'reverted'}]);
});

test('an agent that is restarted knows what it did, and goes on', async () => {
  await live(400_000);
  await tuner.apply(ADVICE, 'policy', true);
  await live(20_000);
  end.abort();
  tuner = open();
  expect(changes()).toEqual([`${ADVICE} measured`]);
  over = {softnetDropsPerSecond: 0};
  await live(320_000);
  expect(changes()).toEqual([`${ADVICE} kept`]);
});

test('a look that fails changes nothing', async () => {
  await live(100_000);
  await tuner.apply(ADVICE, 'policy', true);
  over = {values: new Map()};
  await live(30_000);
  expect([writer.values.get(KNOB), changes()]).toEqual(['1250', [`${ADVICE} guarded`]]);
});
