import {mkdirSync} from 'node:fs';
import {dirname, join} from 'node:path';
import type {NatsConnection} from '@nats-io/transport-node';
import {systemClock} from '../base/clock.io.ts';
import {MailherdError} from '../base/errors.ts';
import {type Rng, seededRng} from '../base/random.ts';
import {HOUR_MS, MINUTE_MS, SECOND_MS} from '../base/units.ts';
import {packageVersion} from '../base/version.io.ts';
import {giveBackMemory} from '../native/binding.ts';
import type {Log} from '../wire/log.ts';
import {connectNats} from '../wire/nats.io.ts';
import type {HostReport, Relief} from '../wire/report.ts';
import {inboxPrefix} from '../wire/subjects.ts';
import {isFirstOfBoot, lastCurrent, markCurrent, openDoor, tellReady} from './boot.io.ts';
import {type AgentConfig, isProbeUser, probeUserOf} from './config.ts';
import {readLabels} from './inventory/inventory.io.ts';
import {serveMetrics} from './metrics/serve.io.ts';
import {Passes} from './move/admit.ts';
import type {HostPorts} from './move/host-ports.ts';
import {measured} from './move/measured.ts';
import {openMoveMemory} from './move/memory.io.ts';
import {queueRelief} from './move/relief.io.ts';
import {Running} from './move/running.ts';
import {serveCommands} from './move/serve.io.ts';
import {socketMover} from './mover/client.io.ts';
import {startProbes} from './probe/run.io.ts';
import {natsChannel} from './report/channel.io.ts';
import {thisStart} from './report/generation.io.ts';
import {Outbox} from './report/outbox.io.ts';
import {Reporter} from './report/reporter.io.ts';
import {Spool} from './report/spool.io.ts';
import {bootFenceMs} from './route/apply.ts';
import {followRoutes} from './route/follow.io.ts';
import {HoldingPorts} from './route/holding.io.ts';
import {ProbeRoutes} from './route/probe-routes.ts';
import {openRouteTable, type SqliteRouteTable} from './route/table.io.ts';
import {loadActivity, saveActivity} from './sample/activity.io.ts';
import type {Activity} from './sample/activity.ts';
import {KernelLog} from './sample/kernel-log.io.ts';
import {MailLog} from './sample/maillog.io.ts';
import {watchPressure} from './sample/pressure.io.ts';
import {openTuner} from './tune/open.io.ts';
import type {Tuner} from './tune/tuner.ts';
import {startWatchdog} from './watchdog.io.ts';

const GIVE_BACK_MS = 10 * MINUTE_MS;
const RETRY_MS = [5 * SECOND_MS, 15 * SECOND_MS] as const;

/**
 * The agent of one host, put together; runs until `stop` aborts.
 * @throws MailherdError CONFIG_INVALID for an unusable seed; NATS_DOWN when the connection is closed for good; STORE_CORRUPT
 * and the file system's errors for an unusable state directory.
 */
export async function runAgent(config: AgentConfig, log: Log, stop: AbortController): Promise<void> {
  const {host, role, stateDir} = config;
  const {signal} = stop;
  const version = packageVersion();
  mkdirSync(stateDir, {recursive: true, mode: 0o700});
  const start = await thisStart(stateDir, systemClock.now());
  const rng = seededRng((systemClock.now() ^ process.pid) | 0);
  let failure: unknown = null;
  const fail = (error: unknown): void => {
    failure ??= error;
    stop.abort();
  };
  // The first thing of all: Postfix and Dovecot cannot read the table before.
  let served: Served | null = null;
  const opened = role === 'control' ? Promise.resolve(null) : openServed(config, rng.fork('serving'), log, signal);
  opened.then(found => {
    served = found;
    return tellReady(log);
  }, fail);
  const outbox = new Outbox({host, generation: start.generation, ...spoolsOf(config), rng: rng.fork('outbox'), log, signal});
  const activity = await loadActivity(stateDir, log);
  const {mailLog, kernelLog} = await openLogs(config, activity, outbox, log, signal);
  const probes = startProbes(config, () => served?.probes ?? null, rng.fork('probes'), log, signal);
  let labels = await readLabels(config, log);
  const tuner = openTuner(config, outbox, log, signal);
  const reporter = new Reporter(config, version, start, {
    ...{mailLog, kernelLog, probes: probes.tally},
    routes: () => (served === null ? null : countsOf(served.table)),
    farm: () => served?.table.addresses() ?? [],
    isHere: recipient => served?.table.isMailHere(recipient, role) ?? null,
    spool: () => ({spooled: outbox.spooled, dropped: outbox.dropped, refused: outbox.refused, failing: outbox.failing}),
    labels: () => ({...labels, ...tuner.labels()}),
  });
  outbox.event('agentStarted', {generation: start.generation, version});

  // NATS may be away when a host boots: what does not need it works meanwhile.
  let connection: NatsConnection | null = null;
  const connected = connect(config, log, signal, () => served?.table.refused()).then(async nc => {
    if (nc === null) return;
    connection = nc;
    nc.closed().then(error => (signal.aborted ? undefined : fail(new MailherdError('NATS_DOWN', {reason: String(error)}))));
    outbox.connect(natsChannel(nc));
    const found = await opened;
    if (found !== null) serve(config, found, {tuner, activity, mailLog}, nc, log, signal);
  });
  connected.catch(fail);

  await Promise.all([
    reportRounds(config, reporter, report => outbox.report(tuner.take(report, reporter.spans)), log, signal),
    eachHour(signal, async () => {
      labels = await readLabels(config, log);
      await saveActivity(stateDir, activity, log);
    }),
    probes.done,
    watchPressure(outbox, log, signal),
  ]).catch(fail);
  await Promise.all([saveKnown(config, {tuner, activity, mailLog}, log), kernelLog.save(), outbox.done]);
  await (connection as NatsConnection | null)?.close();
  if (failure !== null) throw failure;
}

function spoolsOf({stateDir, spoolBytesMax}: AgentConfig): {spool: Spool; aside: Spool} {
  const [spool, aside] = ['spool', 'refused'].map(name => new Spool(join(stateDir, name), spoolBytesMax / 2)) as [Spool, Spool];
  return {spool, aside};
}

function countsOf(table: SqliteRouteTable): {revision: number; userCount: number; relief: Relief | null} {
  return {revision: table.revision(), userCount: table.userCount(), relief: table.relief(systemClock.now())};
}

async function openLogs(
  config: AgentConfig,
  activity: Activity,
  outbox: Outbox,
  log: Log,
  signal: AbortSignal,
): Promise<{mailLog: MailLog | null; kernelLog: KernelLog}> {
  const {role, stateDir, mail} = config;
  const kernelLog = await KernelLog.open({path: join(stateDir, 'kernel-log.json'), told: outbox, log});
  if (role === 'control') return {mailLog: null, kernelLog};
  const mailLog = await MailLog.open({
    path: join(stateDir, 'maillog.json'),
    files: mail.logFiles,
    isProbe: isProbeUser(config),
    activity: role === 'backend' ? activity : null,
    onEvent: (type, data) => outbox.event(type, data),
    log,
    signal,
  });
  return {mailLog, kernelLog};
}

/** One report each interval, to the outbox and to whoever asks for metrics; systemd hears of it while that goes on. */
async function reportRounds(
  config: AgentConfig,
  reporter: Reporter,
  send: (report: HostReport) => void,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const {reportIntervalMs: intervalMs, metricsPort: port} = config;
  let newest: HostReport | null = null;
  const roundEnded = startWatchdog({timeoutUs: process.env.WATCHDOG_USEC, intervalMs, log, signal});
  if (port !== null) await serveMetrics({port, report: () => newest, collectors: () => reporter.collectors(), log, signal});
  await repeat(intervalMs, signal, async () => {
    newest = await reporter.next();
    send(newest);
    roundEnded();
  });
}

/** The first connection, waited for as long as it takes; null once the signal aborts. @throws MailherdError CONFIG_INVALID */
async function connect({host, nats}: AgentConfig, log: Log, signal: AbortSignal, onRefused: () => void): Promise<NatsConnection | null> {
  try {
    return await connectNats({...nats, name: `agent ${host}`, inboxPrefix: inboxPrefix(host)}, log, signal, onRefused);
  } catch (error) {
    if (error instanceof MailherdError && error.code === 'CANCELLED') return null;
    throw error;
  }
}

/** What serving moves needs of this host's disk. */
interface Served {
  table: SqliteRouteTable;
  probes: ProbeRoutes;
  memory: HostPorts['memory'];
}

/** Opens the route table and what is known of copies; tries until it can, null once the signal aborts. */
async function openServed(config: AgentConfig, rng: Rng, log: Log, signal: AbortSignal): Promise<Served | null> {
  const {host, role, stateDir, mail} = config;
  const probeUser = role === 'backend' ? probeUserOf(config) : null;
  while (!signal.aborted) {
    try {
      const isEdge = role === 'edge' && mail.holdPorts > 0;
      const holding = isEdge ? await HoldingPorts.open({ports: mail.holdPorts, imapPort: mail.backendImapPort, log, signal}) : null;
      const {RUNTIME_DIRECTORY: runtimeDir} = process.env;
      const fenceMs = isFirstOfBoot(runtimeDir) ? bootFenceMs(await lastCurrent(stateDir), systemClock.now()) : 0;
      const table = openRouteTable({path: config.routesDb, host, probeUser, fenceMs, holding, log, signal});
      // Not before the fence is up: from here on the table may be read.
      openDoor(runtimeDir, dirname(config.routesDb));
      return {table, probes: new ProbeRoutes({host, role}, table), memory: openMoveMemory(stateDir)};
    } catch (error) {
      // A host whose routes or moves cannot be kept must still be seen.
      log.error({err: error}, 'routes and moves cannot be served; trying again');
      tellReady(log);
      await systemClock.sleep(rng.between(...RETRY_MS), signal);
    }
  }
  return null;
}

/** What the answers to commands are made of beside the host itself. */
interface Known {
  tuner: Tuner;
  activity: Activity;
  mailLog: MailLog | null;
}

/** What the next agent of this host goes on with. Never rejects. */
async function saveKnown({stateDir}: AgentConfig, {activity, mailLog}: Known, log: Log): Promise<void> {
  await mailLog?.save().catch(error => log.warn({err: error}, 'position in the mail log could not be saved'));
  await saveActivity(stateDir, activity, log);
}

/** Keeps the route table current and answers the coordinator's commands, from now on. */
function serve(
  config: AgentConfig,
  {table, probes, memory}: Served,
  known: Known,
  nc: NatsConnection,
  log: Log,
  signal: AbortSignal,
): void {
  const {host, role} = config;
  const {tuner, activity, mailLog} = known;
  void followRoutes(nc, table, probes, log, signal).then(() => keepMarked(config, nc, log, signal));
  const watched = {activity, online: () => mailLog?.online() ?? null, clock: systemClock};
  const {store, files, queue} = socketMover();
  const relief = role === 'backend' ? queueRelief({host, table, queue, log}) : null;
  serveCommands({
    nc,
    ports: {
      host,
      clock: systemClock,
      store: measured(store, watched),
      files,
      routes: table,
      memory,
      passes: new Passes(),
      running: new Running(),
      queue,
      tune: tuner,
      relief,
    },
    log,
    signal,
  });
}

/** Calls `work` each hour, and gives memory back in between. */
async function eachHour(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  await Promise.all([repeat(HOUR_MS, signal, work), giveBackNowAndThen(signal)]);
}

/**
 * Gives back what is not needed of memory: a minute after the start, by when every source and probe has run and two thirds of what there is
 * of the runtime's code were needed by the start only, and then now and then, as what ran once stays. It comes back when it is needed.
 */
async function giveBackNowAndThen(signal: AbortSignal): Promise<void> {
  await systemClock.sleep(MINUTE_MS, signal);
  giveBackMemory();
  await repeat(GIVE_BACK_MS, signal, async () => void giveBackMemory());
}

/** Notes while NATS answers that the routes on this disk are the present ones. Never rejects. */
async function keepMarked({stateDir}: AgentConfig, nc: NatsConnection, log: Log, signal: AbortSignal): Promise<void> {
  const mark = async (): Promise<void> => {
    await nc.rtt();
    await markCurrent(stateDir);
  };
  const marked = (): Promise<void> => mark().catch(error => log.debug({err: error}, 'not noted that the routes are current'));
  await marked();
  await repeat(MINUTE_MS, signal, marked);
}

/** Calls `work` each `everyMs`, first after one interval, by a clock that does not drift; rounds that came too late are left out. */
async function repeat(everyMs: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  let dueMs = systemClock.monotonic() + everyMs;
  for (;;) {
    await systemClock.sleep(Math.max(dueMs - systemClock.monotonic(), 0), signal);
    if (signal.aborted) return;
    await work();
    dueMs = Math.max(dueMs + everyMs, systemClock.monotonic());
  }
}
