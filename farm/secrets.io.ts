import {createHash, randomBytes} from 'node:crypto';
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises';
import Type from 'typebox';
import {MailherdError} from '../base/errors.ts';
import {decode} from '../wire/codec.ts';
import {apiUrl, type ControlIdentity} from './host/control.ts';
import type {Identity} from './host/mailherd.ts';
import {type HostSpec, type Layout, probeUser, users} from './layout.ts';
import type {Paths} from './paths.ts';
import {run} from './run.io.ts';

const Secrets = Type.Object({
  doveadmPassword: Type.String(),
  probePasswords: Type.Record(Type.String(), Type.String()),
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
    seed: (await readMade(paths, `seeds/${spec.name}.seed`))?.trim() ?? null,
    probePassword: secrets.probePasswords[spec.name] ?? '',
    doveadmPassword: secrets.doveadmPassword,
  };
}

/** Where `mailherd init` keeps the farm's credentials, and the operator's cli.yaml. */
export function initDirectory(paths: Paths): string {
  return `${paths.secrets}/mailherd`;
}

/** Has the project's own command make the credentials of every host and the coordinator; run again, it adds what is missing. */
export async function makeCredentials(paths: Paths, layout: Layout): Promise<void> {
  const control = layout.hosts.find(spec => spec.role === 'control');
  if (control === undefined) throw new MailherdError('CONFIG_INVALID', {reason: 'the farm has no control host'});
  await mkdir(paths.secrets, {recursive: true});
  const cli = new URL('../cli/main.io.ts', import.meta.url).pathname;
  const mailHosts = layout.hosts.filter(spec => spec.role !== 'control').flatMap(spec => ['--host', `${spec.name}:${spec.role}`]);
  const where = ['--listen', '0.0.0.0:4222', '--server', `${control.address}:4222`, '--api', apiUrl(control)];
  await run([process.execPath, cli, 'init', 'farm', '--dir', initDirectory(paths), ...where, ...mailHosts]);
}

/** What the control host gets of the credentials; null when none were made. */
export async function controlIdentity(paths: Paths): Promise<ControlIdentity | null> {
  const natsServer = await readMade(paths, 'nats-server.conf');
  if (natsServer === null) return null;
  const need = async (name: string): Promise<string> => {
    const text = await readMade(paths, name);
    if (text === null) throw new MailherdError('CONFIG_INVALID', {file: `${initDirectory(paths)}/${name}`, reason: 'is missing'});
    return text;
  };
  return {
    natsServer,
    natsUsers: await need('nats-users.conf'),
    coordinatorSeed: await need('seeds/coordinator.seed'),
    tokens: await need('tokens.yaml'),
    cli: await need('cli.yaml'),
  };
}

/** A file that `mailherd init` made; null when there is none. */
async function readMade(paths: Paths, name: string): Promise<string | null> {
  try {
    return await readFile(`${initDirectory(paths)}/${name}`, 'utf8');
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

/**
 * The host's /etc/dovecot/users. On a backend its probe user and those of the edges, and all customers, wherever their mailboxes are; on
 * an edge nobody, since passwords are checked by the backends.
 */
export async function passwordFile(paths: Paths, layout: Layout, spec: HostSpec): Promise<string> {
  if (spec.role !== 'backend') return '';
  const {probePasswords} = await ensureSecrets(paths, layout);
  const probes = [spec, ...layout.hosts.filter(({role}) => role === 'edge')].map(({name}) => [probeUser(name), probePasswords[name] ?? '']);
  const customers = users(layout).map(({user, password}) => [user, password]);
  return [...probes, ...customers].map(([user, password]) => `${user}:${hashed(password ?? '')}\n`).join('');
}
