import type {Farm} from '../farm.io.ts';
import {postfixUnit} from '../host/system.ts';
import {findHost} from '../layout.ts';
import {runIn, tryRunIn} from '../machine/enter.io.ts';

/** What runs on hosts, by the name of its unit but for Postfix, whose unit goes by the release. */
export type Service = 'mailherd-agent' | 'mailherd-mover' | 'mailherd-coordinator' | 'nats-server' | 'dovecot' | 'postfix';

/** Name of the unit on that host, without `.service`. */
export function unitOf(layout: Farm['layout'], host: string, service: Service): string {
  if (service !== 'postfix') return service;
  return postfixUnit(findHost(layout, host)?.release ?? 'bookworm').replace('.service', '');
}

/** Starts a service of a host unless it runs or is about to. */
export async function ensureRunning({paths, layout}: Farm, host: string, service: Service): Promise<void> {
  const unit = `${unitOf(layout, host, service)}.service`;
  const {stdout} = await tryRunIn(paths, host, ['systemctl', 'is-active', unit]);
  if (['active', 'activating', 'reloading'].includes(stdout.trim())) return;
  await tryRunIn(paths, host, ['systemctl', 'reset-failed', unit]);
  await runIn(paths, host, ['systemctl', 'start', unit]);
}
