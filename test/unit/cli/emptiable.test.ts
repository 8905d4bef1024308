import {expect, test} from 'vitest';
import {emptiable} from '../../../cli/emptiable.ts';
import type {HostView} from '../../../wire/api.ts';

const host = (name: string, os: string, role = 'backend', stage = 'active'): HostView =>
  ({record: {host: name, role, stage, labels: {os, image: 'a=b'}}}) as unknown as HostView;
const HOSTS = [
  host('be01', 'debian-12'),
  host('be02', 'debian-13'),
  host('be03', 'debian-13', 'backend', 'draining'),
  host('be04', 'debian-13', 'backend', 'reinstalling'),
  host('edge1', 'debian-13', 'edge'),
];

test('hosts by name and by label, each once, and only where mailboxes may be', () => {
  expect(emptiable(['be03', 'os=debian-13', 'be09'], HOSTS)).toEqual(['be03', 'be02', 'be09']);
  expect(emptiable(['image=a=b'], HOSTS)).toEqual(['be01', 'be02', 'be03']);
});

test('a label that no host has', () => {
  for (const label of ['os=debian-14', 'os=', '=debian-13', 'rack=r1'])
    expect(() => emptiable([label], HOSTS), label).toThrow(expect.objectContaining({code: 'COHORT_UNKNOWN', detail: {label}}));
});
