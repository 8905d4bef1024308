import {readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {pino} from 'pino';
import {systemClock} from '../../base/clock.io.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import {type Log, loggedError} from '../../wire/log.ts';
import {type AgentConfig, isProbeUser, parseAgentConfig} from '../config.ts';
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

const LOOK_MS: Millis = SECOND_MS / 4;

/**
 * Serves the calls that come to the listening descriptor `fd` until none has come for a while. @param file configuration of the agent.
 * @throws before it listens: MailherdError CONFIG_INVALID, or the error of a system call.
 */
export async function runMover(file: string, fd: number): Promise<void> {
  const config = parseAgentConfig(readFileSync(file, 'utf8'), file);
  const {mail} = config;
  const log = pino({level: config.logLevel, base: null, serializers: {err: loggedError}});
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
    server.listen({fd}, resolve);
  });
  while (!leisure.isOver(systemClock.monotonic(), !texts.isEmpty)) await systemClock.sleep(LOOK_MS);
}

function openMethods(config: AgentConfig, texts: KnownTexts, log: Log): Methods {
  const {mail} = config;
  const places = new MailPlaces(mail.store, new DoveadmServer(join(mail.dovecotRun, 'doveadm-server')));
  const store = doveadmStore({store: mail.store, places, texts, doveadmPort: mail.doveadmPort, clock: systemClock});
  return methodsOf({
    store,
    files: mailFiles({places, texts, readAhead: store.readAhead, seedPort: mail.seedPort, log}),
    queue: postfixQueue(isProbeUser(config)),
    dovecotRun: mail.dovecotRun,
  });
}
