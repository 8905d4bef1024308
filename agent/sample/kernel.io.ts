import {systemClock} from '../../base/clock.io.ts';
import type {Millis} from '../../base/units.ts';
import {type Store, StoreReader} from '../../native/binding.ts';
import {
  type KernelPart,
  KernelReader,
  type KernelValues,
  ListenReader,
  PortReader,
  readProcessUse,
  schedulerOf,
} from '../../native/kernel.ts';
import type {Kernel, System} from '../../wire/kernel.ts';
import {type Collected, Collector} from './collect.io.ts';
import {type MailGroup, mailGroups} from './groups.io.ts';
import {kernelOf} from './rates.ts';
import {type Counters, type KernelSpans, type Moment, Span} from './span.ts';
import {
  diskOf,
  fileSystemOf,
  filesOf,
  lackingOf,
  limitsOf,
  listenersOf,
  memoryOf,
  networkOf,
  outboundOf,
  processorOf,
  serviceOf,
} from './system.ts';
import {type Dear, SUMMED_EVERY} from './turns.ts';

const DEADLINE_MS = 500;
/** The dearest look at many processes' descriptors: it ends itself before its deadline, with what it has. */
const FILES_BUDGET_MS = 50;
const FILE_SYSTEM_DEADLINE_MS = 1_000;
/** Rates over more than this many readings say nothing about any of them. */
const GAP_READINGS_MAX = 3;
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'EOPNOTSUPP']);
/** A control group that ended with its service; its successor's files are opened at the next reading. */
const GONE = 'ENODEV';

interface Reading {
  atMs: Millis;
  parts: KernelValues[];
}

/** One interval's figures of the kernel; null = its collector failed, with the reason in `failing`. */
export interface KernelFigures {
  kernel: Kernel | null;
  system: System;
  /** What they were made of; null with `kernel`. */
  spans: KernelSpans | null;
}

interface Options {
  intervalMs: Millis;
  /** Postfix's queue directory; null on a host without. */
  spool: string | null;
  /** Prefix of /proc and /sys, '' on a real host. */
  root: string;
  /** Addresses of the farm's own hosts, as far as they are known. */
  farm: () => readonly string[];
  /** base_dir of Dovecot; '' as usual. */
  dovecotRun: string;
  /** There is a mail store beside the queue. */
  hasStore: boolean;
}

/** The native collectors of what the kernel says, each with a deadline of its own. The dear ones take turns. */
export class KernelSource {
  readonly #root: string;
  readonly #farm: Options['farm'];
  readonly #hasStore: boolean;
  readonly #gapMsMax: Millis;
  /** What this host cannot say, gathered since it was last told. */
  readonly #lacking = new Map<string, string>();
  #odd: string[] = [];
  readonly #host: Collector<Reading>;
  readonly #summed: Collector<Reading>;
  readonly #listeners: Collector<Awaited<ReturnType<ListenReader['read']>>>;
  readonly #ports: Collector<Pick<System, 'outbound' | 'connections'>>;
  readonly #limits: Collector<Reading>;
  readonly #services: Collector<Reading & {groups: MailGroup[]}>;
  readonly #files: Collector<System['files'] | null>;
  readonly #queueStore: Collector<Store> | null;
  readonly #setup: Collector<NonNullable<System['setup']>>;
  #store: Store | null = null;
  #reader: KernelReader | null = null;
  #before: Moment | null = null;
  #summedReader: KernelReader | null = null;
  #summedBefore: Moment | null = null;
  /** Of its last turn. */
  #summedSpan: Span | null = null;
  #limitValues: Counters = new Map();
  #groups: MailGroup[] = [];
  #groupReader: KernelReader | null = null;
  #groupsBefore: {atMs: Millis; parts: Map<string, Counters>} | null = null;
  #queue: Store | null = null;

  constructor({intervalMs, spool, root, farm, hasStore, dovecotRun}: Options) {
    this.#root = root;
    this.#hasStore = hasStore;
    this.#farm = farm;
    this.#gapMsMax = GAP_READINGS_MAX * intervalMs;
    const limits = new KernelReader([{set: 'limits', subject: null}], root);
    const listeners = new ListenReader(dovecotRun);
    const ports = new PortReader();
    const queueStore = spool === null ? null : new StoreReader(spool, root);
    this.#host = new Collector('host', DEADLINE_MS, () => this.#readHost());
    this.#summed = new Collector('summed', DEADLINE_MS, () => this.#readSummed());
    this.#listeners = new Collector('listeners', DEADLINE_MS, () => listeners.read());
    this.#limits = new Collector('limits', DEADLINE_MS, () => this.#read(limits));
    this.#ports = new Collector('ports', DEADLINE_MS, () => this.#readPorts(ports));
    this.#services = new Collector('services', DEADLINE_MS, () => this.#readGroups());
    this.#files = new Collector('files', DEADLINE_MS, () => this.#readFiles());
    this.#queueStore = queueStore === null ? null : new Collector('queueFileSystem', FILE_SYSTEM_DEADLINE_MS, () => queueStore.read());
    this.#setup = new Collector('setup', DEADLINE_MS, () => this.#readSetup());
  }

  get collectors(): readonly Collector<unknown>[] {
    const all = [this.#host, this.#summed, this.#listeners, this.#ports, this.#limits, this.#services, this.#files, this.#setup];
    return this.#queueStore === null ? all : [...all, this.#queueStore];
  }

  /**
   * Never rejects. What is read in every interval is begun at once and shares a thread (`inLine`), the rest comes one after the other:
   * parallel reads of /proc contend in the kernel and make the machine look busy.
   * @param storeRead the mail store's file system, whose disk is looked at from then on; null when it is not known now.
   * @param turns the dear sources whose turn it is.
   * @param failing takes the reasons of collectors that gave nothing.
   */
  async sample(storeRead: Promise<Store | null>, turns: ReadonlySet<Dear>, failing: Record<string, string>): Promise<KernelFigures> {
    const note = async <T>(collector: Collector<T> | null): Promise<T | null> => {
      const collected: Collected<T> | null = (await collector?.collect()) ?? null;
      if (collected === null || collected.ok) return collected?.value ?? null;
      failing[collector?.name ?? ''] = collected.reason;
      return null;
    };
    this.#odd = [];
    if (this.#store === null) this.#look(await storeRead);
    const isTurn = turns.has('summed');
    const [reading, summed, listeners, store] = await Promise.all([
      note(this.#host),
      isTurn ? note(this.#summed) : null,
      note(this.#listeners),
      storeRead,
    ]);
    const system: System = {};
    if (isTurn) this.#takeSummed(summed);
    const spans = reading === null ? null : this.#spans(reading);
    const kernel = spans === null ? null : this.#kernel(spans, system);
    // What was killed is told once, rates are those of the last turn until the next.
    if (kernel !== null && !isTurn) kernel.oomKills = null;
    this.#look(store);
    if (listeners !== null) system.listeners = listenersOf(listeners);
    if (turns.has('limits')) this.#takeLimits(await note(this.#limits), system);
    if (turns.has('outbound')) Object.assign(system, await note(this.#ports));
    if (turns.has('services')) this.#takeServices(await note(this.#services), system);
    const files = turns.has('files') ? await note(this.#files) : null;
    if (files) system.files = files;
    if (turns.has('queueFileSystem') || (turns.has('setup') && this.#queue === null)) this.#takeQueue(await note(this.#queueStore), system);
    const setup = turns.has('setup') ? await note(this.#setup) : null;
    if (setup !== null) system.setup = setup;
    if (turns.has('lacking')) {
      system.lacking = lackingOf(this.#lacking);
      this.#lacking.clear();
    }
    if (this.#odd.length > 0) failing.kernel = this.#odd.join('; ').slice(0, 200);
    return {kernel, system, spans};
  }

  /** Another disk: its counters do not go on from those of the former one. */
  #look(store: Store | null): void {
    if (store === null) return;
    if (store.disk !== this.#store?.disk || store.device !== this.#store.device) {
      this.#reader = null;
      this.#before = null;
      this.#summedReader = null;
    }
    this.#store = store;
  }

  #takeSummed(reading: Reading | null): void {
    const moment = reading === null ? null : momentOf(reading);
    this.#summedSpan = moment === null ? null : new Span(this.#summedBefore, moment, SUMMED_EVERY * this.#gapMsMax);
    this.#summedBefore = moment;
  }

  #spans(reading: Reading): KernelSpans {
    const moment = momentOf(reading);
    const host = new Span(this.#before, moment, this.#gapMsMax);
    this.#before = moment;
    return {host, summed: this.#summedSpan, limits: this.#limitValues};
  }

  #kernel(spans: KernelSpans, system: System): Kernel {
    system.processor = processorOf(spans.host);
    system.memory = memoryOf(spans);
    system.disk = diskOf(spans);
    system.network = networkOf(spans);
    return kernelOf(spans);
  }

  #readHost(): Promise<Reading> {
    this.#reader ??= new KernelReader(hostParts(this.#store), this.#root);
    return this.#read(this.#reader);
  }

  #readSummed(): Promise<Reading> {
    this.#summedReader ??= new KernelReader(summedParts(this.#store), this.#root);
    return this.#read(this.#summedReader);
  }

  async #read(reader: KernelReader): Promise<Reading> {
    const {parts, gaps} = await reader.read();
    for (const {code, op, path} of gaps) {
      const name = path.slice(this.#root.length);
      // A file that this kernel does not have is no failure; one that cannot be read or understood is.
      if (ABSENT.has(code)) this.#lacking.set(name, code);
      else if (code !== GONE) this.#odd.push(`${op} ${name}: ${code}`);
    }
    return {parts, atMs: systemClock.monotonic()};
  }

  async #readPorts(ports: PortReader): Promise<Pick<System, 'outbound' | 'connections'>> {
    const [first, last] = ['portFirst', 'portLast'].map(name => Number(this.#limitValues.get(name) ?? 0));
    if (!first || !last || first > last) return {};
    const use = await ports.read(first, last, this.#farm());
    return {outbound: outboundOf(use, first, last), connections: use.states};
  }

  #takeLimits(reading: Reading | null, system: System): void {
    const values = reading?.parts[0];
    if (values === undefined) return;
    this.#limitValues = values;
    system.limits = limitsOf(values);
  }

  async #readGroups(): Promise<Reading & {groups: MailGroup[]}> {
    const groups = await mailGroups(this.#root);
    if (groups.length === 0) this.#lacking.set('services', 'no control group of Postfix or Dovecot');
    else this.#lacking.delete('services');
    if (groups.length === 0) this.#groupReader = null;
    else if (this.#groupReader === null || groups.map(({path}) => path).join() !== this.#groups.map(({path}) => path).join()) {
      this.#groupReader = new KernelReader(
        groups.map(({path}) => ({set: 'group', subject: path})),
        this.#root,
      );
    }
    this.#groups = groups;
    const reading = this.#groupReader === null ? {parts: [], atMs: systemClock.monotonic()} : await this.#read(this.#groupReader);
    return {...reading, groups};
  }

  #takeServices(reading: (Reading & {groups: MailGroup[]}) | null, system: System): void {
    if (reading === null || reading.groups.length === 0) return;
    const {atMs, groups} = reading;
    const before = this.#groupsBefore;
    const parts = new Map(groups.map(({name}, at) => [name, reading.parts[at] as Counters]));
    system.services = Object.fromEntries(
      [...parts].map(([name, values]) => {
        const former = before?.parts.get(name);
        const moment = former === undefined || before === null ? null : {values: former, atMs: before.atMs};
        return [name, serviceOf(values, new Span(moment, {values, atMs}, Number.POSITIVE_INFINITY))];
      }),
    );
    this.#groupsBefore = {atMs, parts};
  }

  async #readFiles(): Promise<System['files'] | null> {
    const groups = this.#groups;
    if (groups.length === 0) return null;
    const use = await readProcessUse(
      groups.map(({path}) => `/sys/fs/cgroup/${path}`),
      FILES_BUDGET_MS,
      this.#root,
    );
    return filesOf(
      groups.map(({name}) => name),
      use,
      this.#limitValues,
    );
  }

  #takeQueue(queue: Store | null, system: System): void {
    if (queue === null) return;
    this.#queue = queue;
    const {totalBytes, freeBytes, freeInodes} = queue;
    const isOther = !this.#hasStore || queue.device !== this.#store?.device || totalBytes !== this.#store?.totalBytes;
    if (isOther) system.queueFileSystem = {totalBytes, freeBytes, freeInodes};
  }

  async #readSetup(): Promise<NonNullable<System['setup']>> {
    const setup: NonNullable<System['setup']> = {};
    for (const [name, store] of [
      ['store', this.#store],
      ['queue', this.#queue],
    ] as const) {
      if (store === null) continue;
      const [queue] = (await this.#read(new KernelReader([{set: 'blockQueue', subject: store.disk}], this.#root))).parts;
      if (queue !== undefined) setup[name] = fileSystemOf(store, queue, schedulerOf(queue.get('scheduler')));
    }
    return setup;
  }
}

/** Of each value what the first part knows. */
function momentOf({atMs, parts}: Reading): Moment {
  const get = (name: string): bigint | undefined => {
    for (const part of parts) {
      const value = part.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  return {atMs, values: {get}};
}

/** What is read in every interval. */
function hostParts(store: Store | null): KernelPart[] {
  const parts: KernelPart[] = [{set: 'host', subject: store?.disk ?? null}];
  if (store?.device && (store.type === 'ext4' || store.type === 'xfs')) parts.push({set: store.type, subject: store.device});
  return parts;
}

/** What is read in one interval of `SUMMED_EVERY`. */
function summedParts(store: Store | null): KernelPart[] {
  const ofFileSystem: KernelPart[] = store?.device && store.type === 'ext4' ? [{set: 'ext4Past', subject: store.device}] : [];
  return [{set: 'summed', subject: null}, ...ofFileSystem];
}
