import {describe, expect, test} from 'vitest';
import {parseApiTokens, parseCoordinatorConfig} from '../../../coordinator/config.ts';

const SMALL = 'name: ctl1\nnats:\n  servers: [127.0.0.1:4222]\n';

describe('coordinator.yaml', () => {
  test('little is needed; the API stays on loopback and nothing is reinstalled unless told so', () => {
    expect(parseCoordinatorConfig(SMALL, 'c.yaml')).toMatchObject({
      name: 'ctl1',
      nats: {seedFile: '/etc/mailherd/coordinator.seed'},
      api: {listen: '127.0.0.1', port: 8700, tokensFile: '/etc/mailherd/tokens.yaml'},
      reinstallCommand: null,
    });
  });

  test.each([
    ['', '/'],
    ['name: ctl1\nnats: {servers: []}', '/nats/servers'],
    [`${SMALL}api: {port: http}`, '/api/port'],
    [`${SMALL}colour: red`, '/colour'],
    [`${SMALL}reinstallCommand: reinstall.sh`, '/reinstallCommand'],
    ['name: [', '/'],
    ['- a', '/'],
  ])('%j names file, path and reason', (text, path) => {
    let thrown: unknown;
    try {
      parseCoordinatorConfig(text, 'c.yaml');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({code: 'CONFIG_INVALID', detail: {file: 'c.yaml', path}});
    expect((thrown as {detail: {reason: string}}).detail.reason).toMatch(/\w/);
  });
});

describe('tokens.yaml', () => {
  const sha256 = 'a'.repeat(64);
  test('names, roles and digests', () => {
    expect(parseApiTokens(`- {name: ada, role: operate, sha256: ${sha256}}`, 't.yaml')).toEqual([{name: 'ada', role: 'operate', sha256}]);
    expect(parseApiTokens('', 't.yaml')).toEqual([]);
  });
  test.each([
    [`- {name: ada, role: root, sha256: ${sha256}}`, '/0/role'],
    ['- {name: ada, role: read, sha256: secret}', '/0/sha256'],
    [`- {name: a, role: read, sha256: ${sha256}}\n- {name: a, role: read, sha256: ${sha256}}`, '/1/name'],
  ])('%j is refused', (text, path) => {
    expect(() => parseApiTokens(text, 't.yaml')).toThrow(
      expect.objectContaining({code: 'CONFIG_INVALID', detail: expect.objectContaining({path})}),
    );
  });
});
