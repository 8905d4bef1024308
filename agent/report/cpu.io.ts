import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Millis} from '../../base/units.ts';
import {KernelReader} from '../../native/kernel.ts';
import {Collector} from '../sample/collect.io.ts';
import {HIERARCHIES} from '../sample/groups.io.ts';

const DEADLINE_MS = 500;

/**
 * What this agent costs: all processes of its service, those too that it runs for a moment. Outside a service of its own only its own
 * threads, since nobody else counts its children before they end.
 */
export class CpuUse {
  readonly #group: Collector<bigint | null> | null;
  #groupBeforeUs: bigint | null = null;
  #before = process.cpuUsage();

  /** @param group of its service below /sys/fs/cgroup; null: it has none. @param root prefix of /sys. */
  constructor(group: string | null, root = '') {
    const reader = group === null ? null : new KernelReader([{set: 'groupCpu', subject: group}], root);
    this.#group =
      reader === null ? null : new Collector('cpu', DEADLINE_MS, async () => (await reader.read()).parts[0]?.get('groupCpuUs') ?? null);
  }

  /** CPU since this was asked last, or since the start. Never rejects. */
  async take(): Promise<Millis> {
    const collected = await this.#group?.collect();
    const groupUs = collected?.ok ? collected.value : null;
    const {user, system} = process.cpuUsage(this.#before);
    const ownUs = user + system;
    const us = groupUs === null || this.#groupBeforeUs === null ? ownUs : Number(groupUs - this.#groupBeforeUs);
    this.#groupBeforeUs = groupUs;
    this.#before = process.cpuUsage();
    return us / 1000;
  }
}

/** The control group of the service that systemd started this process as, below /sys/fs/cgroup; null when it is none or not found. */
export function ownGroup(invocation: string | undefined, root = ''): string | null {
  // Only systemd names an invocation; a shell that has it in its environment is in a scope, not in the service.
  if (invocation === undefined) return null;
  const [, path] = /^0::(\/.*\.service)$/m.exec(readFileSync(join(root, '/proc/self/cgroup'), 'utf8')) ?? [];
  const known = HIERARCHIES.map(hierarchy => join(hierarchy, path ?? '/nowhere'));
  return known.find(group => existsSync(join(root, '/sys/fs/cgroup', group, 'cpu.stat'))) ?? null;
}
