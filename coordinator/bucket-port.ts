import type {Instant} from '../base/units.ts';

export interface Stored<T> {
  key: string;
  value: T;
  revision: number;
  /** The NATS server's timestamp. */
  storedAtMs: Instant;
}

/** A KV bucket as the coordinator uses it; real: wire/bucket.io.ts. Errors are MailherdError STORE_CONFLICT and NATS_DOWN. */
export interface BucketPort<T> {
  get(key: string): Promise<Stored<T> | null>;
  /** @returns the revision. @throws STORE_CONFLICT when the key exists. */
  create(key: string, value: T): Promise<number>;
  /** @returns the revision. @throws STORE_CONFLICT when the newest revision is another. */
  update(key: string, value: T, expectedRevision: number): Promise<number>;
}
