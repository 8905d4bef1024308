import {MailherdError} from '../base/errors.ts';
import type {HostView} from '../wire/api.ts';
import type {HostStage} from '../wire/record.ts';

/** Stages in which a host holds no mailbox yet, or none any more. */
const EMPTY: ReadonlySet<HostStage> = new Set(['ordered', 'arrived', 'provisioning', 'reinstalling', 'retired']);

/** No host's name has a `=`. */
export function isLabel(wished: string): boolean {
  return wished.includes('=');
}

/** @param label `key=value` */
export function hasLabel(labels: Readonly<Record<string, string>>, label: string): boolean {
  const at = label.indexOf('=');
  return labels[label.slice(0, at)] === label.slice(at + 1);
}

/**
 * The hosts that are meant by names and by labels, as `os=debian-13`: all backends with it that may hold mailboxes.
 * @throws MailherdError COHORT_UNKNOWN for a label that no such host has.
 */
export function emptiable(wished: readonly string[], hosts: readonly HostView[]): string[] {
  const names = wished.flatMap(one => {
    if (!isLabel(one)) return [one];
    const found = hosts.filter(({record}) => record.role === 'backend' && !EMPTY.has(record.stage) && hasLabel(record.labels, one));
    if (found.length === 0) throw new MailherdError('COHORT_UNKNOWN', {label: one});
    return found.map(({record}) => record.host);
  });
  return [...new Set(names)];
}
