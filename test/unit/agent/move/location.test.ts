import {expect, test} from 'vitest';
import {pathOf} from '../../../../agent/move/location.ts';

test.each([
  ['ada@farm.example', '/srv/farm.example/ada'],
  // Without a domain the name is all of it, as Dovecot has it.
  ['ada', '/srv//ada'],
])('the name and the domain of %s by the words of both releases', (user, path) => {
  expect(pathOf('/srv/%d/%n', user, '/home')).toBe(path);
  expect(pathOf('/srv/%{user | domain}/%{user|username}', user, '/home')).toBe(path);
  expect(pathOf('~/%u', user, '/home')).toBe(`/home/${user}`);
});
