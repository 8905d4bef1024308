import {existsSync} from 'node:fs';
import {readdir, rm} from 'node:fs/promises';
import {seedRoutes} from './host/routes-seed.io.ts';
import {ensureImage} from './image/build.io.ts';
import {ensureFaultLibrary} from './image/fault-library.io.ts';
import type {HostSpec, Layout} from './layout.ts';
import {boot, isRunning, powerOff} from './machine/boot.io.ts';
import {ensureBridge, raiseLimits, removeBridge, restoreLimits} from './machine/bridge.io.ts';
import {installHost, noteInstalled} from './machine/install.io.ts';
import {discardRoot, mountRoot} from './machine/root.io.ts';
import {changeState, isAlive, readState} from './machine/state.io.ts';
import {fillHost} from './mail/fill.io.ts';
import {hostPaths, type Paths} from './paths.ts';
import {ensureSecrets} from './secrets.io.ts';

export interface Farm {
  paths: Paths;
  layout: Layout;
  say: (line: string) => void;
}

/** One seed, one farm: the same mailboxes each time. */
const FILL_SEED = 20_260_501;

/** Builds whatever the farm needs and the cache has not: images (both at once) and the fault library. */
export async function prepare({paths, layout, say}: Farm): Promise<void> {
  const releases = [...new Set(layout.hosts.map(spec => spec.release))];
  await Promise.all([...releases.map(release => ensureImage(paths, release, say)), ensureFaultLibrary(paths)]);
}

/** Brings up every host that is no spare and does not run yet. */
export async function up(farm: Farm): Promise<void> {
  const {paths, layout} = farm;
  await prepare(farm);
  await ensureBridge(layout);
  await raiseLimits(paths);
  await ensureSecrets(paths, layout);
  const wanted = layout.hosts.filter(spec => !spec.isSpare);
  await Promise.all(wanted.map(spec => bringUp(farm, spec)));
}

/** Boots one host unless it runs; installs it first when it is not installed yet. */
export async function bringUp(farm: Farm, spec: HostSpec): Promise<void> {
  const {paths, layout, say} = farm;
  if (await isRunning(paths, spec.name)) return;
  await powerOff(paths, spec.name);
  const startedMs = performance.now();
  const installed = (await readState(paths)).installed[spec.name];
  if (installed === undefined) await installAndFill(farm, spec);
  else await mountRoot(hostPaths(paths, spec.name));
  const installedMs = performance.now();
  const release = installed?.release ?? spec.release;
  const machine = await boot(paths, layout, {...spec, release});
  say(`${spec.name}: installed in ${Math.round(installedMs - startedMs)} ms, up after ${machine.bootMs} ms (${release}, ${spec.address})`);
}

async function installAndFill({paths, layout, say}: Farm, spec: HostSpec): Promise<void> {
  await installHost(paths, layout, spec, null, say);
  if (spec.role !== 'control') await seedRoutes(hostPaths(paths, spec.name).root, layout, spec.name);
  if (spec.role === 'backend' && !spec.isSpare) await fillHost(paths, layout, spec.name, FILL_SEED);
  await noteInstalled(paths, spec);
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
    process.kill(mark.pid, 'SIGTERM');
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

/** Notes a process of the farm that `down` must end. */
export async function noteHelper(paths: Paths, name: string, mark: {pid: number; startTicks: number}): Promise<void> {
  await changeState(paths, state => {
    state.helpers[name] = mark;
  });
}
