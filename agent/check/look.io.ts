import {access, constants, readdir} from 'node:fs/promises';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {SECOND_MS} from '../../base/units.ts';
import {packageVersion} from '../../base/version.io.ts';
import {PressureWatch} from '../../native/kernel.ts';
import type {Log} from '../../wire/log.ts';
import {connectNats} from '../../wire/nats.io.ts';
import {inboxPrefix} from '../../wire/subjects.ts';
import {type AgentConfig, isProbeUser} from '../config.ts';
import {socketMover} from '../mover/client.io.ts';
import {probesOf} from '../probe/run.io.ts';
import type {ProbeKind, ProbeOutcome} from '../probe/tally.ts';
import {sampleTwice} from '../report/reporter.io.ts';
import {reasonOf} from '../sample/collect.io.ts';
import {KernelLog} from '../sample/kernel-log.io.ts';
import {MailLog} from '../sample/maillog.io.ts';
import {KERNEL_TRIGGERS} from '../sample/pressure.ts';
import {socketWriter} from '../tune/writer.io.ts';
import {type Finding, findingsOf} from './findings.ts';

const NATS_WAIT_MS = 4 * SECOND_MS;
const PROBE_WAIT_MS = 5 * SECOND_MS;
/** The second: what needs the account that the first has read. The third: whether connections that idle are still there. */
const PROBE_ROUNDS = 3;
const KINDS: Record<'backend' | 'edge', readonly ProbeKind[]> = {
  backend: ['delivery', 'lmtp', 'login', 'idle'],
  edge: ['smtpBanner', 'imapBanner', 'delivery', 'login'],
};
const SILENT: Log = {debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined};

/** Tries every source of the agent once, beside an agent that may run. Each in bounded time; never rejects for what a source does. */
export async function lookAtSources(config: AgentConfig): Promise<Finding[]> {
  const stop = new AbortController();
  try {
    const mailLog = config.role === 'control' ? null : await followLog(config, stop.signal);
    const kernelLog = await KernelLog.open({
      path: join(config.stateDir, 'check', 'kernel-log.json'),
      told: {event: () => undefined},
      log: SILENT,
    });
    const report = await sampleTwice(config, packageVersion(), {}, {mailLog, kernelLog});
    const rest = [pressure(), probes(config), routes(config), nats(config), spool(config), tuner(config), mover(config)];
    return [...findingsOf(report), ...(await Promise.all(rest)).flat()];
  } finally {
    stop.abort();
  }
}

/** From now on, and without a position: that is the running agent's. */
function followLog(config: AgentConfig, signal: AbortSignal): Promise<MailLog> {
  const {stateDir, mail} = config;
  return MailLog.open({
    path: join(stateDir, 'check', 'maillog.json'),
    files: mail.logFiles,
    isProbe: isProbeUser(config),
    activity: null,
    onEvent: () => undefined,
    log: SILENT,
    signal,
  });
}

async function tried(source: string, todo: string, work: () => string | Promise<string>): Promise<Finding> {
  try {
    return {source, state: 'read', detail: await work(), todo: ''};
  } catch (error) {
    // Files and SQLite tell by their text, what is ours by code and details.
    const detail = error instanceof Error && error.name !== 'MailherdError' ? error.message : reasonOf(error);
    return {source, state: 'unreadable', detail, todo};
  }
}

function unused(source: string, detail: string, todo = ''): Finding {
  return {source, state: 'unused', detail, todo};
}

async function pressure(): Promise<Finding> {
  const source = 'pressure at once';
  const todo = 'boot with psi=1; before Linux 6.5 it takes CAP_SYS_RESOURCE';
  const found = await tried(source, todo, () => {
    const watch = new PressureWatch(KERNEL_TRIGGERS, () => undefined);
    watch.close();
    return watch.gaps.map(({code, path}) => `${path}: ${code}`).join(', ');
  });
  if (found.state !== 'read') return found;
  // Reports still tell of it, within their interval.
  return found.detail === '' ? {...found, detail: 'the kernel takes all triggers'} : {...found, state: 'absent', todo};
}

async function probes(config: AgentConfig): Promise<Finding[]> {
  const {role, probe} = config;
  if (role === 'control') return [unused('probes', 'not on a host of role control')];
  const short = {...config, probe: {...probe, timeoutMs: Math.min(probe.timeoutMs, PROBE_WAIT_MS)}};
  const asked = await probesOf(short, () => null, SILENT);
  const outcomes = new Map<ProbeKind, ProbeOutcome>();
  for (let round = 0; round < PROBE_ROUNDS; round++) {
    for (const outcome of await Promise.all(asked.round())) if (outcome !== null) outcomes.set(outcome.probe, outcome);
  }
  await asked.close();
  return KINDS[role].map(kind => probeFinding(config, kind, outcomes));
}

function probeFinding({role, probe}: AgentConfig, kind: ProbeKind, outcomes: ReadonlyMap<ProbeKind, ProbeOutcome>): Finding {
  const source = `probe: ${kind}`;
  const outcome = outcomes.get(kind);
  if (outcome?.ok) {
    const detail = outcome.idle ? `${outcome.idle.open} connections stay open` : `came through in ${Math.round(outcome.tookMs)} ms`;
    return {source, state: 'read', detail, todo: ''};
  }
  if (outcome !== undefined) return {source, state: 'unreadable', detail: outcome.reason, todo: 'look at the log of Postfix or Dovecot'};
  // On an edge all that acts as a user needs the account.
  if (probe.passwordFile === null && (kind !== 'delivery' || role === 'edge'))
    return unused(source, 'no account to log in with', 'set probe.passwordFile');
  if (kind === 'delivery') return unused(source, 'the port of the sink is taken, by the agent that runs here if one does');
  if (kind === 'idle' && probe.idleConnections === 0) return unused(source, 'probe.idleConnections is 0');
  if (outcomes.has('login')) return {source, state: 'unreadable', detail: 'no connection stayed open', todo: 'look at the log of Dovecot'};
  const todo = 'write the password of the probe mailbox to it';
  return {source, state: 'unreadable', detail: `${probe.passwordFile} cannot be read`, todo};
}

async function routes({role, routesDb, probe}: AgentConfig): Promise<Finding> {
  if (role === 'control') return unused('routes.db', 'not on a host of role control');
  return tried('routes.db', 'start mailherd-agent: it makes the table', () => {
    const db = new DatabaseSync(routesDb, {readOnly: true});
    try {
      const {users} = db
        .prepare("SELECT count(*) AS users FROM routes WHERE user NOT LIKE '%.mailherd.invalid' AND user IS NOT ?")
        .get(probe.user) as {
        users: number;
      };
      const self = db.prepare('SELECT revision FROM self').get() as {revision: number} | undefined;
      return `${users} users, revision ${self?.revision ?? 'none'}`;
    } finally {
      db.close();
    }
  });
}

async function nats({host, nats: {servers, seedFile}}: AgentConfig): Promise<Finding> {
  const todo = 'look at nats.servers and nats.seedFile, at the firewall, and whether nats-server runs';
  let refusal = `no answer within ${NATS_WAIT_MS} ms`;
  const log: Log = {
    ...SILENT,
    warn: fields => {
      if ('reason' in fields) refusal = String(fields.reason);
    },
  };
  return tried('NATS', todo, async () => {
    const signal = AbortSignal.timeout(NATS_WAIT_MS);
    const config = {servers, seedFile, name: `check of ${host}`, inboxPrefix: inboxPrefix(host)};
    const nc = await connectNats(config, log, signal).catch(error => {
      throw signal.aborted ? new Error(refusal) : error;
    });
    const server = nc.getServer();
    await nc.close();
    return `connected to ${server}`;
  });
}

function spool({stateDir}: AgentConfig): Promise<Finding> {
  return tried('spool', 'run it as root; start mailherd-agent, which makes the directory', async () => {
    const folder = join(stateDir, 'spool');
    await access(folder, constants.R_OK | constants.W_OK);
    return `${(await readdir(folder)).length} files`;
  });
}

async function tuner({role, tune}: AgentConfig): Promise<Finding> {
  if (role === 'control' || tune.mode === 'off') return unused('tuner socket', 'tuning is off');
  return tried(
    'tuner socket',
    'systemctl start mailherd-tune.socket',
    async () => `${(await socketWriter().list()).length} values are held`,
  );
}

async function mover({role}: AgentConfig): Promise<Finding> {
  if (role === 'control') return unused('mover', 'not on a host of role control');
  return tried('mover', 'systemctl start mailherd-mover.socket; journalctl -u mailherd-mover', async () => {
    await socketMover().admit();
    return 'it comes up when it is asked';
  });
}
