import {readFile} from 'node:fs/promises';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {MINUTE_MS, SECOND_MS} from '../../base/units.ts';
import {StoreReader} from '../../native/binding.ts';
import {KernelReader} from '../../native/kernel.ts';
import {Collector} from '../sample/collect.io.ts';
import {type Facts, figuresOf, systemFacts} from './facts.ts';
import {type GuardLook, guardLookOf} from './guard.ts';
import {KNOBS} from './knobs.ts';
import type {TunerPorts} from './tuner.ts';

const SYS = '/proc/sys';
const SETTING_FILES = [
  `${SYS}/net/core/somaxconn`,
  `${SYS}/net/ipv4/tcp_syncookies`,
  `${SYS}/vm/swappiness`,
  `${SYS}/vm/dirty_writeback_centisecs`,
  '/sys/kernel/mm/transparent_hugepage/enabled',
];
const DEADLINE_MS = 2 * SECOND_MS;
/** Settings and mounts hardly ever change. */
const SETTINGS_AGE_MS = 5 * MINUTE_MS;
/** What nobody has asked us to hold. Files of /proc/sys are slow to read. */
const VALUES_AGE_MS = MINUTE_MS;

export interface Places {
  store: string;
  spool: string;
  /** Ports that a service of ours may want though nobody listens now. */
  ports: readonly number[];
  /** Prefix of /proc and /sys, '' on a real host. */
  root?: string;
}

type Look = Parameters<TunerPorts['look']>;

/** What rules need beyond a report: present values and settings. Counters are those of the reading behind the report. */
export class FactSource {
  readonly #places: Places;
  readonly #collector: Collector<Facts>;
  readonly #pressure: KernelReader;
  #asked: Look | null = null;
  #values = new Map<string, string>();
  #valuesAtMs = Number.NEGATIVE_INFINITY;
  #heldBefore: readonly string[] = [];
  #settings: ReadonlyMap<string, string> = new Map();
  #mounts: Facts['mounts'] = [];
  #disk: string | null = null;
  #settingsAtMs = Number.NEGATIVE_INFINITY;

  constructor(places: Places) {
    this.#places = places;
    this.#collector = new Collector('tune', DEADLINE_MS, () => this.#look());
    this.#pressure = new KernelReader([{set: 'host', subject: null}], places.root);
  }

  /**
   * @param held knobs whose values are ours: they are read in each look, so that another's hand is seen; the others once a minute.
   * @throws MailherdError NATIVE_FAILED when there is no answer in time, or an earlier look still hangs.
   */
  async look(...asked: Look): Promise<Facts> {
    this.#asked = asked;
    const collected = await this.#collector.collect();
    if (!collected.ok) throw new MailherdError('NATIVE_FAILED', {reason: collected.reason});
    return collected.value;
  }

  /** Name of the disk under the mail store; null before the first look, and when no one disk stands behind it. */
  disk(): string | null {
    return this.#disk;
  }

  /** Right after a change: pressure and stalls. @throws MailherdError NATIVE_FAILED */
  async guardLook(): Promise<GuardLook> {
    const {parts} = await this.#pressure.read();
    return guardLookOf(parts[0] ?? new Map(), systemClock.monotonic());
  }

  async #look(): Promise<Facts> {
    const [report, spans, held] = this.#asked ?? [null, null, []];
    const atMs = systemClock.monotonic();
    if (atMs - this.#settingsAtMs >= SETTINGS_AGE_MS) await this.#readSettings(atMs);
    await this.#readValues(atMs, held);
    const {kernel, queue} = report ?? {kernel: null, queue: null};
    return {
      atMs,
      values: new Map(this.#values),
      settings: this.#settings,
      mounts: this.#mounts,
      ...figuresOf(spans),
      psiIoSome10: kernel?.psiIoSome10 ?? null,
      psiIoFull10: kernel?.psiIoFull10 ?? null,
      psiMemorySome10: kernel?.psiMemorySome10 ?? null,
      runQueueWaitMsPerSecond: kernel?.runQueueWaitMsPerSecond ?? null,
      memoryTotalBytes: kernel?.memoryTotalBytes ?? null,
      diskFlushMs: kernel?.diskFlushMs ?? null,
      diskReadMs: kernel?.diskReadMs ?? null,
      ...systemFacts(report?.system, this.#places.ports),
      queueActive: queue?.active ?? null,
      queueIncoming: queue?.incoming ?? null,
    };
  }

  async #readSettings(atMs: number): Promise<void> {
    const settings = new Map<string, string>();
    for (const path of SETTING_FILES) {
      const text = await this.#text(path);
      if (text !== null) settings.set(path, text);
    }
    this.#settings = settings;
    const {store, spool} = this.#places;
    const mounts = [await this.#mount(store), await this.#mount(spool)];
    this.#mounts = mounts.flatMap(mount => (mount === null ? [] : [mount]));
    this.#disk = mounts[0]?.disk ?? null;
    this.#settingsAtMs = atMs;
  }

  /** Null when it cannot be reached: its own collector tells of that. */
  async #mount(place: string): Promise<(Facts['mounts'][number] & {disk: string | null}) | null> {
    const found = await new StoreReader(place, this.#places.root).read().catch(() => null);
    return found === null || found.type === null ? null : {place, type: found.type, options: found.options, disk: found.disk};
  }

  /** Every knob in the same form as the writer reads it. */
  async #readValues(atMs: number, held: readonly string[]): Promise<void> {
    const isDue = atMs - this.#valuesAtMs >= VALUES_AGE_MS;
    if (isDue) {
      this.#values.clear();
      this.#valuesAtMs = atMs;
    }
    // What was just given back has another value too.
    const ours = [...held, ...this.#heldBefore];
    this.#heldBefore = held;
    for (const {name, path, twinPath} of KNOBS) {
      const isOfDisk = name.endsWith('/');
      const knob = isOfDisk ? `${name}${this.#disk}` : name;
      if ((isOfDisk && this.#disk === null) || !(isDue || ours.includes(knob))) continue;
      const text = await this.#text(path.replace('*', this.#disk ?? ''));
      const twin = text === '0' && twinPath !== null ? await this.#text(twinPath) : null;
      const value = twin === null ? text : `${twin}%`;
      if (value !== null && value !== '') this.#values.set(knob, value);
      else this.#values.delete(knob);
    }
  }

  /** Blanks normalised; null for a file that this kernel, or this disk, does not have. */
  async #text(path: string): Promise<string | null> {
    try {
      return (await readFile(`${this.#places.root ?? ''}${path}`, 'utf8')).replace(/\s+/g, ' ').trim();
    } catch {
      return null;
    }
  }
}
