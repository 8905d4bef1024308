import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';

const PROGRAM = 'usr/bin/prometheus-node-exporter';
const START_TIMEOUT_MS = 10_000;

/** Debian's prometheus-node-exporter on a free port of the loopback, as its package starts it. */
export interface Exporter {
  pid: number;
  url: string;
  stop(): void;
}

/**
 * Uses the installed one, or fetches the package and unpacks it beside the system, so that no service is installed or started.
 * @throws Error when it can neither be found nor fetched, or does not begin to listen.
 */
export async function startExporter(): Promise<Exporter> {
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-exporter-'));
  let program = `/${PROGRAM}`;
  if (!existsSync(program)) {
    execFileSync('apt-get', ['download', '-qq', 'prometheus-node-exporter'], {cwd: folder, stdio: ['ignore', 'ignore', 'pipe']});
    const archive = readdirSync(folder).find(name => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get download gave no package');
    execFileSync('dpkg-deb', ['-x', archive, '.'], {cwd: folder});
    program = join(folder, PROGRAM);
  }
  const child = spawn(program, ['--web.listen-address=127.0.0.1:0'], {stdio: ['ignore', 'ignore', 'pipe']});
  const stop = (): void => {
    child.kill();
    rmSync(folder, {recursive: true, force: true});
  };
  try {
    const address = await listening(child);
    return {pid: child.pid ?? 0, url: `http://${address}/metrics`, stop};
  } catch (error) {
    stop();
    throw error;
  }
}

/** Asks for one page of metrics after the other and throws them away, as a process of its own: what an HTTP client costs is not ours. */
export interface Scraper {
  scrape(): Promise<void>;
  stop(): void;
}

const SCRAPER = `
const {get} = require('node:http');
process.stdin.on('data', () => get(process.argv[1], response => response.resume().once('end', () => process.stdout.write('.'))));`;

export function startScraper(url: string): Scraper {
  const child = spawn(process.execPath, ['-e', SCRAPER, url], {stdio: ['pipe', 'pipe', 'inherit']});
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`the client of node exporter ended with ${code}`)));
  });
  // Its end is told to who waits for a scrape, and to nobody else.
  ended.catch(() => undefined);
  return {
    async scrape() {
      const scraped = new Promise<void>(resolve => child.stdout.once('data', () => resolve()));
      child.stdin.write('.');
      await Promise.race([scraped, ended]);
    },
    stop: () => child.kill(),
  };
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('node exporter does not listen')), START_TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', code => reject(new Error(`node exporter ended with ${code}`)));
    if (child.stderr === null) return reject(new Error('node exporter has no log'));
    createInterface({input: child.stderr}).on('line', line => {
      const address = /address=(127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (address === undefined || address.endsWith(':0')) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}
