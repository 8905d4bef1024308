import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, connect as dial} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as wait} from 'node:timers/promises';
import type {Log} from '../../wire/log.ts';

/** Keeps what was logged, so that a test can look at it. */
export function memoryLog(): Log & {lines: {level: string; message: string; fields: object}[]} {
  const lines: {level: string; message: string; fields: object}[] = [];
  const to =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push({level, message, fields});
    };
  return {lines, debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error')};
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A nats-server with JetStream and without users, on a loopback port and a directory of its own, that can come and go. */
export class PlainServer {
  readonly url: string;
  readonly #port: number;
  readonly #dir = mkdtempSync(join(tmpdir(), 'mailherd-nats-'));
  #process: ChildProcess | null = null;

  private constructor(port: number) {
    this.#port = port;
    this.url = `nats://127.0.0.1:${port}`;
  }

  static async start(): Promise<PlainServer> {
    const server = new PlainServer(await freePort());
    await server.up();
    return server;
  }

  async up(): Promise<void> {
    const args = ['-a', '127.0.0.1', '-p', String(this.#port), '-js', '-sd', join(this.#dir, 'js')];
    const child = spawn('nats-server', args, {stdio: ['ignore', 'ignore', 'pipe']});
    this.#process = child;
    let said = '';
    child.stderr.on('data', data => {
      said += data;
    });
    const deadline = performance.now() + 15_000;
    while (!(await this.#answers())) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error(`nats-server does not start: ${said}`);
      await wait(20);
    }
  }

  #answers(): Promise<boolean> {
    return new Promise(resolve => {
      const socket = dial(this.#port, '127.0.0.1');
      socket.once('data', data => {
        socket.destroy();
        resolve(String(data).startsWith('INFO'));
      });
      socket.once('error', () => resolve(false));
    });
  }

  /** Ends it, by default at once and without warning. */
  async down(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    const ended = once(running, 'exit');
    running.kill(signal);
    await ended;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async remove(): Promise<void> {
    await this.down();
    rmSync(this.#dir, {recursive: true, force: true});
  }
}
