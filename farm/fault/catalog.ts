/** What can go wrong on a host, by name. `value` is what `start` takes after the host; null = nothing. */
export interface FaultInfo {
  summary: string;
  value: {name: string; unit: string; fallback: string} | null;
}

export const FAULTS = {
  'slow-fsync': {
    summary: 'the disk takes its time to confirm writes of Postfix and Dovecot; reads stay quick',
    value: {name: 'delay', unit: 'ms', fallback: '1000'},
  },
  'drop-imap': {
    summary: 'IMAP connections are reset at random while they are used',
    value: {name: 'share', unit: 'per mille of packets', fallback: '20'},
  },
  'cpu-throttle': {summary: 'the whole host gets little of one core', value: {name: 'share', unit: 'percent of a core', fallback: '5'}},
  'disk-throttle': {summary: 'the disks take few writes a second', value: {name: 'rate', unit: 'writes/s', fallback: '10'}},
  'few-processes': {
    summary: 'Dovecot and Postfix may start few processes of a kind',
    value: {name: 'limit', unit: 'processes', fallback: '3'},
  },
  'disk-full': {summary: 'the mail store is full to the last block', value: null},
  'freeze-service': {
    summary: 'all processes of a service stop where they are, its sockets stay open',
    value: {name: 'service', unit: 'dovecot, postfix, mailherd-agent ...', fallback: 'dovecot'},
  },
  'kill-service': {
    summary: 'all processes of a service are killed; it stays down until the fault is stopped',
    value: {name: 'service', unit: 'dovecot, postfix, mailherd-agent ...', fallback: 'dovecot'},
  },
  'freeze-host': {summary: 'every process of the host stops, as when a hypervisor pauses it', value: null},
  cut: {summary: 'the network to a peer, or to everybody, is cut', value: {name: 'peer', unit: 'host name, or all', fallback: 'all'}},
  'power-off': {summary: 'the power is cut: nothing is written out or closed in order; stopping the fault boots it again', value: null},
  'bad-release': {
    summary: 'what a bad operating system release does: slow fsync and dropped IMAP connections together',
    value: {name: 'delay', unit: 'ms', fallback: '2000'},
  },
} as const satisfies Record<string, FaultInfo>;

export type FaultName = keyof typeof FAULTS;

export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(FAULTS, name);
}
