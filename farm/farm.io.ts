import {existsSync} from 'node:fs';
import {copyFile, mkdir, readdir, rm} from 'node:fs/promises';
import {seedRoutes} from './host/routes-seed.io.ts';
import {ensureImage} from './image/build.io.ts';
import {ensureFaultLibrary} from './image/fault-library.io.ts';
import {ensureSoftware} from './image/software.io.ts';
import type {HostSpec, Layout, Release} from './layout.ts';
import {boot, isRunning, powerOff} from './machine/boot.io.ts';
import {ensureBridge, raiseLimits, removeBridge, restoreLimits} from './machine/bridge.io.ts';
import {installHost, noteInstalled} from './machine/install.io.ts';
import {discardRoot, mountRoot} from './machine/root.io.ts';
import {changeState, isAlive, readState} from './machine/state.io.ts';
import {fillHost} from './mail/fill.io.ts';
import {hostPaths, type Paths} from './paths.ts';
import {preflight} from './preflight.io.ts';
import {ensureSecrets, makeCredentials} from './secrets.io.ts';

export interface Farm {
  paths: Paths;
  layout: Layout;
  say: (line: string) => void;
}

/** One seed, one farm: the same mailboxes each time. */
const FILL_SEED = 20_260_501;

export interface UpOptions {
  /** The project's package; null = hosts without it, whose route tables are written once and then by nobody. */
  deb: string | null;
  /** Whether backends get mailboxes full of mail when they are installed first. */
  isFilled: boolean;
}

/** Builds whatever the farm needs and the cache has not: images (both at once), the fault library, the software's layers. */
export async function prepare({paths, layout, say}: Farm, deb: string | null): Promise<void> {
  preflight(paths);
  const releases = [...new Set(layout.hosts.map(spec => spec.release))];
  const layers = async (release: Release): Promise<void> => {
    await ensureImage(paths, release, say);
    if (deb !== null) await ensureSoftware(paths, release, deb, say);
  };
  await Promise.all([...releases.map(layers), ensureFaultLibrary(paths)]);
}

/** Brings up every host that is no spare and does not run yet. Hosts that were off are booted as they were. */
export async function up(farm: Farm, options: UpOptions): Promise<void> {
  const {paths, layout} = farm;
  const state = await readState(paths);
  const isNew = Object.keys(state.installed).length === 0;
  const deb = isNew ? options.deb : state.software;
  await prepare(farm, deb);
  if (isNew) await keepSoftware(paths, deb);
  await ensureBridge(layout);
  await raiseLimits(paths);
  await ensureSecrets(paths, layout);
  if (deb !== null) await makeCredentials(paths, layout);
  const wanted = layout.hosts.filter(spec => !spec.isSpare);
  await Promise.all(wanted.map(spec => bringUp(farm, spec, options.isFilled)));
}

/** Keeps the package the farm came up with: what is reinstalled later gets the same one. */
async function keepSoftware(paths: Paths, deb: string | null): Promise<void> {
  await mkdir(paths.run, {recursive: true});
  const kept = `${paths.run}/mailherd.deb`;
  if (deb !== null) await copyFile(deb, kept);
  await changeState(paths, state => {
    state.software = deb === null ? null : kept;
  });
}

/** Boots one host unless it runs; installs it first when it is not installed yet. */
export async function bringUp(farm: Farm, spec: HostSpec, isFilled: boolean): Promise<void> {
  const {paths, layout, say} = farm;
  if (await isRunning(paths, spec.name)) return;
  await powerOff(paths, spec.name);
  const startedMs = performance.now();
  const installed = (await readState(paths)).installed[spec.name];
  if (installed === undefined) await install(farm, spec, isFilled && spec.role === 'backend' && !spec.isSpare);
  else await mountRoot(hostPaths(paths, spec.name));
  const installedMs = performance.now();
  const release = installed?.release ?? spec.release;
  const machine = await boot(paths, layout, {...spec, release});
  say(`${spec.name}: installed in ${Math.round(installedMs - startedMs)} ms, up after ${machine.bootMs} ms (${release}, ${spec.address})`);
}

async function install(farm: Farm, spec: HostSpec, isFilled: boolean): Promise<void> {
  const {paths, layout, say} = farm;
  const {software} = await readState(paths);
  const layer = software === null ? null : await ensureSoftware(paths, spec.release, software, say);
  await installHost(paths, layout, spec, layer, say);
  if (software === null && spec.role !== 'control') await seedRoutes(hostPaths(paths, spec.name).root, layout, spec.name);
  if (isFilled) await fillHost(paths, layout, spec.name, FILL_SEED);
  await noteInstalled(paths, spec);
}

/**
 * Throws a host's disks away and installs it from nothing with `spec.release`, its software and its identity, and boots it; its
 * mailboxes are gone. @returns how long that took, ms.
 */
export async function reinstall(farm: Farm, spec: HostSpec): Promise<number> {
  const {paths, layout, say} = farm;
  const startedMs = performance.now();
  await powerOff(paths, spec.name);
  // A fault lives in what is thrown away now.
  await changeState(paths, state => {
    delete state.faults[spec.name];
  });
  await install(farm, spec, false);
  await boot(paths, layout, spec);
  const tookMs = Math.round(performance.now() - startedMs);
  say(`${spec.name}: installed anew with ${spec.release} in ${tookMs} ms`);
  return tookMs;
}

/** Ends everything the farm has running and removes everything of it but the cache; also what an interrupted run left. */
export async function down({paths, layout, say}: Farm): Promise<void> {
  const state = await readState(paths).catch(async error => {
    // What was running is then found by its root, its mounts and its groups.
    say(`farm: the state file is not readable and is left out: ${error instanceof Error ? error.message : String(error)}`);
    await rm(paths.state, {force: true});
    return readState(paths);
  });
  for (const [name, mark] of Object.entries(state.helpers)) {
    if (!isAlive(mark)) continue;
    process.kill(mark.pid, 'SIGKILL');
    say(`${name}: ended`);
  }
  const hosts = new Set([...Object.keys(state.machines), ...(await leftovers(paths)), ...layout.hosts.map(spec => spec.name)]);
  await Promise.all([...hosts].map(host => powerOff(paths, host)));
  for (const host of hosts) await discardRoot(hostPaths(paths, host));
  await removeBridge(layout);
  restoreLimits(state.sysctls);
  await rm(paths.run, {recursive: true, force: true});
}

async function leftovers(paths: Paths): Promise<string[]> {
  return existsSync(`${paths.run}/hosts`) ? await readdir(`${paths.run}/hosts`) : [];
}
