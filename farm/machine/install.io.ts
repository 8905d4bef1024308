import {randomBytes} from 'node:crypto';
import {copyFile} from 'node:fs/promises';
import {controlFiles} from '../host/control.ts';
import {mailHostFiles, openDoorFile} from '../host/files.ts';
import {enableUnits, installDirectory, installFiles, readOwners} from '../host/install.io.ts';
import {FAULT_LIBRARY, services, systemFiles} from '../host/system.ts';
import {ensureImage} from '../image/build.io.ts';
import {ensureFaultLibrary} from '../image/fault-library.io.ts';
import type {HostSpec, Layout} from '../layout.ts';
import {hostPaths, type Paths} from '../paths.ts';
import {controlIdentity, identityOf, passwordFile} from '../secrets.io.ts';
import {makeRoot} from './root.io.ts';
import {changeState} from './state.io.ts';

/**
 * Installs a host from nothing, as a data centre's installer would: what was on it is gone afterwards, its identity is put back.
 * @param software layer with the project's package for that release, null = without.
 */
export async function installHost(
  paths: Paths,
  layout: Layout,
  spec: HostSpec,
  software: string | null,
  say: (line: string) => void,
): Promise<void> {
  const image = await ensureImage(paths, spec.release, say);
  const {root} = hostPaths(paths, spec.name);
  await changeState(paths, state => {
    delete state.installed[spec.name];
  });
  await makeRoot(hostPaths(paths, spec.name), software === null ? [image] : [software, image]);
  const owners = await readOwners(root);
  const machineId = randomBytes(16).toString('hex');
  const identity = await identityOf(paths, layout, spec);
  if (spec.role === 'control') {
    await installFiles(root, owners, [
      ...systemFiles(layout, spec, machineId),
      ...controlFiles(layout, spec, await controlIdentity(paths)),
    ]);
    await installDirectory(root, owners, '/var/lib/nats', 0o750, 'nats', 'nats');
  } else {
    const files = mailHostFiles({layout, spec, identity, machineId, passwordFile: await passwordFile(paths, layout, spec)});
    await installFiles(root, owners, software === null ? [...files, openDoorFile()] : files);
    await copyFile(await ensureFaultLibrary(paths), `${root}${FAULT_LIBRARY}`);
    await installDirectory(root, owners, '/var/lib/mailherd', 0o755, 'root', 'root');
    await installDirectory(root, owners, '/var/lib/mailherd/routes', 0o2770, 'postfix', 'dovecot');
  }
  await enableUnits(root, services(spec, software !== null));
}

/** Notes that a host is complete: from now on it is booted again, not installed again. */
export async function noteInstalled(paths: Paths, spec: HostSpec): Promise<void> {
  await changeState(paths, state => {
    state.installed[spec.name] = {release: spec.release};
  });
}
