import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {HostSampler, type QueueWalk, QueueWalker, readStore, type Store} from '../../native/binding.ts';
import type {Kernel} from '../../wire/kernel.ts';
import {type Collected, Collector} from './collect.io.ts';
import {kernelOf, type Moment} from './rates.ts';

const HOST_DEADLINE_MS = 500;
const STORE_DEADLINE_MS = 1_000;
/** The walk ends itself before its deadline: what it has counted by then is worth more than nothing. */
const WALK_BUDGET_MS = 500;
const WALK_DEADLINE_MS = 3_000;
/** A hundred a minute tell where the mail goes. */
const OPENS_MAX = 16;
/** Rates over more than this many intervals say nothing about any of them. */
const GAP_INTERVALS_MAX = 3;

/** One interval's figures of the kernel, the file system and the queue; null = that collector failed, with its reason. */
export interface HostFigures {
  kernel: Kernel | null;
  store: Store | null;
  queue: QueueWalk | null;
  failing: Record<string, string>;
}

interface Places {
  /** Where the mailboxes lie, or on a host without what its disk is judged by. */
  store: string;
  /** Postfix's queue directory; null on a host without. */
  spool: string | null;
  intervalMs: Millis;
  /** Prefix of /proc and /sys, '' on a real host. */
  root?: string;
}

/** The native collectors of one host, each with a deadline of its own. */
export class HostSource {
  readonly #gapMsMax: Millis;
  readonly #host: Collector<Moment & {gaps: string[]}>;
  readonly #store: Collector<Store>;
  readonly #queue: Collector<QueueWalk> | null;
  #disk: string | null = null;
  #before: Moment | null = null;

  constructor({store, spool, intervalMs, root = ''}: Places) {
    const sampler = new HostSampler(root);
    this.#gapMsMax = GAP_INTERVALS_MAX * intervalMs;
    this.#host = new Collector('host', HOST_DEADLINE_MS, async () => {
      const {values, gaps} = await sampler.sample(this.#disk);
      // A file that this kernel does not have is no failure; one that cannot be understood is.
      const odd = gaps.filter(gap => gap.code !== 'ENOENT' && gap.code !== 'EOPNOTSUPP');
      return {values, atMs: systemClock.monotonic(), gaps: odd.map(gap => `${gap.op} ${gap.path}: ${gap.code}`)};
    });
    this.#store = new Collector('store', STORE_DEADLINE_MS, () => readStore(store, root));
    const walker = spool === null ? null : new QueueWalker(spool);
    this.#queue = walker === null ? null : new Collector('queue', WALK_DEADLINE_MS, () => walker.walk('rotate', WALK_BUDGET_MS, OPENS_MAX));
  }

  get collectors(): readonly Collector<unknown>[] {
    return [this.#store, this.#host, ...(this.#queue === null ? [] : [this.#queue])];
  }

  /** Never rejects; takes no longer than the longest deadline. */
  async sample(): Promise<HostFigures> {
    const failing: Record<string, string> = {};
    const note = <T>(name: string, collected: Collected<T> | null): T | null => {
      if (collected === null) return null;
      if (collected.ok) return collected.value;
      failing[name] = collected.reason;
      return null;
    };
    // One after the other: parallel reads of /proc contend in the kernel and make the machine look busy.
    const store = note('store', await this.#store.collect());
    if (store !== null && store.disk !== this.#disk) {
      this.#disk = store.disk;
      // Counters of another disk do not go on from those of the former one.
      this.#before = null;
    }
    const moment = note('host', await this.#host.collect());
    const queue = note('queue', (await this.#queue?.collect()) ?? null);
    if (moment !== null && moment.gaps.length > 0) failing.kernel = moment.gaps.join('; ').slice(0, 200);
    const kernel = moment === null ? null : kernelOf(this.#before, moment, this.#gapMsMax);
    if (moment !== null) this.#before = moment;
    return {kernel, store, queue, failing};
  }
}
