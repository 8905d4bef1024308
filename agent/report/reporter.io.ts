import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import type {System} from '../../wire/kernel.ts';
import type {HostReport, Relief} from '../../wire/report.ts';
import type {Labels} from '../../wire/schema.ts';
import type {AgentConfig} from '../config.ts';
import type {ProbeTally} from '../probe/tally.ts';
import {type Collected, Collector, type CollectorFigures} from '../sample/collect.io.ts';
import {HostSource} from '../sample/host.io.ts';
import type {KernelLog, KernelLogFigures} from '../sample/kernel-log.io.ts';
import {MailSource} from '../sample/mail.io.ts';
import type {MailLog} from '../sample/maillog.io.ts';
import type {KernelSpans} from '../sample/span.ts';
import {type Cost, CpuBudget} from './budget.ts';
import {buildReport} from './build.ts';
import {CpuUse, ownGroup} from './cpu.io.ts';
import type {Start} from './generation.io.ts';

const LOG_DEADLINE_MS = 500;
/** What a report cannot do without: cheap, or lost when it is not taken. */
const RESTLESS: ReadonlySet<string> = new Set(['store', 'host', 'summed', 'listeners', 'limits', 'postconf', 'mailLog']);

/** Sources that a host may have or lack; those that are null report null. */
export interface Sources {
  mailLog: MailLog | null;
  kernelLog: KernelLog | null;
  probes: ProbeTally | null;
  /** Null until the route table is open. */
  routes: () => {revision: number; userCount: number; relief: Relief | null} | null;
  /** Addresses of the farm's own hosts; [] until the route table is open. */
  farm: () => readonly string[];
  /** Whether mail for a recipient waits for this host; null until the route table is open. */
  isHere: (recipient: string) => boolean | null;
  spool: () => {spooled: number; dropped: number; refused: number; failing: string | null};
  labels: () => Labels;
}

/** Makes one report after the other; each covers the time since the one before. */
export class Reporter {
  readonly #config: AgentConfig;
  readonly #version: string;
  readonly #start: Start;
  readonly #sources: Sources;
  readonly #host: HostSource;
  readonly #mailLog: Collector<Awaited<ReturnType<MailLog['take']>>> | null;
  readonly #kernelLog: Collector<KernelLogFigures | null> | null;
  readonly #mail: MailSource | null;
  /** The reading behind the newest report. */
  spans: KernelSpans | null = null;
  readonly #budget: CpuBudget;
  readonly #costBefore = new Map<string, number>();
  #sequence = 0;
  #beforeMs = systemClock.monotonic();
  readonly #cpu = new CpuUse(ownGroup(process.env.INVOCATION_ID));

  constructor(config: AgentConfig, version: string, start: Start, sources: Sources) {
    this.#config = config;
    this.#version = version;
    this.#start = start;
    this.#sources = sources;
    const {mail, role, reportIntervalMs} = config;
    const spool = role === 'control' ? null : mail.spool;
    const {mailLog, kernelLog, farm, isHere} = sources;
    this.#host = new HostSource({
      store: role === 'backend' ? mail.store : (spool ?? '/'),
      spool,
      intervalMs: reportIntervalMs,
      dovecotRun: mail.dovecotRun,
      farm,
      isHere,
    });
    this.#mail = role === 'control' ? null : new MailSource({...mail, probeUser: config.probe.user});
    this.#budget = new CpuBudget(config.cpuPercentMax);
    this.#kernelLog = kernelLog === null ? null : new Collector('kernelLog', LOG_DEADLINE_MS, () => kernelLog.take());
    this.#mailLog = mailLog === null ? null : new Collector('mailLog', LOG_DEADLINE_MS, () => mailLog.take());
  }

  /** What became of the calls of each source, by its name. */
  collectors(): ReadonlyMap<string, CollectorFigures> {
    return new Map(this.#all().map(({name, figures}) => [name, figures]));
  }

  #all(): Collector<unknown>[] {
    const logs = [this.#kernelLog, this.#mailLog].filter(one => one !== null);
    return [...this.#host.collectors, ...(this.#mail?.collectors ?? []), ...logs];
  }

  /** Of those that may rest; what they took since `#costBefore`. */
  #costs(): Cost[] {
    const mayRest = this.#all().filter(({name}) => !RESTLESS.has(name));
    return mayRest.map(({name, every, figures}) => ({name, every, ms: figures.totalMs - (this.#costBefore.get(name) ?? 0)}));
  }

  /** After each interval: who costs too much rests. */
  #keepBudget(cpuMs: Millis, ms: Millis): void {
    const changes = this.#budget.add(cpuMs, ms, () => this.#costs());
    if (changes === null) return;
    for (const collector of this.#all()) {
      collector.every = changes.get(collector.name) ?? collector.every;
      this.#costBefore.set(collector.name, collector.figures.totalMs);
    }
  }

  /**
   * The report on the time since the last one, or since the start. Never rejects for what a source does.
   * @param isWhole with what else is read in turns only.
   */
  async next(isWhole = false): Promise<HostReport> {
    const {config, sources} = {config: this.#config, sources: this.#sources};
    const figures = await this.#host.sample(isWhole);
    this.spans = figures.spans;
    const kernelLog = (await this.#kernelLog?.collect()) ?? null;
    const mail = (await this.#mailLog?.collect()) ?? null;
    const ofMail = (await this.#mail?.sample(figures.queue, valueIn(mail)?.figures ?? null)) ?? null;
    const {failing: spoolFailing, ...spool} = sources.spool();
    const nowMs = systemClock.monotonic();
    const cpuMs = await this.#cpu.take();
    this.#keepBudget(cpuMs, nowMs - this.#beforeMs);
    const overBudget = this.#budget.text(this.#costs());
    const report = buildReport({
      host: config.host,
      role: config.role,
      generation: this.#start.generation,
      sequence: ++this.#sequence,
      sampledAtMs: systemClock.now(),
      intervalMs: nowMs - this.#beforeMs,
      labels: sources.labels(),
      kernel: figures.kernel,
      system: this.#withKernelLog(figures.system, valueIn(kernelLog)),
      queue: figures.queue,
      here: figures.here,
      store: figures.store,
      mail: valueIn(mail),
      mailFigures: ofMail?.figures ?? null,
      probes: sources.probes?.take() ?? null,
      routes: sources.routes(),
      holdPorts: config.role === 'edge' && config.mail.holdPorts > 0 ? config.mail.holdPorts : null,
      self: {version: this.#version, installation: this.#start.installation, cpuMs, rssBytes: process.memoryUsage.rss(), ...spool},
      failing: {
        ...figures.failing,
        ...ofMail?.failing,
        ...(kernelLog !== null && !kernelLog.ok ? {kernelLog: kernelLog.reason} : {}),
        ...(mail !== null && !mail.ok ? {mailLog: mail.reason} : {}),
        ...(overBudget === null ? {} : {cpuBudget: overBudget}),
        ...(spoolFailing === null ? {} : {spool: spoolFailing.slice(0, 200)}),
      },
    });
    this.#beforeMs = nowMs;
    return report;
  }

  #withKernelLog(system: System, figures: KernelLogFigures | null): System {
    const {lacking} = system;
    const absence = this.#sources.kernelLog?.absence ?? null;
    return {
      ...system,
      ...(figures !== null && {kernelLog: figures}),
      ...(lacking !== undefined && absence !== null && {lacking: {...lacking, kernelLog: absence}}),
    };
  }
}

function valueIn<T>(collected: Collected<T> | null): T | null {
  return collected?.ok ? collected.value : null;
}

/** One report of this host over one second, the dear sources too; without probes, routes and spool. Never rejects for what a source does. */
export async function sampleTwice(
  config: AgentConfig,
  version: string,
  labels: Labels,
  logs: Pick<Sources, 'mailLog' | 'kernelLog'>,
): Promise<HostReport> {
  const none = {
    ...logs,
    probes: null,
    routes: () => null,
    farm: () => [],
    isHere: () => null,
    spool: () => ({spooled: 0, dropped: 0, refused: 0, failing: null}),
    labels: () => labels,
  };
  const reporter = new Reporter(config, version, {generation: 0, installation: 0}, none);
  await reporter.next(true);
  await systemClock.sleep(SECOND_MS);
  return reporter.next(true);
}

/**
 * One report for the command line and the benchmarks: all of `sampleTwice` but the logs.
 * @throws MailherdError NATIVE_FAILED when the addon is missing or gives nothing at all.
 */
export async function sampleOnce(config: AgentConfig, version: string, labels: Labels): Promise<HostReport> {
  const report = await sampleTwice(config, version, labels, {mailLog: null, kernelLog: null});
  if (report.agent.failing.host !== undefined) throw new MailherdError('NATIVE_FAILED', {reason: report.agent.failing.host});
  return report;
}
