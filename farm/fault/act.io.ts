import {closeSync, existsSync, openSync, readFileSync, statSync, writeSync} from 'node:fs';
import {MailherdError} from '../../base/errors.ts';
import {FAULT_ORDERS, postfixUnit} from '../host/system.ts';
import {findHost, type HostSpec, type Layout} from '../layout.ts';
import {boot, powerOff} from '../machine/boot.io.ts';
import {freeze, limitCpu, limitWrites} from '../machine/cgroup.io.ts';
import {runIn, tryRunIn} from '../machine/enter.io.ts';
import {mountRoot} from '../machine/root.io.ts';
import {changeState, readState} from '../machine/state.io.ts';
import {hostPaths, type Paths} from '../paths.ts';
import {FAULTS, type FaultName} from './catalog.ts';
import {CUT_TABLE, cut, DROP_IMAP_TABLE, dropImap} from './nft.ts';

interface Place {
  paths: Paths;
  layout: Layout;
  spec: HostSpec;
}

interface Act {
  start(at: Place, value: string): Promise<void>;
  stop(at: Place, value: string): Promise<void>;
}

/** One big piece first, then block by block until there is none left; the last command fails, as it should. */
const FILL_STORE = `file=/var/vmail/.fault-full
fallocate -l $(($(df --output=avail -B1 /var/vmail | tail -n 1) - 1048576)) $file
dd if=/dev/zero of=$file.rest bs=4k 2>/dev/null
sync -f /var/vmail`;

/** Share of packets that `bad-release` resets: an active session lives some tens of seconds. */
const BAD_RELEASE_DROP_PER_MILLE = '15';

const ACTS: Record<FaultName, Act> = {
  'slow-fsync': {
    start: async (at, value) => orderFsync(at, wholeNumber(value, 0, 60_000)),
    stop: async at => orderFsync(at, 0),
  },
  'drop-imap': {
    start: async (at, value) => {
      await dropTable(at, DROP_IMAP_TABLE);
      await load(at, dropImap(wholeNumber(value, 1, 1_000)));
    },
    stop: at => dropTable(at, DROP_IMAP_TABLE),
  },
  'cpu-throttle': {
    start: async (at, value) => limitCpu(at.spec.name, wholeNumber(value, 1, 1_000)),
    stop: async at => limitCpu(at.spec.name, null),
  },
  'disk-throttle': {
    start: async (at, value) => limitWrites(at.spec.name, disksOf(at), wholeNumber(value, 1, 100_000)),
    stop: async at => limitWrites(at.spec.name, disksOf(at), null),
  },
  'few-processes': {
    start: (at, value) => limitProcesses(at, wholeNumber(value, 1, 1_000)),
    stop: at => limitProcesses(at, null),
  },
  'disk-full': {
    start: async at => {
      await runIn(at.paths, at.spec.name, ['sh', '-c', FILL_STORE]);
    },
    stop: async at => {
      await runIn(at.paths, at.spec.name, ['rm', '-f', '/var/vmail/.fault-full', '/var/vmail/.fault-full.rest']);
    },
  },
  'freeze-service': {
    start: (at, value) => signalService(at, value, 'STOP'),
    stop: (at, value) => signalService(at, value, 'CONT'),
  },
  'kill-service': {
    start: async (at, value) => {
      // Stopped first for systemd, or it would start again what is meant to stay dead.
      await runIn(at.paths, at.spec.name, ['systemctl', 'mask', '--runtime', unitOf(at, value)]);
      await signalService(at, value, 'KILL');
    },
    stop: async (at, value) => {
      await runIn(at.paths, at.spec.name, ['systemctl', 'unmask', '--runtime', unitOf(at, value)]);
      await tryRunIn(at.paths, at.spec.name, ['systemctl', 'reset-failed', unitOf(at, value)]);
      await runIn(at.paths, at.spec.name, ['systemctl', 'restart', unitOf(at, value)]);
    },
  },
  'freeze-host': {
    start: async at => freeze(at.spec.name, true),
    stop: async at => freeze(at.spec.name, false),
  },
  cut: {
    start: async (at, value) => {
      await dropTable(at, CUT_TABLE);
      await load(at, cut(value === 'all' ? null : addressOf(at.layout, value)));
    },
    stop: at => dropTable(at, CUT_TABLE),
  },
  'power-off': {
    start: at => powerOff(at.paths, at.spec.name),
    stop: async at => {
      await mountRoot(hostPaths(at.paths, at.spec.name));
      await boot(at.paths, at.layout, at.spec);
    },
  },
  'bad-release': {
    start: async (at, value) => {
      await ACTS['slow-fsync'].start(at, value);
      await ACTS['drop-imap'].start(at, BAD_RELEASE_DROP_PER_MILLE);
    },
    stop: async (at, value) => {
      await ACTS['slow-fsync'].stop(at, value);
      await ACTS['drop-imap'].stop(at, value);
    },
  },
};

/** Starts a fault on a host, or changes its strength. @throws MailherdError HOST_UNKNOWN, INPUT_INVALID, COMMAND_FAILED. */
export async function startFault(paths: Paths, layout: Layout, name: FaultName, host: string, value?: string): Promise<void> {
  const spec = await knownHost(paths, layout, host);
  const strength = value ?? FAULTS[name].value?.fallback ?? '';
  // Noted first: what is half started must be stopped too.
  await changeState(paths, state => {
    state.faults[host] = {...state.faults[host], [name]: strength};
  });
  await ACTS[name].start({paths, layout, spec}, strength);
}

/** These come first when faults are stopped: nothing else can be done inside a host that stands still or is off. */
const WHOLE_HOST: readonly string[] = ['power-off', 'freeze-host'];

/**
 * Stops the faults that match, on every host when none is named. One that cannot be stopped does not keep the others on.
 * @returns what was stopped, as `host: fault`. @throws the first failure, when everything else was tried.
 */
export async function stopFaults(paths: Paths, layout: Layout, name: FaultName | null, host: string | null): Promise<string[]> {
  const {faults} = await readState(paths);
  const stopped: string[] = [];
  const failures: unknown[] = [];
  for (const [each, running] of Object.entries(faults)) {
    if (host !== null && each !== host) continue;
    const entries = Object.entries(running).sort(([a], [b]) => Number(WHOLE_HOST.includes(b)) - Number(WHOLE_HOST.includes(a)));
    for (const [fault, value] of entries) {
      if (name !== null && fault !== name) continue;
      try {
        await ACTS[fault as FaultName].stop({paths, layout, spec: await knownHost(paths, layout, each)}, value);
        await forget(paths, each, fault);
        stopped.push(`${each}: ${fault}`);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  if (failures.length > 0) throw failures[0];
  return stopped;
}

function forget(paths: Paths, host: string, fault: string): Promise<void> {
  return changeState(paths, state => {
    const running = state.faults[host];
    if (running === undefined) return;
    delete running[fault];
    if (Object.keys(running).length === 0) delete state.faults[host];
  });
}

/** The host as it is now: a reinstall may have changed its release. */
async function knownHost(paths: Paths, layout: Layout, host: string): Promise<HostSpec> {
  const spec = findHost(layout, host);
  if (spec === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
  const release = (await readState(paths)).installed[host]?.release ?? spec.release;
  return {...spec, release};
}

function wholeNumber(text: string, low: number, high: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new MailherdError('INPUT_INVALID', {what: 'strength of the fault', value: text, reason: `a whole number from ${low} to ${high}`});
  }
  return value;
}

function addressOf(layout: Layout, host: string): string {
  const spec = findHost(layout, host);
  if (spec === undefined) throw new MailherdError('HOST_UNKNOWN', {host});
  return spec.address;
}

/** Writes in place: the daemons have this very file mapped. */
function orderFsync({paths, spec}: Place, delayMs: number): void {
  const orders = openSync(`${hostPaths(paths, spec.name).root}${FAULT_ORDERS}`, 'r+');
  try {
    writeSync(orders, `${delayMs}`.padEnd(8, '\0'), 0);
  } finally {
    closeSync(orders);
  }
}

/** Whole disks (`major:minor`) under the host's root and its mail store. */
function disksOf({paths, spec}: Place): string[] {
  const at = hostPaths(paths, spec.name);
  return [at.upper, at.store].map(path => {
    const {dev} = statSync(path);
    // makedev(3): the numbers are interleaved
    const number = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
    const isPartition = existsSync(`/sys/dev/block/${number}/partition`);
    return isPartition ? readFileSync(`/sys/dev/block/${number}/../dev`, 'utf8').trim() : number;
  });
}

async function load({paths, spec}: Place, rules: string): Promise<void> {
  await runIn(paths, spec.name, ['nft', '-f', '-'], {input: rules});
}

async function dropTable({paths, spec}: Place, table: string): Promise<void> {
  await runIn(paths, spec.name, ['nft', '-f', '-'], {input: `table inet ${table}\ndelete table inet ${table}\n`});
}

async function limitProcesses({paths, spec}: Place, limit: number | null): Promise<void> {
  const text = limit === null ? '' : ['imap', 'lmtp'].map(name => `service ${name} {\n  process_limit = ${limit}\n}\n`).join('');
  const dovecot = limit === null ? 'rm -f /etc/dovecot/local.conf' : 'cat > /etc/dovecot/local.conf';
  const postfix = limit === null ? 'postconf -X default_process_limit' : `postconf -e default_process_limit=${limit}`;
  await runIn(paths, spec.name, ['sh', '-ec', `${dovecot}; ${postfix}; doveadm reload; postfix reload 2>/dev/null`], {input: text});
}

function unitOf({spec}: Place, service: string): string {
  return service === 'postfix' ? postfixUnit(spec.release) : `${service}.service`;
}

async function signalService(at: Place, service: string, signal: string): Promise<void> {
  await runIn(at.paths, at.spec.name, ['systemctl', 'kill', `--signal=${signal}`, unitOf(at, service)]);
}
