import type {Millis} from '../base/units.ts';
import type {Labels, Role} from '../wire/schema.ts';

/** Debian releases a host can be installed with: bookworm = 12 (Dovecot 2.3, Postfix 3.7), trixie = 13 (2.4, 3.10). */
export type Release = 'bookworm' | 'trixie';
export const RELEASES: readonly Release[] = ['bookworm', 'trixie'];

/** One host of the farm. */
export interface HostSpec {
  name: string;
  role: Role;
  /** What it is installed with when the farm comes up; a reinstall may change that. */
  release: Release;
  address: string;
  /** What an operator would write down about the machine. */
  labels: Labels;
  /** A spare is not booted with the farm; it arrives later. */
  isSpare: boolean;
}

/** The whole farm as data. */
export interface Layout {
  /** Bridge on this machine; nothing is forwarded from it. */
  bridge: string;
  /** Network of the farm in CIDR form, and this machine's own address in it. */
  network: string;
  machineAddress: string;
  /** Mail domain of the customers. */
  domain: string;
  /** Domain of the rest of the world: senders live there and would get bounces there. */
  outsideDomain: string;
  /** Port on `machineAddress` where the rest of the world takes mail, and where the provisioner listens. */
  outsidePort: number;
  provisionerPort: number;
  hosts: readonly HostSpec[];
  /** Mailboxes on every backend that is no spare. */
  usersPerBackend: number;
  /** How often mailbox sizes are asked for: each time costs every backend 0.2 s of a processor. */
  sizesMs: Millis;
}

/** A farm on the /24 network `net` (its first three numbers); `last` is the last number of each address. */
export function makeLayout(
  bridge: string,
  net: string,
  usersPerBackend: number,
  hosts: readonly (Omit<HostSpec, 'address'> & {last: number})[],
): Layout {
  return {
    bridge,
    network: `${net}.0/24`,
    machineAddress: `${net}.254`,
    domain: 'farm.example',
    outsideDomain: 'outside.example',
    outsidePort: 2525,
    provisionerPort: 8790,
    usersPerBackend,
    sizesMs: 30_000,
    hosts: hosts.map(({last, ...spec}) => ({...spec, address: `${net}.${last}`})),
  };
}

function backend(
  name: string,
  release: Release,
  last: number,
  labels: Labels,
  isSpare = false,
): Omit<HostSpec, 'address'> & {last: number} {
  return {name, role: 'backend', release, last, labels, isSpare};
}

/** The farm of the demo: three old backends, two of the newest round, one spare. */
export const LAYOUT: Layout = makeLayout('mhfarm0', '10.213.77', 12, [
  {name: 'ctl', role: 'control', release: 'bookworm', last: 1, labels: {rack: 'r1'}, isSpare: false},
  {name: 'edge1', role: 'edge', release: 'bookworm', last: 11, labels: {rack: 'r1', batch: '2024-03', hardware: 'gen9'}, isSpare: false},
  backend('be1', 'bookworm', 21, {rack: 'r1', batch: '2024-03', hardware: 'gen9'}),
  backend('be2', 'bookworm', 22, {rack: 'r2', batch: '2024-03', hardware: 'gen9'}),
  // Of the newest round too, but with the older release: so it can be told which of the two is to blame
  backend('be3', 'bookworm', 23, {rack: 'r2', batch: '2026-05', hardware: 'gen11'}),
  backend('be4', 'trixie', 24, {rack: 'r1', batch: '2026-05', hardware: 'gen11'}),
  backend('be5', 'trixie', 25, {rack: 'r2', batch: '2026-05', hardware: 'gen11'}),
  backend('be6', 'bookworm', 26, {rack: 'r1', batch: '2026-05', hardware: 'gen11'}, true),
]);

/** One customer of the farm. */
export interface UserSpec {
  user: string;
  password: string;
  /** Host of the mailbox when the farm comes up. */
  host: string;
}

const GIVEN = ['ada', 'ben', 'cleo', 'dirk', 'eva', 'finn', 'greta', 'hugo', 'ines', 'jan', 'kira', 'leon'] as const;

/** All customers, spread evenly over the backends that are no spare. Passwords are for this miniature only. */
export function users(layout: Layout): UserSpec[] {
  return layout.hosts
    .filter(spec => spec.role === 'backend' && !spec.isSpare)
    .flatMap(spec =>
      Array.from({length: layout.usersPerBackend}, (_, index) => {
        const round = Math.floor(index / GIVEN.length);
        const local = `${GIVEN[index % GIVEN.length]}${round === 0 ? '' : round}.${spec.name}`;
        return {user: `${local}@${layout.domain}`, password: `pw-${local}`, host: spec.name};
      }),
    );
}

/** The user a host's agent logs in as; a backend's exists on that host only, an edge's on every backend. */
export function probeUser(hostName: string): string {
  return `probe@${hostName}.mailherd.invalid`;
}

/** What an operator may call a release: its code name, its number, or as agents label it. */
const RELEASE_NAMES: Readonly<Record<string, Release>> = {
  bookworm: 'bookworm',
  '12': 'bookworm',
  'debian-12': 'bookworm',
  trixie: 'trixie',
  '13': 'trixie',
  'debian-13': 'trixie',
};

/** The release of that name, undefined for one the farm cannot install. */
export function releaseOf(name: string): Release | undefined {
  return Object.hasOwn(RELEASE_NAMES, name) ? RELEASE_NAMES[name] : undefined;
}

/** The host of that name, or undefined. */
export function findHost(layout: Layout, name: string): HostSpec | undefined {
  return layout.hosts.find(spec => spec.name === name);
}
