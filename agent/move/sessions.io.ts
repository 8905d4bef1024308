import {existsSync} from 'node:fs';
import {readdir, readFile, readlink, realpath} from 'node:fs/promises';
import type {Clock} from '../../base/clock.ts';
import {MailherdError} from '../../base/errors.ts';
import type {Millis} from '../../base/units.ts';
import {doveadm, must} from './doveadm-run.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';
import {parseTab} from './tab.ts';

/** Whether a process is gone is seen at once; only Dovecot can tell that it serves the user no longer, at the price of a program. */
const POLL_MS = 5;
const WHO_POLL_MS = 100;
const DELIVERY_POLL_MS = 20;

/**
 * Ends the user's sessions in order and waits for their processes, until a look shows none. The fence is up: no other session begins, but
 * one whose login was let through before may show up late, and is ended like the others.
 * @returns how many there were. @throws MailherdError SESSIONS_LINGER.
 */
export async function endSessions(server: DoveadmServer, user: string, timeoutMs: Millis, clock: Clock): Promise<number> {
  const deadline = clock.monotonic() + timeoutMs;
  const kicked = new Set<string>();
  let ended = 0;
  for (;;) {
    const pids = await sessionsOf(server, user);
    const fresh = pids.filter(pid => !kicked.has(pid));
    if (fresh.length === 0 && !pids.some(isAlive)) return ended;
    if (fresh.length > 0 && (await server.values(null, ['kick', '--', user])) === null) await doveadm(['kick', '--', user]);
    for (const pid of fresh) kicked.add(pid);
    ended += fresh.length;
    const lookMs = clock.monotonic() + WHO_POLL_MS;
    while (pids.some(isAlive) && clock.monotonic() < lookMs) await clock.sleep(POLL_MS);
    if (pids.some(isAlive) && clock.monotonic() > deadline) throw new MailherdError('SESSIONS_LINGER', {user, sessions: pids.length});
  }
}

function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Process ids, one a session. */
async function sessionsOf(server: DoveadmServer, user: string): Promise<string[]> {
  const values = await server.values(null, ['who', '-1', '--', user]);
  // Name, service, process, and more with every release.
  const pids = values?.flatMap((value, at) => (value === user ? [values[at + 2] ?? ''] : []));
  if (values !== null && pids !== undefined && (pids.length > 0 || values.length === 0) && pids.every(pid => /^\d+$/.test(pid)))
    return pids;
  const rows = parseTab(await must(['-f', 'tab', 'who', '-1', '--', user]));
  return rows.filter(row => row.username === user).map(({pid = ''}) => pid);
}

/**
 * Waits until no delivery works in the user's home. No other one begins meanwhile: mail for him is put off.
 * @returns how many still do so after `timeoutMs`.
 */
export async function deliveriesOver(home: string, timeoutMs: Millis, clock: Clock): Promise<number> {
  const deadline = clock.monotonic() + timeoutMs;
  const prefix = await insideOf(home);
  const pids = await running(DELIVERERS);
  for (;;) {
    const deliveries = await filtered(pids, pid => hasOpen(pid, [prefix]));
    if (deliveries.length === 0 || clock.monotonic() > deadline) return deliveries.length;
    await clock.sleep(DELIVERY_POLL_MS);
  }
}

/** Programs of Dovecot that store mail. */
const DELIVERERS: ReadonlySet<string> = new Set(['lmtp', 'dovecot-lda']);
/** What works at this end of a copy between hosts. */
const COPIERS: ReadonlySet<string> = new Set(['doveadm-server']);

/**
 * Ends what still works here on a copy to these directories, the home first. When the other end of a pass is gone this one goes on with what it has heard, many seconds where the disk is
 * slow to confirm: it would write beside the next pass, or make a home anew that was removed. What it leaves halfway the next pass mends.
 * @throws MailherdError COMMAND_FAILED when one of them does not end.
 */
export async function endCopies(places: readonly string[], timeoutMs: Millis, clock: Clock): Promise<void> {
  const deadline = clock.monotonic() + timeoutMs;
  const prefixes = await Promise.all(places.map(insideOf));
  for (;;) {
    const copies = await filtered(await running(COPIERS), pid => hasOpen(pid, prefixes));
    if (copies.length === 0) return;
    if (clock.monotonic() > deadline)
      throw new MailherdError('COMMAND_FAILED', {reason: 'a copy to this host does not end', home: places[0], pids: copies});
    for (const pid of copies) kill(pid);
    await clock.sleep(POLL_MS);
  }
}

function kill(pid: string): void {
  try {
    process.kill(Number(pid), 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Processes of these programs; proc(5): comm has the program's name, fd/ a link for each open file. Those that end meanwhile, or that this process may
 * not look at, are left out.
 */
async function running(names: ReadonlySet<string>): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  return filtered(pids, async pid => names.has((await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim()));
}

async function filtered(pids: readonly string[], is: (pid: string) => Promise<boolean>): Promise<string[]> {
  const kept = await Promise.all(pids.map(is));
  return pids.filter((_, at) => kept[at]);
}

/** How paths of what lies in it begin, as the kernel tells them. */
async function insideOf(home: string): Promise<string> {
  return `${await realpath(home).catch(() => home)}/`;
}

async function hasOpen(pid: string, prefixes: readonly string[]): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const files = await Promise.all(descriptors.map(fd => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return files.some(file => prefixes.some(prefix => file.startsWith(prefix)));
}
