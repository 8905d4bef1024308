import type {Farm} from '../farm.io.ts';
import {runIn, tryRunIn} from '../machine/enter.io.ts';

/** Starts a unit of a host unless it runs or is about to. */
export async function ensureRunning({paths}: Farm, host: string, unit: string): Promise<void> {
  const {stdout} = await tryRunIn(paths, host, ['systemctl', 'is-active', `${unit}.service`]);
  if (['active', 'activating', 'reloading'].includes(stdout.trim())) return;
  await tryRunIn(paths, host, ['systemctl', 'reset-failed', `${unit}.service`]);
  await runIn(paths, host, ['systemctl', 'start', `${unit}.service`]);
}
