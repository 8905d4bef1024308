import {execFileSync, spawn} from 'node:child_process';
import {chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

/** A Postfix instance of its own: own configuration, queue and data directories, no network port, nothing ever sent. */
export interface PrivatePostfix {
  config: string;
  queue: string;
  masterPid(): number;
  /** Puts messages of about 1.5 kB into its deferred queue, `more` of them, until it has `count`. */
  fill(count: number, onProgress: (deferred: number) => void, more?: number): Promise<void>;
  /** Tries all `count` deferred messages again, and waits until they are deferred once more. @param meanwhile done each `everyMs`. */
  retryAll(count: number, meanwhile: (() => Promise<void>) | null, everyMs: number): Promise<void>;
  stop(): void;
}

const PROGRAMS = ['/usr/sbin/postfix', '/usr/sbin/smtp-source', '/usr/sbin/postqueue', '/usr/bin/script'];
const MESSAGE_BYTES = 1_500;
const SESSIONS = 20;
/** Every service that the queue needs; all others would only cost time. The one entrance is a socket in the queue directory. */
const MASTER_CF = `
inject    unix  n - n - 100 smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
postlog   unix-dgram n - n - 1 postlogd
`;

/**
 * Needs root and Debian's postfix package (its service need not run).
 * @throws Error with what is missing.
 */
export function startPostfix(): PrivatePostfix {
  const missing = PROGRAMS.filter(program => !existsSync(program));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')} (Debian packages postfix, bsdutils)`);
  if (process.getuid?.() !== 0) throw new Error('a Postfix instance can only be run by root');
  const folder = mkdtempSync(join(tmpdir(), 'mailherd-postfix-'));
  chmodSync(folder, 0o755);
  const config = join(folder, 'etc');
  const queue = join(folder, 'queue');
  const data = join(folder, 'data');
  for (const path of [config, queue, data]) mkdirSync(path, 0o755);
  execFileSync('chown', ['postfix:postfix', data]);
  writeFileSync(join(config, 'master.cf'), MASTER_CF);
  writeFileSync(join(config, 'main.cf'), mainCf(folder, queue, data));
  const control = (verb: string): void => {
    // Without a terminal "postfix" keeps silent about why it fails.
    execFileSync('script', ['-qec', `postfix -c ${config} ${verb}`, '/dev/null'], {stdio: ['ignore', 'pipe', 'pipe']});
  };
  const stop = (): void => {
    try {
      control('stop');
    } finally {
      rmSync(folder, {recursive: true, force: true});
    }
  };
  try {
    control('start');
  } catch (error) {
    rmSync(folder, {recursive: true, force: true});
    const {stdout} = error as {stdout?: Buffer};
    throw new Error(`postfix does not start: ${String(stdout ?? error).trim()}`, {cause: error});
  }
  return {
    config,
    queue,
    masterPid: () => Number(readFileSync(join(queue, 'pid', 'master.pid'), 'utf8')),
    fill: (count, onProgress, more = count) => fill(queue, count, onProgress, more),
    retryAll: (count, meanwhile, everyMs) => retryAll({config, queue}, count, meanwhile, everyMs),
    stop,
  };
}

function mainCf(folder: string, queue: string, data: string): string {
  return [
    'compatibility_level = 3.6',
    `queue_directory = ${queue}`,
    `data_directory = ${data}`,
    'command_directory = /usr/sbin',
    'daemon_directory = /usr/lib/postfix/sbin',
    'meta_directory = /etc/postfix',
    'mail_owner = postfix',
    'setgid_group = postdrop',
    'myhostname = bench.mailherd.invalid',
    'mydestination =',
    'local_recipient_maps =',
    'inet_interfaces = loopback-only',
    'inet_protocols = ipv4',
    'mynetworks = 127.0.0.0/8',
    'alias_maps =',
    'alias_database =',
    'biff = no',
    'smtpd_peername_lookup = no',
    'smtputf8_enable = no',
    'enable_long_queue_ids = yes',
    'in_flow_delay = 0',
    // Nothing is ever sent: each message is deferred once, and next tried after the benchmark is long over.
    'defer_transports = smtp',
    // "postqueue -f" goes past that: nobody listens there, and nobody's name is looked up.
    'default_transport = smtp:[127.0.0.1]:1',
    'disable_dns_lookups = yes',
    'minimal_backoff_time = 1d',
    'maximal_backoff_time = 1d',
    'queue_run_delay = 1d',
    `maillog_file = ${join(folder, 'log')}`,
    `maillog_file_prefixes = ${folder}`,
    '',
  ].join('\n');
}

async function fill(queue: string, count: number, onProgress: (deferred: number) => void, more: number): Promise<void> {
  const {QueueWalker} = await import('../native/binding.ts');
  const walker = new QueueWalker(queue);
  const socket = `unix:${join(queue, 'public', 'inject')}`;
  const args = [
    '-s',
    String(SESSIONS),
    '-m',
    String(more),
    '-l',
    String(MESSAGE_BYTES),
    '-f',
    'a@bench.invalid',
    '-t',
    'b@bench.invalid',
    socket,
  ];
  const source = spawn('smtp-source', args, {stdio: ['ignore', 'ignore', 'pipe']});
  let complaint = '';
  source.stderr.on('data', chunk => {
    complaint = String(chunk).trim();
  });
  let code: number | null | undefined;
  source.once('close', ended => {
    code = ended ?? -1;
  });
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, 1_000));
    const {maildrop, incoming, active, deferred} = await walker.walk('names', 60_000);
    onProgress(deferred);
    if (code !== undefined && code !== 0) throw new Error(`smtp-source ended with ${code}: ${complaint}`);
    if (code === 0 && maildrop + incoming + active === 0 && deferred >= count) return;
    if (code === 0 && maildrop + incoming + active === 0)
      throw new Error(`only ${deferred} of ${count} messages reached the deferred queue`);
  }
}

async function retryAll(
  {config, queue}: {config: string; queue: string},
  count: number,
  meanwhile: (() => Promise<void>) | null,
  everyMs: number,
): Promise<void> {
  const changedMs = (): number[] => readdirSync(join(queue, 'deferred')).map(name => statSync(join(queue, 'deferred', name)).mtimeMs);
  const before = Math.max(...changedMs());
  execFileSync('postqueue', ['-c', config, '-f']);
  for (let beganAtMs = performance.now(); ; ) {
    await new Promise(resolve => setTimeout(resolve, Math.max(0, everyMs - (performance.now() - beganAtMs))));
    beganAtMs = performance.now();
    await meanwhile?.();
    const below = readdirSync(join(queue, 'deferred'), {recursive: true}).length - changedMs().length;
    if (below === count && Math.max(...changedMs()) > before && readdirSync(join(queue, 'active')).length === 0) return;
  }
}
