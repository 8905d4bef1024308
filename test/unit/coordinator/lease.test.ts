import {describe, expect, test} from 'vitest';
import {LEASE_KEY, LeaseKeeper, type Term} from '../../../coordinator/lease.io.ts';
import {LEASE_TIMES, leftToActMs, mayTake, nextToken, sight} from '../../../coordinator/lease.ts';
import type {Lease} from '../../../wire/lease.ts';
import {FakeBucket, FakeClock, settle, silentLog} from './fakes.ts';

const held = (holder: string, revision = 7): {revision: number; value: Lease} => ({
  revision,
  value: {v: 1, holder, token: revision, beat: 0},
});

describe('lease rules', () => {
  test('an unchanged entry is taken over after the lease time by the own clock, a changed one is not', () => {
    const first = sight(null, held('a'), 1_000);
    const same = sight(first, held('a'), 9_000);
    expect(mayTake(same, 1_000 + LEASE_TIMES.leaseMs - 1, LEASE_TIMES)).toBe(false);
    expect(mayTake(same, 1_000 + LEASE_TIMES.leaseMs, LEASE_TIMES)).toBe(true);
    const renewed = sight(same, held('a', 8), 10_500);
    expect(mayTake(renewed, 1_000 + LEASE_TIMES.leaseMs, LEASE_TIMES)).toBe(false);
  });

  test('nobody or a holder that gave it back need not be waited for', () => {
    expect(mayTake(null, 0, LEASE_TIMES)).toBe(true);
    expect(mayTake(sight(null, held(''), 0), 0, LEASE_TIMES)).toBe(true);
  });

  test('a holder stops before anyone may take over', () => {
    const stopsAtMs = 500 + leftToActMs(500, 500, LEASE_TIMES);
    expect(stopsAtMs).toBeLessThan(500 + LEASE_TIMES.leaseMs);
    expect(LEASE_TIMES.renewMs * 2).toBeLessThan(LEASE_TIMES.leaseMs - LEASE_TIMES.marginMs);
  });
});

class Candidate {
  readonly stop = new AbortController();
  readonly keeper: LeaseKeeper;
  readonly terms: Term[] = [];
  readonly running: Promise<void>;

  constructor(holder: string, bucket: FakeBucket<Lease>, clock: FakeClock) {
    this.keeper = new LeaseKeeper({bucket, holder, clock, log: silentLog});
    this.running = this.keeper.run(this.stop.signal, async term => {
      this.terms.push(term);
      await new Promise<void>(resolve => term.signal.addEventListener('abort', () => resolve()));
    });
  }

  leads(): boolean {
    return this.keeper.term() !== null;
  }
}

function two(): {clock: FakeClock; bucket: FakeBucket<Lease>; a: Candidate; b: Candidate} {
  const clock = new FakeClock();
  const bucket = new FakeBucket<Lease>(clock);
  return {clock, bucket, a: new Candidate('a', bucket, clock), b: new Candidate('b', bucket, clock)};
}

describe('lease keeper', () => {
  test('one of two leads, its token is the time of the take, and it goes on for long', async () => {
    const {clock, bucket, a, b} = two();
    await clock.advance(120_000);
    expect([a.terms.length, b.terms.length]).toEqual([1, 0]);
    const [{token} = {token: 0}] = a.terms;
    expect(token).toBe(1_800_000_000_000);
    expect(bucket.rows.get(LEASE_KEY)?.value).toMatchObject({holder: 'a', token});
    expect(b.keeper.leader()).toEqual({holder: 'a', token});
  });

  test('given back on an orderly end: the next leads within a renewal, with a greater token', async () => {
    const {clock, a, b} = two();
    await clock.advance(10_000);
    a.stop.abort();
    await a.running;
    await clock.advance(LEASE_TIMES.renewMs);
    expect(b.leads()).toBe(true);
    expect(b.terms[0]?.token).toBeGreaterThan(a.terms[0]?.token ?? Infinity);
  });

  test.each(['away', 'hung'] as const)('a leader whose store is %s stops before another may lead', async fault => {
    const clock = new FakeClock();
    const bucket = new FakeBucket<Lease>(clock);
    const a = new Candidate('a', bucket, clock);
    await clock.advance(5_000);
    bucket.fault = fault;
    await clock.advance(LEASE_TIMES.leaseMs - LEASE_TIMES.marginMs);
    expect(a.terms[0]?.signal.aborted).toBe(true);
    expect(a.leads()).toBe(false);
  });

  test('never do two lead at once when the store comes and goes', async () => {
    const {clock, bucket, a, b} = two();
    const faults = ['none', 'away', 'lossy', 'none', 'lossy', 'away', 'away', 'none'] as const;
    for (let step = 0; step < 400; step++) {
      bucket.fault = faults[Math.floor(step / 7) % faults.length] ?? 'none';
      await clock.advance(500);
      expect([a.leads(), b.leads()].filter(Boolean).length).toBeLessThan(2);
    }
    const tokens = [...a.terms, ...b.terms].map(term => term.token);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens.length).toBeGreaterThan(1);
  });

  test('a renewal whose answer got lost does not end the term', async () => {
    const clock = new FakeClock();
    const bucket = new FakeBucket<Lease>(clock);
    const a = new Candidate('a', bucket, clock);
    await clock.advance(3_000);
    bucket.fault = 'lossy';
    await clock.advance(3_000);
    bucket.fault = 'none';
    await clock.advance(30_000);
    expect(a.terms.length).toBe(1);
    expect(a.leads()).toBe(true);
  });

  test.each(['lost', 'older'] as const)('a store that is %s gives no token that hosts have seen the like of', async fate => {
    const clock = new FakeClock();
    const bucket = new FakeBucket<Lease>(clock);
    await bucket.create(LEASE_KEY, {v: 1, holder: 'z', token: 0, beat: 0});
    const before = bucket.rows.get(LEASE_KEY);
    const first = new Candidate('a', bucket, clock);
    await clock.advance(60_000);
    first.stop.abort();
    await first.running;
    bucket.rows.clear();
    if (fate === 'lost') bucket.revision = 0;
    else if (before !== undefined) bucket.rows.set(LEASE_KEY, before);
    const second = new Candidate('b', bucket, clock);
    await clock.advance(30_000);
    expect(second.terms[0]?.token).toBeGreaterThan(first.terms[0]?.token ?? Infinity);
  });

  test('where clocks were set back a token is still greater than the one before, of an older release too', async () => {
    const clock = new FakeClock();
    const bucket = new FakeBucket<Lease>(clock);
    const first = new Candidate('a', bucket, clock);
    await clock.advance(10_000);
    clock.wallMs -= 86_400_000;
    first.stop.abort();
    await first.running;
    const second = new Candidate('b', bucket, clock);
    await clock.advance(10_000);
    expect(second.terms[0]?.token).toBe((first.terms[0]?.token ?? 0) + 1);
    expect(nextToken({revision: 41, lease: {v: 1, holder: 'old', token: 0, beat: 0}, sinceMs: 0}, 0)).toBe(42);
  });

  test('a lease taken by another ends the term at the next renewal', async () => {
    const clock = new FakeClock();
    const bucket = new FakeBucket<Lease>(clock);
    const a = new Candidate('a', bucket, clock);
    await clock.advance(3_000);
    await bucket.update(LEASE_KEY, {v: 1, holder: 'z', token: 0, beat: 0}, bucket.revision);
    await clock.advance(LEASE_TIMES.renewMs);
    await settle();
    expect(a.terms[0]?.signal.aborted).toBe(true);
    expect(bucket.rows.get(LEASE_KEY)?.value.holder).toBe('z');
  });
});
