import {expect, test} from 'vitest';
import {isProbeUser, parseAgentConfig, probeUserOf} from '../../../agent/config.ts';

const MINIMUM = 'host: be07\nrole: backend\nnats:\n  servers: [nats.example:4222]\n';

test('the least that must be said, and all defaults', () => {
  const config = parseAgentConfig(MINIMUM, 'agent.yaml');
  expect(config).toMatchObject({
    stateDir: '/var/lib/mailherd/agent',
    routesDb: '/var/lib/mailherd/routes/routes.db',
    reportIntervalMs: 10_000,
    labels: {},
    nats: {seedFile: '/etc/mailherd/agent.seed'},
    mail: {smtpPort: 25, imapPort: 143, lmtpPort: 24, doveadmPort: 24245, store: '/var/vmail', spool: '/var/spool/postfix'},
    probe: {passwordFile: null, sinkAddress: '127.0.0.1', sinkPort: 2526, recipient: 'sink@probe.mailherd.invalid'},
  });
  expect(probeUserOf(config)).toBe('probe@be07.mailherd.invalid');
  const isProbe = isProbeUser(config);
  expect([probeUserOf(config), 'probe@other.mailherd.invalid', 'ada@example.org'].map(isProbe)).toEqual([true, true, false]);
});

test('a probe mailbox of another name is nobody either', () => {
  const isProbe = isProbeUser(parseAgentConfig(`${MINIMUM}probe: {user: Check@example.org}\n`, 'agent.yaml'));
  expect(['check@example.org', 'Check@example.org', 'probe@edge1.mailherd.invalid', 'ada@example.org'].map(isProbe)).toEqual([
    ...[true, true, true, false],
  ]);
});

test.each([
  ['', '/', 'mapping'],
  ['- 1', '/', 'mapping'],
  ['host: [', '/', ''],
  ['host: be07\n', '/', 'role, nats'],
  [MINIMUM.replace('be07', 'BE 07'), '/host', 'pattern'],
  [MINIMUM.replace('backend', 'frontend'), '/role', ''],
  [`${MINIMUM}  sevrers: x\n`, '/nats/sevrers', 'is not a name that the agent knows'],
  [`${MINIMUM}hots: x\n`, '/hots', 'is not a name that the agent knows'],
  [`${MINIMUM}mail: {smtpPort: 70000}\n`, '/mail/smtpPort', '65535'],
  [`${MINIMUM}mail: {store: vmail}\n`, '/mail/store', 'pattern'],
  [`${MINIMUM}reportIntervalMs: 10s\n`, '/reportIntervalMs', 'integer'],
  [`${MINIMUM}labels: {rack: 3}\n`, '/labels/rack', 'string'],
])('%j is refused at %s', (text, path, reason) => {
  expect(() => parseAgentConfig(text, 'agent.yaml')).toThrow(
    expect.objectContaining({code: 'CONFIG_INVALID', detail: {file: 'agent.yaml', path, reason: expect.stringContaining(reason)}}),
  );
});
