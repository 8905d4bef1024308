import type {Clock} from '../base/clock.ts';
import {MailherdError} from '../base/errors.ts';
import type {Millis} from '../base/units.ts';
import type {Lease} from '../wire/lease.ts';
import type {Log} from '../wire/log.ts';
import type {BucketPort} from './bucket-port.ts';
import {
  isOurTerm,
  LEASE_TIMES,
  type LeaseTimes,
  leaseEntry,
  leftToActMs,
  mayTake,
  nextToken,
  type Sighting,
  sight,
  tokenOf,
} from './lease.ts';

export const LEASE_KEY = 'leader';

/** One term of leading. When `signal` aborts, everything done under `token` must stop. */
export interface Term {
  token: number;
  signal: AbortSignal;
}

export interface LeaseDeps {
  bucket: BucketPort<Lease>;
  /** Shown to others as the leader's name. */
  holder: string;
  clock: Clock;
  log: Log;
  times?: LeaseTimes;
}

/** Runs for the lease, leads while it has it, runs again. Shell of lease.ts. */
export class LeaseKeeper {
  readonly #deps: LeaseDeps;
  readonly #times: LeaseTimes;
  #seen: Sighting | null = null;
  #term: Term | null = null;

  constructor(deps: LeaseDeps) {
    this.#deps = deps;
    this.#times = deps.times ?? LEASE_TIMES;
  }

  /** The running term of this process, or null when another leads. */
  term(): Term | null {
    return this.#term === null || this.#term.signal.aborted ? null : this.#term;
  }

  /** Who leads as far as this process knows; null when nobody does. */
  leader(): {holder: string; token: number} | null {
    if (this.#seen === null || this.#seen.lease.holder === '') return null;
    return {holder: this.#seen.lease.holder, token: tokenOf(this.#seen)};
  }

  /**
   * Until `signal` aborts: waits for the lease, calls `lead` with each term and awaits it before running again. Gives the lease back
   * when `lead` returns or the signal aborts, so that the next leader need not wait. @throws whatever `lead` throws.
   */
  async run(signal: AbortSignal, lead: (term: Term) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      const taken = await this.#take(signal);
      if (taken === null) return;
      await this.#lead(taken, signal, lead);
    }
  }

  async #take(signal: AbortSignal): Promise<{token: number; atMs: Millis} | null> {
    const {bucket, clock, holder, log} = this.#deps;
    while (!signal.aborted) {
      const atMs = clock.monotonic();
      try {
        this.#seen = sight(this.#seen, await bucket.get(LEASE_KEY), clock.monotonic());
        if (mayTake(this.#seen, clock.monotonic(), this.#times)) {
          const seen = this.#seen;
          const token = nextToken(seen, clock.now());
          const entry = leaseEntry(holder, token, 0);
          const takeMs = clock.monotonic();
          const revision = await (seen === null ? bucket.create(LEASE_KEY, entry) : bucket.update(LEASE_KEY, entry, seen.revision));
          this.#seen = {revision, lease: entry, sinceMs: takeMs};
          return {token, atMs: takeMs};
        }
      } catch (error) {
        // Lost the race, or NATS is away: look again. A take whose answer got lost is another's term to us, and runs out.
        log.debug({error: String(error)}, 'lease not taken');
      }
      await clock.sleep(Math.max(0, this.#times.renewMs - (clock.monotonic() - atMs)), signal);
    }
    return null;
  }

  async #lead(taken: {token: number; atMs: Millis}, outer: AbortSignal, lead: (term: Term) => Promise<void>): Promise<void> {
    const {clock, log} = this.#deps;
    const stop = new AbortController();
    const onOuter = (): void => stop.abort();
    outer.addEventListener('abort', onOuter);
    const term: Term = {token: taken.token, signal: stop.signal};
    this.#term = term;
    log.info({token: term.token}, 'leading');
    const renewal = this.#renew(term, taken.atMs, stop);
    try {
      await lead(term);
    } finally {
      stop.abort();
      outer.removeEventListener('abort', onOuter);
      const isHeld = await renewal;
      this.#term = null;
      if (isHeld) await this.#giveBack(term.token);
      log.info({token: term.token, at: clock.now()}, 'no longer leading');
    }
  }

  /** @returns true when the lease was still held when the term was told to stop. */
  async #renew(term: Term, takenAtMs: Millis, stop: AbortController): Promise<boolean> {
    const {clock, log} = this.#deps;
    let renewedAtMs = takenAtMs;
    for (let beat = 1; !term.signal.aborted; beat++) {
      const startMs = clock.monotonic();
      const leftMs = leftToActMs(renewedAtMs, startMs, this.#times);
      const outcome = leftMs <= 0 ? 'over' : await Promise.race([this.#beat(term.token, beat), this.#over(leftMs, term.signal)]);
      if (outcome === 'lost' || (outcome === 'over' && !term.signal.aborted)) {
        log.error({token: term.token, because: outcome}, 'lease lost');
        stop.abort();
        return false;
      }
      if (outcome === 'renewed') renewedAtMs = startMs;
      const restMs = leftToActMs(renewedAtMs, clock.monotonic(), this.#times);
      await clock.sleep(Math.max(0, Math.min(this.#times.renewMs, restMs)), term.signal);
    }
    return true;
  }

  async #over(leftMs: Millis, signal: AbortSignal): Promise<'over'> {
    await this.#deps.clock.sleep(leftMs, signal);
    return 'over';
  }

  async #beat(token: number, beat: number): Promise<'renewed' | 'lost' | 'unsure'> {
    const {bucket, holder, clock, log} = this.#deps;
    if (this.#seen === null) return 'lost';
    const entry = leaseEntry(holder, token, beat);
    try {
      const revision = await bucket.update(LEASE_KEY, entry, this.#seen.revision);
      this.#seen = {revision, lease: entry, sinceMs: clock.monotonic()};
      return 'renewed';
    } catch (error) {
      if (!(error instanceof MailherdError && error.code === 'STORE_CONFLICT')) {
        log.warn({error: String(error)}, 'lease not renewed');
        return 'unsure';
      }
    }
    return this.#reread(token);
  }

  /** After a conflict: either our own earlier renewal came through unheard, or another has taken the lease. */
  async #reread(token: number): Promise<'lost' | 'unsure'> {
    const {bucket, holder, clock, log} = this.#deps;
    try {
      this.#seen = sight(this.#seen, await bucket.get(LEASE_KEY), clock.monotonic());
    } catch (error) {
      log.warn({error: String(error)}, 'lease not read');
      return 'unsure';
    }
    if (this.#seen === null) return 'lost';
    return isOurTerm(this.#seen.lease, holder, token) ? 'unsure' : 'lost';
  }

  async #giveBack(token: number): Promise<void> {
    const {bucket, clock, log} = this.#deps;
    if (this.#seen === null) return;
    const entry = leaseEntry('', token, 0);
    const deadline = new AbortController();
    const written = bucket.update(LEASE_KEY, entry, this.#seen.revision).then(
      revision => {
        this.#seen = {revision, lease: entry, sinceMs: clock.monotonic()};
      },
      error => log.debug({error: String(error)}, 'lease not given back; it runs out'),
    );
    await Promise.race([written, clock.sleep(this.#times.marginMs, deadline.signal)]);
    deadline.abort();
  }
}
