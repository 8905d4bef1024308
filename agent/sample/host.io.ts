import type {Millis} from '../../base/units.ts';
import {type QueueWalk, QueueWalker, type Store, StoreReader} from '../../native/binding.ts';
import {type Collected, Collector} from './collect.io.ts';
import {type KernelFigures, KernelSource} from './kernel.io.ts';
import {followTrouble} from './queue-figures.ts';
import {HereSample, type QueueHere} from './queue-here.ts';
import {ALL_TURNS, turnsOf} from './turns.ts';

const STORE_DEADLINE_MS = 1_000;
/** The walk ends itself before its deadline: what it has counted by then is worth more than nothing. */
const WALK_BUDGET_MS = 500;
const WALK_DEADLINE_MS = 3_000;
/** Of each queue; a hundred a minute tell where the mail goes. */
const SAMPLES_MAX = 16;

/** One interval's figures of the kernel, the file system and the queue; null = that collector failed, with its reason. */
export interface HostFigures extends KernelFigures {
  store: Store | null;
  queue: QueueWalk | null;
  /** Of the queue, what waits for this host; null when that is not known. */
  here: QueueHere | null;
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
  /** base_dir of Dovecot; '' as usual. */
  dovecotRun?: string;
  /** Addresses of the farm's own hosts, as far as they are known. */
  farm?: () => readonly string[];
  /** Whether mail for a recipient waits for this host; null: not known. */
  isHere?: (recipient: string) => boolean | null;
}

/** The native collectors of one host, each with a deadline of its own. */
export class HostSource {
  readonly #kernel: KernelSource;
  readonly #store: Collector<Store>;
  readonly #queue: Collector<QueueWalk> | null;
  #lastWalk: QueueWalk | null = null;
  readonly #hereSample = new HereSample();
  readonly #isHere: (recipient: string) => boolean | null;
  #here: QueueHere | null = null;
  #listingsWrong = 0;
  #round = 0;

  constructor({store, spool, intervalMs, root = '', dovecotRun = '', farm = () => [], isHere = () => null}: Places) {
    this.#isHere = isHere;
    this.#kernel = new KernelSource({intervalMs, spool, root, farm, dovecotRun, hasStore: store !== spool});
    const reader = new StoreReader(store, root);
    this.#store = new Collector('store', STORE_DEADLINE_MS, () => reader.read());
    const walker = spool === null ? null : new QueueWalker(spool);
    this.#queue =
      walker === null ? null : new Collector('queue', WALK_DEADLINE_MS, () => walker.walk('rotate', WALK_BUDGET_MS, SAMPLES_MAX));
  }

  /** While the walk rests, the last one stands for it; the messages that it opened are counted once. */
  async #walk(
    note: <T>(name: string, collected: Collected<T> | null) => T | null,
    failing: Record<string, string>,
  ): Promise<QueueWalk | null> {
    const collected = (await this.#queue?.collect()) ?? null;
    const last = this.#lastWalk;
    if (this.#queue?.rests && last !== null) return {...last, samples: []};
    this.#lastWalk = note('queue', collected);
    this.#here = this.#lastWalk === null ? null : this.#hereSample.add(this.#lastWalk, this.#isHere);
    if (this.#lastWalk !== null) {
      const trouble = followTrouble(this.#lastWalk, this.#listingsWrong);
      if (trouble !== null) failing.queueFollowing = trouble;
      this.#listingsWrong = this.#lastWalk.listingsWrong;
    }
    return this.#lastWalk;
  }

  get collectors(): readonly Collector<unknown>[] {
    return [this.#store, ...this.#kernel.collectors, ...(this.#queue === null ? [] : [this.#queue])];
  }

  /**
   * Never rejects; each source takes no longer than its deadline.
   * @param isWhole the dear sources too, whose turn it is not.
   */
  async sample(isWhole = false): Promise<HostFigures> {
    const failing: Record<string, string> = {};
    const note = <T>(name: string, collected: Collected<T> | null): T | null => {
      if (collected === null) return null;
      if (collected.ok) return collected.value;
      failing[name] = collected.reason;
      return null;
    };
    const store = this.#store.collect().then(collected => note('store', collected));
    const kernel = await this.#kernel.sample(store, isWhole ? ALL_TURNS : turnsOf(this.#round++), failing);
    const queue = await this.#walk(note, failing);
    return {...kernel, store: await store, queue, here: this.#here, failing};
  }
}
