import {mkdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import type {NatsConnection} from '@nats-io/transport-node';
import {type Logger, pino} from 'pino';
import {systemClock} from '../base/clock.io.ts';
import {MailherdError} from '../base/errors.ts';
import {seededRng} from '../base/random.ts';
import {HOUR_MS} from '../base/units.ts';
import {packageVersion} from '../base/version.io.ts';
import {connectNats} from '../wire/nats.io.ts';
import {inboxPrefix} from '../wire/subjects.ts';
import {type AgentConfig, EXIT_CONFIG, isProbeUser, parseAgentConfig, probeUserOf} from './config.ts';
import {readLabels} from './inventory/inventory.io.ts';
import {startProbes} from './probe/run.io.ts';
import {natsChannel} from './report/channel.io.ts';
import {nextGeneration} from './report/generation.io.ts';
import {Outbox} from './report/outbox.io.ts';
import {Reporter} from './report/reporter.io.ts';
import {Spool} from './report/spool.io.ts';
import {openRouteTable, type RouteTable} from './route/table.io.ts';
import {MailLog} from './sample/maillog.io.ts';

const CONFIG_FILE = '/etc/mailherd/agent.yaml';

/** The agent of one host: runs until SIGTERM or SIGINT. @throws what makes running pointless (no state directory, no addon). */
export async function runAgent(config: AgentConfig, log: Logger, signal: AbortSignal): Promise<void> {
  const {host, role, stateDir} = config;
  mkdirSync(stateDir, {recursive: true, mode: 0o700});
  const version = packageVersion();
  const generation = await nextGeneration(stateDir);
  const rng = seededRng((Date.now() ^ process.pid) | 0);
  const spool = await Spool.open(stateDir, config.spoolBytesMax);
  const outbox = new Outbox({host, generation, spool, rng: rng.fork('outbox'), log, signal});
  const mailLog = role === 'control' ? null : await MailLog.open({path: join(stateDir, 'maillog.json'), isProbe: isProbeUser, log, signal});
  const probes = startProbes(config, rng.fork('probes'), log, signal);
  let labels = await readLabels(config.labels, log);
  let routes: RouteTable | null = null;
  const reporter = new Reporter(config, version, generation, {
    mailLog,
    probes: probes.tally,
    routes: () => (routes === null ? null : {revision: routes.revision(), userCount: routes.userCount()}),
    spool: () => ({spooled: outbox.spooled, dropped: outbox.dropped}),
    labels: () => labels,
  });
  outbox.event('agentStarted', {generation, version});

  // NATS may be away when a host boots: everything that does not need it works meanwhile.
  const connection = connectNats({...config.nats, name: `agent ${host}`, inboxPrefix: inboxPrefix(host)}, log);
  const connected = connection.then(async nc => {
    outbox.connect(natsChannel(nc));
    if (role !== 'control') routes = await startRouting(config, nc, log, signal);
  });
  connected.catch(error => log.error({err: error}, 'no connection to NATS'));

  await Promise.all([
    repeat(config.reportIntervalMs, signal, async () => outbox.report(await reporter.next())),
    repeat(HOUR_MS, signal, async () => {
      labels = await readLabels(config.labels, log);
    }),
    probes.done,
  ]);
  await mailLog?.save().catch(error => log.warn({err: error}, 'position in the mail log could not be saved'));
  await outbox.done;
  const last = await Promise.race([connection, systemClock.sleep(0)]);
  await last?.close();
}

/** Opens the route table and answers the coordinator's commands. */
async function startRouting(config: AgentConfig, nc: NatsConnection, log: Logger, signal: AbortSignal): Promise<RouteTable> {
  const probeUser = config.role === 'backend' ? probeUserOf(config) : null;
  return openRouteTable({path: config.routesDb, host: config.host, probeUser, nc, log, signal});
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

function readConfig(file: string): AgentConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: (cause as Error).message}, {cause});
  }
  return parseAgentConfig(text, file);
}

/** Entry of `mailherd agent`. @returns the exit code. */
export async function main(file = CONFIG_FILE): Promise<number> {
  let config: AgentConfig;
  try {
    config = readConfig(file);
  } catch (error) {
    if (!(error instanceof MailherdError) || error.code !== 'CONFIG_INVALID') throw error;
    const {path, reason} = error.detail;
    process.stderr.write(`${file}: ${path}: ${reason}\n`);
    return EXIT_CONFIG;
  }
  const log = pino({level: config.logLevel, base: null});
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  await runAgent(config, log, stop.signal);
  return 0;
}
