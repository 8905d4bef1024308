import type {HostPorts, SeedOffer, SeedOutcome, SeedTerms} from '../../agent/move/host-ports.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Rng} from '../../base/random.ts';
import type {SimHost} from './host.ts';
import type {World} from './world.ts';

interface Open {
  secret: string;
  terms: SeedTerms;
  /** A connection has shown the secret: no other may. */
  isTaken: boolean;
  /** The seed has come, and is being put on disk and noted. */
  storing: Promise<void> | null;
  /** And nobody has asked yet. */
  hasJustCome: boolean;
}

const PARTS = 4;
const UNFIT_SHARE = 0.1;

/** Seeds of one simulated host: part after part is written into the target, and either end may die in between. */
export class SimSeeds implements Omit<HostPorts['files'], 'persist'> {
  readonly #world: World;
  readonly #host: SimHost;
  readonly #rng: Rng;
  readonly #disk: (ms: number) => Promise<void>;
  readonly #open: Map<string, Open>;

  /** @param open offers of the agent that runs now. @param disk work on the host's disk, which never ends when the agent dies. */
  constructor(world: World, host: SimHost, rng: Rng, open: Map<string, Open>, disk: (ms: number) => Promise<void>) {
    this.#world = world;
    this.#host = host;
    this.#rng = rng;
    this.#open = open;
    this.#disk = disk;
  }

  async offer(terms: SeedTerms): Promise<SeedOffer> {
    await this.#disk(1);
    const secret = `${terms.user} ${this.#rng.below(2 ** 30)}`;
    this.#open.set(terms.user, {secret, terms, isTaken: false, storing: null, hasJustCome: false});
    return {address: this.#host.name, port: 1, secret};
  }

  async end(user: string): Promise<void> {
    const open = this.#open.get(user);
    // What has come is put on disk to the end.
    if (open?.storing === null) this.#open.delete(user);
    await open?.storing;
    this.#open.delete(user);
  }

  async hasJustCome(user: string): Promise<boolean> {
    const open = this.#open.get(user);
    if (open === undefined || !open.hasJustCome) return false;
    open.hasJustCome = false;
    return true;
  }

  async stored(user: string): Promise<void> {
    await this.#open.get(user)?.storing;
  }

  async send(
    user: string,
    {address, secret}: SeedOffer,
    _rate: number | null,
    _gone: () => void,
    signal: AbortSignal,
  ): Promise<SeedOutcome> {
    const mailbox = this.#host.mailboxes.get(user);
    if (mailbox === undefined) throw new MailherdError('COPY_FAILED', {user, reason: `no mailbox on ${this.#host.name}`});
    if (this.#rng.unit() < UNFIT_SHARE) return {kind: 'unfit', reason: 'by chance'};
    const target = this.#world.host(address);
    const {life} = target;
    const open = target.seedsOpen.get(user);
    if (open === undefined || open.secret !== secret || open.isTaken) throw new MailherdError('COPY_FAILED', {user, reason: 'refused'});
    open.isTaken = true;
    const snapshot = mailbox.clone();
    for (let part = 1; part <= PARTS; part++) {
      await endedBy(signal, this.#disk(this.#rng.between(2, 20)));
      // The connection breaks with either end, and the receiver ends it when it is told to.
      const isConnected = target.isUp && target.life === life && target.isCut === this.#host.isCut && !target.isFull;
      if (!isConnected || target.seedsOpen.get(user) !== open)
        throw new MailherdError('COPY_FAILED', {user, reason: 'the stream broke off'});
      this.#world.overwritten(user, address, snapshot);
      target.write(user, snapshot.part(part / PARTS));
    }
    open.hasJustCome = true;
    open.storing = target.storeSeed(user, snapshot, async () => {
      if (target.seedsOpen.get(user) === open) await open.terms.arrived();
      if (target.seedsOpen.get(user) === open) target.seedsOpen.delete(user);
    });
    return {kind: 'seeded', messages: snapshot.messages.size, bytes: 1};
  }
}

/** The work, unless it is broken off before. @throws MailherdError COPY_FAILED then. */
export function endedBy(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new MailherdError('COPY_FAILED', {reason: 'ended'})));
    work.then(resolve, reject);
  });
}
