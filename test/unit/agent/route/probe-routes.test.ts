import {expect, test} from 'vitest';
import {ProbeRoutes} from '../../../../agent/route/probe-routes.ts';
import type {HostStage} from '../../../../wire/record.ts';
import type {Role} from '../../../../wire/schema.ts';

const PROBE = 'probe@ed1.mailherd.invalid';

function routes(role: Role, host: string): {routes: ProbeRoutes; pinned: string[]} {
  const pinned: string[] = [];
  return {routes: new ProbeRoutes({host, role}, {pin: (user, at) => void pinned.push(`${user} ${at}`)}), pinned};
}
const host = (name: string, role: Role, stage: HostStage = 'active') => ({host: name, role, stage});

test('a backend keeps a mailbox for the probe of each edge, and routes nothing else', () => {
  const {routes: own, pinned} = routes('backend', 'be1');
  for (const one of [host('ed1', 'edge'), host('ctl', 'control'), host('be2', 'backend')]) own.take(one);
  expect(pinned).toEqual([`${PROBE} be1`]);
});

test('an edge sends its probe to one backend after the other, of those that serve', () => {
  const {routes: own, pinned} = routes('edge', 'ed1');
  expect(own.next(PROBE)).toBeNull();
  for (const name of ['be1', 'be2', 'be3']) own.take(host(name, 'backend'));
  own.take(host('be4', 'backend', 'reinstalling'));
  own.take(host('ed2', 'edge'));
  own.take(host('be5', 'backend', 'arrived'));
  expect(own.backendCount).toBe(3);
  expect([own.next(PROBE), own.next(PROBE), own.next(PROBE), own.next(PROBE)]).toEqual(['be1', 'be2', 'be3', 'be1']);
  expect(pinned.slice(0, 2)).toEqual([`${PROBE} be1`, `${PROBE} be2`]);
  own.removed('be2');
  own.take(host('be3', 'backend', 'drained'));
  expect([own.next(PROBE), own.next(PROBE)]).toEqual(['be1', 'be1']);
});
