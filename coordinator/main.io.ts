import {randomUUID} from 'node:crypto';
import {readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import type {NatsConnection} from '@nats-io/transport-node';
import {type Logger, pino} from 'pino';
import {systemClock} from '../base/clock.io.ts';
import {MailherdError, toRefusal} from '../base/errors.ts';
import {SECOND_MS} from '../base/units.ts';
import {loggedError} from '../wire/log.ts';
import {connectNats} from '../wire/nats.io.ts';
import {inboxPrefix} from '../wire/subjects.ts';
import {buildApi} from './api/server.io.ts';
import {Views} from './api/views.ts';
import {AuditFile} from './audit.io.ts';
import {commander} from './command.io.ts';
import {type ApiToken, type CoordinatorConfig, parseApiTokens, parseCoordinatorConfig} from './config.ts';
import {EventPublisher} from './events.io.ts';
import {eventFeed} from './feed.io.ts';
import {Drivers} from './host/drivers.io.ts';
import {LeaseKeeper} from './lease.io.ts';
import {Loop} from './loop.io.ts';
import {watchMirrors} from './mirrors.io.ts';
import {Picture} from './picture.ts';
import {PlanLine} from './plan-line.ts';
import {Intake} from './report/intake.ts';
import {openStore, type Store} from './store.io.ts';
import {watchFarm} from './watch.io.ts';

/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
const CONFIG_FILE = '/etc/mailherd/coordinator.yaml';
/** NATS user of every coordinator, whatever its own name: its permissions name this inbox. */
const NATS_USER = 'coordinator';
const RETRY_MS = 2 * SECOND_MS;
const LAST_EVENTS_MS = 2 * SECOND_MS;

/**
 * A coordinator: waits for NATS, fills its picture, serves the API, judges, and leads when the lease is its own. Runs until `stop`.
 * @throws MailherdError CONFIG_INVALID for a seed that cannot be used; the system's error when the API's port is taken.
 */
export async function runCoordinator(
  config: CoordinatorConfig,
  tokens: () => readonly ApiToken[],
  log: Logger,
  stop: AbortController,
): Promise<void> {
  const {signal} = stop;
  const clock = systemClock;
  const audit = await AuditFile.open(join(config.stateDir, 'audit.jsonl'));
  const prefix = inboxPrefix(NATS_USER);
  const nc = await connectNats({...config.nats, name: `coordinator ${config.name}`, inboxPrefix: prefix}, log, signal);
  const store = await patiently('open the store', () => openStore(nc), log, signal);
  const events = new EventPublisher(nc, `${config.name}-${randomUUID().slice(0, 13)}`, clock, log, signal);
  const picture = new Picture();
  const lease = new LeaseKeeper({bucket: store.lease, holder: config.name, clock, log});
  const drivers = new Drivers(config.reinstallCommand, log, signal);
  const command = commander(nc, prefix);
  const feed = eventFeed(nc, log);
  const loop = new Loop({config, picture, store, lease, command, drivers, emit: events.emit, events: feed, audit, clock, log});
  const intake = new Intake(picture.fleet, (host, reason, path, refusedCount) => {
    log.warn({host, reason, path, refusedCount}, 'report refused');
    if (picture.isComplete && lease.term() !== null) events.emit('reportRefused', host, {reason, path, refusedCount});
  });
  const app = await openApi({config, tokens, log, nc, store, picture, lease, loop, intake, audit, events});
  try {
    // Revisions, moves and who leads are in many places of memory: nothing of it holds for another store.
    const replaced = (): void => {
      log.error({}, 'NATS has another state of the store than was read here, lost or brought back; ending, to begin with what there is');
      stop.abort();
    };
    await patiently('read the farm', () => watchFarm(nc, store, picture, intake, log, signal, replaced), log, signal);
    log.info({hosts: picture.hosts.size, users: picture.fleet.routes.size, reports: intake.accepted}, 'the farm is known');
    const rounds = loop.run(signal);
    await lease.run(signal, term => {
      void watchMirrors({nc, store, log, clock}, term.signal);
      return loop.lead(term);
    });
    await rounds;
  } finally {
    stop.abort();
    await app.close();
    await drivers.idle(ms => clock.sleep(ms));
    await events.drain(LAST_EVENTS_MS);
    await audit.close();
    await nc.close();
  }
}

interface ApiParts {
  config: CoordinatorConfig;
  tokens: () => readonly ApiToken[];
  log: Logger;
  nc: NatsConnection;
  store: Store;
  picture: Picture;
  lease: LeaseKeeper;
  loop: Loop;
  intake: Intake;
  audit: AuditFile;
  events: EventPublisher;
}

async function openApi(parts: ApiParts): Promise<Awaited<ReturnType<typeof buildApi>>> {
  const {config, tokens, log, nc, store, picture, lease, loop, intake, audit, events} = parts;
  const line = new PlanLine(store.plans, randomUUID);
  const reads = new Views({
    picture,
    name: config.name,
    moves: () => loop.moves(),
    leader: () => lease.leader(),
    failing: () => loop.failing(),
    plan: id => line.read(id),
    refusedReports: () => intake.refused(),
    now: () => systemClock.now(),
  });
  const ports = {reads, writes: () => loop.writes(), leads: () => loop.leads(), events: eventFeed(nc, log)};
  const apiCalled = (call: Parameters<Parameters<typeof buildApi>[0]['apiCalled']>[0]): void => events.emit('apiCalled', null, call);
  const app = await buildApi({ports, tokens, audit, clock: systemClock, log, apiCalled});
  await app.listen({host: config.api.listen, port: config.api.port});
  return app;
}

/** NATS may be away for long, and its store longer: this is said, and tried again. @throws MailherdError CANCELLED at the end of the process. */
async function patiently<T>(what: string, work: () => Promise<T>, log: Logger, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw new MailherdError('CANCELLED', {waitedFor: what}, {cause: error});
      if (!(error instanceof MailherdError)) throw error;
      log.warn({what, refusal: toRefusal(error)}, 'NATS does not let us yet; trying again');
    }
    await systemClock.sleep(RETRY_MS, signal);
  }
}

/**
 * Entry of `mailherd coordinator`.
 * @param args words after `coordinator`. @returns the exit code: 78 for a configuration that is not valid, 2 for words it does not know.
 */
export async function main(args: string[]): Promise<number> {
  let file: string;
  try {
    file = parseArgs({args, options: {config: {type: 'string', default: CONFIG_FILE}}}).values.config;
  } catch (error) {
    process.stderr.write(`mailherd coordinator: ${(error as Error).message}\nusage: mailherd coordinator [--config FILE]\n`);
    return 2;
  }
  try {
    const config = parseCoordinatorConfig(readText(file), file);
    const {tokensFile} = config.api;
    let tokens = parseApiTokens(readSecret(tokensFile), tokensFile);
    const log = pino({level: config.logLevel, base: null, serializers: {err: loggedError}, redact: ['req.headers.authorization']});
    const stop = new AbortController();
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
    process.on('SIGHUP', () => {
      tokens = reread(tokensFile, tokens, log);
    });
    await runCoordinator(config, () => tokens, log, stop);
    return 0;
  } catch (error) {
    if (!(error instanceof MailherdError)) throw error;
    if (error.code === 'CANCELLED') return 0;
    if (error.code !== 'CONFIG_INVALID') throw error;
    const {file: where = file, path = '/', reason} = error.detail;
    process.stderr.write(`${where}: ${path}: ${reason}\n`);
    return EXIT_CONFIG;
  }
}

/** @throws MailherdError CONFIG_INVALID */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: (cause as Error).message}, {cause});
  }
}

/** Tokens as the file has them now; those of before when it cannot be read. */
export function reread(file: string, before: readonly ApiToken[], log: Logger): ApiToken[] {
  try {
    const tokens = parseApiTokens(readSecret(file), file);
    log.info({names: tokens.map(({name}) => name)}, 'tokens are read again');
    return tokens;
  } catch (error) {
    log.error({refusal: toRefusal(error)}, 'tokens stay as they were');
    return [...before];
  }
}

/** Digests of tokens are no tokens, but nobody else's business. @throws MailherdError CONFIG_INVALID when others may write or read it. */
function readSecret(file: string): string {
  const text = readText(file);
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: 'others may read this secret; chmod 600'});
  }
  return text;
}

if (import.meta.main) {
  try {
    process.exit(await main(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`mailherd coordinator: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exit(1);
  }
}
