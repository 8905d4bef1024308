import {existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';

/**
 * Control groups of the farm's hosts on this machine: one group a host, in which its whole tree of processes is born.
 * Machines differ: version 1 with one hierarchy a controller (cgroups(7)), or version 2 with one for all. A host's systemd makes
 * its own groups below the version 2 one; without a group for each host they would all make them in the same place.
 */
const ROOT = '/sys/fs/cgroup';
const PARENT = 'mailherd-farm';
const V1_CONTROLLERS = ['cpu', 'blkio', 'freezer'] as const;
type Controller = (typeof V1_CONTROLLERS)[number];

function isUnified(): boolean {
  return existsSync(`${ROOT}/cgroup.controllers`);
}

function directory(controller: Controller, host: string): string {
  return isUnified() ? `${ROOT}/${PARENT}/${host}` : `${ROOT}/${controller}/${PARENT}/${host}`;
}

function directories(host: string): string[] {
  if (isUnified()) return [directory('cpu', host)];
  const hybrid = existsSync(`${ROOT}/unified/cgroup.procs`) ? [`${ROOT}/unified/${PARENT}/${host}`] : [];
  return [...V1_CONTROLLERS.map(controller => directory(controller, host)), ...hybrid];
}

/** Makes the groups of a host. @returns the files into which a process writes its pid to be born there. */
export function makeGroups(host: string): string[] {
  if (isUnified()) {
    mkdirSync(`${ROOT}/${PARENT}`, {recursive: true});
    writeFileSync(`${ROOT}/cgroup.subtree_control`, '+cpu +io');
    writeFileSync(`${ROOT}/${PARENT}/cgroup.subtree_control`, '+cpu +io');
  }
  for (const each of directories(host)) mkdirSync(each, {recursive: true});
  return directories(host).map(each => `${each}/cgroup.procs`);
}

/** Every process of a host as this machine numbers them. */
export function processesOf(host: string): number[] {
  const found: number[] = [];
  const walk = (path: string): void => {
    if (!existsSync(`${path}/cgroup.procs`)) return;
    found.push(...readFileSync(`${path}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number));
    for (const entry of readdirSync(path, {withFileTypes: true})) if (entry.isDirectory()) walk(`${path}/${entry.name}`);
  };
  walk(directory('freezer', host));
  return found;
}

/** Removes the groups of a host, which must be empty; missing ones are fine. */
export function removeGroups(host: string): void {
  const remove = (path: string): void => {
    if (!existsSync(path)) return;
    for (const entry of readdirSync(path, {withFileTypes: true})) if (entry.isDirectory()) remove(`${path}/${entry.name}`);
    rmdirSync(path);
  };
  for (const each of directories(host)) remove(each);
}

const PERIOD_US = 100_000;

/** Lets a host use this many percent of one core; null lifts the limit. */
export function limitCpu(host: string, percent: number | null): void {
  const quotaUs = percent === null ? null : Math.max(1_000, Math.round((percent / 100) * PERIOD_US));
  const group = directory('cpu', host);
  if (isUnified()) writeFileSync(`${group}/cpu.max`, `${quotaUs ?? 'max'} ${PERIOD_US}`);
  else {
    writeFileSync(`${group}/cpu.cfs_period_us`, `${PERIOD_US}`);
    writeFileSync(`${group}/cpu.cfs_quota_us`, `${quotaUs ?? -1}`);
  }
}

/** Lets a host do this many writes a second on each device (`major:minor`); null lifts the limit. */
export function limitWrites(host: string, devices: readonly string[], perSecond: number | null): void {
  const group = directory('blkio', host);
  for (const device of devices) {
    if (isUnified()) writeFileSync(`${group}/io.max`, `${device} wiops=${perSecond ?? 'max'}`);
    else writeFileSync(`${group}/blkio.throttle.write_iops_device`, `${device} ${perSecond ?? 0}`);
  }
}

/** Stops or resumes every process of a host at once, as a hypervisor's pause does. */
export function freeze(host: string, isFrozen: boolean): void {
  const group = directory('freezer', host);
  if (isUnified()) writeFileSync(`${group}/cgroup.freeze`, isFrozen ? '1' : '0');
  else writeFileSync(`${group}/freezer.state`, isFrozen ? 'FROZEN' : 'THAWED');
}
