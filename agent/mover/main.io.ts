import {createServer} from 'node:net';
import {parseArgs} from 'node:util';
import {systemClock} from '../../base/clock.io.ts';
import {MailherdError, toRefusal} from '../../base/errors.ts';
import {type Millis, SECOND_MS} from '../../base/units.ts';
import {sayLine} from './lines.io.ts';

/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const ACTIVATION_FD = 3;
const CONFIG_FILE = '/etc/mailherd/agent.yaml';
/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;
const REFUSING_MS: Millis = 5 * SECOND_MS;

/**
 * `mailherd-mover`: what touches mailboxes and queues for the agent of this host, as root, and nothing else. systemd starts it for the first call; it
 * ends when none has come for a while. What a successor must know is on disk, or kept by the agent.
 * @returns exit status.
 */
async function main(): Promise<number> {
  if (process.env.LISTEN_PID !== String(process.pid)) throw new Error('systemd starts it: systemctl start mailherd-mover.socket');
  try {
    const {values} = parseArgs({options: {config: {type: 'string', default: CONFIG_FILE}}});
    // Not above: an addon or a module that cannot be loaded is told to whoever calls, too.
    const {runMover} = await import('./run.io.ts');
    await runMover(values.config, ACTIVATION_FD);
    return 0;
  } catch (error) {
    told(error);
    await refuse(error);
    return EXIT_CONFIG;
  }
}

function told(error: unknown): void {
  process.stderr.write(`mailherd-mover: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
}

/**
 * Tells whoever waits, and whoever comes within a few seconds, why there is no mover. A connection that nobody accepts stays, also when its agent
 * has given up, and systemd would start the next mover for it at once, and so on for ever.
 */
async function refuse(error: unknown): Promise<void> {
  const reason = `it cannot start: ${error instanceof Error ? error.message : error}`;
  const refusal = toRefusal(new MailherdError('COMMAND_FAILED', {command: 'mover', reason}));
  const server = createServer(socket => {
    socket.on('error', told);
    sayLine(socket, {ok: false, refusal});
    socket.destroySoon();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({fd: ACTIVATION_FD}, resolve);
  });
  await systemClock.sleep(REFUSING_MS);
}

// Not awaited: what is loaded later may, once bundled, import parts of this very file.
if (import.meta.main)
  main().then(process.exit, error => {
    told(error);
    process.exit(1);
  });
