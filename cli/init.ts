import {MailherdError} from '../base/errors.ts';
import {fits} from '../wire/codec.ts';
import {HostName, Role} from '../wire/schema.ts';
import {
  commandSubjects,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  eventSubject,
  HOST_BUCKET,
  inboxPrefix,
  LEASE_BUCKET,
  MOVE_BUCKET,
  PLAN_BUCKET,
  POLICY_BUCKET,
  REPORT_SUBJECTS,
  ROUTE_BUCKET,
  reportSubject,
} from '../wire/subjects.ts';

/** Names of NATS users that are no hosts. */
export const COORDINATOR = 'coordinator';
export const OBSERVER = 'observer';

export interface NewHost {
  host: string;
  role: Role;
}

/** A NATS user: its public nkey and what it may do. */
export interface NatsUser {
  name: string;
  publicKey: string;
}

interface Permissions {
  publish: string[];
  subscribe: string[];
  /** Replies to what came in: how many to each message, for how long. */
  responses: {max: number; expires: string} | null;
}

/** A command sends a sign of work every few seconds until it is done: 24 hours of them and more. */
const COMMAND_REPLIES = {max: 100_000, expires: '24h'} as const;

/** @throws MailherdError INPUT_INVALID when it is not NAME:ROLE, or the name is one of the farm's own users. */
export function parseNewHost(text: string): NewHost {
  const [host, role, ...more] = text.split(':');
  if (!fits(HostName, host) || !fits(Role, role) || more.length > 0) {
    throw new MailherdError('INPUT_INVALID', {what: text, path: '/', reason: 'must be NAME:ROLE, with the role backend, edge or control'});
  }
  if (host === COORDINATOR || host === OBSERVER)
    throw new MailherdError('INPUT_INVALID', {what: text, path: '/', reason: 'that name is taken'});
  return {host, role};
}

/** The least that each user needs. Whoever reads a bucket makes a consumer of its own; nobody but the coordinator writes one. */
export function permissionsOf(name: string): Permissions {
  if (name === COORDINATOR) return coordinatorPermissions();
  if (name === OBSERVER) return observerPermissions();
  return {
    publish: [reportSubject(name), eventSubject(name, '>'), ...[HOST_BUCKET, ROUTE_BUCKET].flatMap(bucketReading)],
    subscribe: [commandSubjects(name), `${inboxPrefix(name)}.>`],
    responses: COMMAND_REPLIES,
  };
}

/** Get, list and watch of a KV bucket; no writing, no deleting of anybody's consumer but through its own timeout. */
function bucketReading(bucket: string): string[] {
  const stream = `KV_${bucket}`;
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.>`,
    `$JS.API.CONSUMER.DELETE.${stream}.>`,
    `$JS.FC.${stream}.>`,
  ];
}

function coordinatorPermissions(): Permissions {
  const buckets = [HOST_BUCKET, ROUTE_BUCKET, MOVE_BUCKET, PLAN_BUCKET, POLICY_BUCKET, LEASE_BUCKET];
  return {
    publish: ['mailherd.command.>', EVENT_SUBJECTS, ...buckets.map(bucket => `$KV.${bucket}.>`), '$JS.API.>', '$JS.ACK.>', '$JS.FC.>'],
    subscribe: [`${inboxPrefix(COORDINATOR)}.>`, EVENT_SUBJECTS, REPORT_SUBJECTS],
    responses: null,
  };
}

/** Durable consumers of the events; it cannot delete one, since it could be another observer's. */
function observerPermissions(): Permissions {
  return {
    publish: [
      `$JS.API.STREAM.INFO.${EVENT_STREAM}`,
      `$JS.API.CONSUMER.CREATE.${EVENT_STREAM}.>`,
      `$JS.API.CONSUMER.DURABLE.CREATE.${EVENT_STREAM}.>`,
      `$JS.API.CONSUMER.INFO.${EVENT_STREAM}.>`,
      `$JS.API.CONSUMER.MSG.NEXT.${EVENT_STREAM}.>`,
      `$JS.ACK.${EVENT_STREAM}.>`,
      `$JS.FC.${EVENT_STREAM}.>`,
    ],
    subscribe: [`${inboxPrefix(OBSERVER)}.>`],
    responses: null,
  };
}

/** The users file that the server's configuration includes. */
export function usersConf(users: readonly NatsUser[]): string {
  const entries = users.map(({name, publicKey}) => {
    const {publish, subscribe, responses} = permissionsOf(name);
    const lines = [`publish: {allow: [${quoted(publish)}]}`, `subscribe: {allow: [${quoted(subscribe)}]}`];
    if (responses !== null) lines.push(`allow_responses: {max: ${responses.max}, expires: "${responses.expires}"}`);
    return `    # ${name}\n    {\n      nkey: ${publicKey}\n      permissions: {\n        ${lines.join('\n        ')}\n      }\n    }`;
  });
  return `# Written by "mailherd init" from the seeds; what is changed here is lost at its next run.\nauthorization {\n  users: [\n${entries.join('\n')}\n  ]\n}\n`;
}

/** The server's configuration; written once, then the operator's. @param listen HOST:PORT */
export function serverConf(listen: string, storeDir: string): string {
  return `# NATS server of the farm. One server is enough for a small farm; a cluster of 3 or 5 survives the loss of a machine.
listen: "${listen}"

jetstream {
  store_dir: "${storeDir}"
  max_file_store: 10GB
}

# Over networks that others share: tls { cert_file: ..., key_file: ... }, and tls:// in the servers of every configuration.

include "nats-users.conf"
`;
}

/** The beginning of a host's agent.yaml. */
export function agentYaml({host, role}: NewHost, servers: readonly string[]): string {
  return `# /etc/mailherd/agent.yaml of ${host}; /etc/mailherd/agent.yaml.example has everything else.
host: ${host}
role: ${role}
nats:
  servers: ${JSON.stringify(servers)}
  seedFile: /etc/mailherd/agent.seed
`;
}

export function coordinatorYaml(servers: readonly string[]): string {
  return `# /etc/mailherd/coordinator.yaml; /etc/mailherd/coordinator.yaml.example has everything else.
name: coordinator-1
nats:
  servers: ${JSON.stringify(servers)}
  seedFile: /etc/mailherd/coordinator.seed
`;
}

function quoted(subjects: readonly string[]): string {
  return subjects.map(subject => JSON.stringify(subject)).join(', ');
}
