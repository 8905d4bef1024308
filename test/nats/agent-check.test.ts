import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {isWell} from '../../agent/check/findings.ts';
import {lookAtSources} from '../../agent/check/look.io.ts';
import {parseAgentConfig} from '../../agent/config.ts';
import {PlainServer} from './plain-server.ts';

let folder: string;
let server: PlainServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mailherd-check-'));
  mkdirSync(join(folder, 'spool'));
  server = await PlainServer.start();
});
afterEach(async () => {
  await server.remove();
  rmSync(folder, {recursive: true});
});

/** Of this machine, as an agent of that role sees it; none of what carries mail is where it looks. */
async function look(role: 'control' | 'backend'): Promise<{well: boolean; state: (source: string) => string | undefined}> {
  const none = join(folder, 'none');
  const mail = `{store: ${folder}, spool: ${none}, dovecotRun: ${none}, logFiles: [${none}], smtpPort: 1, imapPort: 1, lmtpPort: 1}`;
  const sources = await lookAtSources(
    parseAgentConfig(
      `{host: h1, role: ${role}, nats: {servers: ['${server.url}'], seedFile: null}, stateDir: ${folder}, routesDb: ${none},
        mail: ${mail}, probe: {sinkPort: 1, passwordFile: ${none}}}`,
      'agent.yaml',
    ),
  );
  return {well: isWell(sources), state: source => sources.find(one => one.source === source)?.state};
}

test('a host without mail, with NATS, has all that it needs; without NATS it has not', async () => {
  const {well, state} = await look('control');
  expect(['kernel of the host', 'limits', 'NATS', 'spool'].map(state)).toEqual(['read', 'read', 'read', 'read']);
  expect(['queue walk', 'routes.db', 'probes', 'tuner socket', 'mover'].map(state)).toEqual(Array(5).fill('unused'));
  expect(well).toBe(true);
  await server.down();
  const without = await look('control');
  expect(without.state('NATS')).toBe('unreadable');
  expect(without.well).toBe(false);
});

test('a backend without Postfix, Dovecot, log, table and account: each is told, the kernel is read all the same', async () => {
  const {well, state} = await look('backend');
  for (const source of ['queue walk', 'mail log', 'processes of Postfix', 'service status of Dovecot', 'stats of Dovecot', 'routes.db']) {
    expect(state(source), source).toBe('unreadable');
  }
  expect(state('probe: login')).toBe('unreadable');
  expect(state('kernel of the host')).toBe('read');
  expect(state('mail store')).toBe('read');
  expect(well).toBe(false);
});
