import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer, connect as dial} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {NatsConnection} from '@nats-io/transport-node';
import {vi} from 'vitest';
import {initCommand} from '../../cli/init.io.ts';
import type {Log} from '../../wire/log.ts';
import {connectNats} from '../../wire/nats.io.ts';

/** A farm's own NATS server with the configuration of `mailherd init`, on a free port, with a store of its own. */
export class TestServer {
  readonly dir = mkdtempSync(join(tmpdir(), 'mailherd-nats-'));
  readonly #connections: NatsConnection[] = [];
  #port = 0;
  #process: ChildProcess | null = null;

  static async start(hosts: string[] = ['be01', 'be02']): Promise<TestServer> {
    const server = new TestServer();
    server.#port = await freePort();
    await server.init('farm', ...hosts.flatMap(host => ['--host', `${host}:backend`]));
    await server.run();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`;
  }

  /** `mailherd init` as the operator runs it for this farm. */
  async init(what: 'farm' | 'host', ...args: string[]): Promise<void> {
    const where = ['--dir', this.dir];
    if (what === 'farm') where.push('--listen', `127.0.0.1:${this.#port}`, '--store-dir', join(this.dir, 'store'));
    // It tells the operator what to copy where.
    const output = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await initCommand().parseAsync([what, ...args, ...where], {from: 'user'});
    } finally {
      output.mockRestore();
    }
  }

  /** Has the running server read its configuration again. */
  async reload(): Promise<void> {
    const child = this.#process;
    if (child === null || child.stderr === null) throw new Error('no server runs');
    const {stderr} = child;
    const done = new Promise<void>(resolve => {
      const listen = (chunk: Buffer): void => {
        if (!String(chunk).includes('Reloaded')) return;
        stderr.off('data', listen);
        resolve();
      };
      stderr.on('data', listen);
    });
    child.kill('SIGHUP');
    await done;
  }

  async run(): Promise<void> {
    const child = spawn('nats-server', ['-c', join(this.dir, 'nats-server.conf')], {stdio: ['ignore', 'ignore', 'pipe']});
    this.#process = child;
    let text = '';
    const ready = new Promise<void>((resolve, reject) => {
      child.stderr.on('data', chunk => {
        text += chunk;
        if (text.includes('Server is ready')) resolve();
      });
      child.on('exit', () => reject(new Error(`nats-server ended: ${text}`)));
    });
    await ready;
    await canDial(this.#port);
  }

  /** @param signal SIGKILL, as a power cut, or SIGTERM. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    this.#process = null;
  }

  /** Connects as a user of the farm. @param refused is told what the server refuses. */
  async connect(user: string, refused: (reason: string) => void = () => undefined): Promise<NatsConnection> {
    const none = (): void => undefined;
    const log: Log = {debug: none, info: none, warn: none, error: fields => refused(JSON.stringify(fields))};
    const config = {
      servers: [`127.0.0.1:${this.#port}`],
      seedFile: join(this.dir, 'seeds', `${user}.seed`),
      name: user,
      inboxPrefix: `_INBOX_${user}`,
    };
    const nc = await connectNats(config, log);
    this.#connections.push(nc);
    return nc;
  }

  read(file: string): string {
    return readFileSync(join(this.dir, file), 'utf8');
  }

  async end(): Promise<void> {
    await Promise.all(this.#connections.map(nc => nc.close()));
    await this.stop('SIGKILL');
    rmSync(this.dir, {recursive: true, force: true});
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function canDial(port: number): Promise<void> {
  const socket = dial(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
}
