import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {chmodSync, mkdtempSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {pino} from 'pino';
import {parse as parseYaml} from 'yaml';
import {parseApiTokens, parseCoordinatorConfig} from '../../coordinator/config.ts';
import {runCoordinator} from '../../coordinator/main.io.ts';
import type {TestServer} from './server.ts';

/** A whole coordinator in this process, on a farm's NATS server, with its API on a free port. */
export class TestCoordinator {
  readonly token = 'test-token';
  readonly base: string;
  readonly stateDir: string;
  log = '';
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(base: string, stateDir: string) {
    this.base = base;
    this.stateDir = stateDir;
  }

  /** Its reinstall driver notes its call in `driven` and ends when a file `go-HOST` appears in the state directory. */
  static async start(server: TestServer, name: string): Promise<TestCoordinator> {
    const port = await freePort();
    const stateDir = mkdtempSync(join(server.dir, `${name}-`));
    const coordinator = new TestCoordinator(`http://127.0.0.1:${port}`, stateDir);
    const driver = join(stateDir, 'driver.sh');
    const note = `echo "$1 $2 $MAILHERD_WIPE_TOKEN" >> ${stateDir}/driven`;
    writeFileSync(driver, `#!/bin/sh\n${note}\nwhile [ ! -e ${stateDir}/go-$1 ]; do sleep 0.1; done\n`);
    chmodSync(driver, 0o755);
    const sha256 = createHash('sha256').update(coordinator.token).digest('hex');
    const {nats} = parseYaml(server.read('coordinator.yaml')) as {nats: {servers: string[]}};
    const config = {
      name,
      nats: {servers: nats.servers, seedFile: join(server.dir, 'seeds/coordinator.seed')},
      api: {port, tokensFile: '/unused'},
      stateDir,
      reinstallCommand: [driver],
      roundMs: 200,
    };
    const write = (text: string): void => {
      coordinator.log += text;
    };
    coordinator.#running = runCoordinator(
      parseCoordinatorConfig(JSON.stringify(config), 'test'),
      () => parseApiTokens(`- {name: ada, role: operate, sha256: ${sha256}}`, 'test'),
      pino({level: 'debug'}, {write}),
      coordinator.#stop,
    );
    return coordinator;
  }

  async call<T>(method: string, path: string, body?: object): Promise<{status: number; json: T}> {
    const response = await fetch(this.base + path, {
      method,
      headers: {authorization: `Bearer ${this.token}`, ...(body && {'content-type': 'application/json'})},
      ...(body && {body: JSON.stringify(body)}),
    });
    return {status: response.status, json: (await response.json()) as T};
  }

  /** @returns the stream of events from its beginning, once it is as wanted. */
  async eventsUntil(isEnough: (text: string) => boolean): Promise<string> {
    const response = await fetch(`${this.base}/v1/events?since=0`, {headers: {authorization: `Bearer ${this.token}`}});
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += new TextDecoder().decode(chunk as Uint8Array);
      if (isEnough(text)) break;
    }
    return text;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves once it has ended by itself, as one does that is to be started again. */
  ended(): Promise<void> {
    return this.#running;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const {port} = probe.address() as {port: number};
  probe.close();
  await once(probe, 'close');
  return port;
}
