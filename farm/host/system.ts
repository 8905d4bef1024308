import type {HostSpec, Layout, Release} from '../layout.ts';
import {file, type HostFile} from './file.ts';

/** Where the fault library lies on a host, and the page it reads its orders from (see fault/slow_fsync.c). */
export const FAULT_LIBRARY = '/usr/local/lib/mailherd-farm/slow_fsync.so';
export const FAULT_ORDERS = '/usr/local/lib/mailherd-farm/slow_fsync.ms';

/** The unit that runs Postfix: Debian 12 has one a instance. */
export function postfixUnit(release: Release): string {
  return release === 'bookworm' ? 'postfix@-.service' : 'postfix.service';
}

/** @param machineId 32 hex digits, fresh for every installation; without one the first boot asks questions and fails. */
export function systemFiles(layout: Layout, spec: HostSpec, machineId: string): HostFile[] {
  const names = layout.hosts.map(each => `${each.address} ${each.name}.${layout.domain} ${each.name}\n`).join('');
  const prefix = layout.network.slice(layout.network.indexOf('/'));
  return [
    file('/etc/machine-id', `${machineId}\n`),
    file('/etc/hostname', `${spec.name}\n`),
    file('/etc/hosts', `127.0.0.1 localhost\n${names}${layout.machineAddress} outside\n`),
    file(
      '/etc/systemd/network/10-host0.network',
      `[Match]
Name=host0

[Network]
Address=${spec.address}${prefix}
LinkLocalAddressing=no
IPv6AcceptRA=no
`,
    ),
    // The journal is what Debian has instead of a mail.log; kept in memory, never thinned out
    file('/etc/systemd/journald.conf.d/farm.conf', '[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nRateLimitBurst=0\n'),
    ...(spec.role === 'control' ? [] : faultPreload(spec.release)),
  ];
}

/** Loads the fault library, which does nothing until it is told to, into the mail daemons. */
function faultPreload(release: Release): HostFile[] {
  const dropIn = `[Service]\nEnvironment=LD_PRELOAD=${FAULT_LIBRARY}\n`;
  return [
    file(`/etc/systemd/system/${release === 'bookworm' ? 'postfix@' : 'postfix'}.service.d/fault.conf`, dropIn),
    file('/etc/systemd/system/dovecot.service.d/fault.conf', dropIn),
    {...file(FAULT_ORDERS, '0\0\0\0\0\0\0\0')},
  ];
}

/** Services a host starts when it boots. */
export function services(spec: HostSpec, hasSoftware: boolean): string[] {
  switch (spec.role) {
    case 'control':
      return ['nats-server.service', ...(hasSoftware ? ['mailherd-coordinator.service'] : [])];
    case 'edge':
    case 'backend':
      return ['postfix.service', 'dovecot.service', ...(hasSoftware ? ['mailherd-agent.service'] : [])];
  }
}
