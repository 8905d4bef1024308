import {stringify} from 'yaml';
import {ROUTES_DB} from '../../wire/route-queries.ts';
import {type HostSpec, type Layout, probeUser} from '../layout.ts';
import {file, type HostFile, secret} from './file.ts';

/** Secrets of one host; the provisioner puts the same ones back after a reinstall, as an installer would. */
export interface Identity {
  /** NATS seed of the host, null while the farm runs without the project's software. */
  seed: string | null;
  probePassword: string;
  doveadmPassword: string;
}

/** The agent's own configuration on an edge or a backend. */
export function agentFiles(layout: Layout, spec: HostSpec, identity: Identity): HostFile[] {
  const control = layout.hosts.filter(each => each.role === 'control');
  const config = {
    host: spec.name,
    role: spec.role,
    nats: {
      servers: control.map(each => `${each.address}:4222`),
      seedFile: identity.seed === null ? null : '/etc/mailherd/agent.seed',
    },
    stateDir: '/var/lib/mailherd/agent',
    routesDb: ROUTES_DB,
    reportIntervalMs: 5_000,
    // Intervals that short cost more than an agent may.
    cpuPercentMax: 100,
    labels: spec.labels,
    mail: {
      smtpPort: 25,
      imapPort: 143,
      lmtpPort: 24,
      doveadmPort: 24_245,
      store: '/var/vmail',
      spool: '/var/spool/postfix',
    },
    probe: {
      intervalMs: 5_000,
      timeoutMs: 10_000,
      user: probeUser(spec.name),
      passwordFile: '/etc/mailherd/probe.password',
      sinkAddress: '127.0.0.1',
      sinkPort: 2_526,
    },
  };
  return [
    file('/etc/mailherd/agent.yaml', stringify(config)),
    secret('/etc/mailherd/probe.password', `${identity.probePassword}\n`),
    ...(identity.seed === null ? [] : [secret('/etc/mailherd/agent.seed', `${identity.seed}\n`)]),
  ];
}
