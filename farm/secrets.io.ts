import {createHash, randomBytes} from 'node:crypto';
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises';
import Type from 'typebox';
import {stringify} from 'yaml';
import {decode} from '../wire/codec.ts';
import type {ControlIdentity} from './host/control.ts';
import type {Identity} from './host/mailherd.ts';
import {type HostSpec, type Layout, probeUser, users} from './layout.ts';
import type {Paths} from './paths.ts';

const Secrets = Type.Object({
  doveadmPassword: Type.String(),
  probePasswords: Type.Record(Type.String(), Type.String()),
  /** The operator's bearer token for the coordinator's API. */
  apiToken: Type.String(),
});
type Secrets = Type.Static<typeof Secrets>;

/**
 * The farm's secrets: made when it comes up first, kept until `down`, so that a reinstalled host gets back what it had.
 * Not to be called twice at once before they exist.
 */
export async function ensureSecrets(paths: Paths, layout: Layout): Promise<Secrets> {
  const path = `${paths.secrets}/farm.json`;
  try {
    return decode(Secrets, await readFile(path, 'utf8'), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const word = (): string => randomBytes(12).toString('hex');
  const secrets: Secrets = {
    doveadmPassword: word(),
    probePasswords: Object.fromEntries(layout.hosts.map(spec => [spec.name, word()])),
    apiToken: randomBytes(32).toString('base64url'),
  };
  await mkdir(paths.secrets, {recursive: true});
  await chmod(paths.secrets, 0o700);
  await writeFile(path, JSON.stringify(secrets), {mode: 0o600});
  return secrets;
}

/** What only this host may know. */
export async function identityOf(paths: Paths, layout: Layout, spec: HostSpec): Promise<Identity> {
  const secrets = await ensureSecrets(paths, layout);
  return {
    seed: await readMade(paths, `${spec.name}.seed`),
    probePassword: secrets.probePasswords[spec.name] ?? '',
    doveadmPassword: secrets.doveadmPassword,
  };
}

/** Secrets of the control host. */
export async function controlIdentity(paths: Paths, layout: Layout): Promise<ControlIdentity> {
  const {apiToken} = await ensureSecrets(paths, layout);
  const sha256 = createHash('sha256').update(apiToken).digest('hex');
  return {
    coordinatorSeed: await readMade(paths, 'coordinator.seed'),
    natsConfig: await readMade(paths, 'nats-server.conf'),
    tokens: stringify([{name: 'operator', role: 'operate', sha256}]),
    token: apiToken,
  };
}

/** A file made with the farm's NATS credentials; null when none were made. */
async function readMade(paths: Paths, name: string): Promise<string | null> {
  try {
    return (await readFile(`${paths.secrets}/nats/${name}`, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A salted hash as Dovecot's scheme SSHA512 wants it: base64 of digest and salt. */
function hashed(password: string): string {
  const salt = randomBytes(8);
  const digest = createHash('sha512').update(password).update(salt).digest();
  return `{SSHA512}${Buffer.concat([digest, salt]).toString('base64')}`;
}

/** The host's /etc/dovecot/users: its probe user, and on a backend all customers, wherever their mailboxes are. */
export function passwordFile(layout: Layout, spec: HostSpec, identity: Identity): string {
  const lines = [`${probeUser(spec.name)}:${hashed(identity.probePassword)}`];
  if (spec.role === 'backend') lines.push(...users(layout).map(each => `${each.user}:${hashed(each.password)}`));
  return `${lines.join('\n')}\n`;
}
