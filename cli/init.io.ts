import {createHash, randomBytes} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {createUser, fromSeed} from '@nats-io/nkeys';
import {Command, Option} from 'commander';
import {parse as parseYaml, stringify} from 'yaml';
import {MailherdError} from '../base/errors.ts';
import {mirrorSecret} from '../wire/mirror.io.ts';
import {
  agentYaml,
  COORDINATOR,
  coordinatorYaml,
  type NatsUser,
  type NewHost,
  OBSERVER,
  parseNewHost,
  serverConf,
  usersConf,
} from './init.ts';
import {DOVECOTS, type Dovecot, type MailOptions, mailFiles, mailSteps, siteOf} from './init-mail.ts';
import {SECRET, writeOnce} from './write-once.io.ts';

const SEED = /^(.+)\.seed$/;

interface FarmOptions {
  dir: string;
  host: string[];
  listen: string;
  storeDir: string;
  server: string[];
  api: string;
}

/** `mailherd init`: the secrets and configurations of a farm, in a directory that the operator keeps. */
export function initCommand(): Command {
  const init = new Command('init').description(
    'makes the secrets and the configuration of a farm: NATS, agents, Postfix and Dovecot; run again, it adds what is missing',
  );
  init
    .command('farm')
    .description('coordinator, observer, NATS server, tokens, and the hosts named')
    .requiredOption('--dir <dir>', 'directory that is made, and kept secret')
    .option('--host <name:role>', 'a host; can be given often', gather, [])
    .option('--listen <host:port>', 'where the NATS server listens', '127.0.0.1:4222')
    .option('--server <host:port>', 'where hosts reach it (default: where it listens); can be given often', gather, [])
    .option('--store-dir <dir>', "the NATS server's store", '/var/lib/nats')
    .option('--api <url>', "the coordinator's API, for cli.yaml", 'http://127.0.0.1:8700')
    .action((options: FarmOptions) => say(initFarm(options)));
  init
    .command('host')
    .description('one more host')
    .argument('<name:role>', 'role: backend, edge or control')
    .requiredOption('--dir <dir>', 'directory of the farm')
    .option('--server <host:port>', 'where the host reaches the NATS server; can be given often', gather, [])
    .action((host: string, {dir, server}: {dir: string; server: string[]}) => say(initHost(host, dir, server)));
  init
    .command('mail')
    .description("what Postfix and Dovecot of a host are told so that they go by the farm's routes")
    .argument('<name:role>', 'role: backend or edge')
    .requiredOption('--dir <dir>', 'directory of the farm; the files come to its mail/<name>')
    .addOption(new Option('--dovecot <version>', "the host's Dovecot").choices(DOVECOTS).makeOptionMandatory())
    .option('--domain <domain>', 'a mail domain of the farm; can be given often', gather, [])
    .option('--address <ip>', "backend: its own address in the farm's network")
    .option('--network <cidr>', "backend: a network of the farm's hosts; can be given often", gather, [])
    .option('--home <template>', 'backend: where mailboxes lie, e.g. /var/vmail/%d/%n; without it a userdb of your own says so')
    .option('--uid <number>', 'backend: whose they are, with --home')
    .option('--gid <number>', 'backend: likewise')
    .action((host: string, {dir, dovecot, ...options}: MailOptions & {dir: string; dovecot: Dovecot}) =>
      say(initMail(parseNewHost(host), dir, dovecot, options)),
    );
  return init;
}

function say(text: string): void {
  process.stdout.write(text);
}

function gather(value: string, before: string[]): string[] {
  return [...before, value];
}

/**
 * Makes what is missing in the farm's directory; never changes a seed, a token or a file that an operator edits.
 * @returns what to copy where, as text. @throws MailherdError INPUT_INVALID for a host that is not NAME:ROLE; CONFIG_INVALID for a
 * file in the directory that is not what it should be.
 */
function initFarm({dir, host, listen, storeDir, server, api}: FarmOptions): string {
  const hosts = host.map(parseNewHost);
  const servers = server.length === 0 ? [listen] : server;
  mkdirSync(join(dir, 'seeds'), {recursive: true, mode: 0o700});
  for (const name of [COORDINATOR, OBSERVER]) makeSeed(dir, name);
  writeOnce(join(dir, 'nats-server.conf'), serverConf(listen, storeDir), 0o644);
  writeOnce(join(dir, 'coordinator.yaml'), coordinatorYaml(servers), 0o644);
  makeToken(dir, api);
  for (const one of hosts) makeHost(dir, one, servers);
  writeUsers(dir);
  return [
    'NATS server:  nats-server.conf and nats-users.conf to one directory there; nats-users.conf: chown to its user, chmod 600; nats-server -c nats-server.conf',
    'coordinator:  coordinator.yaml, seeds/coordinator.seed (as coordinator.seed) and tokens.yaml to /etc/mailherd; seed and tokens: chown mailherd, chmod 600',
    'operator:     cli.yaml to /etc/mailherd, chmod 600',
    'observers:    seeds/observer.seed; it may read the events and nothing else',
    ...hosts.map(copyLine),
    '',
  ].join('\n');
}

/** @returns what to copy where. @throws MailherdError as initFarm; CONFIG_INVALID when `dir` is no farm's. */
function initHost(text: string, dir: string, server: readonly string[]): string {
  const host = parseNewHost(text);
  checkFarm(dir);
  makeHost(dir, host, server.length === 0 ? serversKnown(dir) : server);
  writeUsers(dir);
  return `NATS server:  nats-users.conf, beside nats-server.conf there; nats-server --signal reload\n${copyLine(host)}\n`;
}

/**
 * Writes a mail host's files below `mail/<name>`, all or none. @returns what to do with them.
 * @throws MailherdError as initHost; INPUT_INVALID; CONFIG_INVALID when a file is there and says something else.
 */
function initMail(host: NewHost, dir: string, dovecot: Dovecot, options: MailOptions): string {
  checkFarm(dir);
  const site = siteOf(host, options, () => makeDoveadmPassword(dir));
  const root = join(dir, 'mail', host.host);
  const files = mailFiles(site, dovecot).map(file => ({...file, path: join(root, file.path)}));
  for (const {path, text} of files) {
    if (existsSync(path) && readFileSync(path, 'utf8') !== text) {
      throw new MailherdError('CONFIG_INVALID', {
        file: path,
        path: '/',
        reason: `says something else by now; to have all of it anew, move ${root} away`,
      });
    }
  }
  for (const {path, text, isSecret} of files) {
    mkdirSync(dirname(path), {recursive: true});
    writeOnce(path, text, isSecret ? SECRET : 0o644);
  }
  return mailSteps(host, site, dovecot, root);
}

/** One for the farm: each backend shows it to the others. */
function makeDoveadmPassword(dir: string): string {
  const path = join(dir, 'doveadm.password');
  writeOnce(path, `${randomBytes(24).toString('hex')}\n`, SECRET);
  const password = readFileSync(path, 'utf8').trim();
  if (!/^[\w-]+$/.test(password)) throw new MailherdError('CONFIG_INVALID', {file: path, path: '/', reason: 'must be letters and digits'});
  return password;
}

function checkFarm(dir: string): void {
  if (existsSync(join(dir, 'seeds')) && existsSync(join(dir, 'nats-server.conf'))) return;
  throw new MailherdError('CONFIG_INVALID', {file: dir, path: '/', reason: 'is no directory of "mailherd init farm"'});
}

function copyLine({host}: NewHost): string {
  return `${`${host}:`.padEnd(13)} agents/${host}.yaml (as agent.yaml) and seeds/${host}.seed (as agent.seed) to /etc/mailherd there; seed: chmod 600`;
}

/** What the coordinator of this farm was given. */
function serversKnown(dir: string): string[] {
  const file = join(dir, 'coordinator.yaml');
  const {nats} = parseYaml(readFileSync(file, 'utf8')) as {nats?: {servers?: unknown}};
  if (!Array.isArray(nats?.servers)) throw new MailherdError('CONFIG_INVALID', {file, path: '/nats/servers', reason: 'must be a list'});
  return nats.servers.map(String);
}

function makeHost(dir: string, host: NewHost, servers: readonly string[]): void {
  makeSeed(dir, host.host);
  mkdirSync(join(dir, 'agents'), {recursive: true});
  writeOnce(join(dir, 'agents', `${host.host}.yaml`), agentYaml(host, servers), 0o644);
}

function makeSeed(dir: string, name: string): void {
  const seed = new TextDecoder().decode(createUser().getSeed());
  writeOnce(join(dir, 'seeds', `${name}.seed`), `${seed}\n`, SECRET);
}

/** The server's users are those whose seeds lie here: a removed seed is a removed user. */
function writeUsers(dir: string): void {
  const users = readdirSync(join(dir, 'seeds')).flatMap((file): NatsUser[] => {
    const name = SEED.exec(file)?.[1];
    return name === undefined ? [] : [{name, publicKey: publicKeyOf(join(dir, 'seeds', file))}];
  });
  const path = join(dir, 'nats-users.conf');
  const seed = readFileSync(join(dir, 'seeds', `${COORDINATOR}.seed`), 'utf8');
  const secrets = {HOSTS: mirrorSecret(seed, 'HOSTS'), OBSERVERS: mirrorSecret(seed, 'OBSERVERS')};
  const text = usersConf(
    users.sort((left, right) => (left.name < right.name ? -1 : 1)),
    secrets,
  );
  writeFileSync(`${path}.new`, text, {mode: SECRET});
  renameSync(`${path}.new`, path);
}

function publicKeyOf(file: string): string {
  try {
    return fromSeed(new TextEncoder().encode(readFileSync(file, 'utf8').trim())).getPublicKey();
  } catch (cause) {
    throw new MailherdError('CONFIG_INVALID', {file, path: '/', reason: 'is no NATS seed'}, {cause});
  }
}

/** One token that may operate: cli.yaml has it, tokens.yaml its digest. Whichever is there already stays as it is. */
function makeToken(dir: string, api: string): void {
  const cli = join(dir, 'cli.yaml');
  const tokens = join(dir, 'tokens.yaml');
  writeOnce(cli, `# /etc/mailherd/cli.yaml\n${stringify({api, token: randomBytes(32).toString('base64url')})}`, SECRET);
  const {token} = parseYaml(readFileSync(cli, 'utf8')) as {token?: unknown};
  if (typeof token !== 'string') throw new MailherdError('CONFIG_INVALID', {file: cli, path: '/token', reason: 'must be there'});
  const sha256 = createHash('sha256').update(token).digest('hex');
  const entry = [{name: 'operator', role: 'operate', sha256}];
  const head = '# Who may call the API: name, role (read or operate), SHA-256 of the token. A new one: head -c 32 /dev/urandom | base64\n';
  writeOnce(tokens, head + stringify(entry), SECRET);
  if (!readFileSync(tokens, 'utf8').includes(sha256)) {
    throw new MailherdError('CONFIG_INVALID', {file: tokens, path: '/', reason: `lacks the digest of the token in ${cli}: ${sha256}`});
  }
}
