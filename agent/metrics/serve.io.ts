import {createRequire} from 'node:module';
import {systemClock} from '../../base/clock.io.ts';
import type {Log} from '../../wire/log.ts';
import type {HostReport} from '../../wire/report.ts';
import type {CollectorFigures} from '../sample/collect.io.ts';
import {familiesOf} from './families.ts';
import {CONTENT_TYPE, openMetricsOf} from './openmetrics.ts';

// As CommonJS: see agent/probe/libraries.io.ts.
const {createServer} = createRequire(import.meta.url)('node:http') as typeof import('node:http');

/** Only from this machine: a host's figures are nobody else's business. */
const ADDRESS = '127.0.0.1';
const REQUEST_TIMEOUT_MS = 5_000;

interface MetricsOptions {
  /** 0 = any free one. */
  port: number;
  /** The newest report; null before the first. */
  report: () => HostReport | null;
  collectors: () => ReadonlyMap<string, CollectorFigures>;
  log: Log;
  signal: AbortSignal;
}

/**
 * Serves `/metrics` from the newest report until the signal: a scrape reads nothing of the host. A port that is taken is said and done
 * without.
 * @returns the port; null when it could not be had.
 */
export function serveMetrics({port, report, collectors, log, signal}: MetricsOptions): Promise<number | null> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    const newest = report();
    if (request.method !== 'GET' || path !== '/metrics') return void response.writeHead(404).end();
    // Without figures there is no text: an empty one would look like a host without trouble.
    if (newest === null) return void response.writeHead(503).end('no report yet\n');
    response.writeHead(200, {'content-type': CONTENT_TYPE}).end(openMetricsOf(familiesOf(newest, collectors(), systemClock.now())));
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.maxConnections = 8;
  signal.addEventListener('abort', () => {
    server.close();
    server.closeAllConnections();
  });
  return new Promise(resolve => {
    server.once('error', error => {
      log.error({port, error: String(error)}, 'metrics cannot be served');
      resolve(null);
    });
    server.listen(port, ADDRESS, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : null);
    });
  });
}
