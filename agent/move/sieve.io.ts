import {createHash} from 'node:crypto';
import {MailherdError} from '../../base/errors.ts';
import {fewAtOnce} from '../../base/few-at-once.ts';
import type {Manifest} from '../../wire/manifest.ts';
import {doveadm, must} from './doveadm-run.io.ts';
import type {DoveadmServer} from './doveadm-server.io.ts';

/** sysexits.h: EX_USAGE; doveadm ends so for a command that none of its plugins has. */
const EXIT_USAGE = 64;
/** A line of doveadm's list of commands. */
const COMMAND = /^ +sieve /m;
/** Each may be a program of its own where the server has no process to spare, and in a hold the host does other things too. */
const SCRIPTS_AT_ONCE = 4;

/** Whether this host has Pigeonhole's commands, by which dsync copies scripts too. @throws MailherdError COMMAND_FAILED when doveadm cannot be run. */
export async function hasSieve(): Promise<boolean> {
  const {out, err} = await doveadm([]);
  return COMMAND.test(out) || COMMAND.test(err);
}

/** A user's scripts; none where the host has no Sieve. @throws MailherdError USER_UNSERVED, COMMAND_FAILED. */
export async function listSieve(server: DoveadmServer, user: string): Promise<{script: string; isActive: boolean}[]> {
  try {
    const rows = await server.rows(user, ['sieve list'], ['script', 'active']);
    return rows.map(({script = '', active}) => ({script, isActive: active === 'ACTIVE'}));
  } catch (error) {
    if (error instanceof MailherdError && error.detail.exit === EXIT_USAGE) return [];
    throw error;
  }
}

/** What the manifest tells of a user's scripts. @throws MailherdError USER_UNSERVED, COMMAND_FAILED. */
export async function readSieve(server: DoveadmServer, user: string): Promise<Manifest['sieve']> {
  return fewAtOnce(await listSieve(server, user), SCRIPTS_AT_ONCE, async ({script, isActive}) => {
    const [text] = (await server.values(user, ['sieve get', '--', script])) ?? [];
    // The program heads it with the column's name.
    const told = text === undefined ? await must(['sieve', 'get', '-u', user, '--', script]) : `sieve script:\n${text}`;
    return {name: script, digest: createHash('sha256').update(told).digest('hex'), active: isActive};
  });
}
