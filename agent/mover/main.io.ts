import {readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {pino} from 'pino';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError} from '../../base/errors.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import {type Log, loggedError} from '../../wire/log.ts';
import {type AgentConfig, EXIT_CONFIG, isProbeUser, parseAgentConfig} from '../config.ts';
import {KnownTexts} from '../move/bodies.io.ts';
import {doveadmStore} from '../move/doveadm.io.ts';
import {DoveadmServer} from '../move/doveadm-server.io.ts';
import {mailFiles} from '../move/files.io.ts';
import {postfixQueue} from '../move/queue.io.ts';
import {MailPlaces} from '../move/seed-place.io.ts';
import {MOVER_SOCKET} from './client.io.ts';
import {Leisure} from './leisure.ts';
import {methodsOf} from './methods.io.ts';
import {type Methods, serveCall} from './serve.io.ts';

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const ACTIVATION_FD = 3;
const LOOK_MS: Millis = SECOND_MS / 4;

const CONFIG_FILE = '/etc/mailherd/agent.yaml';

/**
 * `mailherd-mover`: what touches mailboxes and queues for the agent of this host, as root, and nothing else. systemd starts it for the first call; it
 * ends when none has come for a while. What a successor must know is on disk, or kept by the agent.
 */
export async function runMover(config: AgentConfig, log: Log): Promise<void> {
  const {mail} = config;
  const texts = new KnownTexts();
  const methods = openMethods(config, texts, log);
  const leisure = new Leisure(mail.moverIdleMs, systemClock.monotonic());
  const orphaned = (method: string): void => {
    // Whatever runs, programs too, ends with this process, as it would with an agent that did it itself; the next one begins in order.
    log.error({method}, 'the agent is gone in the midst of a call');
    process.exit(0);
  };
  const server = createServer(socket => {
    leisure.opened();
    const closed = (isOfMove: boolean): void => leisure.closed(isOfMove, systemClock.monotonic());
    serveCall(socket, {path: MOVER_SOCKET, methods, ends: {closed, orphaned}, log});
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({fd: ACTIVATION_FD}, resolve);
  });
  while (!leisure.isOver(systemClock.monotonic(), !texts.isEmpty)) await systemClock.sleep(LOOK_MS);
}

function openMethods(config: AgentConfig, texts: KnownTexts, log: Log): Methods {
  const {mail} = config;
  const places = new MailPlaces(mail.store, new DoveadmServer(join(mail.dovecotRun, 'doveadm-server')));
  return methodsOf({
    store: doveadmStore({store: mail.store, places, texts, doveadmPort: mail.doveadmPort, clock: systemClock}),
    files: mailFiles({places, texts, seedPort: mail.seedPort, log}),
    queue: postfixQueue(isProbeUser(config)),
    dovecotRun: mail.dovecotRun,
  });
}

if (import.meta.main) {
  try {
    const {values} = parseArgs({options: {config: {type: 'string', default: CONFIG_FILE}}});
    if (process.env.LISTEN_PID !== String(process.pid)) throw new Error('systemd starts it: systemctl start mailherd-mover.socket');
    const config = parseAgentConfig(readFileSync(values.config, 'utf8'), values.config);
    await runMover(config, pino({level: config.logLevel, base: null, serializers: {err: loggedError}}));
    process.exit(0);
  } catch (error) {
    process.stderr.write(`mailherd-mover: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exit(error instanceof MailherdError && error.code === 'CONFIG_INVALID' ? EXIT_CONFIG : 1);
  }
}
