import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {cpus, release, totalmem} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {SECOND_MS} from '../../base/units.ts';
import type {Log} from '../../wire/log.ts';
import type {Labels} from '../../wire/schema.ts';
import {type Facts, labelsOf, versionOf} from './labels.ts';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 10 * SECOND_MS;
/** What the firmware told the kernel; not there on every machine. */
const DMI = '/sys/class/dmi/id';

/** Asks the machine what it is. It starts programs: once at the start and every hour. Never rejects. */
export async function readLabels(configured: Labels, log: Log): Promise<Labels> {
  const dmi = (name: string): Promise<string | null> => attempt(name, () => readFile(join(DMI, name), 'utf8'), log);
  const [osRelease, maker, model, firmwareMaker, firmwareVersion, dovecotVersion, postfixVersion] = await Promise.all([
    attempt('os-release', () => readFile('/etc/os-release', 'utf8'), log),
    dmi('sys_vendor'),
    dmi('product_name'),
    dmi('bios_vendor'),
    dmi('bios_version'),
    attempt('dovecot', () => version('dovecot', ['--version']), log),
    attempt('postfix', () => version('postconf', ['-d', 'mail_version']), log),
  ]);
  const facts: Facts = {
    osRelease,
    kernel: release(),
    hardware: {maker, model},
    firmware: {maker: firmwareMaker, version: firmwareVersion},
    cpu: {model: cpus()[0]?.model ?? null, threads: cpus().length},
    memoryBytes: totalmem(),
    dovecotVersion,
    postfixVersion,
  };
  return labelsOf(facts, configured);
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
