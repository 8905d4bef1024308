import {expect, it} from 'vitest';
import {LAYOUT, releaseOf, users} from '../../../farm/layout.ts';

it('names every host and address once, inside its network', () => {
  const names = LAYOUT.hosts.map(spec => spec.name);
  const addresses = LAYOUT.hosts.map(spec => spec.address);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set([...addresses, LAYOUT.machineAddress]).size).toBe(addresses.length + 1);
  const prefix = LAYOUT.network.replace(/0\/24$/, '');
  expect(addresses.every(address => address.startsWith(prefix))).toBe(true);
  // mhfarm-<name> is a machine name, vb-mhfarm-<name> is cut to an interface name of 15 letters: they must differ early
  expect(names.every(name => name.length <= 5)).toBe(true);
});

it('spreads at least 60 customers evenly over the backends that are no spare', () => {
  const perHost = new Map<string, number>();
  for (const {host} of users(LAYOUT)) perHost.set(host, (perHost.get(host) ?? 0) + 1);
  expect([...perHost.entries()]).toEqual(['be1', 'be2', 'be3', 'be4', 'be5'].map(name => [name, 12]));
  expect(new Set(users(LAYOUT).map(each => each.user)).size).toBe(60);
});

it('has the newer release on no batch, rack or hardware that the older one is not on too', () => {
  const backends = LAYOUT.hosts.filter(spec => spec.role === 'backend');
  const old = backends.filter(spec => spec.release === 'bookworm');
  for (const spec of backends.filter(each => each.release === 'trixie')) {
    for (const [name, value] of Object.entries(spec.labels)) expect(old.some(each => each.labels[name] === value)).toBe(true);
  }
});

it('knows a release by its names and nothing else', () => {
  expect([releaseOf('debian-12'), releaseOf('bookworm'), releaseOf('13'), releaseOf('11'), releaseOf('constructor')]).toEqual([
    'bookworm',
    'bookworm',
    'trixie',
    undefined,
    undefined,
  ]);
});
