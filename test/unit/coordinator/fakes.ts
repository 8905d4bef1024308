import type {Clock} from '../../../base/clock.ts';
import {MailherdError} from '../../../base/errors.ts';
import type {BucketPort, Stored} from '../../../coordinator/bucket-port.ts';
import type {Log} from '../../../wire/log.ts';

export const silentLog: Log = {debug: quiet, info: quiet, warn: quiet, error: quiet};
function quiet(): undefined {
  return undefined;
}

/** Lets every promise that can go on go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve));
}

/** Time stands still until `advance`; sleepers wake in order, one after the other. */
export class FakeClock implements Clock {
  wallMs = 1_800_000_000_000;
  monotonicMs = 0;
  #sleepers: {atMs: number; wake: () => void}[] = [];

  now(): number {
    return this.wallMs;
  }

  monotonic(): number {
    return this.monotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      if (signal?.aborted === true || ms <= 0) return resolve();
      const sleeper = {atMs: this.monotonicMs + ms, wake: resolve};
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter(other => other !== sleeper);
        resolve();
      });
    });
  }

  async advance(ms: number): Promise<void> {
    await settle();
    const endMs = this.monotonicMs + ms;
    for (;;) {
      const next = this.#sleepers.filter(sleeper => sleeper.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter(sleeper => sleeper !== next);
      this.#tick(next.atMs);
      next.wake();
      await settle();
    }
    this.#tick(endMs);
    await settle();
  }

  #tick(monotonicMs: number): void {
    this.wallMs += monotonicMs - this.monotonicMs;
    this.monotonicMs = monotonicMs;
  }
}

/** A KV bucket in memory: one revision counter for all keys, compare-and-set, and faults on demand. */
export class FakeBucket<T> implements BucketPort<T> {
  readonly #clock: Clock;
  readonly rows = new Map<string, Stored<T>>();
  revision = 0;
  writes = 0;
  /** away: nothing answers. lossy: writes come through, their answers do not. hung: nothing ever answers. */
  fault: 'none' | 'away' | 'lossy' | 'hung' = 'none';

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string): Promise<Stored<T> | null> {
    await this.#weather();
    return this.rows.get(key) ?? null;
  }

  async entries(): Promise<Stored<T>[]> {
    await this.#weather();
    return [...this.rows.values()];
  }

  async create(key: string, value: T): Promise<number> {
    await this.#weather();
    const present = this.rows.get(key);
    if (present !== undefined) throw new MailherdError('STORE_CONFLICT', {key, revision: present.revision});
    return this.#write(key, value);
  }

  async update(key: string, value: T, expectedRevision: number): Promise<number> {
    await this.#weather();
    const found = this.rows.get(key)?.revision ?? 0;
    if (found !== expectedRevision) throw new MailherdError('STORE_CONFLICT', {key, expectedRevision, found});
    return this.#write(key, value);
  }

  async remove(key: string, expectedRevision: number): Promise<void> {
    await this.#weather();
    if (this.rows.get(key)?.revision !== expectedRevision) throw new MailherdError('STORE_CONFLICT', {key, expectedRevision});
    this.rows.delete(key);
  }

  #write(key: string, value: T): number {
    this.revision++;
    this.writes++;
    this.rows.set(key, {key, value: structuredClone(value), revision: this.revision, storedAtMs: this.#clock.now()});
    if (this.fault === 'lossy') throw new MailherdError('NATS_DOWN', {key});
    return this.revision;
  }

  async #weather(): Promise<void> {
    if (this.fault === 'away') throw new MailherdError('NATS_DOWN', {});
    if (this.fault === 'hung') await new Promise(() => undefined);
  }
}
