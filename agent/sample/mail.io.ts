import {systemClock} from '../../base/clock.io.ts';
import {HOUR_MS, type Millis, SECOND_MS} from '../../base/units.ts';
import {countPostfixProcesses, type QueueWalk} from '../../native/binding.ts';
import type {LogFigures, MailFigures, ServiceFigures} from '../../wire/mail-figures.ts';
import {domainOf} from '../../wire/schema.ts';
import {socketMover} from '../mover/client.io.ts';
import {Collector} from './collect.io.ts';
import {DestinationSample} from './destinations.ts';
import {DovecotStatus} from './dovecot.io.ts';
import {addRequest, DUMP_REQUEST, Latencies, metricsFor, missingMetrics} from './dovecot-metrics.ts';
import {type PostfixSettings, readPostfixSettings} from './postfix.io.ts';
import {queueBytesOf, queueFiguresOf} from './queue-figures.ts';
import {dovecotServices, postfixServices} from './services.ts';

const DEADLINE_MS = 2_200;
const SETTINGS_DEADLINE_MS = 10 * SECOND_MS;
/** Processes are counted this often, and so many at most. */
const SERVICES_EVERY_MS = 30 * SECOND_MS;
const PROCESSES_MAX = 2_000;
const SETTINGS_EVERY_MS = HOUR_MS;

interface MailPlaces {
  /** queue_directory of Postfix. */
  spool: string;
  /** base_dir of Dovecot. */
  dovecotRun: string;
  /** A probe mailbox that is not below the agents' own domain; null: there is none. */
  probeUser: string | null;
}

/** A source that is asked more rarely than reports are made; in between its last value is told, with its age. */
class Rare<T> {
  readonly collector: Collector<T>;
  readonly #everyMs: Millis;
  #dueMs = 0;
  #last: {value: T; atMs: Millis} | null = null;
  #reason: string | null = null;

  constructor(collector: Collector<T>, everyMs: Millis) {
    this.collector = collector;
    this.#everyMs = everyMs;
  }

  /** What it fails for is over: it is asked at the next turn. */
  retry(): void {
    this.#dueMs = 0;
  }

  /** null once it failed, until it works again. Never rejects. */
  async value(failing: Record<string, string>): Promise<{value: T; ageMs: Millis} | null> {
    const nowMs = systemClock.monotonic();
    if (nowMs >= this.#dueMs) {
      const collected = await this.collector.collect();
      if (!this.collector.rests) {
        this.#dueMs = nowMs + (collected.ok ? this.#everyMs : Math.min(this.#everyMs, SERVICES_EVERY_MS));
        this.#last = collected.ok ? {value: collected.value, atMs: nowMs} : null;
        this.#reason = collected.ok ? null : collected.reason;
      }
    }
    if (this.#reason !== null) failing[this.collector.name] = this.#reason;
    return this.#last === null ? null : {value: this.#last.value, ageMs: Math.round(nowMs - this.#last.atMs)};
  }
}

/** What the mail system of one host says of itself, put together for a report. */
export class MailSource {
  readonly #destinations = new DestinationSample();
  readonly #latencies = new Latencies();
  readonly #settings: Rare<PostfixSettings>;
  readonly #postfix: Rare<Awaited<ReturnType<typeof countPostfixProcesses>>>;
  readonly #dovecot: Rare<ServiceFigures>;
  readonly #metrics: Collector<MailFigures['latencies']>;

  constructor({spool, dovecotRun, probeUser}: MailPlaces) {
    const wanted = metricsFor(probeUser);
    const admit = async (): Promise<void> => {
      await socketMover().admit();
      this.#dovecot.retry();
    };
    const running = new DovecotStatus(dovecotRun, admit);
    this.#settings = new Rare(new Collector('postconf', SETTINGS_DEADLINE_MS, readPostfixSettings), SETTINGS_EVERY_MS);
    const counted = new Collector('postfix', DEADLINE_MS, () => countPostfixProcesses(spool, PROCESSES_MAX));
    this.#postfix = new Rare(counted, SERVICES_EVERY_MS);
    const status = new Collector('dovecot', DEADLINE_MS, async () => {
      const lines = await running.ask('master', ['SERVICE-STATUS']);
      return dovecotServices(lines, systemClock.now() / SECOND_MS, (2 * SERVICES_EVERY_MS) / SECOND_MS);
    });
    this.#dovecot = new Rare(status, SERVICES_EVERY_MS);
    this.#metrics = new Collector('dovecotMetrics', DEADLINE_MS, async () => this.#latencies.take(await dumpMetrics(running, wanted)));
  }

  get collectors(): readonly Collector<unknown>[] {
    return [this.#settings.collector, this.#postfix.collector, this.#dovecot.collector, this.#metrics];
  }

  /**
   * Never rejects; takes no longer than its deadlines.
   * @param walk of the queue, @param log figures of this interval; null: that source gave nothing.
   */
  async sample(
    walk: QueueWalk | null,
    log: LogFigures | null,
  ): Promise<{figures: Omit<MailFigures, 'probes'>; failing: Record<string, string>}> {
    const failing: Record<string, string> = {};
    const settings = (await this.#settings.value(failing))?.value ?? null;
    const processes = await this.#postfix.value(failing);
    const dovecot = await this.#dovecot.value(failing);
    const metrics = await this.#metrics.collect();
    if (!metrics.ok) failing[this.#metrics.name] = metrics.reason;
    if (processes?.value.complete === false) failing.postfix = `more than ${PROCESSES_MAX} processes: not all are counted`;
    const figures = {
      queue: walk === null ? null : this.#queue(walk, settings?.activeMax ?? null),
      log,
      postfix:
        processes === null
          ? null
          : {...postfixServices(processes.value.services, settings?.processLimits ?? new Map()), ageMs: processes.ageMs},
      dovecot: dovecot === null ? null : {...dovecot.value, ageMs: dovecot.ageMs},
      latencies: metrics.ok ? metrics.value : null,
    };
    return {figures, failing};
  }

  #queue(walk: QueueWalk, activeMax: number | null): MailFigures['queue'] {
    if (walk.complete && walk.active + walk.deferred === 0) this.#destinations.clear();
    this.#destinations.add(walk.samples.flatMap(({recipient}) => (recipient === '' ? [] : [domainOf(recipient)])));
    return {...queueFiguresOf(walk, activeMax, this.#destinations.figures()), queueBytes: queueBytesOf(walk)};
  }
}

/** Counters of Dovecot; what it was not asked to count yet, it counts from now on. */
async function dumpMetrics(running: DovecotStatus, metrics: ReturnType<typeof metricsFor>): Promise<string[]> {
  const lines = await running.ask('stats-reader', [DUMP_REQUEST]);
  const missing = missingMetrics(lines, metrics);
  return missing.length === 0 ? lines : running.ask('stats-reader', [...missing.map(addRequest), DUMP_REQUEST]);
}
