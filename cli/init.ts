import {MailherdError} from '../base/errors.ts';
import {
  FARM_ACCOUNT,
  farmApi,
  MIRRORS,
  mirrorDelivery,
  NEWEST_ROUTE,
  NEWEST_ROUTE_API,
  type ReaderAccount,
  readerApi,
} from '../wire/accounts.ts';
import {fits} from '../wire/codec.ts';
import {AGENT_EVENTS} from '../wire/event.ts';
import {HostName, Role} from '../wire/schema.ts';
import {
  commandSubjects,
  EVENT_STREAM,
  EVENT_SUBJECTS,
  eventSubject,
  HOST_BUCKET,
  INCIDENT_BUCKET,
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

const READERS: readonly ReaderAccount[] = ['HOSTS', 'OBSERVERS'];

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

/** The least that each user needs, in its account (wire/accounts.ts). */
export function permissionsOf(name: string): Permissions {
  if (name === COORDINATOR) return coordinatorPermissions();
  if (name === OBSERVER) return observerPermissions();
  return {
    publish: [
      reportSubject(name),
      ...AGENT_EVENTS.map(type => eventSubject(name, type)),
      ...[HOST_BUCKET, ROUTE_BUCKET].flatMap(bucketReading),
      NEWEST_ROUTE,
    ],
    subscribe: [commandSubjects(name), `${inboxPrefix(name)}.>`],
    responses: COMMAND_REPLIES,
  };
}

/**
 * Get and watch of a KV bucket. No STREAM.INFO: it would tell the secret of the mirror. No CONSUMER.DELETE: consumers of others have
 * no other protection, and one's own end by themselves.
 */
function bucketReading(bucket: string): string[] {
  const stream = `KV_${bucket}`;
  return [`$JS.API.STREAM.MSG.GET.${stream}`, `$JS.API.CONSUMER.CREATE.${stream}.>`, `$JS.FC.${stream}.>`];
}

function coordinatorPermissions(): Permissions {
  const buckets = [HOST_BUCKET, ROUTE_BUCKET, MOVE_BUCKET, PLAN_BUCKET, POLICY_BUCKET, LEASE_BUCKET, INCIDENT_BUCKET];
  return {
    publish: [
      'mailherd.command.>',
      EVENT_SUBJECTS,
      ...buckets.map(bucket => `$KV.${bucket}.>`),
      '$JS.API.>',
      '$JS.ACK.>',
      '$JS.FC.>',
      ...READERS.map(account => `${readerApi(account)}.>`),
    ],
    subscribe: [`${inboxPrefix(COORDINATOR)}.>`, EVENT_SUBJECTS, REPORT_SUBJECTS],
    responses: null,
  };
}

/** Durable consumers of the events; it cannot delete one, since it could be another observer's. */
function observerPermissions(): Permissions {
  return {
    publish: [
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

/** An account: who is in it, what it lets others have, what it has of others. */
interface Account {
  name: string;
  users: NatsUser[];
  exports: string[];
  imports: string[];
}

/** What the coordinator does to the mirrors of another account. */
const MIRROR_CALLS = ['STREAM.INFO', 'STREAM.CREATE', 'STREAM.DELETE'] as const;
/** Reports and events go to FARM as requests, whose answers come back to the asker's account only. */
const STORED_SUBJECTS = [REPORT_SUBJECTS, 'mailherd.event.*.>'];
/** Commands and their replies go over as they are: a command has many replies. */
const ANY_COMMAND = 'mailherd.command.*.>';
const COORDINATOR_INBOX = `${inboxPrefix(COORDINATOR)}.>`;

const service = (subject: string, to: string): string => `{service: "${subject}", accounts: [${to}]}`;
const stream = (subject: string, to: string): string => `{stream: "${subject}", accounts: [${to}]}`;
const importService = (account: string, subject: string, as: string | null = null): string =>
  `{service: {account: ${account}, subject: "${subject}"}${as === null ? '' : `, to: "${as}"`}}`;
const importStream = (account: string, subject: string): string => `{stream: {account: ${account}, subject: "${subject}"}}`;

function farmAccount(users: NatsUser[]): Account {
  const farm: Account = {name: FARM_ACCOUNT, users, exports: [], imports: []};
  farm.exports.push(...[...STORED_SUBJECTS, NEWEST_ROUTE_API].map(subject => service(subject, 'HOSTS')), stream(ANY_COMMAND, 'HOSTS'));
  farm.imports.push(importStream('HOSTS', COORDINATOR_INBOX));
  for (const account of READERS) farm.exports.push(stream(`${mirrorDelivery(account)}.>`, account));
  for (const {account, stream: name} of MIRRORS) {
    farm.exports.push(...farmCalls(name).map(call => service(call, account)));
    farm.imports.push(
      ...MIRROR_CALLS.map(call => importService(account, `$JS.API.${call}.${name}`, `${readerApi(account)}.${call}.${name}`)),
    );
  }
  return farm;
}

/** What a mirror asks of the account of its origin. */
function farmCalls(name: string): string[] {
  return [`$JS.API.CONSUMER.CREATE.${name}`, `$JS.API.CONSUMER.CREATE.${name}.>`, `$JS.FC.${name}.>`];
}

function readerAccount(name: ReaderAccount, users: NatsUser[], secret: string): Account {
  const reader: Account = {name, users, exports: [], imports: [importStream(FARM_ACCOUNT, `${mirrorDelivery(name)}.>`)]};
  for (const {stream: mirrored} of MIRRORS.filter(({account}) => account === name)) {
    reader.exports.push(...MIRROR_CALLS.map(call => service(`$JS.API.${call}.${mirrored}`, FARM_ACCOUNT)));
    reader.imports.push(
      ...farmCalls(mirrored).map(call =>
        importService(FARM_ACCOUNT, call, call.startsWith('$JS.API') ? call.replace('$JS.API', farmApi(secret)) : null),
      ),
    );
  }
  if (name === 'HOSTS') {
    reader.exports.push(stream(COORDINATOR_INBOX, FARM_ACCOUNT));
    reader.imports.push(...STORED_SUBJECTS.map(subject => importService(FARM_ACCOUNT, subject)), importStream(FARM_ACCOUNT, ANY_COMMAND));
    reader.imports.push(importService(FARM_ACCOUNT, NEWEST_ROUTE_API, NEWEST_ROUTE));
  }
  return reader;
}

/**
 * The accounts file that the server's configuration includes.
 * @param secrets of wire/mirror.io.ts, from the coordinator's seed: the file is as secret as that.
 */
export function usersConf(users: readonly NatsUser[], secrets: Readonly<Record<ReaderAccount, string>>): string {
  const hosts = users.filter(({name}) => name !== COORDINATOR && name !== OBSERVER);
  const accounts = [
    farmAccount(users.filter(({name}) => name === COORDINATOR)),
    readerAccount('HOSTS', hosts, secrets.HOSTS),
    readerAccount(
      'OBSERVERS',
      users.filter(({name}) => name === OBSERVER),
      secrets.OBSERVERS,
    ),
  ];
  return `# Written by "mailherd init" from the seeds; what is changed here is lost at its next run. Keep it secret.
# Hosts and observers are in accounts of their own: they read mirrors, and no answer to them can be sent into the coordinator's account.
accounts {
${accounts.map(accountText).join('\n')}
}
`;
}

function accountText({name, users, exports, imports}: Account): string {
  const list = (items: string[]): string => items.map(item => `\n      ${item}`).join('');
  return `  ${name} {
    jetstream: enabled
    exports: [${list(exports)}
    ]
    imports: [${list(imports)}
    ]
    users: [${users.map(userText).join('')}
    ]
  }`;
}

function userText({name, publicKey}: NatsUser): string {
  const {publish, subscribe, responses} = permissionsOf(name);
  const lines = [`publish: {allow: [${quoted(publish)}]}`, `subscribe: {allow: [${quoted(subscribe)}]}`];
  if (responses !== null) lines.push(`allow_responses: {max: ${responses.max}, expires: "${responses.expires}"}`);
  return `\n      # ${name}\n      {nkey: ${publicKey}, permissions: {\n        ${lines.join('\n        ')}\n      }}`;
}

/** The server's configuration; written once, then the operator's. @param listen HOST:PORT */
export function serverConf(listen: string, storeDir: string): string {
  return `# NATS server of the farm. One server is enough for a small farm; a cluster of 3 or 5 survives the loss of a machine.
listen: "${listen}"

jetstream {
  store_dir: "${storeDir}"
  max_file_store: 10GB
  # A crash of the server loses nothing that was acknowledged; a power cut may lose what is younger than two minutes. From 2.10 on:
  # sync_interval: always
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
