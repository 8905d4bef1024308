import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {release} from 'node:os';
import {promisify} from 'node:util';
import {SECOND_MS} from '../../base/units.ts';
import {StoreReader} from '../../native/binding.ts';
import type {Log} from '../../wire/log.ts';
import type {Labels} from '../../wire/schema.ts';
import type {AgentConfig} from '../config.ts';
import {readBoard, readDisks} from './disk.io.ts';
import {type DiskFacts, type Facts, labelsOf, versionOf} from './labels.ts';

// As CommonJS: see agent/probe/libraries.io.ts. By its parts: the whole takes 2 MB, for printers and graphics too.
const require = createRequire(import.meta.url);
const {bios, system} = require('systeminformation/lib/system') as typeof import('systeminformation');
const {cpu} = require('systeminformation/lib/cpu') as typeof import('systeminformation');
const {mem} = require('systeminformation/lib/memory') as typeof import('systeminformation');
const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 10 * SECOND_MS;

/** Asks the machine what it is. Slow (it starts programs): once at the start and every hour. Never rejects. */
export async function readLabels({labels: configured, role, mail}: AgentConfig, log: Log): Promise<Labels> {
  const data = {backend: mail.store, edge: mail.spool, control: '/'}[role];
  const [osRelease, systemFacts, firmware, processor, memory, board, disks, dovecotVersion, postfixVersion] = await Promise.all([
    attempt('os-release', () => readFile('/etc/os-release', 'utf8'), log),
    attempt('system', () => system(), log),
    attempt('bios', () => bios(), log),
    attempt('cpu', () => cpu(), log),
    attempt('memory', () => mem(), log),
    readBoard(),
    attempt('disk', () => disksUnder(data), log),
    attempt('dovecot', () => version('dovecot', ['--version']), log),
    attempt('postfix', () => version('postconf', ['-d', 'mail_version']), log),
  ]);
  const facts: Facts = {
    osRelease,
    kernel: release(),
    system: systemFacts,
    firmware,
    board,
    disks: disks ?? [],
    cpu: processor,
    memoryBytes: memory?.total ?? null,
    dovecotVersion,
    postfixVersion,
  };
  return labelsOf(facts, configured);
}

async function disksUnder(path: string): Promise<DiskFacts[]> {
  const {device, disk} = await new StoreReader(path).read();
  const name = device ?? disk;
  return name === null ? [] : readDisks(name);
}

/** A host without that program or without DMI simply has not that label. */
async function attempt<T>(what: string, read: () => Promise<T>, log: Log): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    log.debug({what, error: String(error)}, 'nothing to know about this part of the host');
    return null;
  }
}

async function version(program: string, args: string[]): Promise<string | null> {
  const {stdout} = await run(program, args, {timeout: COMMAND_TIMEOUT_MS, env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C'}});
  return versionOf(stdout);
}
